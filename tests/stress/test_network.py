"""Servers and clients of all kinds at once, most of which end in the wrong moment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SEED = int.from_bytes(os.urandom(2))


def trouble(rounds: int) -> None:
    command = [sys.executable, "-X", "faulthandler", "-m"]
    ended = subprocess.run(
        [*command, "tests.stress.network_program", str(rounds), str(SEED)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1_200,
        check=False,
    )
    assert ended.returncode == 0, f"seed {SEED}\n{ended.stdout}{ended.stderr}"
    assert ended.stderr == "", f"seed {SEED}\n{ended.stderr}"


def test_every_protocol_is_told_of_its_end_once_whatever_happens():
    trouble(rounds=2)


@pytest.mark.stress
def test_every_protocol_is_told_of_its_end_once_after_very_much_trouble():
    trouble(rounds=80)
