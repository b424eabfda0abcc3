"""Two engines talk through any split of bytes, in any order of what they do."""

from __future__ import annotations

import functools
import ssl
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiesce.tls.engine import NOTHING, TlsEngine

IDENTITY = Path(__file__).with_name("localhost.pem")
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
SMALL = 100
LARGE = 300_000
"""More than one piece, and more than one room."""


@functools.cache
def contexts(version):
    client = ssl.create_default_context(cafile=IDENTITY)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(IDENTITY)
    for context in (client, server):
        context.minimum_version = context.maximum_version = version
    return client, server


class Side:
    """One engine, what its program wrote and read, and the wire to the other."""

    def __init__(self, engine):
        self.engine = engine
        self.wrote, self.read_so_far = bytearray(), bytearray()
        self.wire = bytearray()
        self.other = None
        self.secure = self.closed = self.saw_end = False

    def write(self, count):
        if not self.closed:
            # No two places look alike: what is lost or moved shows.
            start = len(self.wrote) // 4
            data = b"".join(i.to_bytes(4, "big") for i in range(start, start + count))
            self.wrote += data
            self.engine.write(data)

    def queue(self, count):
        if not self.closed:
            start = len(self.wrote) // 4
            data = b"".join(i.to_bytes(4, "big") for i in range(start, start + count))
            self.wrote += data
            self.engine.queue(data)

    def take(self, _=0):
        self.wire += self.engine.take()

    def move(self, count):
        """Let `count` bytes of the wire arrive."""
        self.other.engine.receive(bytes(self.wire[:count]))
        del self.wire[:count]
        if not self.other.secure:
            self.other.secure = self.other.engine.handshake()

    def read(self, _=0):
        if not self.secure:
            return
        if self.closed:
            self.engine.discard()
            return
        while data := self.engine.read():
            self.read_so_far += data
        self.saw_end = data == b""

    def read_into(self, count):
        if not self.secure or self.closed:
            return
        buffer = bytearray(count)
        got = self.engine.read_into(buffer)
        if got == 0:
            self.saw_end = True
        elif got != NOTHING:
            self.read_so_far += buffer[:got]

    def close(self, _=0):
        if self.secure:
            self.closed = True
            self.engine.close()


def pair(version=ssl.TLSVersion.TLSv1_3, room=64 * 1024):
    client, server = contexts(version)
    one = Side(TlsEngine(client, bytearray(room), False, "localhost"))
    two = Side(TlsEngine(server, bytearray(room), True, None))
    one.other, two.other = two, one
    one.engine.handshake()
    return one, two


def settle(*sides):
    """Let everything arrive and be read."""
    moving = True
    while moving:
        for side in sides:
            side.take()
        moving = any(side.wire or side.engine.has_output() for side in sides)
        for side in sides:
            side.move(len(side.wire))
        for side in sides:
            side.read()


ACTIONS = st.tuples(
    st.integers(0, 1),
    st.sampled_from(["write", "queue", "take", "move", "read", "read_into", "close"]),
    st.one_of(st.integers(1, SMALL), st.integers(1, LARGE // 4)),
)


ANYTHING = given(
    st.sampled_from(VERSIONS), st.sampled_from([1_000, 70_000]), st.lists(ACTIONS)
)


@settings(max_examples=150, deadline=None)
@ANYTHING
def test_no_byte_is_lost_doubled_or_moved(version, room, actions):
    converse(version, room, actions)


@pytest.mark.stress
@settings(max_examples=1000, deadline=None)
@ANYTHING
def test_no_byte_is_lost_doubled_or_moved_for_long(version, room, actions):
    converse(version, room, actions)


def converse(version, room, actions):
    sides = pair(version, room)
    for place, action, count in actions:
        getattr(sides[place], action)(count)
        for side in sides:
            assert side.other.wrote.startswith(side.read_so_far)
    settle(*sides)
    for side in sides:
        assert side.secure
        assert side.engine.waiting() == 0
        if not side.closed:
            assert side.read_so_far == side.other.wrote
            assert side.saw_end == side.other.closed
    for side in sides:
        side.close()
    settle(*sides)
    assert all(side.engine.is_over() for side in sides)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(VERSIONS), st.data())
def test_a_damaged_record_is_an_error_after_all_before_it(version, data):
    one, two = pair(version)
    settle(one, two)
    one.write(SMALL)
    one.take()
    whole = len(one.wire)
    one.write(data.draw(st.integers(1, 10_000)))
    one.take()
    place = data.draw(st.integers(whole + 5, len(one.wire) - 1))
    one.wire[place] ^= 1 << data.draw(st.integers(0, 7))
    one.move(len(one.wire))
    with pytest.raises(ssl.SSLError):
        two.read()
    assert len(two.read_so_far) >= SMALL * 4
    assert one.wrote.startswith(two.read_so_far)
    assert two.engine.alert()


@settings(max_examples=40, deadline=None)
# So much goes into one record, of 16 KiB at most: it arrives whole or not at all.
@given(st.sampled_from(VERSIONS), st.integers(1, 4_000), st.data())
def test_the_end_of_the_stream_comes_after_all_that_is_whole(version, count, data):
    one, two = pair(version)
    settle(one, two)
    one.write(count)
    one.take()
    one.move(data.draw(st.integers(0, len(one.wire))))
    two.engine.receive_eof()
    two.read()
    assert two.saw_end
    assert two.read_so_far == (b"" if one.wire else one.wrote)


@pytest.mark.parametrize("version", VERSIONS)
def test_short_writes_that_waited_share_records(version):
    one, two = pair(version)
    for _ in range(100):
        one.queue(10)
    settle(one, two)
    assert two.read_so_far == one.wrote
    one.queue(10)
    one.queue(10)
    size = len(one.engine.take())
    one.write(20)
    assert len(one.engine.take()) == size


def test_a_copy_is_kept_of_what_waits():
    one, two = pair()
    data = bytearray(b"first")
    one.engine.write(data)
    data[:] = b"other"
    settle(one, two)
    assert two.read_so_far == b"first"


def test_a_refused_handshake_leaves_an_alert_for_the_peer():
    client = ssl.create_default_context()
    engine = TlsEngine(client, bytearray(1000), False, "localhost")
    one, two = pair()
    one.engine = engine
    engine.handshake()
    one.take()
    one.move(len(one.wire))
    two.take()
    with pytest.raises(ssl.SSLCertVerificationError):
        two.move(len(two.wire))
    assert engine.alert()
    assert not engine.has_output()


def test_what_was_dropped_is_not_sent():
    one, _ = pair()
    one.write(SMALL)
    one.engine.drop()
    assert one.engine.waiting() == 0
    assert one.engine.take() == b""
