"""PostgreSQL and Redis, each started in a temporary folder; skips where one is missing.

Both listen on loopback, with and without TLS, and at a Unix socket in that folder.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.libraries.servers import IDENTITY, Server, free_ports

PASSWORD = "of a test"
# Debian keeps there those programs of PostgreSQL that users do not call.
DEBIAN = Path("/usr/lib/postgresql")


@contextmanager
def postgresql():
    """Run PostgreSQL; give its port and the folder of its Unix socket."""
    programs = folder_of_postgresql()
    [port] = free_ports(1)
    with folder_of_a_server() as folder:
        user = prepare(folder)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": folder,
            "fsync": "off",
            "ssl": "on",
            "ssl_cert_file": folder / "identity.pem",
            "ssl_key_file": folder / "identity.pem",
        }
        new_database(programs / "initdb", folder, user)
        words = [f"--{name}={value}" for name, value in settings.items()]
        words = (programs / "postgres", "-D", folder / "data", *words)
        with Server(*words, user=user, cwd=folder) as server:
            server.wait_for("ready to accept connections")
            yield SimpleNamespace(folder=folder, port=port)
            # To PostgreSQL this one means: now, and not once all clients have left.
            server.stop(signal.SIGINT)


def prepare(folder):
    """Fill `folder` with what PostgreSQL reads; return the user that shall run it."""
    (folder / "password").write_text(PASSWORD)
    (folder / "identity.pem").write_bytes(IDENTITY.read_bytes())
    (folder / "identity.pem").chmod(0o600)
    if os.geteuid() != 0:
        return None
    # PostgreSQL refuses to be root.
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = "postgres" if "postgres" in names else "nobody"
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, user)
    return user


def new_database(initdb, folder, user):
    words = [
        *(initdb, "--pgdata", folder / "data", "--no-sync", "--username=postgres"),
        *("--auth=scram-sha-256", "--pwfile", folder / "password"),
        *("--locale=C", "--encoding=UTF8"),
    ]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, user=user, cwd=folder)


@contextmanager
def redis_server():
    """Run Redis; give its two ports and the folder of its Unix socket."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("Redis is not installed (Debian: redis-server)")
    port, tls_port = free_ports(2)
    with folder_of_a_server() as folder:
        settings = {
            "bind": "127.0.0.1",
            "port": port,
            "tls-port": tls_port,
            "tls-cert-file": IDENTITY,
            "tls-key-file": IDENTITY,
            "tls-ca-cert-file": IDENTITY,
            "tls-auth-clients": "no",
            "unixsocket": folder / "redis.sock",
            "save": "",
            "dir": folder,
        }
        words = [word for name in settings for word in (f"--{name}", settings[name])]
        with Server(program, *words) as server:
            server.wait_for("Ready to accept connections")
            yield SimpleNamespace(folder=folder, port=port, tls_port=tls_port)
            server.stop()


def folder_of_postgresql():
    on_path = shutil.which("initdb")
    found = [on_path] if on_path else sorted(DEBIAN.glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    return Path(found[-1]).parent


@contextmanager
def folder_of_a_server():
    """Give a folder whose name is short enough for a Unix socket in it."""
    with tempfile.TemporaryDirectory(prefix="quiesce-") as folder:
        yield Path(folder)
