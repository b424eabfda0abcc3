import asyncio
from collections.abc import Awaitable
from typing import Any, Literal, TypeVar, overload

from quiesce.core.future import Future
from quiesce.core.handle import Handle

_T1 = TypeVar("_T1")
_T2 = TypeVar("_T2")
_T3 = TypeVar("_T3")
_T4 = TypeVar("_T4")
_T5 = TypeVar("_T5")
_T6 = TypeVar("_T6")
_T = TypeVar("_T")

class Gathering(Future[list[Any]]):
    children: Any
    left: int
    def child_done(self, child: Any) -> None: ...

class ChildNotice(Handle):
    gathering: Gathering
    @property
    def awaiter(self) -> Gathering: ...
    def __call__(self, child: Any) -> None: ...

@overload
def gather(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
    a1: Awaitable[_T1],
    /,
    *,
    return_exceptions: Literal[False] = False,
) -> asyncio.Future[tuple[_T1]]: ...
@overload
def gather(  # type: ignore[overload-overlap]
    a1: Awaitable[_T1],
    a2: Awaitable[_T2],
    /,
    *,
    return_exceptions: Literal[False] = False,
) -> asyncio.Future[tuple[_T1, _T2]]: ...
@overload
def gather(  # type: ignore[overload-overlap]
    a1: Awaitable[_T1],
    a2: Awaitable[_T2],
    a3: Awaitable[_T3],
    /,
    *,
    return_exceptions: Literal[False] = False,
) -> asyncio.Future[tuple[_T1, _T2, _T3]]: ...
@overload
def gather(  # type: ignore[overload-overlap]
    a1: Awaitable[_T1],
    a2: Awaitable[_T2],
    a3: Awaitable[_T3],
    a4: Awaitable[_T4],
    /,
    *,
    return_exceptions: Literal[False] = False,
) -> asyncio.Future[tuple[_T1, _T2, _T3, _T4]]: ...
@overload
def gather(  # type: ignore[overload-overlap]
    a1: Awaitable[_T1],
    a2: Awaitable[_T2],
    a3: Awaitable[_T3],
    a4: Awaitable[_T4],
    a5: Awaitable[_T5],
    /,
    *,
    return_exceptions: Literal[False] = False,
) -> asyncio.Future[tuple[_T1, _T2, _T3, _T4, _T5]]: ...
@overload
def gather(  # type: ignore[overload-overlap]
    a1: Awaitable[_T1],
    a2: Awaitable[_T2],
    a3: Awaitable[_T3],
    a4: Awaitable[_T4],
    a5: Awaitable[_T5],
    a6: Awaitable[_T6],
    /,
    *,
    return_exceptions: Literal[False] = False,
) -> asyncio.Future[tuple[_T1, _T2, _T3, _T4, _T5, _T6]]: ...
@overload
def gather(  # pyright: ignore[reportOverlappingOverload]
    a1: Awaitable[_T1],
    /,
    *,
    return_exceptions: bool,
) -> asyncio.Future[tuple[_T1 | BaseException]]: ...
@overload
def gather(
    a1: Awaitable[_T1],
    a2: Awaitable[_T2],
    /,
    *,
    return_exceptions: bool,
) -> asyncio.Future[tuple[_T1 | BaseException, _T2 | BaseException]]: ...
@overload
def gather(
    a1: Awaitable[_T1],
    a2: Awaitable[_T2],
    a3: Awaitable[_T3],
    /,
    *,
    return_exceptions: bool,
) -> asyncio.Future[
    tuple[
        _T1 | BaseException,
        _T2 | BaseException,
        _T3 | BaseException,
    ]
]: ...
@overload
def gather(
    a1: Awaitable[_T1],
    a2: Awaitable[_T2],
    a3: Awaitable[_T3],
    a4: Awaitable[_T4],
    /,
    *,
    return_exceptions: bool,
) -> asyncio.Future[
    tuple[
        _T1 | BaseException,
        _T2 | BaseException,
        _T3 | BaseException,
        _T4 | BaseException,
    ]
]: ...
@overload
def gather(
    a1: Awaitable[_T1],
    a2: Awaitable[_T2],
    a3: Awaitable[_T3],
    a4: Awaitable[_T4],
    a5: Awaitable[_T5],
    /,
    *,
    return_exceptions: bool,
) -> asyncio.Future[
    tuple[
        _T1 | BaseException,
        _T2 | BaseException,
        _T3 | BaseException,
        _T4 | BaseException,
        _T5 | BaseException,
    ]
]: ...
@overload
def gather(
    a1: Awaitable[_T1],
    a2: Awaitable[_T2],
    a3: Awaitable[_T3],
    a4: Awaitable[_T4],
    a5: Awaitable[_T5],
    a6: Awaitable[_T6],
    /,
    *,
    return_exceptions: bool,
) -> asyncio.Future[
    tuple[
        _T1 | BaseException,
        _T2 | BaseException,
        _T3 | BaseException,
        _T4 | BaseException,
        _T5 | BaseException,
        _T6 | BaseException,
    ]
]: ...
@overload
def gather(
    *coros_or_futures: Awaitable[_T], return_exceptions: Literal[False] = False
) -> asyncio.Future[list[_T]]: ...
@overload
def gather(
    *coros_or_futures: Awaitable[_T], return_exceptions: bool
) -> asyncio.Future[list[_T | BaseException]]: ...
