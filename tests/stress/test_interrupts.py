"""Ctrl-C anywhere in a run leaves no lost wake-up and no broken state."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("interrupted_program.py")
SEED = int.from_bytes(os.urandom(2))


def interrupted(count: int, seconds: float) -> None:
    command = [sys.executable, "-X", "faulthandler", str(PROGRAM), str(count)]
    ended = subprocess.run(
        [*command, str(SEED)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert ended.returncode == 0, f"seed {SEED}\n{ended.stdout}{ended.stderr}"


def test_a_thousand_interrupts_lose_nothing():
    interrupted(1_000, seconds=60)


@pytest.mark.stress
def test_a_hundred_thousand_interrupts_lose_nothing():
    interrupted(100_000, seconds=1_800)
