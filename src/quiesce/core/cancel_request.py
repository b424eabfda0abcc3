"""Who asked a task to end, why, when and from where.

Every cancellation of ours carries a `CancelRequest`: the task keeps it while it
unwinds, for the report of what did not end, and the `CancelledError` shows it as a
note. Making one takes no text: it keeps a name, a code object and an offset, and what
they say is written when somebody looks (docs/design/provenance.md).

`requesting` gives all cancellations of a block one and the same request, so that ending
a program with 100,000 tasks allocates nothing for it.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import asyncio
import sys
from asyncio import events, taskgroups
from threading import get_ident
from typing import TYPE_CHECKING, Any

from quiesce.core import native, places, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType

# What kind of thing asked. Where it has a name or a length, that is the request's
# ``asker``.
SOMEBODY = 0
TASK = 1
TASK_GROUP = 2
TIMEOUT = 3
WAIT_FOR = 4
CALLBACK = 5
OUTSIDE = 6
WORDS = (
    "{}",
    "task {!r}",
    "the task group of task {!r}",
    "a timeout of {:g} s",
    "wait_for with a timeout of {:g} s",
    "a callback",
    "code outside the loop",
)

current_tasks = running.current_tasks
current_task = asyncio.current_task
running_loop = events._get_running_loop
current_frame = sys._getframe

# Names of functions that the loop calls, or that run it.
BELOW_THESE = ("_on_", "run", "_run")
# Those of asyncio's that ask for themselves, and what they are to be called.
ASKING_CALLBACKS = {"_on_sigint": "SIGINT", "_on_timeout": "a timeout"}
TASK_GROUPS_FILE = taskgroups.__file__

# The request that a block of each thread gives to all it cancels.
shared: dict[int, CancelRequest] = {}


class CancelRequest:
    """Who asked tasks to end (`by`), `why`, when (`at`, monotonic), and `where`.

    Made by hand for who ends many at once: ``requesting(CancelRequest("SIGTERM"))``.
    """

    __slots__ = ("asker", "at", "code", "kind", "offset", "why")

    def __init__(self, by: str, why: object = None) -> None:
        self.kind = SOMEBODY
        self.asker: Any = by
        self.code: CodeType | None = None
        self.offset = 0
        self.at = native.now()
        self.why = why

    @property
    def by(self) -> str:
        """Who asked: a task, a task group, a timeout, a signal."""
        return WORDS[self.kind].format(self.asker)

    @property
    def where(self) -> str | None:
        """The line that asked, as ``file:line in function``, if it was a line."""
        if self.code is None:
            return None
        line = places.line_at(self.code, self.offset)
        return f"{self.code.co_filename}:{line} in {self.code.co_qualname}"

    def __str__(self) -> str:
        text = f"Cancelled by {self.by}"
        if self.code is not None:
            text += f", {self.where}"
        elif self.why is not None:
            text += f": {self.why}"
        return f"{text}, {max(0.0, native.now() - self.at):.1f} s ago"

    def __repr__(self) -> str:
        return f"<CancelRequest: {self}>"


class CancelNotes(list):  # pyright: ignore[reportMissingTypeArgument]
    """The notes of a CancelledError: its request as text, and what others add to it."""

    __slots__ = ()

    def texts(self) -> list[Any]:
        """Return the notes as others know them: strings."""
        return [
            str(note) if type(note) is CancelRequest else note
            for note in list.__iter__(self)
        ]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.texts())

    def __getitem__(self, index: Any) -> Any:
        return self.texts()[index]

    def __repr__(self) -> str:
        return repr(self.texts())

    def __reduce__(self) -> Any:
        return list, (self.texts(),)


class requesting:  # noqa: N801 - a context manager, used as a function
    """Let all that the block cancels in this thread carry `request`."""

    __slots__ = ("before", "request")

    def __init__(self, request: CancelRequest) -> None:
        self.request = request
        self.before: CancelRequest | None = None

    def __enter__(self) -> CancelRequest:
        self.before = shared.get(get_ident())
        shared[get_ident()] = self.request
        return self.request

    def __exit__(self, *_: object) -> None:
        if self.before is None:
            del shared[get_ident()]
        else:
            shared[get_ident()] = self.before


def request_from_here(loop: Any, why: object) -> CancelRequest:
    """Return the request of this block, or a new one of the code that runs now."""
    if shared:
        given = shared.get(get_ident())
        if given is not None:
            return given
    request = CancelRequest.__new__(CancelRequest)
    request.at = native.now()
    request.why = why
    request.code = None
    request.offset = 0
    # Order matters: no function in Python on the way, in which a Ctrl-C could end this
    # cancellation half-way; asyncio's own is one on 3.11.
    task = current_task(loop) if current_tasks is None else current_tasks.get(loop)
    if task is not None:
        request.kind = TASK
        request.asker = task.get_name()
    else:
        request.kind = OUTSIDE if running_loop() is None else CALLBACK
        request.asker = None
    find_place(request, loop)
    return request


def request_of_timeout(seconds: float, for_wait_for: bool) -> CancelRequest:
    """Return the request of a time limit of so many `seconds`; negative: not known."""
    request = CancelRequest.__new__(CancelRequest)
    request.at = native.now()
    request.why = None
    request.code = None
    request.offset = 0
    if seconds < 0:
        request.kind = SOMEBODY
        request.asker = "a timeout"
    else:
        request.kind = WAIT_FOR if for_wait_for else TIMEOUT
        request.asker = seconds
    return request


def find_place(request: CancelRequest, loop: Any) -> None:
    """Note the line that asks: the newest one that is neither asyncio's nor ours."""
    frame: Any = current_frame()
    while frame is not None:
        code = frame.f_code
        if not places.only_passes_on(code.co_filename):
            if request.kind != CALLBACK or not runs_loop(loop, frame):
                request.code = code
                request.offset = frame.f_lasti
            break
        if code.co_filename == TASK_GROUPS_FILE:
            note_task_group(request, frame, code.co_name)
        if code.co_name in ASKING_CALLBACKS:
            request.kind = SOMEBODY
            request.asker = ASKING_CALLBACKS[code.co_name]
            break
        if code.co_name.startswith(BELOW_THESE) and running_loop() is not None:
            # A callback of asyncio's or ours: who is further down only runs the loop.
            break
        frame = frame.f_back


