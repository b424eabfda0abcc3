"""How the process tells its parent why it ended."""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import signal
import stat
import sys
import threading
from functools import partial
from itertools import compress
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

# What keeps what is written to it for a while.
BUFFERED = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
IN_FORKED_CHILD: list[bool] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=partial(IN_FORKED_CHILD.append, True))
# Seconds for exit functions and unread output, where the process must go.
LAST_ACTS = 0.4


def strike(signum: int) -> NoReturn:
    """End this process by `signum` at once, from any thread."""
    try:
        signal.signal(signum, signal.SIG_DFL)
    except ValueError:
        # Only the main thread may say so, and it is not ours to use.
        pass
    else:
        os.kill(os.getpid(), signum)
    # Another thread's, or a blocked signal's: say at least with the status what it was.
    os._exit(128 + signum)


def ends_by_ctrl_c() -> bool:
    """Tell whether Python has shown a KeyboardInterrupt, as it does before it ends."""
    # Since 3.12 the first of them.
    shown = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    return isinstance(shown, KeyboardInterrupt)


def keep_death_by_ctrl_c() -> None:
    """Have Python end the process by SIGINT, where a Ctrl-C is what ends it.

    It notes that an execution of source text ended by KeyboardInterrupt, and before
    3.14 forgets it when another begins: an import of dataclasses after that is enough.
    """
    if ends_by_ctrl_c():
        try:
            exec("raise KeyboardInterrupt")  # noqa: S102 - see above
        except KeyboardInterrupt:
            pass


def flush_output() -> None:
    """Write out what was printed."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: BLE001, S112 - a stand-in may raise anything
            # No stream, a reader that has gone, a closed stream: nothing to save.
            continue


def flush_files() -> None:
    """Write out what was written to open files, where nobody will close them.

    Only to files on a disk: others may keep who writes waiting. Not in a forked child:
    what its parent has written would be there twice.
    """
    if IN_FORKED_CHILD:
        return
    things = gc.get_objects()
    # Without a line of Python for each: there may be a million, and little time.
    kinds = dict(zip(map(id, map(type, things)), map(type, things), strict=True))
    files = {number for number, kind in kinds.items() if issubclass(kind, BUFFERED)}
    is_file = map(files.__contains__, map(id, map(type, things)))
    for thing in compress(things, is_file):
        try:
            if not thing.closed and stat.S_ISREG(os.fstat(thing.fileno()).st_mode):
                thing.flush()
        except Exception:  # noqa: BLE001, S112 - a subclass may raise anything
            continue


def flush_or_forget() -> None:
    """Write out what was printed, or forget it where its reader has gone.

    Python would try again and end with status 120, which hides why the program ended.
    """
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        try:
            stream.flush()
        except (AttributeError, ValueError):
            # None, or closed.
            continue
        except OSError as error:
            if has_no_reader(stream, error):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
        except Exception:  # noqa: BLE001 - a stand-in may raise anything
            setattr(sys, name, None)


def has_no_reader(stream: TextIO, error: OSError) -> bool:
    """Tell whether `error` says that the pipe's reader or the terminal has gone."""
    if isinstance(error, BrokenPipeError):
        return True
    # What a disk says so is lost data, and worth Python's status 120.
    return error.errno == errno.EIO and stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)


def keep_quiet(interrupt: KeyboardInterrupt) -> None:
    """Show no traceback of `interrupt`, if nobody catches it."""
    interrupt._is_kept_quiet = True  # pyright: ignore[reportAttributeAccessIssue]
    hook = sys.excepthook
    if getattr(hook, "func", None) is not show_unless_quiet:
        sys.excepthook = partial(show_unless_quiet, hook)


def show_unless_quiet(
    show: Callable[..., object],
    kind: type[BaseException],
    error: BaseException,
    place: Any,
) -> None:
    """Let `show` show what is not to be kept quiet."""
    if not getattr(error, "_is_kept_quiet", False):
        show(kind, error, place)


def leave(status: int, signum: int | None = None) -> NoReturn:
    """End this process although something of it cannot end; callable in any thread.

    The exit functions run and what was printed is written out, as far as that is
    possible in a moment: the thread that is stuck may hold a lock which they need.
    With `signum` the process dies of that signal, where this is the main thread.
    """
    within_a_moment(act_for_the_last_time)
    if signum is not None:
        strike(signum)
    os._exit(status)


def within_a_moment(act: Callable[[], object]) -> None:
    """Call `act` in a thread, and wait for it no longer than `LAST_ACTS`."""
    thread = threading.Thread(target=act, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        # Too late for a thread: the interpreter is half gone.
        act()
    else:
        thread.join(LAST_ACTS)


def act_for_the_last_time() -> None:
    """Do what is left to do where the interpreter is not taken down."""
    run_last_acts()
    flush_files()


def run_last_acts() -> None:
    """Run the exit functions, once, and write out what was printed."""
    atexit._run_exitfuncs()
    flush_output()
