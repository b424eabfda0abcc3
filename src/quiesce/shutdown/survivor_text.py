"""A survivor in words: in one line while the program waits, in full when forced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quiesce.shutdown.await_chain import is_own_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from quiesce.shutdown.survivor import Survivor

# So many lines tell what is being waited for; what is beyond is counted.
LINES = 20
# So many frames of a stack are shown, the innermost ones.
FRAMES = 12

CHILD = "child"
PLURALS = {CHILD: "children"}


def one_line(survivor: Survivor) -> str:
    """Say what a survivor is and where."""
    text = named(survivor)
    if survivor.where is not None:
        text += f" at {survivor.where}"
    if says_nothing_of_the_program(survivor):
        text += f", which runs {survivor.runs}()"
    if survivor.waits_for:
        text += f", which waits for {survivor.waits_for}"
    if survivor.queued:
        text += f", {survivor.queued} bytes not sent"
    return text


def says_nothing_of_the_program(survivor: Survivor) -> bool:
    """Tell whether a thread is at no line of the program that would tell what it does.

    Then the function that runs in it does.
    """
    if survivor.kind != "thread" or not survivor.runs:
        return False
    return survivor.where is None or not is_own_file(survivor.where.file)


def named(survivor: Survivor) -> str:
    """Say what a survivor is called."""
    if survivor.kind == CHILD:
        words = [CHILD, str(survivor.pid), survivor.name and repr(survivor.name)]
        command = survivor.runs and f"({survivor.runs})"
        return " ".join(word for word in (*words, command) if word)
    if survivor.kind == "connection":
        return f"connection with {survivor.name}"
    if survivor.kind == "async generator":
        return f"async generator {survivor.name}()"
    return f"{survivor.kind} {survivor.name!r}"


def more_of(survivor: Survivor) -> str:
    """Say how many more there are like a survivor."""
    if not survivor.name and survivor.kind != CHILD:
        return f"{counted(survivor.more, survivor.kind)} more"
    return f"{survivor.more:,} more like {named(survivor)}"


def counted(number: int, kind: str) -> str:
    """Return a number of things in words."""
    if number == 1:
        return f"1 {kind}"
    return f"{number:,} {PLURALS.get(kind, f'{kind}s')}"


def is_only_a_count(survivor: Survivor) -> bool:
    """Tell whether a survivor stands for others and is none itself."""
    return bool(survivor.more) and not survivor.name and survivor.pid is None


def summary(survivors: Sequence[Survivor]) -> str:
    """Count the survivors of each kind."""
    numbers: dict[str, int] = {}
    for survivor in survivors:
        one = 0 if is_only_a_count(survivor) else 1
        number = numbers.get(survivor.kind, 0) + one + survivor.more
        numbers[survivor.kind] = number
    return ", ".join(counted(number, kind) for kind, number in numbers.items())


def one_line_each(survivors: Sequence[Survivor]) -> Iterator[str]:
    """Yield a line for each survivor, up to a limit."""
    for survivor in survivors[:LINES]:
        if not is_only_a_count(survivor):
            yield one_line(survivor)
        if survivor.more:
            yield more_of(survivor)
    if len(survivors) > LINES:
        yield f"{summary(survivors[LINES:])} more"


def in_full(survivor: Survivor) -> Iterator[str]:
    """Yield all that is known of a survivor, one thought per line."""
    if is_only_a_count(survivor):
        yield more_of(survivor)
        return
    place = "" if survivor.where is None else f" at {survivor.where}"
    yield f"{named(survivor)}{place}"
    if survivor.runs and survivor.kind in ("task", "thread", "drain step"):
        yield f"  runs {survivor.runs}()"
    if survivor.waits_for:
        yield f"  waits for {survivor.waits_for}"
    if survivor.created is not None:
        yield f"  was created at {survivor.created}"
    elif survivor.defined is not None:
        yield f"  is defined at {survivor.defined}"
    yield from cancellation_of(survivor)
    if survivor.queued:
        yield f"  has {survivor.queued} bytes that were not sent"
    if len(survivor.frames) > 1:
        yield "  is in the middle of, outermost first"
        hidden = max(0, len(survivor.frames) - FRAMES)
        if hidden:
            yield f"    {hidden} frames that are not shown"
        yield from (f"    {place}" for place in survivor.frames[hidden:])
    if survivor.more:
        yield f"and {more_of(survivor)}"


def cancellation_of(survivor: Survivor) -> Iterator[str]:
    """Yield what is known of the requests to cancel a survivor."""
    if survivor.asked:
        text = f"  was asked to end {times(survivor.asked)}"
        if survivor.asked_ago is not None:
            text += f", last {survivor.asked_ago:.1f} s ago"
        yield text
    if survivor.asked_by:
        yield f"  was cancelled last by {survivor.asked_by}"
    if survivor.held:
        yield f"  is shielded; was asked to end {times(survivor.held)} meanwhile"
    if survivor.swallowed:
        yield f"  swallowed its cancellation {times(survivor.swallowed)}"


def times(number: int) -> str:
    """Return how often."""
    return "once" if number == 1 else f"{number} times"
