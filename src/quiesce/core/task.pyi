import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any

from typing_extensions import TypeVar

from quiesce.core.future import Future
from quiesce.core.pending import PendingTasks
from quiesce.core.ready import ReadyQueue

_T = TypeVar("_T", default=Any)

class Task(Future[_T], asyncio.Task[_T]):
    _context: Context | None
    _fut_waiter: Any
    _gate: Any
    _must_cancel: bool
    _num_cancels_requested: int
    _cancels_thrown: int
    _reports_loss: bool
    @property
    def _log_destroy_pending(self) -> bool: ...
    @_log_destroy_pending.setter
    def _log_destroy_pending(self, value: bool) -> None: ...
    def __init__(
        self,
        coro: Coroutine[Any, Any, _T],
        *,
        loop: Any = None,
        name: object = None,
        context: Context | None = None,
        eager_start: bool = False,
    ) -> None: ...
    @classmethod
    def all_tasks(cls, loop: Any = None) -> set[Any]: ...
    @classmethod
    def current_task(cls, loop: Any = None) -> Any: ...
    def get_context(self) -> Context: ...
    def set_name(self, value: object) -> None: ...
    def set_result(self, result: object) -> None: ...
    def set_exception(self, exception: object) -> None: ...
    def awaited_error(self) -> BaseException | None: ...
    def step(self, error: BaseException | None) -> int: ...
    def throw_in(self, error: BaseException | None) -> Any: ...

def has_last_words(thing: object) -> bool: ...
def new_task(
    loop: Any,
    ready: ReadyQueue,
    pending: PendingTasks,
    coro: Any,
    name: object,
    context: Context | None,
) -> Task[Any]: ...
