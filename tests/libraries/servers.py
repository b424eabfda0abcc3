"""Servers that run as children, on loopback, for the length of a test.

A server says with a line that it is ready; nothing here waits for a time.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

FOLDER = Path(__file__).parent
# A key and a certificate that it signed itself, of use to nobody but these tests.
IDENTITY = FOLDER.parent / "tls" / "localhost.pem"
PATIENCE = 60.0
"""Seconds after which a test that waits is taken to wait for ever."""
OUR_LOOP = "quiesce:new_event_loop"


class Server:
    """A child, all that it prints, and its own children."""

    def __init__(self, *words, **options):
        self.process = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **options,
        )
        self.lines = []
        self.ended = False
        self.printed = threading.Condition()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended, with all its children
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()

    def read(self):
        """Read all the time, so that no server waits for room to print."""
        for line in self.process.stdout:
            with self.printed:
                self.lines.append(line.rstrip("\n"))
                self.printed.notify_all()
        with self.printed:
            self.ended = True
            self.printed.notify_all()

    def wait_for(self, text, times=1):
        """Return a line with `text` in it, once so many of them were printed."""

        def found():
            return [line for line in self.lines if text in line]

        with self.printed:
            self.printed.wait_for(lambda: self.ended or len(found()) >= times, PATIENCE)
            assert len(found()) >= times, self.lines
            return found()[times - 1]

    def stop(self, signum=signal.SIGTERM):
        """Ask it to end, and return its exit status."""
        self.process.send_signal(signum)
        status = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        return status


def uvicorn(*options):
    """A server for `asgi_app` on a free port; read its URL with `url_of`."""
    return Server(
        *(sys.executable, "-m", "uvicorn", "asgi_app:app", "--app-dir", FOLDER),
        *("--port", 0, "--loop", OUR_LOOP, *options),
    )


def url_of(server):
    """Where a server says that it listens: uvicorn or gunicorn."""
    line = server.wait_for("http")
    return next(word for word in line.split() if word.startswith("http"))


def wait_until_it_listens(server):
    """Return once a server accepts connections; uvicorn's workers do not tell."""
    address = urlsplit(url_of(server))
    while not server.ended:
        try:
            socket.create_connection((address.hostname, address.port)).close()
        except ConnectionRefusedError:
            continue
        return


def free_ports(count):
    """Ports for servers that cannot choose one themselves."""
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in socks]
    for sock in socks:
        sock.close()
    return ports
