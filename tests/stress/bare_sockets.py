"""What is done, as chance has it, to sockets and descriptors without a transport.

Each activity is a coroutine that may be cancelled anywhere and leaves nothing open.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from tests.net.conversation import STREAM
from tests.net.recording import tcp_pair
from tests.stress.fickle import SIZES

if TYPE_CHECKING:
    from tests.stress.scene import Scene


async def call_a_server(scene: Scene) -> None:
    """Receive what comes, with calls cancelled in between, while sending."""
    sock = socket.socket()
    sock.setblocking(False)
    sent = received = 0
    tasks: list[asyncio.Task[None]] = []
    try:
        await scene.loop.sock_connect(sock, scene.tcp)
        for _ in range(scene.chance.randrange(20)):
            size = scene.chance.choice(SIZES)
            sending = scene.loop.sock_sendall(sock, STREAM[sent : sent + size])
            sent += size
            receiving = scene.loop.create_task(receive(scene, sock))
            tasks = [receiving, scene.loop.create_task(sending)]
            await scene.some_turns()
            if scene.chance.random() < 0.5:
                # It has received all or nothing.
                receiving.cancel()
            done, _ = await asyncio.wait(tasks, timeout=0.005)
            if receiving in done and not receiving.cancelled():
                data = receiving.result()
                came_right = STREAM.startswith(data, received)
                scene.check(came_right, "bytes of a bare socket were lost")
                received += len(data)
            if len(done) < len(tasks):
                # How much was sent, nobody knows.
                break
    finally:
        scene.hang_up(sock)
        await cancel(tasks)


async def receive(scene: Scene, sock: socket.socket) -> bytes:
    """Return some bytes, received in one way or the other."""
    size = scene.chance.choice((0, 1, 100, 70_000, 300_000))
    if scene.chance.random() < 0.5:
        return await scene.loop.sock_recv(sock, size)
    buffer = bytearray(size)
    return bytes(buffer[: await scene.loop.sock_recv_into(sock, buffer)])


async def cancel(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel `tasks` and wait for their ends, whatever these are."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def close_what_is_waited_for(scene: Scene) -> None:
    """Close sockets in whose stead others get their descriptors."""
    near, far = scene.chance.choice((tcp_pair, socket.socketpair))()
    near.setblocking(False)
    waiting = [
        scene.loop.create_task(scene.loop.sock_recv(near, 100))
        for _ in range(scene.chance.randrange(1, 4))
    ]
    try:
        await scene.some_turns()
        scene.hang_up(near)
        replacement, other_end = tcp_pair()
        with closing(replacement), closing(other_end):
            replacement.setblocking(False)
            receiving = scene.loop.create_task(scene.loop.sock_recv(replacement, 9))
            waiting.append(receiving)
            await scene.some_turns()
            other_end.sendall(b"right one")
            scene.check(await receiving == b"right one", "a socket got another's bytes")
    finally:
        far.close()
        near.close()
        await cancel(waiting)


async def watch_a_descriptor(scene: Scene) -> None:
    """Add, replace and remove callbacks, also of descriptors that are closed."""
    near, far = scene.chance.choice((tcp_pair, socket.socketpair))()
    near.setblocking(False)
    fd = near.fileno()
    told: list[int] = []
    add = (scene.loop.add_reader, scene.loop.add_writer)
    remove = (scene.loop.remove_reader, scene.loop.remove_writer)
    try:
        for step in range(scene.chance.randrange(12)):
            way = scene.chance.randrange(2)
            if scene.chance.random() < 0.7:
                add[way](scene.chance.choice((fd, near)), told.append, step)
            else:
                remove[way](fd)
            far.send(b"x")
            await scene.some_turns()
        if scene.chance.random() < 0.3:
            near.close()
    finally:
        # Without a pause after `close`: the descriptor is nobody else's yet.
        remove[0](fd)
        remove[1](fd)
        near.close()
        far.close()


async def accept_by_hand(scene: Scene) -> None:
    """Accept with calls of which some are cancelled."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.setblocking(False)
        calls = [scene.loop.create_task(accept(scene, listener)) for _ in range(4)]
        try:
            for call in calls[:3]:
                await scene.some_turns()
                if scene.chance.random() < 0.4:
                    call.cancel()
                address = listener.getsockname()
                stack.enter_context(socket.create_connection(address))
            await scene.some_turns()
        finally:
            await cancel(calls)


async def accept(scene: Scene, listener: socket.socket) -> None:
    """Accept a connection and close it."""
    connection, _ = await scene.loop.sock_accept(listener)
    connection.close()


ACTIVITIES = (
    call_a_server,
    close_what_is_waited_for,
    watch_a_descriptor,
    accept_by_hand,
)
