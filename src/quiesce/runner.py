"""The way in: `run` and `Runner`.

They do what asyncio's do and end the program rightly: what asks for the
end is in `shutdown.triggers`, what happens then in `shutdown.sequence`.
"""

from __future__ import annotations

import contextvars
import inspect
import signal
import sys
from asyncio import coroutines, events, exceptions
from typing import TYPE_CHECKING, Any, Self, TypeVar

from quiesce.loop import Loop
from quiesce.policy import default_loop
from quiesce.shutdown import sequence
from quiesce.shutdown.triggers import Triggers

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable
    from contextvars import Context

T = TypeVar("T")

# Since 3.14 any awaitable is taken, and looked at after the running loop.
TAKES_AWAITABLES = sys.version_info >= (3, 14)


def run(
    main: Awaitable[T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], AbstractEventLoop] | None = None,
) -> T:
    """Return the result of `main`, run on a loop that is made and closed for it.

    Whether `main` returned, raised or was interrupted, every other task is cancelled
    then and its cleanup awaited, async generators are closed and the executor's threads
    joined.

    SIGINT and SIGTERM, where the program does not handle them itself, cancel `main`
    first and the other tasks once it is done, or one second later. SIGINT raises
    KeyboardInterrupt in the end, unless `main` caught its cancellation and returned;
    SIGTERM raises `Terminated`. A second Ctrl-C ends the wait for cleanups.

    Raises RuntimeError where a loop is running in this thread.
    """
    refuse_running_loop("asyncio.run()")
    runner = Runner(debug=debug, loop_factory=loop_factory)
    runner._is_whole_program = True
    with runner._triggers, runner:
        return runner.run(main)


class Runner:
    """A loop for several calls of `run`, closed at the end of a ``with`` block.

    Each `run` unwinds its own main task only; tasks in the background live on from one
    to the next, with one context for all, until `close` ends them as `run` does.

    The loop is made by `loop_factory`, or else by the event loop policy if the program
    has set one of its own, or else it is quiesce's.
    """

    def __init__(
        self,
        *,
        debug: bool | None = None,
        loop_factory: Callable[[], AbstractEventLoop] | None = None,
    ) -> None:
        self._debug = debug
        self._loop_factory = loop_factory
        self._loop: Any = None
        self._context: Context | None = None
        self._closed = False
        self._triggers = Triggers(self._ask)
        # Set by the function `run`: then a signal may end the background tasks too.
        self._is_whole_program = False
        self._main: Any = None
        self._asked_main = False
        self._ends_others: Any = None

    def __enter__(self) -> Self:
        self.get_loop()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get_loop(self) -> AbstractEventLoop:
        """Return the loop, made now if this is its first use.

        Raises RuntimeError after `close`.
        """
        if self._closed:
            raise RuntimeError("Runner is closed")
        if self._loop is None:
            self._loop = self._new_loop()
            self._context = contextvars.copy_context()
        loop: AbstractEventLoop = self._loop
        return loop

    def _new_loop(self) -> Any:
        """Make the loop, and set it for this thread unless a factory was given."""
        if self._loop_factory is None:
            loop = default_loop()
            events.set_event_loop(loop)
        else:
            loop = self._loop_factory()
        if self._debug is not None:
            loop.set_debug(self._debug)
        if isinstance(loop, Loop):
            # A request to stop must not find the loop asleep.
            loop.signal_handlers.listen()
        return loop

    def close(self) -> None:
        """End every task, close async generators and executor, and close the loop."""
        if self._loop is None or self._closed:
            return
        # Known from the last run, if a second Ctrl-C ended that.
        at_once = self._triggers.hurried
        with self._triggers:
            try:
                sequence.end_loop(self._loop, at_once=at_once)
            finally:
                if self._loop_factory is None:
                    events.set_event_loop(None)
                self._loop.close()
                self._loop = None
                self._closed = True

    def run(self, coro: Awaitable[T], *, context: Context | None = None) -> T:
        """Return the result of `coro`, run as a task in `context` or the runner's own.

        Signals are treated as `quiesce.run` says, but only `coro` is ended.
        """
        if not TAKES_AWAITABLES and not coroutines.iscoroutine(coro):
            raise ValueError(f"a coroutine was expected, got {coro!r}")
        refuse_running_loop("Runner.run()")
        loop: Any = self.get_loop()
        coroutine = as_coroutine(coro)
        if context is None:
            context = self._context
        task = loop.create_task(coroutine, context=context)
        with self._triggers:
            return self._run_main(task)

    def _run_main(self, task: Any) -> Any:
        """Run the loop until `task` is done, and say what its outcome means."""
        self._main, self._asked_main = task, False
        if self._triggers.signum is not None:
            self._ask()
        try:
            result = self._loop.run_until_complete(task)
        except exceptions.CancelledError:
            self._raise_for_cancelled(task)
            raise
        except BaseException as error:
            self._raise_for_failed(task, error)
            raise
        finally:
            self._main = None
            if self._ends_others is not None:
                self._ends_others.cancel()
        if self._asked_main and self._triggers.signum == signal.SIGINT:
            # Main has dealt with the Ctrl-C by itself, as asyncio lets it.
            self._triggers.answered = True
        return result

    def _raise_for_cancelled(self, task: Any) -> None:
        """Raise what the signal means, if it was a signal that cancelled main."""
        if self._triggers.signum == signal.SIGTERM:
            raise self._triggers.answer()
        self._triggers.answered = True
        uncancel = getattr(task, "uncancel", None)
        if self._asked_main and uncancel is not None and uncancel() == 0:
            raise self._triggers.answer()

    def _raise_for_failed(self, task: Any, error: BaseException) -> None:
        """Unwind a main that something else interrupted, or note how it failed."""
        if not task.done():
            if not self._triggers.hurried:
                sequence.end_main(self._loop, task)
        elif self._triggers.signum == signal.SIGINT:
            self._triggers.answered = True
        elif self._triggers.signum is not None:
            if not isinstance(error, Exception):
                # With sys.exit() main has said itself how the program ends.
                self._triggers.answered = True
                return
            sequence.report_failure(self._loop, task)
            raise self._triggers.answer() from error

    def _ask(self) -> None:
        """Have the loop stop main; called by a signal handler, so at any moment."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop_main)

    def _stop_main(self) -> None:
        """Cancel main and, if it is the whole program, the other tasks later."""
        main = self._main
        if main is None or main.done():
            return
        main.cancel()
        self._asked_main = True
        if self._is_whole_program:
            self._ends_others = self._loop.call_later(
                sequence.MAIN_ALONE, sequence.cancel_others, self._loop, main
            )


def refuse_running_loop(call: str) -> None:
    """Raise RuntimeError if this thread is inside a running loop."""
    if events._get_running_loop() is not None:
        raise RuntimeError(f"{call} cannot be called from a running event loop")


def as_coroutine(awaitable: Any) -> Any:
    """Return a coroutine that awaits `awaitable`, which may be one already."""
    if coroutines.iscoroutine(awaitable):
        return awaitable
    if not inspect.isawaitable(awaitable):
        raise TypeError("An asyncio.Future, a coroutine or an awaitable is required")

    async def wrapped() -> Any:
        return await awaitable

    return wrapped()
