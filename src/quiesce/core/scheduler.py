"""The heart of a loop: what runs when.

`run_once` is one iteration: look outside (sleep until something is ready, queue what
became ready, queue the timers that are due), then run what was ready *before* this
point. What callbacks add meanwhile waits for the next iteration, after another chance
to look outside.

While there is work the system is not asked on every iteration, but at the latest after
`BATCH_LIMIT` callbacks or 100 microseconds, whichever comes first: asking costs as much
as several steps of a task, and within that bound neither I/O, nor timers, nor Ctrl-C
can be starved. The order among callbacks is exactly asyncio's.

Invariant: only the thread that runs the loop touches its state; `call_soon_threadsafe`
and the poller's `wake` are the ways in from elsewhere.

Read `handle`, `ready`, `timers`, `future` and `task` before this module,
``quiesce.loop`` after it.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import types
import weakref
from asyncio import base_events, coroutines, events
from asyncio.format_helpers import extract_stack
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from quiesce.core import failures, native, running
from quiesce.core.async_generators import AsyncGenerators
from quiesce.core.fd_callbacks import FdCallbacks
from quiesce.core.future import Future, new_future
from quiesce.core.handle import make_handle, make_thread_safe_handle
from quiesce.core.hooks import SlowCallbackLog
from quiesce.core.interrupts import Interrupts
from quiesce.core.origins import OriginTracking
from quiesce.core.pending import PendingTasks
from quiesce.core.ready import ReadyQueue
from quiesce.core.task import Task, new_task
from quiesce.core.task_factory import call_task_factory, is_eager_factory
from quiesce.core.timers import TimerHeap, make_timer
from quiesce.core.unfinished import unfinished_wait

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
current_tasks = running.current_tasks
swap_current_task = running.swap_current_task
PUBLISHES_EAGERLY = current_tasks is None

BATCH_LIMIT = 64
# Seconds; epoll(7) cannot wait much longer in one call.
LONGEST_SLEEP = 86400.0
# Seconds; a timer this close is due, because waking for less is not possible.
CLOCK_RESOLUTION = 1e-9


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
        "pending_tasks",
        "plain_tasks",
        "polled_at",
        "poller",
        "polls_always",
        "published",
        "ready",
        "slow_callback_duration",
        "stopping",
        "task_factory",
        "timers",
        "unfinished",
        "unpolled",
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
        self.check_not_running()
        holding = self.interrupts.hold()
        try:
            self.run_until_stopped()
        finally:
            if holding:
                self.interrupts.release()

    def run_until_stopped(self) -> None:
        """Do what `run_forever` does."""
        unfinished = self.unfinished
        self.unfinished = None
        self.begin_run()
        began_at = self.polled_at
        try:
            if unfinished is not None:
                unfinished.stop_when_done(self.stop)
            while True:
                self.run_once()
                if self.stopping:
                    break
            if self.polled_at == began_at:
                # Many short runs must not starve I/O.
                self.look_outside()
                if self.ending:
                    self.end_iteration()
        finally:
            self.end_run()
            if unfinished is not None:
                self.unfinished = unfinished.withdraw()

    def run_until_complete(self, future: Awaitable[T]) -> T:
        """Run until `future` is done; return its result or raise its exception.

        A coroutine is made a task. Raises `RuntimeError` if the loop was stopped
        before.
        """
        self.check_closed()
        self.check_not_running()
        holding = self.interrupts.hold()
        try:
            return self.run_until_done(future)
        finally:
            if holding:
                self.interrupts.release()

    def run_until_done(self, future: Any) -> Any:
        """Do what `run_until_complete` does."""
        self.unfinished = None
        is_new = not asyncio.isfuture(future)
        future = asyncio.ensure_future(future, loop=self)  # pyright: ignore[reportCallIssue]
        if is_new:
            future._log_destroy_pending = False
        future.add_done_callback(base_events._run_until_complete_cb)
        try:
            self.run_forever()
            self.interrupts.raise_held()
        except BaseException:
            if is_new and future.done() and not future.cancelled():
                # It is the exception that comes out here: nobody else can ask for it.
                future.exception()
            self.unfinished = unfinished_wait(self, future)
            raise
        finally:
            future.remove_done_callback(base_events._run_until_complete_cb)
        if not future.done():
            raise RuntimeError("Event loop stopped before Future completed.")
        return future.result()

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
        self.end_iteration()
        self.closed = True
        self.ready.close()
        self.timers.clear()
        self.incoming.clear()
        self.poller.close()
        self.pending_tasks.clear()

    def is_running(self) -> bool:
        """Tell whether the loop runs now, in any thread."""
        return self._thread_id is not None

    def is_closed(self) -> bool:
        """Tell whether the loop was closed."""
        return self.closed

    def begin_run(self) -> None:
        """Make this the running loop of this thread.

        What is ready or due already comes before anything that the system has to tell:
        a run counts as begun with a look outside.
        """
        self._thread_id = threading.get_ident()
        self.async_generators.install_hooks()
        self.origins.set(self.debug)
        events._set_running_loop(self)
        if self.has_incoming:
            self.queue_incoming()
        self.queue_due_timers()
        self.unpolled = 0
        self.polled_at = native.ticks()

    def end_run(self) -> None:
        """Be no thread's running loop any more."""
        self.clear_current()
        self.stopping = False
        self._thread_id = None
        events._set_running_loop(None)
        self.origins.set(False)
        self.async_generators.restore_hooks()

    # -- one iteration

    def run_once(self) -> None:
        """Run one iteration."""
        if self.has_incoming:
            self.queue_incoming()
        if self.poll_is_due():
            self.look_outside()
        self.run_ready()
        if self.ending:
            self.end_iteration()

    def poll_is_due(self) -> bool:
        """Tell whether to look outside before what is ready runs."""
        if not self.ready.items or self.polls_always or self.unpolled >= BATCH_LIMIT:
            return True
        return native.ticks() - self.polled_at > native.TICKS_PER_100_US

    def look_outside(self) -> None:
        """Sleep until something is ready, and queue it and the timers that are due."""
        self.clear_current()
        native.check_signals()
        if self.interrupted:
            self.interrupted = False
            raise KeyboardInterrupt
        self.poller.poll(self.sleep_limit())
        self.unpolled = 0
        self.queue_due_timers()
        self.polled_at = native.ticks()
        if self.has_incoming:
            self.queue_incoming()

    def sleep_limit(self) -> float:
        """Return how many seconds the system may let us sleep; negative, for ever."""
        if self.ready.items or self.stopping or self.has_incoming:
            return 0.0
        first = self.timers.first()
        if first is None:
            return -1.0
        return min(max(0.0, first._when - self.now()), LONGEST_SLEEP)

    def queue_due_timers(self) -> None:
        """Queue the timers whose time has come, in the order of their deadlines."""
        if self.timers.heap:
            now = self.now() + CLOCK_RESOLUTION
            timer = self.timers.pop_due(now)
            while timer is not None:
                self.ready.push(timer)
                timer = self.timers.pop_due(now)

    def queue_incoming(self) -> None:
        """Queue what other threads have handed over."""
        # Order matters: who hands over after this line raises the flag again.
        self.has_incoming = False
        while self.incoming:
            self.ready.push(self.incoming.popleft())

    def run_ready(self) -> None:
        """Run what was ready before this point; what it queues runs next time."""
        ready = self.ready
        batch = ready.items
        count = native.size(batch)
        if count != 1:
            ready.items = ready.spare
        taken = 0
        try:
            while taken < count:
                if count == 1:
                    # So often that it pays not to swap the lists.
                    item = native.take_last(batch)
                else:
                    item = batch[taken]
                    batch[taken] = None
                taken += 1
                if self.observer is not None:
                    self.run_observed(item)
                elif isinstance(item, Task):
                    self.current = item
                    self.resume_current()
                else:
                    self.run_handle(item)
                # An error's traceback keeps this frame: see "Cycles" in `task`.
                item = None
        finally:
            self.unpolled += taken
            if count != 1:
                if taken == count:
                    native.truncate(batch)
                    ready.spare = batch
                else:
                    ready.put_back(batch, taken)

    def run_observed(self, item: Any) -> None:
        """Run an item and let the observer know when it begins and ends."""
        observer: Any = self.observer
        observer.begins(item)
        try:
            if isinstance(item, Task):
                self.current = item
                self.resume_current()
            else:
                self.run_handle(item)
        finally:
            observer.ended(item)
            # See "Cycles" in `task`.
            item = None

    def resume_current(self) -> None:
        """Run the next step of the current task."""
        if PUBLISHES_EAGERLY:
            self.publish()
        # Not through a variable: an error's traceback keeps this frame.
        self.current.step(  # pyright: ignore[reportOptionalMemberAccess]
            self.current.awaited_error()  # pyright: ignore[reportOptionalMemberAccess]
        )

    def run_handle(self, handle: Handle) -> None:
        """Run a callback, outside any task."""
        self.current = None
        if PUBLISHES_EAGERLY:
            self.publish()
        if not handle._cancelled:
            handle.run()
        handle = None  # pyright: ignore[reportAssignmentType]

    def at_iteration_end(self, watcher: Watcher) -> None:
        """Call ``watcher.on_iteration_end()`` once, when this iteration ends.

        Between runs and before `close` counts as the end of one.
        """
        self.ending.append(watcher)

    def end_iteration(self) -> None:
        """Tell those who asked for it that the iteration ends."""
        ending = self.ending
        self.ending = []
        told = 0
        try:
            while told < len(ending):
                watcher = ending[told]
                told += 1
                watcher.on_iteration_end()
        finally:
            # Those behind one that raised.
            self.ending += ending[told:]

    def clear_current(self) -> None:
        """Let no task be the current one."""
        self.current = None
        self.publish()

    def publish(self) -> None:
        """Put the current task where `asyncio.current_task` looks for it."""
        if self.published is not self.current:
            self.published = self.current
            if current_tasks is None:
                swap_current_task(self, self.current)
            elif self.current is None:
                current_tasks.pop(self, None)
            else:
                current_tasks[self] = self.current

    def running_task(self) -> Any:
        """Return what `asyncio.current_task` gives, if possible without asking it.

        As long as the current task has not been published, nobody has looked, and
        nobody can have put another one in its place, as asyncio's eager tasks do.
        """
        if PUBLISHES_EAGERLY or self.current is None or self.published is self.current:
            return asyncio.current_task(self)
        return self.current

    def __hash__(self) -> int:
        # Up to 3.13 asyncio looks its current task up in a dictionary under the loop,
        # and cannot do so without asking for this hash. Storing each task there as it
        # is resumed was a quarter of the cost of a step; now it is stored when somebody
        # asks.
        if not PUBLISHES_EAGERLY:
            self.publish()
        return native.identity_hash(self)

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
            self.queue_incoming()
        handle = make_handle(
            callback, args, self, native.copy_context() if context is None else context
        )
        if self.debug:
            self.check_call(callback, "call_soon")
            self.check_thread()
            handle._source_traceback = caller_stack()
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
            self.check_closed()
        handle = make_thread_safe_handle(
            callback, args, self, native.copy_context() if context is None else context
        )
        if self.debug:
            self.check_call(callback, "call_soon_threadsafe")
            handle._source_traceback = caller_stack()
        self.incoming.append(handle)
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
        timer = self.timer_after(
            delay,
            callback,
            args,
            native.copy_context() if context is None else context,
        )
        if self.debug:
            self.check_call(callback, "call_later")
            timer._source_traceback = caller_stack()
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
            self.check_call(callback, "call_at")
            timer._source_traceback = caller_stack()
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
            self.check_thread()
        timer = make_timer(when, callback, args, self, context)
        self.start_timer(timer, now)
        return timer

    def start_timer(self, timer: TimerHandle, now: float) -> None:
        """Put `timer` on the heap."""
        self.timers.push(timer)
        if timer._when <= now:
            # Due already: it must not wait until asking the system is due.
            self.unpolled = BATCH_LIMIT

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
            future._source_traceback = caller_stack()
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
            return call_task_factory(
                self.task_factory, self, coro, name, context, eager_start
            )
        if eager_start is None:
            eager_start = self.eager_tasks
        task = Task(
            coro, loop=self, name=name, context=context, eager_start=eager_start
        )
        if self.debug:
            task._source_traceback = caller_stack()
        try:
            return task
        finally:
            # The traceback of one started eagerly keeps this frame: see "Cycles" in
            # `task`.
            task = None

    def plain_task(self, coro: Any, name: object, context: Context) -> Task:
        """Make a task where there is nothing to ask."""
        if self.has_incoming:
            self.queue_incoming()
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

    def check_call(self, callback: Any, method: str) -> None:
        """Refuse what cannot be called back."""
        if coroutines.iscoroutine(callback) or inspect.iscoroutinefunction(callback):
            raise TypeError(f"coroutines cannot be used with {method}()")
        if not callable(callback):
            raise TypeError(
                f"a callable object was expected by {method}(), got {callback!r}"
            )

    def check_thread(self) -> None:
        """Refuse a call from another thread than the one that runs the loop."""
        if self._thread_id is not None and threading.get_ident() != self._thread_id:
            raise RuntimeError(
                "Non-thread-safe operation invoked on an event loop other than the "
                "current one"
            )

    def check_closed(self) -> None:
        """Refuse what a closed loop cannot do."""
        if self.closed:
            raise RuntimeError("Event loop is closed")

    def check_not_running(self) -> None:
        """Refuse to run where a loop runs already."""
        if self.is_running():
            raise RuntimeError("This event loop is already running")
        if events._get_running_loop() is not None:
            raise RuntimeError(
                "Cannot run the event loop while another loop is running"
            )


def make_task(loop: Scheduler, coro: Any) -> Any:
    """Do what ``loop.create_task(coro)`` does; compiled, without a call from Python.

    `coro` is a native coroutine.
    """
    if loop.plain_tasks and not loop.closed:
        return loop.plain_task(coro, None, native.copy_context())
    return loop.create_task(coro)


class TimeMethod:
    """The clock of a loop whose class overrides ``time``."""

    def __init__(self, loop: Any) -> None:
        self.loop = weakref.proxy(loop)

    def now(self) -> float:
        """Ask the loop."""
        return self.loop.time()


def caller_stack() -> Any:
    """Return the stack of the user's code that called a method of the scheduler."""
    return extract_stack(sys._getframe(2 * native.OWN_FRAMES))
