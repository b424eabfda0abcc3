"""Servers with clients that are idle, busy, slow or gone, at the end of the program"""

from __future__ import annotations

import signal
import socket
import time

import pytest

from tests.programs.exits.scenario import filled

SIGNALS = [signal.SIGINT, signal.SIGTERM]
GRACE = 2.0

# A server that says its port; `hold` is how main waits, `serve` handles one client.
SERVER = """
{serve}

def port_of(server):
    return server.sockets[0].getsockname()[1]

async def main():
    {before}
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    say(port_of(server))
    {hold}

run(main())
"""
HOLDS = {
    "sleeping": "await sleeper('main')",
    "async with serve_forever": """
    try:
        async with server:
            await server.serve_forever()
    finally:
        log("main")
    """,
    "close and wait_closed": """
    try:
        await asyncio.Event().wait()
    finally:
        server.close()
        await server.wait_closed()
        log("main")
    """,
    "serve_forever in a task group": """
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve_forever())
    finally:
        log("main")
    """,
    "serve_forever in the background": """
    task = asyncio.create_task(server.serve_forever())
    await asyncio.sleep(0)
    await sleeper("main")
    """,
}
ECHO = """
async def serve(reader, writer):
    try:
        while data := await reader.read(100):
            writer.write(data)
            await writer.drain()
    finally:
        await asyncio.sleep(0.05)
        log("handler")
        writer.close()
"""


def client_of(program):
    """Return a socket that is connected to the port that the program says."""
    port = int(program.wait_for(""))
    client = socket.create_connection(("127.0.0.1", port))
    client.settimeout(20)
    return client


def greeted(client):
    """Exchange a few bytes, so that the connection's handler runs."""
    client.sendall(b"hello")
    assert client.recv(100) == b"hello"
    return client


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("signum", SIGNALS)
def test_idle_clients_hold_nothing(scenario, signum, hold):
    text = filled(SERVER, serve=ECHO, before="pass", hold=HOLDS[hold])
    with scenario.start(text) as program:
        client = client_of(program)
        others = [socket.create_connection(client.getpeername()) for _ in range(3)]
        for each in (client, *others):
            greeted(each)
        program.send(signum)
        outcome = program.end()
        assert [each.recv(10) for each in (client, *others)] == [b""] * 4
        for each in (client, *others):
            each.close()
    assert sorted(outcome.log) == [*["handler"] * 4, "main"]
    assert outcome.tells(signum)
    assert outcome.is_silent
    assert outcome.gone_within(0.5)


@pytest.mark.parametrize("hold", HOLDS)
def test_a_handler_that_never_ends_is_forced(scenario, hold):
    serve = """
    async def serve(reader, writer):
        await reader.read(1)
        writer.write(b"x")
        try:
            await asyncio.sleep(3600)
        finally:
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass
    """
    text = filled(SERVER, serve=serve, before="pass", hold=HOLDS[hold])
    with scenario.start(text, grace=GRACE) as program:
        client = client_of(program)
        client.sendall(b"x")
        client.recv(1)
        program.send(signal.SIGTERM)
        outcome = program.end()
        client.close()
    assert outcome.tells_force(signal.SIGTERM)
    assert "serve" in outcome.err
    assert outcome.gone_within(GRACE + 1)


def test_a_new_client_is_refused_at_once(scenario):
    text = filled(
        SERVER,
        serve=ECHO.replace("0.05", "1.5"),
        before="pass",
        hold="await sleeper('main', 1)",
    )
    with scenario.start(text) as program:
        client = client_of(program)
        greeted(client)
        program.send(signal.SIGTERM)
        refused = until_refused(client.getpeername())
        outcome = program.end()
        client.close()
    assert refused
    assert sorted(outcome.log) == ["handler", "main"]


def until_refused(address):
    """Connect until that is refused; tell whether it was before long."""
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        try:
            socket.create_connection(address, timeout=1).close()
        except OSError:
            return True
    return False


