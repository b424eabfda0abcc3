"""CPython's test files, executed with the modules of one naming in their eyes."""

from __future__ import annotations

import builtins
import importlib.util
import sys
import types
import unittest
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .views import Views

PACKAGE = "test.test_asyncio"
FILES = (
    "test_tasks",
    "test_futures",
    "test_futures2",
    "test_eager_task_factory",
    "test_taskgroups",
    "test_timeouts",
    "test_waitfor",
    "test_queues",
    "test_locks",
    "test_runners",
    "test_pep492",
    "test_context",
    "test_threads",
    "test_sock_lowlevel",
    "test_server",
    "test_staggered",
    "test_streams",
    "test_graph",
    "test_subprocess",
    "test_sendfile",
    "test_buffered_proto",
    "test_protocols",
    "test_transports",
    "test_free_threading",
    "test_tools",
    "test_events",
    "test_unix_events",
    "test_base_events",
    "test_server_context",
    "test_ssl",
    "test_sslproto",
)
# Those of them that make no loop: what they test is data and asyncio's base classes.
WITHOUT_LOOPS = ("test_protocols", "test_transports", "test_tools")
# What a test means by ``asyncio``; `namings` says more.
NAMINGS = ("baseline", "stock", "ours")
# Our own file, run in the same way: it shows what the tests of the others stand on.
EVIDENCE = "evidence"


def has_suite() -> bool:
    """Tell whether this Python came with CPython's tests of asyncio."""
    try:
        return importlib.util.find_spec(PACKAGE) is not None
    except ModuleNotFoundError:
        return False


def files_here() -> list[str]:
    """Return the listed files that this version of Python has."""
    return [name for name in FILES if importlib.util.find_spec(f"{PACKAGE}.{name}")]


def load(file: str, views: Views) -> types.ModuleType:
    """Execute one test file so that its import statements find `views`.

    The module is entered in ``sys.modules`` under its usual name, where unittest looks
    for ``setUpModule`` and pickle for classes.
    """
    name = f"{PACKAGE}.{file}"
    path = source_of(file)
    module = types.ModuleType(name)
    module.__file__ = str(path)
    module.__dict__["__builtins__"] = vars(builtins) | {
        "__import__": views.import_module
    }
    sys.modules[name] = module
    code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    exec(code, module.__dict__)
    return module


def source_of(file: str) -> Path:
    """Return where the source of a listed file is."""
    if file == EVIDENCE:
        return Path(__file__).with_name(f"{EVIDENCE}.py")
    spec = importlib.util.find_spec(f"{PACKAGE}.{file}")
    if spec is None or spec.origin is None:
        raise LookupError(f"this Python has no {file}")
    return Path(spec.origin)


def tests_in(module: types.ModuleType) -> Iterator[tuple[str, unittest.TestCase]]:
    """Yield the tests of a loaded file, each with its id ``file.Class.method``."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    prefix = f"{PACKAGE}."
    for test in flat(suite):
        yield test.id().removeprefix(prefix), test


def flat(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """Yield the tests of a suite and of the suites in it."""
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flat(item)
        else:
            yield item
