"""The other end of a TLS connection, in the hands of the test."""

from __future__ import annotations

import ssl


class Peer:
    """A server's end, or with `server_side` False a client's, of a socket."""

    def __init__(self, loop, sock, context, **options):
        options.setdefault("server_side", True)
        self.loop = loop
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, **options)

    async def flush(self):
        """Send what TLS has to say."""
        if self.outgoing.pending:
            await self.loop.sock_sendall(self.sock, self.outgoing.read())

    async def until_done(self, step, *args):
        """Return what a step of TLS gives, with as many bytes as it needs."""
        while True:
            try:
                return step(*args)
            except ssl.SSLWantReadError:
                await self.flush()
                data = await self.loop.sock_recv(self.sock, 65536)
                if not data:
                    raise EOFError from None
                self.incoming.write(data)
            finally:
                await self.flush()

    async def handshake(self):
        await self.until_done(self.tls.do_handshake)

    async def send(self, data):
        self.tls.write(data)
        await self.flush()

    async def receive(self, size=65536):
        """Return some bytes, b"" for close_notify; raises EOFError without one."""
        try:
            return await self.until_done(self.tls.read, size)
        except ssl.SSLZeroReturnError:
            return b""

    async def receive_all(self):
        """Return all bytes before close_notify."""
        parts = []
        while part := await self.receive():
            parts.append(part)
        return b"".join(parts)

    async def receive_until_cut(self):
        """Return all bytes before an end of the stream without close_notify."""
        parts = []
        try:
            while True:
                parts.append(await self.receive())
        except EOFError:
            return b"".join(parts)

    async def notify(self):
        """Send close_notify and wait for no answer."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        await self.flush()
