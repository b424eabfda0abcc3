"""The service manager is told that a service stops."""

from __future__ import annotations

import os
import socket

import pytest

from quiesce.shutdown import service_manager


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """Listen as systemd does; gives what makes the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(20)

        def listen(kind):
            if kind == "abstract":
                name = f"@quiesce-{os.getpid()}"
                listening.bind(f"\0{name[1:]}")
            else:
                name = str(tmp_path / "notify")
                listening.bind(name)
            monkeypatch.setenv("NOTIFY_SOCKET", name)
            return listening

        yield listen


@pytest.mark.parametrize("kind", ["a file", "abstract"])
def test_it_hears_that_the_service_stops(manager, kind):
    listening = manager(kind)
    service_manager.notify("STOPPING=1")
    assert listening.recv(100) == b"STOPPING=1"


def test_without_one_nothing_happens(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    service_manager.notify("STOPPING=1")


def test_one_that_has_gone_breaks_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    service_manager.notify("STOPPING=1")


def test_one_that_does_not_listen_holds_nothing_up(manager):
    manager("a file")
    for _ in range(10_000):
        service_manager.notify("STOPPING=1")
