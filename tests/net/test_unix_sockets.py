"""Servers and connections at a path or an abstract name of this machine."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

import pytest

from tests.net.recording import Recorder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "socket"


async def echo(reader, writer):
    writer.write(await reader.read())
    writer.close()


def converse(run, path):
    """Let a client and a server at `path` talk; return what the client heard."""

    async def converse():
        async with await asyncio.start_unix_server(echo, path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"hello")
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer

    return run(converse())


@pytest.mark.parametrize("kind", [os.fspath, os.fsencode, lambda path: path])
def test_client_and_server_meet_at_a_path(run, path, kind):
    assert converse(run, kind(path)) == b"hello"


@pytest.mark.parametrize("kind", [os.fspath, os.fsencode])
def test_client_and_server_meet_at_an_abstract_name(run, kind):
    assert converse(run, kind(f"\0quiesce-test-{os.getpid()}")) == b"hello"


def test_a_socket_that_a_dead_server_left_is_replaced(run, path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
    assert converse(run, path) == b"hello"


def test_a_path_with_another_kind_of_file_is_an_error(loop, run, path):
    path.touch()
    with pytest.raises(OSError, match=r"Address .* is already in use") as e:
        run(loop.create_unix_server(asyncio.Protocol, path))
    assert e.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize("cleanup", [True, False])
def test_a_closed_server_removes_its_socket_if_asked(loop, run, path, cleanup):
    server = run(
        loop.create_unix_server(asyncio.Protocol, path, cleanup_socket=cleanup)
    )
    assert path.exists()
    server.close()
    assert path.exists() is not cleanup


def test_a_socket_that_took_the_place_of_the_servers_own_stays(loop, run, path):
    server = run(loop.create_unix_server(asyncio.Protocol, path, cleanup_socket=True))
    with socket.socket(socket.AF_UNIX) as other:
        # Made before the first is gone, so that it cannot get the same inode.
        other.bind(os.fspath(path.with_suffix(".new")))
        path.with_suffix(".new").replace(path)
        server.close()
        assert path.exists()


def test_nobody_at_a_path_is_an_error(loop, run, path):
    with pytest.raises(FileNotFoundError):
        run(loop.create_unix_connection(asyncio.Protocol, path))


@pytest.mark.parametrize("peers", [socket.socketpair], indirect=True)
def test_a_connected_socket_can_be_given(loop, run, peers):
    recorder = Recorder()
    recorder.lost = loop.create_future()
    run(loop.create_unix_connection(lambda: recorder, sock=peers[0]))
    peers[1].send(b"x")
    run(recorder.until(lambda: recorder.received == b"x"))
    run(recorder.end())


@pytest.mark.parametrize("make", ["create_unix_connection", "create_unix_server"])
def test_a_socket_of_another_kind_is_refused(loop, run, make, path):
    make = getattr(loop, make)
    with socket.socket() as sock:
        with pytest.raises(ValueError, match="A UNIX Domain Stream Socket was expect"):
            run(make(asyncio.Protocol, sock=sock))
        with pytest.raises(ValueError, match="can not be specified at the same time"):
            run(make(asyncio.Protocol, path, sock=sock))
    with pytest.raises(ValueError, match=r"no.* sock.* specified"):
        run(make(asyncio.Protocol))


def test_tls_at_a_path_needs_a_name_to_check(loop, run, path):
    with pytest.raises(ValueError, match="you have to pass server_hostname when using"):
        run(loop.create_unix_connection(asyncio.Protocol, path, ssl=True))
