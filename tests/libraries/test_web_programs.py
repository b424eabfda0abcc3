"""Web servers as whole programs: they end under `quiesce run` as under ``python``.

An idle client is there and a request is in flight, which is answered.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import sys
from urllib.parse import urlsplit

import pytest

from tests.libraries.servers import OUR_LOOP, PATIENCE, Server, url_of

SAY = """
import os

def say(line):
    os.write(1, f"app: {line}\\n".encode())
"""
ASGI = (
    SAY
    + """
async def app(scope, receive, send):
    await (lifespan if scope["type"] == "lifespan" else http)(scope, receive, send)

async def lifespan(scope, receive, send):
    import asyncio

    await receive()
    say(type(asyncio.get_running_loop()).__module__)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await asyncio.sleep(0.05)
    say("cleaned up")
    await send({"type": "lifespan.shutdown.complete"})

async def http(scope, receive, send):
    if scope["method"] == "POST":
        say("in flight")
        while (await receive())["more_body"]:
            pass
        say("answers")
    length = b"content-length", b"2"
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
)
AIOHTTP = (
    SAY
    + """
import asyncio
from aiohttp import web

async def answer(request):
    return web.Response(text="ok")

async def answer_slowly(request):
    say("in flight")
    await asking_to_end.wait()
    say("answers")
    return web.Response(text="ok")

async def on_startup(app):
    say(type(asyncio.get_running_loop()).__module__)

async def on_shutdown(app):
    asking_to_end.set()

async def on_cleanup(app):
    await asyncio.sleep(0.05)
    say("cleaned up")

asking_to_end = asyncio.Event()
app = web.Application()
app.add_routes([web.get("/", answer), web.post("/", answer_slowly)])
app.on_startup.append(on_startup)
app.on_shutdown.append(on_shutdown)
app.on_cleanup.append(on_cleanup)
web.run_app(app, host="127.0.0.1", port=0)
say("returned")
"""
)
UVICORN = (
    ASGI
    + """
import sys, uvicorn

uvicorn.run(app, port=0, loop=sys.argv[2])
say("returned")
"""
)
# The library, the program, and how Python is told to run it.
PROGRAMS = {
    "uvicorn.run": ("uvicorn", UVICORN, ["program.py", "--loop"]),
    "-m uvicorn": (
        *("uvicorn", ASGI),
        ["-m", "uvicorn", "program:app", "--port", "0", "--loop"],
    ),
    "aiohttp's run_app": ("aiohttp", AIOHTTP, ["program.py"]),
}
# How it ends, status and last lines, by its own handlers: they win.
ENDS = {
    ("uvicorn.run", signal.SIGTERM): (-signal.SIGTERM, []),
    ("uvicorn.run", signal.SIGINT): (0, ["app: returned"]),
    ("-m uvicorn", signal.SIGTERM): (-signal.SIGTERM, []),
    ("-m uvicorn", signal.SIGINT): (0, []),
    ("aiohttp's run_app", signal.SIGTERM): (0, ["app: returned"]),
    ("aiohttp's run_app", signal.SIGINT): (0, ["app: returned"]),
}
WAYS = {
    "python": ("asyncio", []),
    "quiesce run": ("quiesce", ["-m", "quiesce", "run"]),
}
# What uvicorn is told, because it names a loop of its own otherwise.
LOOPS = {"python": "asyncio", "quiesce run": OUR_LOOP}
# What the libraries say of themselves; anything else would be a complaint.
CHATTER = ("INFO: ", "======== Running on ", "(Press CTRL+C to quit)")
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n12"
# The longest that the end may take under `quiesce run`.
GRACE = 8


def ask(address, request):
    sock = socket.create_connection(address, timeout=PATIENCE)
    sock.sendall(request)
    return sock


def is_refused(address):
    try:
        socket.create_connection(address, timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False
    return False


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("program", "signum"), ENDS)
def test_the_request_in_flight_is_answered_and_the_cleanup_runs(
    way, program, signum, tmp_path
):
    library, text, words = PROGRAMS[program]
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    (tmp_path / "program.py").write_text(text)
    loop, options = WAYS[way]
    if "--loop" in words:
        words = [*words, LOOPS[way]]
    # Run in its folder, so our package is found only where it is installed or told of.
    paths = os.pathsep.join(path for path in sys.path if path)
    with Server(
        *(sys.executable, *options, *words),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"},
    ) as server:
        url = urlsplit(url_of(server).removesuffix("/"))
        address = url.hostname, url.port
        with (
            ask(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") as idle,
            ask(address, POST) as busy,
        ):
            assert idle.recv(1000).startswith(b"HTTP/1.1 200")
            server.wait_for("app: in flight")
            server.process.send_signal(signum)
            while not is_refused(address):
                pass
            if library == "uvicorn":
                # aiohttp drops what comes from now on.
                busy.sendall(b"34")
            assert busy.recv(1000).startswith(b"HTTP/1.1 200")
            status = server.process.wait(GRACE + 1)
        server.reader.join(PATIENCE)
    first, *lines = [line for line in server.lines if not line.startswith(CHATTER)]
    assert first.startswith(f"app: {loop}.")
    expected, last = ENDS[program, signum]
    if way == "python":
        # asyncio may complain of a transport that aiohttp has left open.
        lines = [line for line in lines if line.startswith("app: ")]
    assert lines == ["app: in flight", "app: answers", "app: cleaned up", *last]
    assert status == expected
