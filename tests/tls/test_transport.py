"""What a TLS transport tells, and how it treats its protocol while it is open."""

from __future__ import annotations

import asyncio
import contextvars
import ssl

import pytest

from tests.conftest import IDENTITY
from tests.net.recording import Recorder
from tests.tls.peer import Peer

MUCH = bytes(range(256)) * 16 * 1024


async def end(recorder, peer):
    recorder.transport.abort()
    await recorder.lost
    peer.sock.close()


def test_it_tells_what_was_agreed_on(run, meet, client_side, server_side):
    client_side.set_alpn_protocols(["h2", "http/1.1"])
    server_side.set_alpn_protocols(["http/1.1"])
    asked = []
    server_side.sni_callback = lambda _, name, __: asked.append(name)

    async def talk():
        recorder, peer = await meet()
        tell = recorder.transport.get_extra_info
        assert tell("ssl_object").selected_alpn_protocol() == "http/1.1"
        assert tell("sslcontext") is client_side
        assert dict(tell("peercert")["subject"][0])
        assert tell("cipher") == tell("ssl_object").cipher()
        assert tell("compression") is None
        assert tell("socket") is not None
        assert tell("nothing", "default") == "default"
        assert asked == ["localhost"]
        await end(recorder, peer)

    run(talk())


def test_a_client_may_show_a_certificate(run, meet, client_side, server_side):
    client_side.load_cert_chain(IDENTITY)
    server_side.load_verify_locations(IDENTITY)
    server_side.verify_mode = ssl.CERT_REQUIRED

    async def talk():
        recorder, peer = await meet()
        assert peer.tls.getpeercert()["subject"]
        await end(recorder, peer)

    run(talk())


@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_a_buffered_protocol_is_given_all(run, meet, size):
    class Buffered(asyncio.BufferedProtocol, Recorder):
        buffer = bytearray(size)

        def get_buffer(self, sizehint):
            return self.buffer

        def buffer_updated(self, nbytes):
            self.data_received(self.buffer[:nbytes])

    async def talk():
        recorder, peer = await meet(Buffered())
        await peer.send(MUCH[:50_000])
        await recorder.until(lambda: len(recorder.received) == 50_000)
        assert recorder.received == MUCH[:50_000]
        await end(recorder, peer)

    run(talk())


def test_nothing_is_given_while_reading_is_paused(run, meet):
    class PausesAtOnce(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    async def talk():
        recorder, peer = await meet(PausesAtOnce())
        await peer.send(b"one")
        await recorder.until(lambda: recorder.received)
        assert not recorder.transport.is_reading()
        await peer.send(b"two")
        for _ in range(5):
            await asyncio.sleep(0)
        assert recorder.received == b"one"
        recorder.transport.resume_reading()
        await recorder.until(lambda: recorder.received == b"onetwo")
        await end(recorder, peer)

    run(talk())


@pytest.mark.parametrize("high", [0, 1000, None])
def test_a_protocol_that_writes_too_much_is_paused_until_it_was_read(run, meet, high):
    async def talk():
        recorder, peer = await meet()
        recorder.transport.set_write_buffer_limits(high=high)
        recorder.transport.writelines([MUCH, bytearray(MUCH), memoryview(MUCH)])
        assert recorder.calls == ["made", "pause"]
        assert recorder.transport.get_write_buffer_size() > 0
        received = b""
        while len(received) < 3 * len(MUCH):
            received += await peer.receive()
        assert received == MUCH * 3
        await recorder.until(lambda: recorder.calls[-1] == "resume")
        assert recorder.calls == ["made", "pause", "resume"]
        assert recorder.transport.get_write_buffer_size() == 0
        await end(recorder, peer)

    run(talk())


def test_water_marks_are_checked_and_told(run, meet):
    async def talk():
        recorder, peer = await meet()
        transport = recorder.transport
        assert transport.get_write_buffer_limits() == (128 * 1024, 512 * 1024)
        transport.set_write_buffer_limits(low=10)
        assert transport.get_write_buffer_limits() == (10, 40)
        with pytest.raises(ValueError, match="must be >= low"):
            transport.set_write_buffer_limits(high=1, low=2)
        await end(recorder, peer)

    run(talk())


def test_a_protocol_is_told_everything_in_one_context(run, meet):
    var = contextvars.ContextVar("var", default=None)
    seen = []

    class Contextual(Recorder):
        def note(self, call):
            if call == "made":
                var.set("here")
            seen.append(var.get())
            super().note(call)

    async def talk():
        recorder, peer = await meet(Contextual())
        recorder.transport.pause_reading()
        await peer.send(b"hello")
        recorder.transport.resume_reading()
        await recorder.until(lambda: recorder.received)
        await peer.notify()
        await recorder.lost
        assert recorder.calls == ["made", "data", "eof", "lost"]
        assert seen == ["here"] * 4

    run(talk())


def test_only_bytes_can_be_written_and_no_half_be_closed(run, meet):
    async def talk():
        recorder, peer = await meet()
        text = "data: expecting a bytes-like instance, got str"
        with pytest.raises(TypeError, match=text):
            recorder.transport.write("text")
        assert not recorder.transport.can_write_eof()
        with pytest.raises(NotImplementedError):
            recorder.transport.write_eof()
        await end(recorder, peer)

    run(talk())


@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
def test_a_limit_must_be_positive(run, meet, name):
    async def talk():
        with pytest.raises(ValueError, match=f"{name} should be a positive number"):
            await asyncio.wait_for(meet(**{name: 0}), 1)

    run(talk())


async def tls_over_tls(loop, meet, client_side, server_side):
    """Return a connection's protocol, its peer, and the peer that carries this one."""
    outer, peer = await meet()
    inner = Recorder()
    inner.lost = loop.create_future()
    starting = asyncio.ensure_future(
        loop.start_tls(outer.transport, inner, client_side, server_hostname="localhost")
    )
    within = Inside(loop, peer, server_side)
    await within.handshake()
    inner.transport = await starting
    return inner, within, peer


def test_tls_goes_over_tls(run, loop, meet, client_side, server_side):
    async def talk():
        inner, within, peer = await tls_over_tls(loop, meet, client_side, server_side)
        inner.transport.write(MUCH[:100_000])
        received = b""
        while len(received) < 100_000:
            received += await within.receive()
        assert received == MUCH[:100_000]
        await within.send(b"answer")
        await inner.until(lambda: inner.received == b"answer")
        assert inner.transport.get_extra_info("socket") is not None
        inner.transport.abort()
        await inner.lost
        assert inner.calls.count("lost") == 1
        peer.sock.close()

    run(talk())


def test_a_loop_that_closes_first_leaves_tls_over_tls_unanswered(
    loop, meet, sockets, client_side, server_side
):
    async def close():
        inner, within, _ = await tls_over_tls(loop, meet, client_side, server_side)
        inner.transport.close()
        assert await within.receive() == b""

    loop.run_until_complete(close())
    loop.close()
    near, _ = sockets
    assert near.fileno() == -1


class Inside(Peer):
    """A peer whose records another peer carries."""

    def __init__(self, loop, outer, context):
        super().__init__(loop, outer.sock, context)
        self.outer = outer

    async def flush(self):
        if self.outgoing.pending:
            await self.outer.send(self.outgoing.read())

    async def until_done(self, step, *args):
        while True:
            try:
                return step(*args)
            except ssl.SSLWantReadError:
                await self.flush()
                self.incoming.write(await self.outer.receive())
            finally:
                await self.flush()
