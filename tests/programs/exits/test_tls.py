"""TLS servers and clients at the end of the program, also with peers that are gone"""

from __future__ import annotations

import signal
import socket
import ssl
from pathlib import Path

import pytest

from tests.programs.exits.scenario import filled

GRACE = 2.0
IDENTITY = Path(__file__).parents[2] / "tls" / "localhost.pem"
PROGRAM = """
import ssl

context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain("IDENTITY")

async def serve(reader, writer):
    {serve}

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    say(server.sockets[0].getsockname()[1])
    {hold}

run(main())
"""
HOLDS = {
    "sleeping": "await sleeper('main')",
    "serve_forever": """
    try:
        async with server:
            await server.serve_forever()
    finally:
        log("main")
    """,
}
ECHO = """
    try:
        while data := await reader.read(100):
            writer.write(data)
    finally:
        await asyncio.sleep(0.05)
        log("handler")
        writer.close()
"""
SENDS = """
    await reader.read(1)
    writer.write(b"x" * 20_000_000)
    log("handler")
"""


def server(hold, serve=ECHO):
    text = filled(PROGRAM, serve=serve, hold=HOLDS[hold])
    return text.replace("IDENTITY", str(IDENTITY))


def connected(program):
    """Return a plain socket that is connected to the port that the program says."""
    port = int(program.wait_for(""))
    client = socket.create_connection(("127.0.0.1", port))
    client.settimeout(20)
    return client


def secured(client):
    """Return the socket with TLS over it, after a few bytes went to and fro."""
    context = ssl.create_default_context(cafile=str(IDENTITY))
    client = context.wrap_socket(client, server_hostname="localhost")
    client.sendall(b"x")
    return client


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_idle_client_that_says_goodbye_holds_nothing(scenario, signum, hold):
    with scenario.start(server(hold)) as program:
        client = secured(connected(program))
        assert client.recv(10) == b"x"
        program.send(signum)
        # With a goodbye of the server; without one this raises.
        assert client.recv(10) == b""
        client.unwrap()
        client.close()
        outcome = program.end()
    assert sorted(outcome.log) == ["handler", "main"]
    assert outcome.tells(signum)
    assert outcome.is_silent
    assert outcome.gone_within(1)


@pytest.mark.parametrize("hold", HOLDS)
def test_a_client_that_never_answers_the_goodbye_holds_nothing(scenario, hold):
    with scenario.start(server(hold)) as program:
        client = secured(connected(program))
        assert client.recv(10) == b"x"
        program.send(signal.SIGTERM)
        outcome = program.end()
        client.close()
    assert sorted(outcome.log) == ["handler", "main"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.gone_within(1)


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01"])
def test_a_client_in_the_middle_of_its_handshake_holds_nothing(scenario, hold, sent):
    with scenario.start(server(hold), grace=GRACE) as program:
        client = connected(program)
        client.sendall(sent)
        # Another one, so that the server has noticed the first.
        other = secured(socket.create_connection(client.getpeername()))
        assert other.recv(10) == b"x"
        program.send(signal.SIGTERM)
        outcome = program.end()
        client.close()
        other.close()
    assert sorted(outcome.log) == ["handler", "main"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.gone_within(1)


def test_what_was_written_reaches_a_slow_client(scenario):
    with scenario.start(server("sleeping", SENDS)) as program:
        client = secured(connected(program))
        received = len(client.recv(1))
        program.send(signal.SIGTERM)
        while chunk := client.recv(1 << 16):
            received += len(chunk)
        client.close()
        outcome = program.end()
    assert received == 20_000_000
    assert outcome.tells(signal.SIGTERM)


@pytest.mark.parametrize("hold", HOLDS)
def test_a_handler_that_waits_for_the_close_does_not_wait_for_the_peer(scenario, hold):
    serve = """
    try:
        writer.write(await reader.read(10))
        await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
        log("handler")
    """
    with scenario.start(server(hold, serve)) as program:
        client = secured(connected(program))
        assert client.recv(10) == b"x"
        program.send(signal.SIGTERM)
        outcome = program.end()
        client.close()
    assert sorted(outcome.log) == ["handler", "main"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.gone_within(1.5)


def test_a_client_that_never_reads_is_cut_off(scenario):
    with scenario.start(server("sleeping", SENDS), grace=GRACE) as program:
        client = secured(connected(program))
        client.recv(1)
        program.send(signal.SIGTERM)
        outcome = program.end()
        client.close()
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)


def test_a_client_of_a_silent_server_ends(scenario):
    text = """
    import ssl

    async def main():
        context = ssl.create_default_context()
        loop = asyncio.get_running_loop()
        loop.call_later(0.2, say)
        try:
            await asyncio.open_connection(
                "127.0.0.1", {port}, ssl=context, server_hostname="localhost"
            )
        finally:
            await asyncio.sleep(0.05)
            log("main")

    run(main())
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        outcome = scenario.interrupted(
            text.replace("{port}", str(port)), by=signal.SIGTERM, grace=GRACE
        )
    assert outcome.log == ["main"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.gone_within(1)
