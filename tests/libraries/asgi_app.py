"""What the servers of these tests serve; an ASGI application without a framework."""

from __future__ import annotations

import asyncio
import json
import os

CHUNK = 64 * 1024


def say(line):
    """Print a line in one piece, also where several processes print at once."""
    os.write(1, f"{line}\n".encode())


async def app(scope, receive, send):
    await KINDS[scope["type"]](scope, receive, send)


async def lifespan(scope, receive, send):
    await receive()
    say("the application has started")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    say("the application has shut down")
    await send({"type": "lifespan.shutdown.complete"})


async def http(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    async for part in PAGES[scope["path"]](receive):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


async def who(receive):
    """Say which loop and which process answer."""
    loop = type(asyncio.get_running_loop())
    answer = {"loop": f"{loop.__module__}.{loop.__name__}", "pid": os.getpid()}
    yield json.dumps(answer).encode()


async def echo(receive):
    """Give the request's body back, part by part."""
    more = True
    while more:
        message = await receive()
        say("got a part")
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def endless(receive):
    """Go on until the client leaves."""
    leaving = asyncio.ensure_future(receive_all(receive))
    while not leaving.done():
        yield bytes(CHUNK)
        await asyncio.sleep(0)
    say("the client has left")


async def receive_all(receive):
    while (await receive())["type"] != "http.disconnect":
        pass


async def websocket(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        message["type"] = "websocket.send"
        await send(message)


KINDS = {"lifespan": lifespan, "http": http, "websocket": websocket}
PAGES = {"/who": who, "/echo": echo, "/endless": endless}
