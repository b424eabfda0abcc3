"""A protocol that notes what it is told, and the ends of connections."""

from __future__ import annotations

import asyncio
import socket
import struct


def tcp_pair():
    """Return both ends of a connection through the network's code."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    return near, far


def reset(peer):
    """Close a TCP connection so that the other end gets an error."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


class Recorder(asyncio.Protocol):
    """Notes each call by name; `received` has the bytes, `lost` the last reason."""

    def __init__(self):
        self.calls = []
        self.received = b""
        self.transport = None
        self.keep_open = False
        self.changed = asyncio.Event()
        # The following are set by who makes the connection.
        self.loop = self.peer = self.lost = None

    def note(self, call):
        self.calls.append(call)
        self.changed.set()

    def connection_made(self, transport):
        self.transport = transport
        self.note("made")

    def data_received(self, data):
        self.received += data
        self.note("data")

    def eof_received(self):
        self.note("eof")
        return self.keep_open

    def pause_writing(self):
        self.note("pause")

    def resume_writing(self):
        self.note("resume")

    def connection_lost(self, exc):
        self.note("lost")
        if self.lost is not None and not self.lost.done():
            self.lost.set_result(exc)

    async def until(self, condition):
        """Return once `condition`, asked after each call, holds."""
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    async def receive(self, count):
        """Return `count` bytes at the other end of the connection."""
        data = b""
        while len(data) < count:
            chunk = await self.loop.sock_recv(self.peer, count - len(data))
            assert chunk, f"the stream ended after {len(data)} of {count} bytes"
            data += chunk
        return data

    async def end(self):
        """Close the transport and return what `connection_lost` was told."""
        self.transport.close()
        return await self.lost
