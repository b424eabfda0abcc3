"""Streams when much goes wrong: whatever is done to both ends of a connection."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiesce.loop import Loop
from quiesce.system.any_selector import SelectorPoller
from tests.net.conversation import STREAM, Conversation, Told, ToldOfBuffers
from tests.net.recording import Recorder, reset, tcp_pair

SIZES = (1, 100, 4095, 4096, 20_000, 70_000, 1_000_000)


# -- any sequence of operations

OURS = (
    "write",
    "writelines",
    "send_file",
    "cancel_file",
    "pause_reading",
    "resume_reading",
    "set_limits",
)
OUR_ENDS = ("write_eof", "close", "abort")
THEIRS = ("peer_receive", "peer_send")
THEIR_ENDS = ("peer_shut_down", "peer_close", "peer_reset")
# Mostly what goes on, seldom what ends it.
OPERATIONS = st.sampled_from(
    4 * OURS + 8 * THEIRS + 10 * ("iterate",) + OUR_ENDS + THEIR_ENDS
)
STEPS = st.lists(
    st.tuples(OPERATIONS, st.sampled_from(SIZES)), min_size=15, max_size=60
)
REACTIONS = st.lists(
    st.sampled_from((*4 * ("nothing",), *2 * OURS, *OUR_ENDS, "fail")), max_size=12
)


@pytest.fixture(scope="module")
def stream_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("faults") / "stream"
    path.write_bytes(STREAM)
    return path


ANYTHING = given(steps=STEPS, reactions=REACTIONS, keep_open=st.booleans())
PROTOCOLS = pytest.mark.parametrize("protocol", [Told, ToldOfBuffers])
PAIRS = pytest.mark.parametrize(
    "pair", [tcp_pair, socket.socketpair], ids=["tcp", "unix"]
)
POLLERS = pytest.mark.parametrize("states", [False, True], ids=["changes", "states"])


@POLLERS
@PAIRS
@PROTOCOLS
@settings(max_examples=20, deadline=None)
@ANYTHING
def test_no_byte_is_lost_and_the_end_is_told_once(
    stream_file, protocol, pair, states, steps, reactions, keep_open
):
    converse(stream_file, protocol, pair, states, steps, reactions, keep_open)


@pytest.mark.stress
@POLLERS
@PAIRS
@PROTOCOLS
@settings(max_examples=1000, deadline=None)
@ANYTHING
def test_no_byte_is_lost_for_long(
    stream_file, protocol, pair, states, steps, reactions, keep_open
):
    converse(stream_file, protocol, pair, states, steps, reactions, keep_open)


def converse(stream_file, protocol, pair, states, steps, reactions, keep_open):
    """Do all `steps` to a new connection, and check what came of it."""
    loop = Loop(poller=SelectorPoller() if states else None)
    # What a protocol raises is planned.
    loop.set_exception_handler(lambda *_: None)
    near, far = pair()
    far.setblocking(False)
    try:
        told = Conversation(loop, far, stream_file, keep_open, list(reactions))
        making = loop.create_connection(lambda: protocol(told), sock=near)
        loop.run_until_complete(making)
        told.perform(steps)
        told.run_to_the_end()
    finally:
        far.close()
        loop.close()


# -- slow readers, many connections, reused descriptors, fork


def test_a_writer_that_heeds_flow_control_fills_no_memory(connect, run, loop):
    recorder = connect()
    transport = recorder.transport
    high = transport.get_write_buffer_limits()[1]
    chunk, count = STREAM[:50_000], 2000
    most = 0

    async def write():
        nonlocal most
        for _ in range(count):
            await recorder.until(
                lambda: recorder.calls.count("pause") == recorder.calls.count("resume")
            )
            transport.write(chunk)
            most = max(most, transport.get_write_buffer_size())

    async def read_slowly():
        left = len(chunk) * count
        at = 0
        while left:
            data = await loop.sock_recv(recorder.peer, 70_000)
            assert data == (chunk + chunk + chunk)[at : at + len(data)]
            at = (at + len(data)) % len(chunk)
            left -= len(data)
            await asyncio.sleep(0)

    run(both(write(), read_slowly()))
    run(recorder.end())
    assert high < most <= high + len(chunk)


def test_much_that_is_written_in_spite_of_flow_control_arrives(connect, run):
    recorder = connect()
    for _ in range(4):
        recorder.transport.write(STREAM)
    for start in range(0, 1_000_000, 100):
        recorder.transport.write(STREAM[start : start + 100])
    recorder.transport.close()
    expected = 4 * STREAM + STREAM[:1_000_000]

    async def receive_all():
        received = bytearray()
        while data := await recorder.loop.sock_recv(recorder.peer, 1_000_000):
            received += data
        return received

    assert run(receive_all()) == expected
    assert run(recorder.lost) is None
    assert recorder.calls.count("pause") == 1


async def both(*coros):
    return await asyncio.gather(*coros)


class Echo(asyncio.Protocol):
    """Sends back what it gets; counts how many were made and lost, and lost again."""

    made = lost = again = 0
    is_lost = False

    def connection_made(self, transport: Any) -> None:
        Echo.made += 1
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        Echo.lost += 1
        Echo.again += self.is_lost
        self.is_lost = True


async def call_and_hang_up(loop, address, number):
    """Open a connection and drop it in one of five ways."""
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        if number % 5 > 1:
            sock.send(STREAM[:1000])
        if number % 5 > 2:
            await loop.sock_recv(sock, 1000)
        if number % 5 == 4:
            sock.shutdown(socket.SHUT_WR)
            assert await loop.sock_recv(sock, 1000) == b""
        if number % 2:
            reset(sock)


def drop_connections(loop, run, total):
    """Open and drop many connections, 50 at a time."""
    Echo.made = Echo.lost = Echo.again = 0

    async def serve():
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        for start in range(0, total, 50):
            calls = (call_and_hang_up(loop, address, start + n) for n in range(50))
            await asyncio.gather(*calls)
        # A connection that was reset at once may never have been accepted.
        while Echo.lost < Echo.made:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        server.close()
        await server.wait_closed()

    # A loop's first run opens what all its runs use.
    run(asyncio.sleep(0))
    before = open_files()
    run(serve(), patience=max(20, total / 50))
    assert Echo.made == Echo.lost > total / 2
    assert Echo.again == 0
    assert open_files() == before


def open_files():
    return len(list(Path("/dev/fd").iterdir()))


def test_connections_that_come_and_go_leave_nothing_behind(loop, run):
    drop_connections(loop, run, 1000)


@pytest.mark.stress
def test_very_many_connections_come_and_go(loop, run):
    drop_connections(loop, run, 20_000)


def test_a_new_connection_gets_nothing_of_the_old_one_with_its_descriptor(loop, run):
    async def connect(number):
        near, far = socket.socketpair()
        recorder = Recorder()
        recorder.lost = loop.create_future()
        await loop.create_connection(lambda: recorder, sock=near)
        far.send(b"for %d" % number)
        return recorder, far

    async def replace():
        seen = set()
        for number in range(0, 300, 3):
            three = [await connect(number + n) for n in range(3)]
            first, second, third = (recorder for recorder, _ in three)
            fds = {r.transport.get_extra_info("socket").fileno() for r, _ in three[:2]}
            # The one is closed with bytes unread, the other with an event on its way.
            first.transport.abort()
            await first.lost
            three[1][1].close()
            second.transport.abort()
            await second.lost
            other, other_peer = await connect(1000 + number)
            seen.add(other.transport.get_extra_info("socket").fileno() in fds)
            await other.until(lambda other=other: b"for" in other.received)
            await third.until(lambda third=third: b"for" in third.received)
            assert other.received == b"for %d" % (1000 + number)
            assert third.received == b"for %d" % (number + 2)
            for recorder, peer in (*three, (other, other_peer)):
                recorder.transport.close()
                await recorder.lost
                assert recorder.calls.count("lost") == 1
                peer.close()
        assert seen == {True}

    run(replace())


FORK = """
    import asyncio, os, socket, sys
    import quiesce

    async def echo(reader, writer):
        while data := await reader.read(100):
            writer.write(data)
        writer.close()
        await writer.wait_closed()

    async def talk():
        near, far = socket.socketpair()
        task = asyncio.ensure_future(echo(*await asyncio.open_connection(sock=far)))
        reader, writer = await asyncio.open_connection(sock=near)
        for _ in range(100):
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
        return reader, writer, task

    async def main():
        reader, writer, task = await talk()
        child = os.fork()
        if not child:
            try:
                # A loop of its own; the parent's goes on without it.
                quiesce.run(talk_and_close())
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0, status
        writer.write(b"still here")
        assert await reader.readexactly(10) == b"still here"
        writer.close()
        await task
        await talk_and_close()

    async def talk_and_close():
        _, writer, task = await talk()
        writer.close()
        await task

    quiesce.run(main())
    print("done")
"""


def test_the_child_of_a_fork_in_a_coroutine_does_not_disturb_the_parent():
    program = textwrap.dedent(FORK)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)
