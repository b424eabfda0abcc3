"""What a result must say about where it was measured."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from pathlib import Path


def facts() -> dict[str, str]:
    """Return the machine, the system and the Python, for people to compare."""
    return {
        "cpu": cpu_model(),
        "cpus": str(os.cpu_count()),
        "system": f"{platform.system()} {release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": platform.python_compiler(),
        "load": "{:.1f} {:.1f} {:.1f}".format(*os.getloadavg()),
    }


def release() -> str:
    """Return the kernel's version without the name of whoever built it."""
    return platform.release().partition("-")[0]


def cpu_model() -> str:
    """Return the processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return "unknown"


def command() -> str:
    """Return the command that repeats this run, wherever its results go."""
    options = list(sys.argv[1:])
    if "--out" in options:
        where = options.index("--out")
        del options[where : where + 2]
    program = f"benchmarks/{Path(sys.argv[0]).name}"
    return shlex.join(["python", program, *options])


def pin() -> int | None:
    """Bind this process and its children to one CPU and return which.

    The last one, because systems tend to serve interrupts on the first.
    Returns None where a system has no such call.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    cpu = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})
    return cpu
