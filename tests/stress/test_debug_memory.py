"""Python's memory debugger finds nothing: no use after free, no write out of bounds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
CHOSEN = ("properties", "stress/test_chains.py", "stress/test_leaks.py")


@pytest.mark.stress
def test_the_other_tests_pass_with_debugging_allocators():
    chosen = [str(TESTS / name) for name in CHOSEN]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not stress", *chosen],
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONMALLOC": "debug"},
        capture_output=True,
        text=True,
        timeout=1_200,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-4_000:] + ended.stderr[-4_000:]
