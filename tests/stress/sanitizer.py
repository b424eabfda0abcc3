"""Whether AddressSanitizer can be used here; run it to hear why it cannot."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def runtime() -> Path:
    """Return the library that a program must load before all others."""
    command = (sysconfig.get_config_var("CC") or "cc").split()[0]
    asked = [command, "-print-file-name=libasan.so"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return Path()
    return Path(said.stdout.strip())


def lacking() -> str | None:
    """What a build of the compiled modules with it would miss, or None."""
    asked = [sys.executable, ROOT / "tests" / "build" / "compiler.py"]
    compiler = subprocess.run(asked, capture_output=True, text=True, check=False)
    if compiler.returncode:
        return compiler.stdout.strip()
    # Only a name, without a place, if the compiler has none.
    if not runtime().is_absolute():
        return "the C compiler comes without AddressSanitizer (libasan.so)"
    return None


if __name__ == "__main__":
    reason = lacking()
    if reason:
        sys.stdout.write(reason + "\n")
    sys.exit(reason is not None)
