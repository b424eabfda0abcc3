"""A slow reader gets a whole gibibyte, and no more memory is filled than may be."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path

import pytest

from tests.net.conversation import STREAM

GIB = 1024**3
MIB = 1024**2
BURST = 3 * MIB
"""Bytes that the reader takes before it does nothing for a while."""
IDLE_TURNS = 20
CHUNK = 300_000
SPARE = 4 * GIB
"""Bytes that must be available for a gibibyte to wait in memory."""

SECURED = pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])


def pieces(total):
    """Give bytes no sixteen of which are twice alike, `total` in all."""
    for number in count():
        left = total - number * len(STREAM)
        if left <= 0:
            return
        # All but the first bytes are those of every other piece: they say which it is.
        piece = number.to_bytes(4) + STREAM[4:]
        yield memoryview(piece)[:left]


def available_memory():
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, size, *_ = line.split()
        if name == "MemAvailable:":
            return int(size) * 1024
    return 0


def resident_memory():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def read_in_bursts(reader, total):
    """Take `total` bytes and then the end, and check each of them."""
    in_burst = 0
    for piece in pieces(total):
        at = 0
        while at < len(piece):
            data = await reader.read(min(len(piece) - at, BURST))
            assert data == piece[at : at + len(data)], "lost, doubled or moved"
            assert data, "the stream ended too early"
            at += len(data)
            in_burst += len(data)
            if in_burst >= BURST:
                in_burst = 0
                for _ in range(IDLE_TURNS):
                    await asyncio.sleep(0)
    assert await reader.read(1) == b""


@pytest.fixture
def transfer(loop, server_side, client_side):
    """Let a server write by the given function, for a slow reader of so many bytes."""

    def transfer(write, total, secured):
        async def serve(_, writer):
            try:
                await write(writer)
            finally:
                writer.close()

        async def talk():
            options = {"ssl": server_side} if secured else {}
            async with await asyncio.start_server(
                serve, "127.0.0.1", 0, **options
            ) as server:
                address = server.sockets[0].getsockname()
                if secured:
                    options = {"ssl": client_side, "server_hostname": "localhost"}
                reader, writer = await asyncio.open_connection(*address, **options)
                await read_in_bursts(reader, total)
                writer.close()
                await writer.wait_closed()

        loop.run_until_complete(talk())

    return transfer


@pytest.mark.stress
@SECURED
def test_a_gibibyte_written_with_heed_to_flow_control_fills_no_memory(
    transfer, secured
):
    waited = grew = 0
    before = resident_memory()

    async def write(writer):
        nonlocal waited, grew
        for piece in pieces(GIB):
            for start in range(0, len(piece), CHUNK):
                writer.write(piece[start : start + CHUNK])
                waited = max(waited, writer.transport.get_write_buffer_size())
                await writer.drain()
            grew = max(grew, resident_memory() - before)
        high = writer.transport.get_write_buffer_limits()[1]
        assert high < waited <= high + CHUNK

    transfer(write, GIB, secured)
    # Two pieces, those of the writer and the reader, and what the sockets hold.
    assert grew < 128 * MIB


@pytest.mark.stress
@SECURED
def test_a_gibibyte_that_waits_in_spite_of_flow_control_arrives(transfer, secured):
    total = min(GIB, GIB * available_memory() // SPARE)

    async def write(writer):
        transport = writer.transport
        for piece in pieces(total):
            for start in range(0, len(piece), CHUNK):
                transport.write(piece[start : start + CHUNK])
        # What the sockets took is little.
        assert transport.get_write_buffer_size() > total - 32 * MIB

    transfer(write, total, secured)
