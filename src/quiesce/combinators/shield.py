"""Waiting for something that must not be cancelled with the one who waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from quiesce.combinators.ensure_future import ensure_future, loop_of
from quiesce.core.cancel_request import requesting
from quiesce.core.shielding import mark_shielded

if TYPE_CHECKING:
    from collections.abc import Awaitable

    T = TypeVar("T")


def shield(arg: Awaitable[T]) -> asyncio.Future[T]:
    """Return a future that ends as `arg` does and keeps cancellations from it.

    The one who awaits it is cancelled all the same and should then not forget `arg`: if
    it fails later, that goes to the loop's exception handler. Coroutines are run as
    tasks, which the loop keeps alive until they are done.
    """
    inner = ensure_future(arg)
    if inner.done():
        return inner
    loop = loop_of(inner)
    outer = loop.create_future()
    # A future of another loop may be shielded where no task of that loop runs.
    waiting = None if loop is None else asyncio.current_task(loop)
    passes_on = PassesOn(outer, waiting)
    mark_shielded(inner)

    def let_go(_: asyncio.Future[T]) -> None:
        if not inner.done():
            inner.remove_done_callback(passes_on)
            # One report is enough, however many shields around `inner` were cancelled.
            inner.remove_done_callback(report_failure)
            inner.add_done_callback(report_failure)

    inner.add_done_callback(passes_on)
    outer.add_done_callback(let_go)
    return outer


class PassesOn:
    """The callback of a shielded future: gives its outcome to the shield."""

    __slots__ = ("awaiter", "outer")

    def __init__(self, outer: asyncio.Future[Any], awaiter: Any) -> None:
        self.outer = outer
        self.awaiter = awaiter

    def __call__(self, inner: asyncio.Future[Any]) -> None:
        """Give the shield the outcome of `inner`, if it still waits for one."""
        outer = self.outer
        if outer.done():
            return
        if inner.cancelled():
            pass_on_cancellation(inner, outer)
        elif (error := inner.exception()) is not None:
            outer.set_exception(error)
        else:
            outer.set_result(inner.result())


def pass_on_cancellation(inner: Any, outer: asyncio.Future[Any]) -> None:
    """Cancel `outer` at the request with which `inner` was cancelled."""
    request = getattr(inner, "_cancel_request", None)
    if request is None:
        outer.cancel()
    else:
        with requesting(request):
            outer.cancel()


def report_failure(inner: asyncio.Future[Any]) -> None:
    """Report the exception of a future whose shield was cancelled before."""
    if inner.cancelled() or (error := inner.exception()) is None:
        return
    if isinstance(error, asyncio.CancelledError):
        # Of a gathering whose parts were cancelled.
        return
    context = {
        "message": f"{type(error).__name__} exception in shielded future",
        "exception": error,
        "future": inner,
    }
    if source_traceback := getattr(inner, "_source_traceback", None):
        context["source_traceback"] = source_traceback
    loop_of(inner).call_exception_handler(context)
