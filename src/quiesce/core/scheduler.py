"""The heart of a loop: its callbacks, timers, futures and tasks.

Here is what belongs to a loop and what its users call. What a loop does while it runs
is in `runs` (a run, from its beginning to its end) and `iteration` (what runs when).

Invariant: only the thread that runs the loop touches its state; `call_soon_threadsafe`
and the poller's `wake` are the ways in from elsewhere.

Read `handle`, `ready`, `timers`, `future` and `task` before this module, `iteration`,
`runs` and then ``quiesce.loop`` after it.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import types
from asyncio import coroutines
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from quiesce.core import (
    current_task,
    debug_checks,
    failures,
    iteration,
    native,
    running,
    runs,
    too_late,
)
from quiesce.core.async_generators import AsyncGenerators
from quiesce.core.clock import TimeMethod
from quiesce.core.fd_callbacks import FdCallbacks
from quiesce.core.future import Future, new_future
from quiesce.core.handle import make_handle, make_thread_safe_handle
from quiesce.core.hooks import SlowCallbackLog
from quiesce.core.interrupts import Interrupts
from quiesce.core.origins import OriginTracking
from quiesce.core.other_tasks import FREE_STEP, WOKEN_STEP, OtherTasks, is_asyncios
from quiesce.core.pending import PendingTasks
from quiesce.core.ready import ReadyQueue
from quiesce.core.task import Task, new_task
from quiesce.core.task_factory import call_task_factory, is_eager_factory
from quiesce.core.timers import TimerHeap, make_timer
from quiesce.core.unretrieved import Unretrieved

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Context

    from quiesce.core.clock import Clock
    from quiesce.core.handle import Handle
    from quiesce.core.poller import Poller, Watcher
    from quiesce.core.timers import TimerHandle

T = TypeVar("T")

# Whether this runs compiled; the few places that must know ask here.
COMPILED = bool(native.COMPILED)

CoroutineType = types.CoroutineType


class Scheduler:
    """What a loop is made of, without sockets, signals and threads.

    `poller` is what it asks of the system (``quiesce.system.new_poller`` makes the
    usual one). `clock` replaces the monotonic clock; then the poller is asked on every
    iteration, so that a simulated one sees all of them.
    """

    __slots__ = (
        "__weakref__",
        "_thread_id",
        "async_generators",
        "clock",
        "closed",
        "current",
        "debug",
        "direct_ready",
        "eager_tasks",
        "ending",
        "exception_handler",
        "fd_callbacks",
        "has_incoming",
        "incoming",
        "interrupted",
        "interrupts",
        "observer",
        "origins",
        "other_tasks",
        "pending_tasks",
        "plain_tasks",
        "polled_at",
        "poller",
        "polls_always",
        "published",
        "ready",
        "run_from",
        "slow_callback_duration",
        "stopping",
        "task_factory",
        "timers",
        "unfinished",
        "unpolled",
        "unretrieved",
    )

    def __cinit__(self) -> None:
        # Only an extension type calls this. Fields are not checked for None there, so a
        # loop that a subclass forgot to initialize must refuse everything: it is
        # closed.
        self.closed = True

    def __init__(self, poller: Poller, clock: Clock | None = None) -> None:
        self.poller = poller
        self.clock = clock
        self.polls_always = clock is not None
        self.ready = ReadyQueue()
        self.timers = TimerHeap()
        self.pending_tasks = PendingTasks()
        self.fd_callbacks = FdCallbacks(poller, self.ready)
        self.async_generators = AsyncGenerators(self)
        self.origins = OriginTracking()
        self.ending: list[Watcher] = []
        self.incoming = deque()
        self.has_incoming = False
        self.interrupted = False
        self.interrupts = Interrupts(self)
        self.current = None
        self.published = None
        self.observer = None
        self.slow_callback_duration = 0.1
        self.exception_handler = None
        self.task_factory = None
        self.eager_tasks = False
        self.unfinished = None
        # Who runs the loop now, as code and offset.
        self.run_from = None
        self.unretrieved = Unretrieved(self)
        self.other_tasks = OtherTasks(self.unretrieved)
        self._thread_id = None
        self.unpolled = 0
        self.polled_at = 0
        self.stopping = False
        self.closed = False
        self.debug = False
        if type(self).time is not Scheduler.time:
            # A subclass says what time it is.
            self.clock = TimeMethod(self)
            self.polls_always = True
        # Futures may go round `call_soon` only where nobody has put something in its
        # way.
        plain = type(self).call_soon is Scheduler.call_soon
        self.direct_ready = self.ready if plain else None
        self.plain_tasks = False
        self.set_debug(coroutines._is_debug_mode())
        running.add_loop(self)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} running={self.is_running()} "
            f"closed={self.is_closed()} debug={self.get_debug()}>"
        )

    # -- running

    def run_forever(self) -> None:
        """Run until `stop` is called.

        Directly after a `run_until_complete` that was interrupted, it also ends once
        all that was pending then is done. Raises `RuntimeError` if the loop is closed,
        or if a loop runs in this thread already; `KeyboardInterrupt` and `SystemExit`
        come out.
        """
        self.check_closed()
        runs.check_not_running(self)
        holding = self.interrupts.hold()
        try:
            runs.run_until_stopped(self)
        finally:
            if holding:
                self.interrupts.release()

    def run_until_complete(self, future: Awaitable[T]) -> T:
        """Run until `future` is done; return its result or raise its exception.

        A coroutine is made a task. Raises `RuntimeError` if the loop was stopped
        before.
        """
        try:
            self.check_closed()
            runs.check_not_running(self)
            holding = self.interrupts.hold()
        except (KeyboardInterrupt, SystemExit):
            # A signal. That it was never awaited is no news beside that.
            if coroutines.iscoroutine(future):
                future.close()
            raise
        try:
            return runs.run_until_done(self, future)
        finally:
            if holding:
                self.interrupts.release()

    def stop(self) -> None:
        """End `run_forever` after the callbacks that are ready now. Not thread-safe."""
        self.stopping = True

    def close(self) -> None:
        """Forget all callbacks and let go of the system's resources.

        Raises `RuntimeError` while the loop runs; harmless if repeated.
        """
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self.closed:
            return
        self.unretrieved.report()
        iteration.end_iteration(self)
        for watcher in self.poller.watchers():
            watcher.on_loop_close()
        self.closed = True
        uncalled = [*self.incoming, *self.ready.items]
        self.ready.close()
        self.timers.clear()
        self.incoming.clear()
        self.poller.close()
        self.pending_tasks.clear()
        self.other_tasks.clear()
        too_late.refuse_all(uncalled)
        self.interrupts.raise_error()

    def has_queued(self) -> bool:
        """Tell whether something is to be called in the next iteration."""
        return bool(self.ready.items) or bool(self.has_incoming)

    def is_running(self) -> bool:
        """Tell whether the loop runs now, in any thread."""
        return self._thread_id is not None

    def is_closed(self) -> bool:
        """Tell whether the loop was closed."""
        return self.closed

    def at_iteration_end(self, watcher: Watcher) -> None:
        """Call ``watcher.on_iteration_end()`` once, when this iteration ends.

        Between runs and before `close` counts as the end of one.
        """
        self.ending.append(watcher)

    def __hash__(self) -> int:
        # Up to 3.13 asyncio looks its current task up in a dictionary under the loop,
        # and cannot do so without asking for this hash. Storing each task there as it
        # is resumed was a quarter of the cost of a step; now it is stored when somebody
        # asks.
        if not current_task.PUBLISHES_EAGERLY:
            current_task.publish(self)
        return current_task.hash_of(self)

    # -- callbacks

    def call_soon(
        self,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Handle:
        """Run ``callback(*args)`` in the next iteration; return a handle to cancel it.

        Callbacks run in the order in which they were added, in `context` or else in a
        copy of the context of this call. Not thread-safe. Raises `RuntimeError` on a
        closed loop.
        """
        if self.closed:
            self.check_closed()
        if self.has_incoming:
            iteration.queue_incoming(self)
        if type(callback) is FREE_STEP or type(callback) is WOKEN_STEP:
            callback = self.other_tasks.watched(callback)
        handle = make_handle(
            callback, args, self, native.copy_context() if context is None else context
        )
        if self.debug:
            debug_checks.check_call(callback, "call_soon")
            debug_checks.check_thread(self)
            handle._source_traceback = debug_checks.caller_stack()
        self.ready.push(handle)
        return handle

    def call_soon_threadsafe(
        self,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Handle:
        """Do what `call_soon` does, from any thread or signal handler.

        Thread-safe, and so is `cancel` of the handle: wakes the loop if it sleeps.
        Raises `RuntimeError` on a closed loop.
        """
        if self.closed:
            too_late.refuse(callback)
            self.check_closed()
        handle = make_thread_safe_handle(
            callback, args, self, native.copy_context() if context is None else context
        )
        if self.debug:
            debug_checks.check_call(callback, "call_soon_threadsafe")
            handle._source_traceback = debug_checks.caller_stack()
        self.incoming.append(handle)
        if self.closed:
            # By another thread, since it was looked at.
            too_late.refuse(callback)
        self.has_incoming = True
        self.poller.wake()
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> TimerHandle:
        """Run ``callback(*args)`` after `delay` seconds; return a handle to cancel it.

        Not thread-safe. Callbacks that are due at the same time run in the order in
        which they were added.
        """
        if delay is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise TypeError("delay must not be None")
        if type(delay) is not float:
            # What cannot be added to a time, such as a Decimal, is refused.
            delay = 0.0 + delay
        timer = self.timer_after(
            delay,
            callback,
            args,
            native.copy_context() if context is None else context,
        )
        if self.debug:
            debug_checks.check_call(callback, "call_later")
            timer._source_traceback = debug_checks.caller_stack()
        return timer

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> TimerHandle:
        """Run ``callback(*args)`` when `time` reaches `when`; see `call_later`."""
        if when is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise TypeError("when cannot be None")
        timer = self.timer_at(
            when,
            self.now(),
            callback,
            args,
            native.copy_context() if context is None else context,
        )
        if self.debug:
            debug_checks.check_call(callback, "call_at")
            timer._source_traceback = debug_checks.caller_stack()
        return timer

    def timer_after(
        self,
        delay: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context,
    ) -> TimerHandle:
        """Put a timer on the heap that is due in `delay` seconds."""
        now = self.now()
        return self.timer_at(now + delay, now, callback, args, context)

    def timer_at(
        self,
        when: float,
        now: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context,
    ) -> TimerHandle:
        """Put a timer on the heap that is due at `when`."""
        if self.closed:
            self.check_closed()
        if self.debug:
            debug_checks.check_thread(self)
        timer = make_timer(when, callback, args, self, context)
        self.start_timer(timer, now)
        return timer

    def start_timer(self, timer: TimerHandle, now: float) -> None:
        """Put `timer` on the heap."""
        self.timers.push(timer)
        if timer._when <= now:
            # Due already: it must not wait until asking the system is due.
            self.unpolled = iteration.BATCH_LIMIT

    def time(self) -> float:
        """Return the seconds of the loop's clock, by default the monotonic one."""
        return self.now()

    def now(self) -> float:
        """Read the clock."""
        return native.now() if self.clock is None else self.clock.now()

    # -- futures and tasks

    def create_future(self) -> Future:
        """Return a new future of this loop."""
        if self.debug:
            future = Future(loop=self)
            future._source_traceback = debug_checks.caller_stack()
            return future
        return new_future(self, self.direct_ready)

    def create_task(
        self,
        coro: Any,
        *,
        name: object = None,
        context: Context | None = None,
        eager_start: bool | None = None,
    ) -> Any:
        """Return a task that runs the coroutine `coro` from the next iteration on.

        With `eager_start` its first step runs at once. The loop holds the task until it
        is done. Not thread-safe. Raises `RuntimeError` on a closed loop and `TypeError`
        for what is not a coroutine.
        """
        if self.closed:
            self.check_closed()
        if self.plain_tasks and eager_start is None and type(coro) is CoroutineType:
            return self.plain_task(
                coro, name, native.copy_context() if context is None else context
            )
        if self.task_factory is not None and not self.eager_tasks:
            task = call_task_factory(
                self.task_factory, self, coro, name, context, eager_start
            )
            if is_asyncios(task):
                self.other_tasks.hold_new(task)
            return task
        if eager_start is None:
            eager_start = self.eager_tasks
        task = Task(
            coro, loop=self, name=name, context=context, eager_start=eager_start
        )
        if self.debug:
            task._source_traceback = debug_checks.caller_stack()
        try:
            return task
        finally:
            # The traceback of one started eagerly keeps this frame: see "Cycles" in
            # `task`.
            task = None

    def plain_task(self, coro: Any, name: object, context: Context) -> Task:
        """Make a task where there is nothing to ask."""
        if self.has_incoming:
            iteration.queue_incoming(self)
        return new_task(self, self.ready, self.pending_tasks, coro, name, context)

    def set_task_factory(self, factory: Any) -> None:
        """Let ``factory(loop, coro, **kwargs)`` make the tasks; None restores our own.

        `asyncio.eager_task_factory` makes them our own, started eagerly.
        """
        if factory is not None and not callable(factory):
            raise TypeError("task factory must be a callable or None")
        self.task_factory = factory
        self.eager_tasks = is_eager_factory(factory)
        self.note_what_is_plain()

    def get_task_factory(self) -> Any:
        """Return the factory that was set, or None."""
        return self.task_factory

    def note_what_is_plain(self) -> None:
        """Work out whether tasks can be made without asking anything."""
        self.plain_tasks = (
            self.direct_ready is not None
            and type(self).create_task is Scheduler.create_task
            and self.task_factory is None
            and not self.debug
        )

    # -- file descriptors

    def add_reader(
        self, fd: Any, callback: Callable[..., object], *args: Any
    ) -> Handle:
        """Run ``callback(*args)`` whenever `fd` can be read, until `remove_reader`.

        `fd` is a descriptor or has a ``fileno()``; a callback set before is replaced.
        """
        self.check_closed()
        handle = make_handle(callback, args, self, native.copy_context())
        self.fd_callbacks.add_reader(fd, handle)
        return handle

    def remove_reader(self, fd: Any) -> bool:
        """Stop watching for `fd` to be readable; return whether anybody was."""
        return not self.closed and self.fd_callbacks.remove_reader(fd)

    def add_writer(
        self, fd: Any, callback: Callable[..., object], *args: Any
    ) -> Handle:
        """Run ``callback(*args)`` whenever `fd` can be written, until `remove_writer`.

        `fd` is a descriptor or has a ``fileno()``; a callback set before is replaced.
        """
        self.check_closed()
        handle = make_handle(callback, args, self, native.copy_context())
        self.fd_callbacks.add_writer(fd, handle)
        return handle

    def remove_writer(self, fd: Any) -> bool:
        """Stop watching for `fd` to be writable; return whether anybody was."""
        return not self.closed and self.fd_callbacks.remove_writer(fd)

    # -- errors nobody awaits

    def set_exception_handler(self, handler: Any) -> None:
        """Tell ``handler(loop, context)`` of errors nobody awaits; None means log."""
        if handler is not None and not callable(handler):
            raise TypeError(f"A callable object or None is expected, got {handler!r}")
        self.exception_handler = handler

    def get_exception_handler(self) -> Any:
        """Return the handler that was set, or None."""
        return self.exception_handler

    def report_unretrieved_after(self, seconds: float | None) -> None:
        """Report failures that nobody waits for after so many seconds; None: late.

        Late is when the failed task is dropped, or before the loop closes.
        """
        self.unretrieved.delay = seconds

    def report_unretrieved(self) -> None:
        """Report all failures that nobody has asked for until now."""
        self.unretrieved.report()
        self.interrupts.raise_error()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an error that nobody awaits.

        `context` has a ``message`` and, where it applies, an ``exception`` and the
        ``future``, ``task``, ``handle``, ``protocol``, ``transport`` or ``socket`` it
        is about.
        """
        failures.handle_exception(self, self.exception_handler, context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Log `context` under the logger ``asyncio``."""
        failures.log_failure(context, getattr(self.observer, "running", None))

    # -- debugging

    def get_debug(self) -> bool:
        """Tell whether debug mode is on."""
        return self.debug

    def set_debug(self, enabled: bool) -> None:
        """Switch debug mode: checks, origins of objects, a log of slow callbacks."""
        self.debug = bool(enabled)
        if self.debug and self.observer is None:
            self.observer = SlowCallbackLog(self)
        elif not self.debug and isinstance(self.observer, SlowCallbackLog):
            self.observer = None
        self.note_what_is_plain()
        if self.is_running():
            self.call_soon_threadsafe(self.origins.set, self.debug)

    def check_closed(self) -> None:
        """Refuse what a closed loop cannot do."""
        if self.closed:
            raise RuntimeError("Event loop is closed")


def make_task(loop: Scheduler, coro: Any) -> Any:
    """Do what ``loop.create_task(coro)`` does; compiled, without a call from Python.

    `coro` is a native coroutine.
    """
    if loop.plain_tasks and not loop.closed:
        return loop.plain_task(coro, None, native.copy_context())
    return loop.create_task(coro)
