"""Where a suspended coroutine waits: from the coroutine itself down to its last await.

Python knows of each coroutine, generator and asynchronous generator what it awaits; the
chain of these ends at what is no coroutine, most often a future.
"""

# Coroutines come in several makes, and what they await can be anything.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
from __future__ import annotations

import gc
import os
import sys
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, NamedTuple

from quiesce.core.interrupts import OURS, STANDARD_LIBRARY

if TYPE_CHECKING:
    from types import CodeType, FrameType

# What tells the code, the frame and the awaited of each kind of coroutine.
PREFIXES = {CoroutineType: "cr", GeneratorType: "gi", AsyncGeneratorType: "ag"}
# Objects of C between a coroutine and the one it awaits, which no attribute names.
WRAPPERS = frozenset(
    {
        "anext_awaitable",
        "async_generator_asend",
        "async_generator_athrow",
        "coroutine_wrapper",
    }
)


class Place(NamedTuple):
    """A line of source, and the function it is in."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{shortened(self.file)}:{self.line} in {self.function}"


def shortened(file: str) -> str:
    """Return the path of `file` from the working directory, if it lies below that."""
    try:
        here = os.getcwd() + os.sep  # noqa: PTH109 - called often
    except OSError:
        # The directory is gone.
        return file
    return file.removeprefix(here)


def await_chain(coroutine: Any) -> tuple[list[Any], Any]:
    """Return the coroutines of a chain, the outermost first, and what the last awaits.

    What it awaits is None before its first and after its last step, and while it runs.
    """
    links: list[Any] = []
    thing = coroutine
    while thing is not None:
        prefix = prefix_of(thing)
        if prefix is not None:
            links.append(thing)
            awaited = "yieldfrom" if prefix == "gi" else "await"
            thing = getattr(thing, f"{prefix}_{awaited}", None)
        elif type(thing).__name__ in WRAPPERS:
            inner = wrapped(thing)
            if inner is None:
                break
            thing = inner
        else:
            break
    return links, thing


def prefix_of(thing: Any) -> str | None:
    """Return what the names of a coroutine's attributes begin with; None for others."""
    prefix = PREFIXES.get(type(thing))
    if prefix is None and hasattr(thing, "cr_await"):
        # A coroutine of compiled code.
        return "cr"
    return prefix


def wrapped(wrapper: Any) -> Any:
    """Return the coroutine that a wrapper of C drives, or a wrapper in its turn."""
    for thing in gc.get_referents(wrapper):
        if prefix_of(thing) is not None or type(thing).__name__ in WRAPPERS:
            return thing
    return None


def code_of(link: Any) -> CodeType | None:
    """Return the code of one link of a chain, if it has Python code."""
    return getattr(link, f"{prefix_of(link)}_code", None)


def frame_of(link: Any) -> FrameType | None:
    """Return the frame of one link of a chain; None once it has ended."""
    return getattr(link, f"{prefix_of(link)}_frame", None)


def places_of(links: list[Any]) -> tuple[Place, ...]:
    """Return where each coroutine of a chain is."""
    if links and is_running(links[-1]):
        frames = running_frames(frame_of(links[-1]))
        return (*places_of_links(links[:-1]), *(place_of(frame) for frame in frames))
    return places_of_links(links)


def places_of_links(links: list[Any]) -> tuple[Place, ...]:
    """Return where each of some suspended coroutines is."""
    frames = (frame_of(link) for link in links)
    return tuple(place_of(frame) for frame in frames if frame is not None)


def is_running(link: Any) -> bool:
    """Tell whether a coroutine is in the middle of a step."""
    if getattr(link, "ag_await", None) is not None:
        # An async generator counts as running also while it waits in the middle of one.
        return False
    return bool(getattr(link, f"{prefix_of(link)}_running", False))


def running_frames(first: FrameType | None) -> list[FrameType]:
    """Return the frames of a thread from `first` on to the one that runs."""
    for innermost in sys._current_frames().values():
        frames = frames_down_to(innermost)
        if first in frames:
            return frames[frames.index(first) :]
    return [] if first is None else [first]


def frames_down_to(innermost: FrameType | None) -> list[FrameType]:
    """Return the frames of a stack, the outermost first."""
    frames: list[FrameType] = []
    while innermost is not None:
        frames.append(innermost)
        innermost = innermost.f_back
    frames.reverse()
    return frames


def place_of(frame: FrameType) -> Place:
    """Return where `frame` is."""
    code = frame.f_code
    return Place(code.co_filename, frame.f_lineno or 0, code.co_qualname)


def is_own_file(file: str) -> bool:
    """Tell whether `file` is the program's, or of a library it has installed."""
    if file.startswith((OURS, "<frozen ")):
        return False
    return not file.startswith(STANDARD_LIBRARY) or "site-packages" in file


def own_place(places: tuple[Place, ...]) -> Place | None:
    """Return the innermost of `places` in the program's own code, or else the last."""
    for place in reversed(places):
        if is_own_file(place.file):
            return place
    return places[-1] if places else None
