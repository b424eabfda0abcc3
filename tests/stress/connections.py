"""What is done, as chance has it, to transports of all kinds.

Each activity is a coroutine that may be cancelled anywhere; what it leaves open ends
when the servers end.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.net.conversation import STREAM
from tests.net.recording import tcp_pair
from tests.stress.fickle import SIZES, FickleWithDatagrams, fickle
from tests.stress.scene import TLS_TIMES

if TYPE_CHECKING:
    from tests.stress.scene import Scene


async def act_on(scene: Scene, protocol: Any) -> None:
    """Do this and that to a connection, then end it."""
    for _ in range(scene.chance.randrange(12)):
        await scene.some_turns()
        protocol = protocol.current()
        if protocol.may_send and not protocol.transport.is_closing():
            protocol.send(scene.chance.choice(SIZES))
        protocol.transport.resume_reading()
    scene.chance.choice((protocol.close, protocol.abort))()


async def connect(scene: Scene) -> None:
    make = lambda: fickle(scene)  # noqa: E731 - three use it
    way = scene.chance.randrange(3)
    if way == 0:
        connecting = scene.loop.create_connection(make, *scene.tcp)
    elif way == 1:
        connecting = scene.loop.create_unix_connection(make, scene.path)
    else:
        connecting = scene.loop.create_connection(
            make, *scene.tls, **client_options(scene)
        )
    _, protocol = await connecting
    await act_on(scene, protocol)


def client_options(scene: Scene) -> dict[str, Any]:
    """Return what a TLS client asks for."""
    return {"ssl": scene.client_side, "server_hostname": "localhost"} | TLS_TIMES


async def begin_tls_later(scene: Scene) -> None:
    """Let both ends of a connection change to TLS."""
    carriers = [
        (await scene.loop.create_connection(asyncio.Protocol, sock=each))[0]
        for each in scene.chance.choice((tcp_pair, socket.socketpair))()
    ]
    upgrading = [
        scene.loop.create_task(upgrade(scene, carrier, side))
        for side, carrier in enumerate(carriers)
    ]
    try:
        if scene.chance.random() < 0.2:
            await scene.some_turns()
            carriers[scene.chance.randrange(2)].abort()
        made = [await each for each in upgrading]
        await act_on(scene, scene.chance.choice(made))
    finally:
        for task in upgrading:
            task.cancel()
        await asyncio.gather(*upgrading, return_exceptions=True)
        for carrier in carriers:
            carrier.abort()


async def upgrade(scene: Scene, carrier: Any, side: int) -> Any:
    """Begin TLS on a connection; return the protocol that then has it."""
    context = (scene.client_side, scene.server_side)[side]
    name = None if side else "localhost"
    transport = await scene.loop.start_tls(
        carrier,
        asyncio.Protocol(),
        context,
        server_side=bool(side),
        server_hostname=name,
        **TLS_TIMES,
    )
    protocol = fickle(scene)
    if not transport.is_closing():
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
    return protocol


async def use_streams(scene: Scene) -> None:
    """Read and drain with calls that are cancelled."""
    way = scene.chance.randrange(3)
    if way == 0:
        opening = asyncio.open_connection(*scene.tcp)
    elif way == 1:
        opening = asyncio.open_unix_connection(scene.path)
    else:
        opening = asyncio.open_connection(*scene.tls, **client_options(scene))
    reader, writer = await opening
    sent = received = 0
    try:
        for _ in range(scene.chance.randrange(10)):
            size = scene.chance.choice(SIZES)
            writer.write(STREAM[sent : sent + size])
            sent += size
            with suppress(TimeoutError):
                async with asyncio.timeout(scene.chance.choice((0, 0.002))):
                    await writer.drain()
            with suppress(TimeoutError):
                async with asyncio.timeout(scene.chance.choice((0, 0.002))):
                    data = await reader.read(size)
                    came_right = STREAM.startswith(data, received)
                    scene.check(came_right, "bytes of a reader were lost")
                    received += len(data)
    finally:
        if scene.chance.random() < 0.5:
            writer.transport.abort()
        writer.close()


async def send_a_file(scene: Scene) -> None:
    """Let a file follow what is written, perhaps only a part of it."""
    _, protocol = await scene.loop.create_connection(lambda: fickle(scene), *scene.tcp)
    sending = scene.loop.create_task(send_part(scene, protocol))
    try:
        await scene.some_turns()
        if scene.chance.random() < 0.4:
            sending.cancel()
        await sending
        await act_on(scene, protocol)
    finally:
        sending.cancel()
        protocol.transport.abort()
        await asyncio.gather(sending, return_exceptions=True)


async def send_part(scene: Scene, protocol: Any) -> None:
    """Send the bytes that come next from a file; its position says how many went."""
    start, size = protocol.current().sent, scene.chance.choice(SIZES)
    with scene.file.open("rb") as file:
        try:
            await scene.loop.sendfile(protocol.transport, file, start, size)
        finally:
            last = protocol.current()
            last.sent = max(last.sent, file.tell())


async def send_messages(scene: Scene) -> None:
    """Send to the server, from an endpoint that is connected or not."""
    connected = scene.chance.random() < 0.5
    transport, protocol = await scene.loop.create_datagram_endpoint(
        lambda: FickleWithDatagrams(scene),
        remote_addr=scene.udp if connected else None,
        local_addr=("127.0.0.1", 0),
    )
    try:
        for _ in range(scene.chance.randrange(40)):
            if transport.is_closing():
                break
            protocol.send(None if connected else scene.udp)
            if scene.chance.random() < 0.3:
                await scene.some_turns()
    finally:
        scene.chance.choice((transport.close, transport.abort))()


ACTIVITIES = (
    *2 * (connect, use_streams),
    begin_tls_later,
    send_a_file,
    send_messages,
)
