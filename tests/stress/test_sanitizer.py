"""AddressSanitizer finds no memory misused by the compiled modules.

They are built for it by ``make stress``, into an environment of their own. Every object
has memory of its own, so that each use of a freed one shows.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.stress.sanitizer import ROOT, lacking, runtime

PYTHON = os.environ.get("QUIESCE_SANITIZED")
"""The Python of that environment."""
SEED = int.from_bytes(os.urandom(2))


@pytest.fixture
def sanitized(tmp_path):
    """Run that Python; return how it ended and what was found, by its children too."""
    if reason := lacking():
        pytest.skip(reason)
    if PYTHON is None:
        pytest.skip(
            "only `make stress` builds for it, and says where: QUIESCE_SANITIZED"
        )

    def run(*arguments):
        environment = {
            "LD_PRELOAD": str(runtime()),
            "PYTHONMALLOC": "malloc",
            # What Python keeps until its end would be reported as leaks.
            "ASAN_OPTIONS": f"detect_leaks=0:log_path={tmp_path / 'report'}",
            "QUIESCE_EXPECT": "compiled",
        }
        ended = subprocess.run(
            [Path(PYTHON).absolute(), *arguments],
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=1_200,
            check=False,
        )
        return ended, "".join(each.read_text() for each in tmp_path.glob("report.*"))

    return run


def nothing_found(sanitized, *arguments):
    ended, found = sanitized(*arguments)
    assert not found, f"{arguments}\n{found}"
    said = ended.stdout[-8_000:] + ended.stderr[-8_000:]
    assert ended.returncode == 0, f"{arguments}\n{said}"


@pytest.mark.stress
def test_memory_misused_by_the_compiled_modules_would_be_found(sanitized):
    _, found = sanitized(
        "-c",
        "import ctypes; allocate = ctypes.pythonapi.PyMem_RawMalloc;"
        "allocate.restype = ctypes.c_void_p; ctypes.memset(allocate(100), 0, 101)",
    )
    assert "heap-buffer-overflow" in found
    ended, _ = sanitized("-c", "import quiesce; print(quiesce.__path__[0])")
    modules = list(Path(ended.stdout.strip()).rglob("*.so"))
    assert modules, ended
    for module in modules:
        assert b"__asan_report_load" in module.read_bytes(), module


@pytest.mark.stress
def test_the_tests_of_the_transports_misuse_no_memory(sanitized):
    quick = ["-m", "pytest", "-q", "-m", "not stress"]
    nothing_found(sanitized, *quick, "tests/net", "tests/tls", "tests/system")


@pytest.mark.stress
def test_long_conversations_misuse_no_memory(sanitized):
    long = ["-m", "pytest", "-q", "-m", "stress", "-k", "no_byte"]
    nothing_found(sanitized, *long, "tests/net", "tests/tls")


@pytest.mark.stress
def test_servers_and_clients_in_trouble_misuse_no_memory(sanitized):
    program = "tests.stress.network_program"
    nothing_found(sanitized, "-m", program, "30", str(SEED))