SENDS = """
SIZE = 40_000_000

async def serve(reader, writer):
    await reader.read(1)
    writer.write(b"x" * SIZE)
    {then}
    log("handler")
"""
THENS = {
    "it returned": "pass",
    "it closed": "writer.close()",
    "it drains": """
    try:
        await writer.drain()
    finally:
        writer.close()
    """,
    "it waits for the close": """
    writer.close()
    try:
        await writer.wait_closed()
    except asyncio.CancelledError:
        log("cancelled")
        raise
    """,
}


@pytest.mark.parametrize("then", THENS)
@pytest.mark.parametrize("hold", ["sleeping", "async with serve_forever"])
def test_what_was_written_reaches_a_slow_client(scenario, then, hold):
    serve = filled(SENDS, then=THENS[then])
    text = filled(SERVER, serve=serve, before="pass", hold=HOLDS[hold])
    with scenario.start(text) as program:
        client = client_of(program)
        client.sendall(b"x")
        client.recv(1, socket.MSG_PEEK)
        program.send(signal.SIGTERM)
        time.sleep(0.5)
        received = read_all(client)
        outcome = program.end()
        client.close()
    assert received == 40_000_000
    assert outcome.tells(signal.SIGTERM)


def read_all(client):
    """Read until the end; return the number of bytes."""
    count = 0
    try:
        while chunk := client.recv(1 << 18):
            count += len(chunk)
    except ConnectionResetError:
        return -count
    return count


@pytest.mark.parametrize("then", THENS)
def test_a_client_that_never_reads_is_cut_off_and_named(scenario, then):
    serve = filled(SENDS, then=THENS[then])
    text = filled(SERVER, serve=serve, before="pass", hold=HOLDS["sleeping"])
    with scenario.start(text, grace=GRACE) as program:
        client = client_of(program)
        client.sendall(b"x")
        client.recv(1, socket.MSG_PEEK)
        program.send(signal.SIGTERM)
        outcome = program.end()
        port = client.getsockname()[1]
        client.close()
    assert str(port) in outcome.err
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)


def test_the_status_tells_that_a_client_was_cut_off(scenario):
    text = filled(
        SERVER,
        serve=filled(SENDS, then="say('sent')"),
        before="pass",
        hold="await asyncio.sleep(1)",
    )
    with scenario.start(text, grace=1) as program:
        client = client_of(program)
        client.sendall(b"x")
        program.wait_for("sent")
        outcome = program.end()
        port = client.getsockname()[1]
        client.close()
    assert str(port) in outcome.err
    assert outcome.status == 70


PROTOCOL = """
class Peer(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        log("made")

    def data_received(self, data):
        self.transport.write(data)

    def connection_lost(self, error):
        log(f"lost: {error}")

async def main():
    loop = asyncio.get_running_loop()
    {make}
    {hold}

run(main())
"""
MAKES = {
    "tcp": """
    server = await loop.create_server(Peer, "127.0.0.1", 0)
    say(server.sockets[0].getsockname()[1])
    """,
    "unix": """
    server = await loop.create_unix_server(Peer, "socket")
    say(os.path.abspath("socket"))
    """,
}


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("make", MAKES)
def test_protocols_without_tasks_lose_their_idle_connections(scenario, make, hold):
    text = filled(PROTOCOL, make=MAKES[make], hold=HOLDS[hold])
    with scenario.start(text) as program:
        address = program.wait_for("")
        if make == "tcp":
            client = socket.create_connection(("127.0.0.1", int(address)))
        else:
            client = socket.socket(socket.AF_UNIX)
            client.connect(address)
        greeted(client)
        program.send(signal.SIGTERM)
        outcome = program.end()
        assert client.recv(1) == b""
        client.close()
    assert sorted(outcome.log) == ["lost: None", "made", "main"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.gone_within(1)


def test_a_protocol_whose_peer_never_reads_is_told_that_its_connection_is_lost(
    scenario,
):
    text = filled(PROTOCOL, make=MAKES["tcp"], hold=HOLDS["sleeping"]).replace(
        "self.transport.write(data)", "self.transport.write(data * 8_000_000)"
    )
    with scenario.start(text, grace=GRACE) as program:
        client = client_of(program)
        client.sendall(b"hello")
        client.recv(1, socket.MSG_PEEK)
        program.send(signal.SIGTERM)
        outcome = program.end()
        client.close()
    assert sorted(outcome.log) == ["lost: None", "made", "main"]
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)


