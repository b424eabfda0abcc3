"""uvicorn as a server of its own, with the option that names our loop."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.libraries.servers import url_of, uvicorn, wait_until_it_listens

httpx = pytest.importorskip("httpx")
pytest.importorskip("uvicorn")
connect = pytest.importorskip("websockets.asyncio.client").connect

MUCH = bytes(range(256)) * 16 * 1024
"""More than a socket takes at once, 4 MiB."""


@pytest.fixture(scope="module", params=["httptools", "h11"])
def url(request):
    pytest.importorskip(request.param)
    with uvicorn("--http", request.param) as server:
        yield url_of(server)


def test_requests_are_answered_on_our_loop(run, url):
    async def ask():
        async with httpx.AsyncClient(timeout=None) as client:
            return (await client.get(f"{url}/who")).json()["loop"]

    assert run(ask()) == "quiesce.loop.Loop"


def test_many_requests_at_once_each_get_their_answer(run, url):
    async def ask(client, number):
        body = str(number) * 5000
        return (await client.post(f"{url}/echo", content=body)).text == body

    async def ask_often():
        async with httpx.AsyncClient(timeout=None) as client:
            return await asyncio.gather(*(ask(client, n) for n in range(200)))

    assert all(run(ask_often()))


def test_a_large_body_goes_and_comes_back(run, url):
    async def ask():
        async with httpx.AsyncClient(timeout=None) as client:
            return (await client.post(f"{url}/echo", content=MUCH)).content

    assert run(ask()) == MUCH


def test_a_client_that_leaves_is_noticed(run):
    async def leave(url):
        async with (
            httpx.AsyncClient(timeout=None) as client,
            client.stream("GET", f"{url}/endless") as response,
        ):
            await anext(response.aiter_bytes())

    with uvicorn() as server:
        run(leave(url_of(server)))
        server.wait_for("the client has left")


def test_websocket_messages_come_back(run, url):
    async def talk():
        plain = {"compression": None, "max_size": None}
        async with connect(url.replace("http", "ws"), **plain) as socket:
            await socket.send("a word")
            await socket.send(MUCH)
            return [await socket.recv(), await socket.recv()]

    assert run(talk()) == ["a word", MUCH]


def test_sigterm_lets_a_request_end_and_the_application_shut_down(run):
    with uvicorn() as server:
        url = url_of(server)

        async def body():
            yield b"first"
            await asyncio.to_thread(server.wait_for, "got a part")
            server.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(server.wait_for, "Shutting down")
            yield b", last"

        async def ask():
            async with httpx.AsyncClient(timeout=None) as client:
                return (await client.post(f"{url}/echo", content=body())).text

        assert run(ask()) == "first, last"
        server.wait_for("the application has shut down")
        assert server.process.wait() == -signal.SIGTERM


def test_two_worker_processes_both_answer_and_end(run):
    with uvicorn("--workers", 2) as server:
        url = url_of(server)
        server.wait_for("Application startup complete", times=2)
        wait_until_it_listens(server)

        async def who():
            async with httpx.AsyncClient(timeout=None) as client:
                return (await client.get(f"{url}/who")).json()

        first = run(who())
        # The one that answered is held still, so that the other must.
        os.kill(first["pid"], signal.SIGSTOP)
        while not is_held(first["pid"]):
            pass
        second = run(who())
        os.kill(first["pid"], signal.SIGCONT)
        assert first["pid"] != second["pid"]
        assert first["loop"] == second["loop"] == "quiesce.loop.Loop"
        assert server.stop() == 0
        server.wait_for("the application has shut down", times=2)


def is_held(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
