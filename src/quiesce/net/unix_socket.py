"""Connections and servers at a path, or an abstract name, of this machine."""

# ruff: noqa: PTH107, PTH108, PTH116 - a path may be bytes, which pathlib does not take

from __future__ import annotations

import errno
import os
import socket
import stat
from asyncio.log import logger
from functools import partial
from typing import TYPE_CHECKING, Any

from quiesce.net.connect import adopt
from quiesce.net.listen import Server, serve

if TYPE_CHECKING:
    from quiesce.net.connect import Opener, ProtocolFactory

    Path = str | bytes | os.PathLike[str]


async def create_unix_connection(
    loop: Any,
    protocol_factory: ProtocolFactory,
    path: Path | None,
    *,
    opener: Opener,
    sock: socket.socket | None = None,
) -> tuple[Any, Any]:
    """Return a transport to the server at `path`, or over `sock`, and its protocol."""
    if path is None:
        if sock is None:
            raise ValueError("no path and sock were specified")
        return await adopt(loop, protocol_factory, unix_stream_socket(sock), opener)
    if sock is not None:
        raise ValueError("path and sock can not be specified at the same time")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, os.fspath(path))
    except BaseException:
        sock.close()
        raise
    return await adopt(loop, protocol_factory, sock, opener)


async def create_unix_server(
    loop: Any,
    protocol_factory: ProtocolFactory,
    path: Path | None,
    *,
    opener: Opener,
    sock: socket.socket | None = None,
    backlog: int = 100,
    start_serving: bool = True,
    cleanup_socket: bool = False,
) -> Server:
    """Return a server at `path`, or on `sock`, which is bound.

    A socket that a dead server left at `path` is removed first. With `cleanup_socket`
    this server removes its own when it is closed. Raises OSError if the path is taken.
    """
    if path is None:
        if sock is None:
            raise ValueError("path was not specified, and no sock specified")
        sock = unix_stream_socket(sock)
    elif sock is not None:
        raise ValueError("path and sock can not be specified at the same time")
    else:
        sock = bound_to(os.fspath(path))
    on_close = remover_of(sock) if cleanup_socket else None
    server = Server(loop, [sock], protocol_factory, opener, backlog, on_close)
    return await serve(server, start_serving)


def unix_stream_socket(sock: socket.socket) -> socket.socket:
    """Refuse what is no stream socket of this machine."""
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A UNIX Domain Stream Socket was expected, got {sock!r}")
    return sock


def bound_to(path: str | bytes) -> socket.socket:
    """Return a socket bound to `path`."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    remove_stale_socket(path)
    try:
        sock.bind(path)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            message = f"Address {path!r} is already in use"
            raise OSError(errno.EADDRINUSE, message) from None
        raise
    except BaseException:
        sock.close()
        raise
    return sock


def is_abstract(path: Any) -> bool:
    """Tell whether `path` names no file: Linux's names that begin with a null."""
    return not path or path[0] in (0, "\0")


def remove_stale_socket(path: str | bytes) -> None:
    """Remove the socket that a server which ended has left at `path`."""
    if is_abstract(path):
        return
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.remove(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        # A directory may allow its sockets to be made but not looked at.
        logger.error("Unable to check or remove stale UNIX socket %r: %r", path, error)


def remover_of(sock: socket.socket) -> Any:
    """Return what removes the file of `sock`; None if it has none."""
    path = sock.getsockname()
    if is_abstract(path):
        return None
    try:
        return partial(remove_own_socket, path, os.stat(path).st_ino)
    except FileNotFoundError:
        return None


def remove_own_socket(path: str, inode: int) -> None:
    """Remove the file at `path`, unless another has taken its place."""
    try:
        if os.stat(path).st_ino == inode:
            os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.error("Unable to clean up listening UNIX socket %r: %r", path, error)
