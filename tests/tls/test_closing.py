"""How TLS connections end: by either side, cleanly or not, and never too late."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import ssl
from contextlib import suppress

import pytest

from tests.net.recording import Recorder
from tests.tls.peer import Peer

MUCH = bytes(range(256)) * 16 * 1024
"""More than TLS or a socket takes at once, 4 MiB."""
SOME = 16 * 1024
SOON = 0.01


def test_close_says_so_and_waits_for_the_answer(run, meet):
    async def talk():
        recorder, peer = await meet()
        recorder.transport.write(b"last words")
        recorder.transport.close()
        assert recorder.transport.is_closing()
        assert await peer.receive() == b"last words"
        assert await peer.receive() == b""
        assert "lost" not in recorder.calls
        await peer.notify()
        assert await recorder.lost is None
        assert recorder.calls == ["made", "lost"]

    run(talk())


def test_a_peer_that_only_hangs_up_is_an_answer(run, meet):
    async def talk():
        recorder, peer = await meet()
        recorder.transport.close()
        peer.sock.close()
        await recorder.lost
        assert recorder.calls == ["made", "lost"]

    run(talk())


def test_a_peer_that_never_answers_is_left_in_the_end(run, meet):
    async def talk():
        recorder, _ = await meet(ssl_shutdown_timeout=SOON)
        recorder.transport.close()
        error = await recorder.lost
        assert isinstance(error, TimeoutError)
        assert str(error) == "SSL shutdown timed out"

    run(talk())


def test_a_loop_that_closes_first_leaves_a_peer_unanswered(loop, meet, sockets):
    near, far = sockets

    async def close():
        recorder, peer = await meet()
        recorder.transport.close()
        assert await peer.receive() == b""

    loop.run_until_complete(close())
    loop.close()
    assert near.fileno() == -1
    assert far.recv(1) == b""


def test_a_loop_may_close_while_a_server_waits_for_a_peer(
    loop, client_side, server_side
):
    async def close():
        recorder = Recorder()
        server = await loop.create_server(
            lambda: recorder, "127.0.0.1", 0, ssl=server_side
        )
        far = socket.create_connection(server.sockets[0].getsockname())
        far.setblocking(False)
        peer = Peer(
            loop, far, client_side, server_side=False, server_hostname="localhost"
        )
        await peer.handshake()
        await recorder.until(lambda: "made" in recorder.calls)
        recorder.transport.close()
        server.close()
        waiting = server.wait_closed()
        # No task, which would be left pending. With Python 3.11 it does not wait.
        with suppress(StopIteration):
            waiting.send(None).add_done_callback(print)
        assert await peer.receive() == b""
        return waiting, far

    waiting, far = loop.run_until_complete(close())
    loop.close()
    assert far.recv(1) == b""
    far.close()
    waiting.close()


def test_what_a_loop_that_closes_has_not_sent_is_warned_of(loop, meet):
    async def close():
        recorder, _ = await meet()
        recorder.transport.write(MUCH)
        recorder.transport.close()

    loop.run_until_complete(close())
    loop.close()
    with pytest.warns(ResourceWarning, match="unclosed transport <SocketTransport"):
        gc.collect()


def test_what_it_has_not_sent_to_a_peer_that_has_answered_is_warned_of_too(loop, meet):
    async def close():
        recorder, peer = await meet()
        # So much that all is encrypted, but more than the socket takes.
        while not recorder.transport.get_write_buffer_size():
            recorder.transport.write(bytes(SOME))
            await asyncio.sleep(0)
        recorder.transport.close()
        await peer.notify()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    loop.run_until_complete(close())
    loop.close()
    with pytest.warns(ResourceWarning, match="unclosed transport <SocketTransport"):
        gc.collect()


def test_close_ends_although_nothing_is_read(run, meet):
    async def talk():
        recorder, peer = await meet()
        recorder.transport.pause_reading()
        await peer.send(b"unwanted")
        recorder.transport.close()
        assert await peer.receive() == b""
        await peer.notify()
        assert await recorder.lost is None
        assert recorder.received == b""

    run(talk())


def test_what_comes_after_close_is_dropped_without_an_error(run, meet):
    async def talk():
        recorder, peer = await meet()
        recorder.transport.close()
        await peer.send(b"too late")
        await peer.send(b"as well")
        assert await peer.receive() == b""
        await peer.notify()
        assert await recorder.lost is None
        assert recorder.received == b""

    run(talk())


def test_what_was_written_follows_the_peers_close_notify(run, meet):
    async def talk():
        recorder, peer = await meet()
        recorder.transport.write(MUCH)
        await peer.notify()
        assert await peer.receive_all() == MUCH
        assert await recorder.lost is None
        assert recorder.calls.count("eof") == 1

    run(talk())


def test_what_was_written_follows_the_peers_end_of_stream(run, meet):
    async def talk():
        recorder, peer = await meet()
        recorder.transport.write(MUCH)
        peer.sock.shutdown(1)
        assert await peer.receive_until_cut() == MUCH
        assert await recorder.lost is None
        assert recorder.calls.count("eof") == 1

    run(talk())


def test_the_peers_end_comes_after_its_bytes_when_reading_resumes(run, meet):
    async def talk():
        recorder, peer = await meet()
        recorder.transport.pause_reading()
        await peer.send(b"hello")
        await peer.notify()
        peer.sock.shutdown(1)
        await asyncio.sleep(0)
        assert recorder.calls == ["made"]
        recorder.transport.resume_reading()
        assert await recorder.lost is None
        assert recorder.received == b"hello"
        assert recorder.calls == ["made", "data", "eof", "lost"]

    run(talk())


def test_abort_drops_what_waits(run, meet):
    async def talk():
        recorder, peer = await meet()
        recorder.transport.write(MUCH)
        recorder.transport.abort()
        recorder.transport.abort()
        assert recorder.transport.is_closing()
        assert await recorder.lost is None
        assert recorder.calls.count("lost") == 1
        peer.sock.close()

    run(talk())


def test_what_is_no_tls_ends_the_connection_and_the_peer_is_told(run, meet):
    async def talk():
        recorder, peer = await meet()
        await peer.send(b"sense")
        await peer.loop.sock_sendall(peer.sock, b"this is no record at all")
        assert isinstance(await recorder.lost, ssl.SSLError)
        assert recorder.received == b"sense"
        with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
            await peer.receive()

    run(talk())


def test_a_refused_certificate_is_told_to_the_peer(run, loop, sockets, server_side):
    async def talk():
        near, far = sockets
        strict = ssl.create_default_context()
        refused, told = await asyncio.gather(
            loop.create_connection(
                Recorder, sock=near, ssl=strict, server_hostname="localhost"
            ),
            Peer(loop, far, server_side).handshake(),
            return_exceptions=True,
        )
        assert isinstance(refused, ssl.SSLCertVerificationError)
        assert isinstance(told, ssl.SSLError)
        assert "unknown ca" in str(told)

    run(talk())


def test_the_peer_may_hang_up_during_the_handshake(run, loop, sockets, client_side):
    async def talk():
        near, far = sockets
        recorder = Recorder()
        connecting = asyncio.ensure_future(
            loop.create_connection(
                lambda: recorder, sock=near, ssl=client_side, server_hostname="x"
            )
        )
        await loop.sock_recv(far, 1)
        far.close()
        with pytest.raises(ConnectionResetError):
            await connecting
        assert recorder.calls == []

    run(talk())


def test_writing_after_the_end_is_harmless_but_noted(run, meet, caplog):
    async def talk():
        recorder, peer = await meet()
        recorder.transport.abort()
        await recorder.lost
        with caplog.at_level(logging.WARNING, "asyncio"):
            for _ in range(6):
                recorder.transport.write(b"lost")
        assert [r.getMessage() for r in caplog.records] == ["SSL connection is closed"]
        peer.sock.close()

    run(talk())


def test_an_error_of_the_protocol_ends_the_connection(run, loop, meet):
    class Failing(Recorder):
        def data_received(self, data):
            raise ZeroDivisionError

    async def talk():
        reported = []
        loop.set_exception_handler(lambda _, context: reported.append(context))
        recorder, peer = await meet(Failing())
        await peer.send(b"hello")
        assert isinstance(await recorder.lost, ZeroDivisionError)
        assert [type(c["exception"]) for c in reported] == [ZeroDivisionError]
        assert "data_received() call failed" in reported[0]["message"]

    run(talk())


def test_returning_true_from_eof_received_is_said_to_have_no_effect(run, meet, caplog):
    async def talk():
        recorder, peer = await meet()
        recorder.keep_open = True
        with caplog.at_level(logging.WARNING, "asyncio"):
            await peer.notify()
            await recorder.lost
        assert "has no effect when using ssl" in caplog.text

    run(talk())


def test_a_transport_that_nobody_closed_is_warned_of(run, meet):
    async def talk():
        recorder, peer = await meet()
        with pytest.warns(ResourceWarning, match="unclosed transport <SSLTransport"):
            recorder.transport.__del__()
        recorder.transport.abort()
        await recorder.lost
        peer.sock.close()

    run(talk())
