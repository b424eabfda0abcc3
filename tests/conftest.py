"""What all tests share: the proof of which quiesce they test, a loop, and TLS."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

import quiesce

# A key and a certificate that it signed itself, of use to nobody but these tests.
IDENTITY = Path(__file__).parent / "tls" / "localhost.pem"


def mode() -> str:
    return "compiled" if quiesce.COMPILED else "interpreted"


def pytest_configure() -> None:
    """Refuse to test another mode than the one that was asked for."""
    expected = os.environ.get("QUIESCE_EXPECT", mode())
    if expected != mode():
        raise pytest.UsageError(f"quiesce is {mode()} but should be {expected}")


def pytest_report_header() -> str:
    return f"quiesce: {mode()}, from {Path(quiesce.__file__).parent}"


@pytest.fixture
def loop():
    """A new loop of ours, closed after the test."""
    with_loop = quiesce.new_event_loop()
    yield with_loop
    with_loop.close()


@pytest.fixture
def server_side():
    """A TLS context that shows the identity of these tests."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(IDENTITY)
    return context


@pytest.fixture
def client_side():
    """A TLS context that trusts it."""
    return ssl.create_default_context(cafile=IDENTITY)
