"""Whether this Python can compile an extension here; run it to hear why it cannot."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path


def lacking() -> str | None:
    """What a build of the compiled modules would miss, or None."""
    command = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(command) is None:
        return f"there is no C compiler ({command})"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.exists():
        version = "{}.{}".format(*sys.version_info)
        return f"the C headers of Python {version} are not installed"
    return None


if __name__ == "__main__":
    reason = lacking()
    if reason:
        sys.stdout.write(reason + "\n")
    sys.exit(reason is not None)
