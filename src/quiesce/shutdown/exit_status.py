"""How the process tells its parent why it ended."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn


def die_of(signum: int) -> NoReturn:
    """End this process by `signum`, as if it had never been caught.

    Nothing of the interpreter runs after this; what was printed is written out first.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            # No stream, a reader that has gone, a closed stream: nothing to save.
            continue
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    # Only a blocked signal gets here: say at least with the status what it was.
    os._exit(128 + signum)