def runs_loop(loop: Any, frame: FrameType) -> bool:
    """Tell whether `frame` is the one from which `loop` is run."""
    place = getattr(loop, "run_from", None)
    return place is not None and place == (frame.f_code, frame.f_lasti)


def note_task_group(request: CancelRequest, frame: FrameType, function: str) -> None:
    """Note that a task group asks, and whose it is."""
    request.kind = TASK_GROUP
    # Only short-lived frames are asked for their variables: up to 3.12 a frame keeps
    # the answer, and with it an exception.
    if function in {"_abort", "_on_task_done"}:
        group = frame.f_locals.get("self")
        parent = getattr(group, "_parent_task", None)
        if parent is not None:
            request.asker = parent.get_name()


def note_on(error: Any, request: CancelRequest) -> None:
    """Let `error` show `request` where it surfaces in a traceback."""
    notes = CancelNotes()
    native.append(notes, request)
    error.__notes__ = notes


def note_once(error: Any, request: CancelRequest) -> None:
    """Do what `note_on` does, unless `error` has come with a note."""
    if getattr(error, "__notes__", None) is None:
        note_on(error, request)


def has_no_other_note(error: Any) -> bool:
    """Tell whether nothing was set on `error`, but for a request as its note."""
    attributes = error.__dict__
    if not attributes:
        return True
    notes = attributes.get("__notes__")
    return len(attributes) == 1 and type(notes) is CancelNotes and len(notes) == 1
