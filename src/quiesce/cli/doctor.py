"""``quiesce doctor``: what is installed here, how it runs, and what is missing."""

from __future__ import annotations

import pkgutil
import platform
import shutil
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES

import quiesce


def doctor() -> int:
    """Print one line for each fact and one for each thing that is missing."""
    modules = compiled_modules()
    mode = f"compiled ({len(modules)} modules)" if quiesce.COMPILED else "interpreted"
    facts = {
        "quiesce": quiesce.__version__,
        "mode": mode,
        "poller": poller(),
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    for name, fact in facts.items():
        print(f"{name:8} {fact}")
    for line in missing() or ["nothing"]:
        print(f"{'missing':8} {line}")
    return 0


def compiled_modules() -> list[str]:
    """Return the names of our modules that are compiled."""
    found: list[str] = []
    for module in pkgutil.walk_packages(quiesce.__path__, "quiesce."):
        spec = module.module_finder.find_spec(module.name, None)
        if spec is not None and str(spec.origin).endswith(tuple(EXTENSION_SUFFIXES)):
            found.append(module.name)
    return found


def poller() -> str:
    """Return the name of what a new loop waits with."""
    loop = quiesce.new_event_loop()
    try:
        return type(loop.poller).__name__
    finally:
        loop.close()


def missing() -> list[str]:
    """Say what would make quiesce better here, one line each."""
    lines: list[str] = []
    if not quiesce.COMPILED:
        lines.append("the compiled modules: tasks are several times slower without")
        if compiler() is None:
            lines.append("a C compiler, which makes them when quiesce is installed")
        else:
            lines.append(
                "nothing to make them: QUIESCE_COMPILE=require pip install quiesce"
            )
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        lines.append("a claim for free-threaded Python: it has not been tried there")
    if sys.platform != "linux":
        lines.append("tests on this system: it runs on the standard selectors")
    return lines


def compiler() -> str | None:
    """Return the path of the C compiler that this Python's extensions are made with."""
    words = str(sysconfig.get_config_var("CC") or "cc").split()
    return shutil.which(words[0]) or shutil.which("cc")
