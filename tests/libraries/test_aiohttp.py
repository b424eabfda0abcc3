"""aiohttp's server and client, both on our loop."""

from __future__ import annotations

import asyncio
import io
import sys
from contextlib import asynccontextmanager

import pytest

from tests.libraries.servers import Server, url_of

aiohttp = pytest.importorskip("aiohttp")
web = pytest.importorskip("aiohttp.web")

MUCH = bytes(range(256)) * 16 * 1024
"""More than a socket takes at once, 4 MiB."""


async def echo(request):
    return web.Response(body=await request.read())


async def echo_by_parts(request):
    response = web.StreamResponse()
    await response.prepare(request)
    async for part in request.content.iter_any():
        await response.write(part)
    return response


async def echo_messages(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket


async def never(request):
    await asyncio.Event().wait()


@asynccontextmanager
async def serving(*, server_tls=None, client_tls=None, files=None, name="127.0.0.1"):
    """Serve on a free port, and files from a folder; give a client that knows where."""
    app = web.Application(client_max_size=2 * len(MUCH))
    app.router.add_post("/echo", echo)
    app.router.add_post("/parts", echo_by_parts)
    app.router.add_get("/messages", echo_messages)
    app.router.add_get("/never", never)
    if files is not None:
        app.router.add_static("/files", files)
    # What is in flight then has been left by the test itself.
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_tls)
    await site.start()
    scheme = "https" if server_tls else "http"
    url = f"{scheme}://{name}:{runner.addresses[0][1]}"
    connector = aiohttp.TCPConnector(ssl=client_tls or True)
    try:
        async with aiohttp.ClientSession(url, connector=connector) as client:
            yield client
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("page", ["/echo", "/parts"])
def test_a_large_body_goes_and_comes_back(run, page):
    async def ask():
        async with (
            serving() as client,
            client.post(page, data=io.BytesIO(MUCH)) as response,
        ):
            return await response.read()

    assert run(ask()) == MUCH


def test_a_large_body_goes_and_comes_back_over_tls(run, server_side, client_side):
    async def ask():
        async with (
            serving(server_tls=server_side, client_tls=client_side) as client,
            client.post("/echo", data=io.BytesIO(MUCH)) as response,
        ):
            return await response.read()

    assert run(ask()) == MUCH


def test_many_requests_at_once_each_get_their_answer(run):
    async def ask(client, number):
        body = str(number) * 1000
        async with client.post("/echo", data=body) as response:
            return await response.text() == body

    async def ask_often():
        async with serving() as client:
            return await asyncio.gather(*(ask(client, n) for n in range(300)))

    assert all(run(ask_often()))


def test_websocket_messages_come_back_in_order(run):
    words = [str(number) for number in range(500)]

    async def talk():
        async with serving() as client, client.ws_connect("/messages") as socket:
            for word in words:
                await socket.send_str(word)
            return [await socket.receive_str() for _ in words]

    assert run(talk()) == words


def test_a_file_is_served_whole(run, tmp_path):
    (tmp_path / "much.bin").write_bytes(MUCH)

    async def ask():
        async with (
            serving(files=tmp_path) as client,
            client.get("/files/much.bin") as response,
        ):
            return await response.read()

    assert run(ask()) == MUCH


def test_a_time_limit_ends_a_request(run):
    async def ask():
        soon = aiohttp.ClientTimeout(total=0.01)
        async with serving() as client:
            with pytest.raises(TimeoutError):
                await client.get("/never", timeout=soon)

    run(ask())


def test_a_server_is_found_by_name(run):
    async def ask():
        async with (
            serving(name="localhost") as client,
            client.post("/echo", data=b"by name") as response,
        ):
            return await response.read()

    assert run(ask()) == b"by name"


PROGRAM = """
import asyncio
from aiohttp import web

async def who(request):
    return web.Response(text=type(asyncio.get_running_loop()).__module__)

async def clean_up(app):
    yield
    await asyncio.sleep(0)
    print("cleaned up")

app = web.Application()
app.router.add_get("/", who)
app.cleanup_ctx.append(clean_up)
web.run_app(app, host="127.0.0.1", port=0)
print("ended")
"""


def test_run_app_serves_under_quiesce_run_and_ends_on_sigterm(run, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    async def ask(url):
        async with aiohttp.ClientSession() as client, client.get(url) as response:
            return await response.text()

    with Server(sys.executable, "-um", "quiesce", "run", program) as server:
        assert run(ask(url_of(server))) == "quiesce.loop"
        assert server.stop() == 0
        assert server.lines[-2:] == ["cleaned up", "ended"]