def test_the_socket_file_of_a_unix_server_is_gone_where_python_removes_it(scenario):
    text = filled(PROTOCOL, make=MAKES["unix"], hold=HOLDS["sleeping"]).replace(
        "run(main())",
        "try:\n    run(main())\nfinally:\n    log(os.path.exists('socket'))",
    )
    with scenario.start(text) as program:
        program.wait_for("")
        program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.log in (["main", "False"], ["main", "True"])
    assert outcome.tells(signal.SIGINT)


def test_a_client_of_a_dead_server_ends(scenario):
    # The peer accepts, and never answers nor closes.
    listener = socket.create_server(("127.0.0.1", 0))
    text = """
    async def main():
        reader, writer = await asyncio.open_connection("127.0.0.1", {port})
        try:
            writer.write(b"request")
            say()
            await reader.read()
        finally:
            writer.write(b"bye")
            writer.close()
            await writer.wait_closed()
            log("closed")

    run(main())
    """.replace("{port}", str(listener.getsockname()[1]))
    with listener, scenario.start(text) as program:
        program.wait_for("ready")
        peer, _ = listener.accept()
        program.send(signal.SIGTERM)
        outcome = program.end()
        peer.settimeout(10)
        received = b""
        while chunk := peer.recv(100):
            received += chunk
        peer.close()
    assert received == b"requestbye"
    assert outcome.log == ["closed"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.gone_within(0.5)


def test_a_client_that_is_still_connecting_ends(scenario):
    # A full backlog: the kernel drops what comes after it.
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    text = """
    async def connect(port):
        try:
            await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.05)
            log("connector")

    async def main():
        for _ in range(8):
            asyncio.create_task(connect({port}))
        await asyncio.sleep(0.1)
        say()
        await sleeper("main")

    run(main())
    """.replace("{port}", str(listener.getsockname()[1]))
    with listener:
        outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert sorted(outcome.log) == [*["connector"] * 8, "main"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.gone_within(0.5)


def test_datagram_endpoints_close(scenario):
    text = """
    class Endpoint(asyncio.DatagramProtocol):
        def connection_lost(self, error):
            log(f"lost: {error}")

    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(3):
            transport, _ = await loop.create_datagram_endpoint(
                Endpoint, ("127.0.0.1", 0)
            )
            transport.sendto(b"x", transport.get_extra_info("sockname"))
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["main", *["lost: None"] * 3]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.gone_within(0.5)


@pytest.mark.parametrize(
    ("end", "status"), [("return", 0), ("sys.exit(3)", 3), ("raise ValueError('x')", 1)]
)
def test_servers_and_clients_end_with_main_too(scenario, end, status):
    text = filled(
        SERVER,
        serve=ECHO,
        before="pass",
        hold=f"""
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(b"x")
        await reader.read(1)
        say()
        {end}
        """,
    )
    with scenario.start(text) as program:
        program.wait_for("ready")
        outcome = program.end()
    assert (outcome.status, outcome.log) == (status, ["handler"])
    assert outcome.tracebacks == (status == 1)
    assert outcome.gone_within(0.5)


def test_a_handler_may_answer_in_its_cleanup(scenario):
    serve = """
    async def serve(reader, writer):
        writer.write(b"hello")
        try:
            await reader.read()
        finally:
            await asyncio.sleep(0.1)
            writer.write(b"sorry")
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            log("handler")
    """
    for_all = []
    for hold in HOLDS.values():
        text = filled(SERVER, serve=serve, before="pass", hold=hold)
        with scenario.start(text) as program:
            client = client_of(program)
            client.recv(5)
            program.send(signal.SIGTERM)
            outcome = program.end()
            for_all.append((client.recv(100), sorted(outcome.log)))
            client.close()
        assert outcome.tells(signal.SIGTERM)
    assert for_all == [(b"sorry", ["handler", "main"])] * len(HOLDS)
