"""What a loop asks of a pool of workers.

`thread_pool` is the one that every loop has; another pool has only to keep to this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from types import FrameType

P = ParamSpec("P")
T = TypeVar("T")


class BusyWorker(NamedTuple):
    """A worker that has not finished what it was given."""

    name: str
    ident: int
    """The thread's, as `threading.get_ident` gives it."""
    function: Callable[..., Any] | None
    """What it was asked to call, without the context and arguments wrapped around.

    None if its pool does not tell."""
    frame: FrameType | None
    """Where it is now; None if it has just begun or ended."""


class WorkerPool(Protocol):
    """Runs functions elsewhere than on the loop; an Executor that can be looked into.

    All methods may be called from any thread.
    """

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Return a future for the result; raises RuntimeError after `shutdown`."""
        ...

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; with `wait`, return once the workers have ended."""
        ...

    def when_ended(self, callback: Callable[[], object]) -> None:
        """Call `callback`, in any thread, once the pool is shut down and empty."""
        ...

    def busy(self) -> list[BusyWorker]:
        """Return the workers that have something to do."""
        ...

    def give_up(self) -> None:
        """Let the process end without those that are busy; drop what has not begun."""
        ...
