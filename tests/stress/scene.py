"""Where a round of `network_program` takes place: its loop, its servers, its faults."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.net.conversation import STREAM
from tests.net.recording import reset

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

IDENTITY = Path(__file__).parent.parent / "tls" / "localhost.pem"
TLS_TIMES = {"ssl_handshake_timeout": 60.0, "ssl_shutdown_timeout": 0.05}


class Scene:
    """What all that goes on in a run shares."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, chance: random.Random, folder: Path
    ) -> None:
        self.loop: Any = loop
        self.chance = chance
        self.protocols: list[Any] = []
        self.wrong: list[str] = []
        self.server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server_side.load_cert_chain(IDENTITY)
        self.client_side = ssl.create_default_context(cafile=IDENTITY)
        self.path = str(folder / "socket")
        self.file = folder / "stream"
        self.file.write_bytes(STREAM[:1_000_000])
        # Of the servers.
        self.tcp = self.tls = self.udp = ("", 0)

    async def serve(
        self, protocol: Callable[[], Any], datagrams: Callable[[], Any]
    ) -> tuple[list[Any], Any]:
        """Start a server of each kind; return those of streams, and the other's end."""
        loop, here = self.loop, "127.0.0.1"
        servers = [
            await loop.create_server(protocol, here, 0),
            await loop.create_server(
                protocol, here, 0, ssl=self.server_side, **TLS_TIMES
            ),
            await loop.create_unix_server(protocol, self.path),
        ]
        self.tcp, self.tls = (each.sockets[0].getsockname() for each in servers[:2])
        udp, _ = await loop.create_datagram_endpoint(datagrams, local_addr=(here, 0))
        self.udp = udp.get_extra_info("sockname")
        return servers, udp

    async def some_turns(self) -> None:
        """Let others have their turn, a few times."""
        for _ in range(self.chance.randrange(6)):
            await asyncio.sleep(0)

    def hang_up(self, sock: socket.socket) -> None:
        """Close a socket, or reset its connection."""
        if sock.fileno() >= 0 and sock.family == socket.AF_INET:
            self.chance.choice((reset, socket.socket.close))(sock)
        sock.close()

    def check(self, holds: bool, what: str) -> None:
        """Note what went wrong unless it `holds`."""
        if not holds:
            self.wrong.append(what)

    def are_over(self) -> bool:
        """Tell whether every protocol that should be was told of its end."""
        return all(each.lost >= each.expects_lost() for each in self.protocols)

    def check_ends(self) -> None:
        """Check that each protocol was told of its end as often as it should be."""
        for each in self.protocols:
            expected = each.expects_lost()
            self.check(each.lost == expected, f"{each!r} was lost {each.lost} times")
