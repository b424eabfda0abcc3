"""httpx on our loop, over TLS, against uvicorn on our loop."""

from __future__ import annotations

import asyncio

import pytest

from tests.libraries.servers import IDENTITY, url_of, uvicorn

httpx = pytest.importorskip("httpx")
pytest.importorskip("uvicorn")

MUCH = bytes(range(256)) * 16 * 1024
"""More than TLS takes at once, 4 MiB."""


@pytest.fixture(scope="module")
def url():
    tls = ("--ssl-certfile", IDENTITY, "--ssl-keyfile", IDENTITY)
    with uvicorn(*tls) as server:
        yield url_of(server)


def test_a_request_over_tls_is_answered(run, url, client_side):
    async def ask():
        async with httpx.AsyncClient(verify=client_side, timeout=None) as client:
            return (await client.get(f"{url}/who")).json()["loop"]

    assert url.startswith("https:")
    assert run(ask()) == "quiesce.loop.Loop"


def test_a_large_body_goes_and_comes_back_over_tls(run, url, client_side):
    async def ask():
        async with httpx.AsyncClient(verify=client_side, timeout=None) as client:
            return (await client.post(f"{url}/echo", content=MUCH)).content

    assert run(ask()) == MUCH


def test_many_requests_share_few_tls_connections(run, url, client_side):
    async def ask(client, number):
        body = str(number) * 5000
        return (await client.post(f"{url}/echo", content=body)).text == body

    async def ask_often():
        few = httpx.Limits(max_connections=5)
        async with httpx.AsyncClient(
            verify=client_side, limits=few, timeout=None
        ) as client:
            return await asyncio.gather(*(ask(client, n) for n in range(100)))

    assert all(run(ask_often()))


def test_an_answer_without_end_can_be_left(run, url, client_side):
    async def leave():
        async with (
            httpx.AsyncClient(verify=client_side, timeout=None) as client,
            client.stream("GET", f"{url}/endless") as response,
        ):
            return len(await anext(response.aiter_bytes()))

    assert run(leave()) > 0


def test_a_certificate_that_nobody_vouches_for_is_refused(run, url):
    async def ask():
        async with httpx.AsyncClient(timeout=None) as client:
            await client.get(url)

    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        run(ask())


def test_a_time_limit_ends_a_request(run, client_side):
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    async def ask():
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            async with httpx.AsyncClient(timeout=0.01) as client:
                with pytest.raises(httpx.TimeoutException):
                    await client.get(f"http://127.0.0.1:{port}/")

    run(ask())
