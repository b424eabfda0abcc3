"""grpc.aio on our loop: its poller is a thread of its own, which wakes the loop.

The messages are plain bytes, so that no generated code is needed.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.libraries.servers import IDENTITY

grpc = pytest.importorskip("grpc")
aio = pytest.importorskip("grpc.aio")

MUCH = bytes(range(256)) * 8 * 1024
"""More than a socket takes at once, but less than gRPC's limit of 4 MiB."""


async def echo(request, context):
    return request


async def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()


async def join(requests, context):
    return b" ".join([request async for request in requests])


async def echo_each(requests, context):
    async for request in requests:
        yield request


async def fail(request, context):
    await context.abort(grpc.StatusCode.NOT_FOUND, "there is none")


async def endless(request, context):
    while True:
        yield request


async def never(request, context):
    await asyncio.Event().wait()


HANDLERS = {
    "echo": grpc.unary_unary_rpc_method_handler(echo),
    "count": grpc.unary_stream_rpc_method_handler(count),
    "join": grpc.stream_unary_rpc_method_handler(join),
    "echo_each": grpc.stream_stream_rpc_method_handler(echo_each),
    "fail": grpc.unary_unary_rpc_method_handler(fail),
    "endless": grpc.unary_stream_rpc_method_handler(endless),
    "never": grpc.unary_unary_rpc_method_handler(never),
}


@asynccontextmanager
async def channel(*, tls=False):
    """A client's channel to a server with these handlers."""
    server = aio.server()
    handler = grpc.method_handlers_generic_handler("service", HANDLERS)
    server.add_generic_rpc_handlers([handler])
    if tls:
        identity = IDENTITY.read_bytes()
        ours = grpc.ssl_server_credentials([(identity, identity)])
        port = server.add_secure_port("127.0.0.1:0", ours)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    address = f"127.0.0.1:{port}"
    try:
        if tls:
            theirs = grpc.ssl_channel_credentials(IDENTITY.read_bytes())
            async with aio.secure_channel(address, theirs) as open_channel:
                yield open_channel
        else:
            async with aio.insecure_channel(address) as open_channel:
                yield open_channel
    finally:
        await server.stop(None)


async def words():
    for word in (b"one", b"two", b"three"):
        yield word


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_large_message_comes_back(run, tls):
    async def call():
        async with channel(tls=tls) as client:
            return await client.unary_unary("/service/echo")(MUCH)

    assert run(call()) == MUCH


def test_many_calls_at_once_each_get_their_answer(run):
    async def call():
        async with channel() as client:
            calls = [
                client.unary_unary("/service/echo")(str(n).encode()) for n in range(200)
            ]
            return await asyncio.gather(*calls)

    assert run(call()) == [str(number).encode() for number in range(200)]


def test_a_stream_of_answers_arrives_in_order(run):
    async def call():
        async with channel() as client:
            answers = client.unary_stream("/service/count")(b"300")
            return [int(answer) async for answer in answers]

    assert run(call()) == list(range(300))


def test_a_stream_of_questions_gets_one_answer(run):
    async def call():
        async with channel() as client:
            return await client.stream_unary("/service/join")(words())

    assert run(call()) == b"one two three"


def test_questions_and_answers_take_turns(run):
    async def call():
        answers = []
        async with channel() as client:
            stream = client.stream_stream("/service/echo_each")()
            async for word in words():
                await stream.write(word)
                answers.append(await stream.read())
            await stream.done_writing()
        return answers

    assert run(call()) == [b"one", b"two", b"three"]


def test_the_status_of_a_failed_call_arrives(run):
    async def call():
        async with channel() as client:
            await client.unary_unary("/service/fail")(b"")

    with pytest.raises(aio.AioRpcError, match="there is none") as error:
        run(call())
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_deadline_ends_a_call(run):
    async def call():
        async with channel() as client:
            await client.unary_unary("/service/never")(b"", timeout=0.01)

    with pytest.raises(aio.AioRpcError) as error:
        run(call())
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_stream_without_end_can_be_cancelled(run):
    async def call():
        async with channel() as client:
            answers = client.unary_stream("/service/endless")(MUCH)
            assert await answers.read() == MUCH
            answers.cancel()
            with pytest.raises(asyncio.CancelledError):
                await answers.read()
            return await client.unary_unary("/service/echo")(b"still here")

    assert run(call()) == b"still here"
