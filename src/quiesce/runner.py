"""The way in: `run`, `Runner` and `install`.

`run` and `Runner` do what asyncio's do and end the program rightly: what asks for the
end is in `shutdown.triggers`, what happens then in `shutdown.sequence`.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import signal
import sys
import threading
from asyncio import coroutines, events, exceptions, runners
from typing import TYPE_CHECKING, Any, Self

from quiesce.loop import Loop, new_event_loop
from quiesce.shutdown import sequence
from quiesce.shutdown.triggers import Triggers

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable
    from contextvars import Context

# Since 3.14 any awaitable is taken, and policies have only underscore names.
SINCE_3_14 = sys.version_info >= (3, 14)
# The system's own module of asyncio, which has its default policy and loop.
ASYNCIO_SYSTEM: Any = sys.modules[asyncio.SelectorEventLoop.__module__]
DEFAULT_POLICY: Any = getattr(
    ASYNCIO_SYSTEM,
    "_DefaultEventLoopPolicy" if SINCE_3_14 else "DefaultEventLoopPolicy",
)
# What a policy calls to make a loop, which must not become its method.
NEW_LOOP = staticmethod(new_event_loop)


def run(
    main: Awaitable[Any],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], AbstractEventLoop] | None = None,
) -> Any:
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
            self._open()
        return self._loop

    def _open(self) -> None:
        """Make the loop, and the context that all runs share."""
        if self._loop_factory is None:
            self._loop = default_loop()
            events.set_event_loop(self._loop)
        else:
            self._loop = self._loop_factory()
        if self._debug is not None:
            self._loop.set_debug(self._debug)
        self._context = contextvars.copy_context()

    def close(self) -> None:
        """End every task, close async generators and executor, and close the loop."""
        if self._loop is None or self._closed:
            return
        with self._triggers:
            try:
                sequence.end_loop(self._loop, at_once=self._triggers.hurried)
            finally:
                if self._loop_factory is None:
                    events.set_event_loop(None)
                self._loop.close()
                self._loop = None
                self._closed = True

    def run(self, coro: Awaitable[Any], *, context: Context | None = None) -> Any:
        """Return the result of `coro`, run as a task in `context` or the runner's own.

        Signals are treated as `quiesce.run` says, but only `coro` is ended.
        """
        if not SINCE_3_14 and not coroutines.iscoroutine(coro):
            raise ValueError(f"a coroutine was expected, got {coro!r}")
        refuse_running_loop("Runner.run()")
        loop = self.get_loop()
        coro = as_coroutine(coro)
        if context is None:
            context = self._context
        task = loop.create_task(coro, context=context)
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


def default_loop() -> Any:
    """Return a new loop of ours, unless the program has set a policy of its own."""
    policy = current_policy()
    return new_event_loop() if is_default(policy) else policy.new_event_loop()


def current_policy() -> Any:
    """Return asyncio's event loop policy, without the warning of 3.14 and later."""
    if SINCE_3_14:
        return events._get_event_loop_policy()  # type: ignore[attr-defined]
    return asyncio.get_event_loop_policy()


def set_policy(policy: Any) -> None:
    """Set asyncio's event loop policy, without the warning of 3.14 and later."""
    if SINCE_3_14:
        events._set_event_loop_policy(policy)  # type: ignore[attr-defined]
    else:
        asyncio.set_event_loop_policy(policy)


def is_default(policy: Any) -> bool:
    """Tell whether `policy` is the one asyncio comes with."""
    return type(policy) is DEFAULT_POLICY


def get_event_loop() -> AbstractEventLoop:
    """Return the running loop, or else the one that was set for this thread.

    Where asyncio still makes a loop if there is none (the main thread, before 3.14), it
    makes one of quiesce's. Raises RuntimeError where it makes none.
    """
    running = events._get_running_loop()
    if running is not None:
        return running
    if threading.current_thread() is not threading.main_thread():
        return asyncio.get_event_loop()
    with Installation() as installation:
        installation.replace(DEFAULT_POLICY, "_loop_factory", NEW_LOOP)
        return asyncio.get_event_loop()


def install() -> Installation:
    """Make asyncio's own names use quiesce in this process, and return how to undo it.

    From then on `asyncio.run`, `asyncio.Runner`, `asyncio.EventLoop` and
    `asyncio.new_event_loop` are or make quiesce's, and so does the default event loop
    policy; a policy the program had set is taken out. Functions that were imported
    before by ``from asyncio import run`` do the same. Loops that exist already stay as
    they are.

    Installing again changes nothing, and undoing that changes nothing either.
    """
    installation = Installation()
    if DEFAULT_POLICY.__dict__["_loop_factory"] is NEW_LOOP:
        return installation
    for module in (asyncio, runners):
        installation.replace(module, "run", run)
        installation.replace(module, "Runner", Runner)
    for module in (asyncio, ASYNCIO_SYSTEM):
        if hasattr(module, "EventLoop"):
            installation.replace(module, "EventLoop", Loop)
    installation.replace(DEFAULT_POLICY, "_loop_factory", NEW_LOOP)
    policy = current_policy()
    if not is_default(policy):
        installation.former_policy = policy
        set_policy(None)
    return installation


class Installation:
    """What `install` put in the place of asyncio's own.

    ``undo()``, or the end of a ``with`` block, puts it back: everything that is still
    quiesce's, and only once.
    """

    def __init__(self) -> None:
        self.replaced: list[tuple[Any, str, object, object]] = []
        self.former_policy: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.undo()

    def replace(self, owner: Any, name: str, value: object) -> None:
        """Set an attribute of `owner` until `undo`."""
        self.replaced.append((owner, name, owner.__dict__[name], value))
        setattr(owner, name, value)

    def undo(self) -> None:
        """Put back what was replaced."""
        for owner, name, former, value in self.replaced:
            if owner.__dict__[name] is value:
                setattr(owner, name, former)
        self.replaced.clear()
        if self.former_policy is not None and is_default(current_policy()):
            set_policy(self.former_policy)
        self.former_policy = None
