import asyncio
from asyncio import QueueEmpty as QueueEmpty
from asyncio import QueueFull as QueueFull
from typing import TypeVar

_T = TypeVar("_T")

class QueueShutDown(Exception): ...  # noqa: N818 - asyncio's name

class Queue(asyncio.Queue[_T]):
    def __init__(self, maxsize: float = 0) -> None: ...
    def shutdown(self, immediate: bool = False) -> None: ...

class LifoQueue(Queue[_T], asyncio.LifoQueue[_T]): ...

# asyncio's asks for items that can be compared, in newer stubs only.
class PriorityQueue(Queue[_T]): ...
