"""Servers: what they listen on, how they start, and how they end."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
import sys

import pytest

from tests.net.recording import Recorder

WAITS_FOR_CLIENTS = sys.version_info >= (3, 12)
CLOSES_CLIENTS = sys.version_info >= (3, 14)


def address_of(server):
    return server.sockets[0].getsockname()[:2]


class Recorders(list):
    """The protocols that a server has made so far."""

    def __init__(self, loop):
        self.loop = loop
        self.one_more = asyncio.Event()

    def make(self):
        recorder = Recorder()
        recorder.lost = self.loop.create_future()
        self.append(recorder)
        self.one_more.set()
        return recorder


@pytest.fixture
def recorders(loop):
    return Recorders(loop)


@pytest.fixture
def serve(loop, run, recorders):
    """Make a server on loopback; it and its connections are gone after the test."""
    servers = []

    def serve(*, factory=recorders.make, host="127.0.0.1", port=0, **options):
        servers.append(run(loop.create_server(factory, host, port, **options)))
        return servers[-1]

    yield serve

    async def end():
        for server in servers:
            server.close()
            server.abort_clients()
        await asyncio.gather(*(each.lost for each in recorders if each.calls))

    run(end())


def call(server):
    """Return a socket connected to `server`, non-blocking."""
    sock = socket.create_connection(address_of(server))
    sock.setblocking(False)
    return sock


async def accepted(recorders, count):
    """Return once the server has made `count` protocols and told each."""
    while len(recorders) < count:
        recorders.one_more.clear()
        await recorders.one_more.wait()
    for recorder in recorders:
        await recorder.until(lambda made=recorder.calls: "made" in made)


def test_each_connection_gets_a_protocol_of_its_own(serve, run, recorders):
    server = serve()
    with call(server) as one, call(server) as two:
        run(accepted(recorders, 2))
        one.send(b"1")
        two.send(b"2")
        run(recorders[0].until(lambda: recorders[0].received))
        run(recorders[1].until(lambda: recorders[1].received))
    assert {each.received for each in recorders} == {b"1", b"2"}


@pytest.mark.parametrize("port", [0, "", "0", b"", b"0", None])
@pytest.mark.filterwarnings("error::BytesWarning")
def test_a_port_of_none_is_any_port_in_whatever_form(loop, run, port):
    server = run(loop.create_server(asyncio.Protocol, "127.0.0.1", port))
    assert address_of(server)[1] > 0
    server.close()


def test_an_accepted_transport_knows_both_addresses(serve, run, recorders):
    server = serve()
    with call(server) as sock:
        run(accepted(recorders, 1))
        transport = recorders[0].transport
        assert transport.get_extra_info("peername") == sock.getsockname()
        assert transport.get_extra_info("sockname") == address_of(server)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_an_accepted_transport_knows_both_addresses_also_after_its_end(
    serve, run, recorders, host
):
    server = serve(host=host)
    with socket.create_connection(("127.0.0.1", address_of(server)[1])) as sock:
        run(accepted(recorders, 1))
        peer, address = sock.getsockname(), sock.getpeername()
        run(recorders[0].end())
    transport = recorders[0].transport
    assert transport.get_extra_info("peername") == peer
    assert transport.get_extra_info("sockname") == address
    assert transport.get_extra_info("socket").fileno() == -1
    assert transport.get_extra_info("socket").family == socket.AF_INET


def test_an_accepted_transport_gives_always_the_same_socket(serve, run, recorders):
    server = serve()
    with call(server):
        run(accepted(recorders, 1))
        transport = recorders[0].transport
        before = transport.get_extra_info("socket")
        run(recorders[0].end())
    assert transport.get_extra_info("socket") is before
    assert before.fileno() == -1


def test_a_socket_that_many_addresses_reach_tells_which_one_was_called(
    serve, run, recorders
):
    server = serve(host="0.0.0.0")
    with socket.create_connection(("127.0.0.3", address_of(server)[1])) as sock:
        run(accepted(recorders, 1))
        transport = recorders[0].transport
        assert transport.get_extra_info("sockname") == sock.getpeername()


def test_an_accepted_socket_does_not_block_and_sends_without_delay(
    serve, run, recorders
):
    server = serve()
    with call(server):
        run(accepted(recorders, 1))
        sock = recorders[0].transport.get_extra_info("socket")
        assert isinstance(sock, asyncio.trsock.TransportSocket)
        assert sock.gettimeout() == 0
        assert not os.get_blocking(sock.fileno())
        assert not os.get_inheritable(sock.fileno())
        assert sock.type == socket.SOCK_STREAM
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_address_of_the_sixth_version_has_four_parts(serve, run, recorders):
    try:
        server = serve(host="::1")
    except OSError:
        pytest.skip("no IPv6 on loopback")
    with call(server) as sock:
        run(accepted(recorders, 1))
        peer = recorders[0].transport.get_extra_info("peername")
        assert peer == sock.getsockname()
        assert len(peer) == 4


def test_a_protocol_that_closes_the_server_is_the_last_one(serve, run, recorders, loop):
    reports = []
    loop.set_exception_handler(lambda _, context: reports.append(context))

    def factory():
        server.close()
        return recorders.make()

    server = serve(factory=factory)
    with call(server), call(server):
        run(accepted(recorders, 1))
    assert len(recorders) == 1
    assert reports == []


def test_a_server_can_be_started_later(serve, run, recorders):
    server = serve(start_serving=False)
    assert not server.is_serving()
    with pytest.raises(ConnectionRefusedError):
        call(server)
    run(server.start_serving())
    run(server.start_serving())
    assert server.is_serving()
    with call(server):
        run(accepted(recorders, 1))


def test_a_closed_server_has_no_sockets_and_refuses_connections(serve, run):
    server = serve()
    address = address_of(server)
    server.close()
    server.close()
    assert server.sockets == ()
    assert not server.is_serving()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    with pytest.raises(RuntimeError, match="is closed"):
        run(server.start_serving())
    with pytest.raises(RuntimeError, match="is closed"):
        run(server.serve_forever())


def test_an_async_with_block_closes_the_server(serve, run):
    server = serve()

    async def use():
        async with server as same:
            assert same is server
            assert server.is_serving()

    run(use())
    assert not server.is_serving()


def test_serve_forever_ends_with_its_cancellation_and_closes(serve, run, loop):
    server = serve(start_serving=False)

    async def use():
        task = loop.create_task(server.serve_forever())
        await asyncio.sleep(0)
        assert server.is_serving()
        with pytest.raises(RuntimeError, match="already being awaited"):
            await server.serve_forever()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(use())
    assert not server.is_serving()


def test_a_cancelled_serve_forever_closes_connections_where_asyncio_does(
    serve, run, recorders, loop
):
    server = serve()

    async def use():
        task = loop.create_task(server.serve_forever())
        await accepted(recorders, 1)
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert task.done() is (CLOSES_CLIENTS or not WAITS_FOR_CLIENTS)
        server.close_clients()
        with pytest.raises(asyncio.CancelledError):
            await task

    with call(server):
        run(use())


def test_closing_the_server_ends_serve_forever(serve, run, loop):
    server = serve()

    async def use():
        task = loop.create_task(server.serve_forever())
        await asyncio.sleep(0)
        server.close()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(use())


def test_wait_closed_waits_for_connections_where_asyncio_does(serve, run, recorders):
    server = serve()
    with call(server):
        run(accepted(recorders, 1))
        server.close()

        async def wait():
            waiting = asyncio.ensure_future(server.wait_closed())
            for _ in range(5):
                await asyncio.sleep(0)
            assert waiting.done() is not WAITS_FOR_CLIENTS
            server.close_clients()
            await waiting
            await server.wait_closed()

        run(wait())


def test_close_clients_lets_what_was_written_arrive(serve, run, recorders, loop):
    server = serve()
    with call(server) as sock:
        run(accepted(recorders, 1))
        recorders[0].transport.write(b"goodbye")
        server.close_clients()
        assert run(loop.sock_recv(sock, 100)) == b"goodbye"
        assert run(loop.sock_recv(sock, 100)) == b""


def test_abort_clients_ends_connections_at_once(serve, run, recorders):
    server = serve()
    with call(server):
        run(accepted(recorders, 1))
        recorders[0].transport.write(bytes(10**8))
        server.abort_clients()
        assert run(recorders[0].lost) is None


def test_a_failing_factory_is_reported_and_the_server_goes_on(
    serve, run, recorders, loop
):
    reports = []
    loop.set_exception_handler(lambda _, context: reports.append(context))
    made = []

    def factory():
        if not made:
            made.append(None)
            raise ZeroDivisionError
        return recorders.make()

    server = serve(factory=factory)
    with call(server) as refused, call(server):
        run(accepted(recorders, 1))
        assert run(loop.sock_recv(refused, 1)) == b""
    assert [report["message"] for report in reports] == [
        "Error on transport creation for incoming connection"
    ]
    assert isinstance(reports[0]["exception"], ZeroDivisionError)


def test_no_descriptors_left_is_reported_and_recovered_from(
    serve, run, recorders, loop
):
    reported = asyncio.Event()
    reports = []

    def note(_, context):
        reports.append(context)
        reported.set()

    loop.set_exception_handler(note)
    server = serve()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with call(server) as sock:
        # Every descriptor that is free now would be above this one.
        lowest_free = os.dup(sock.fileno())
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
        try:
            run(reported.wait())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert not recorders
        run(accepted(recorders, 1))
    assert {report["message"] for report in reports} == {
        "socket.accept() out of system resource"
    }
    assert reports[0]["exception"].errno == errno.EMFILE


def test_a_server_can_listen_on_several_hosts(serve):
    server = serve(host=["127.0.0.1", "127.0.0.2", "127.0.0.1"])
    hosts = sorted(sock.getsockname()[0] for sock in server.sockets)
    assert hosts == ["127.0.0.1", "127.0.0.2"]


def test_a_server_can_use_a_socket_that_is_bound(serve, run, recorders):
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = serve(host=None, port=None, sock=sock)
    with call(server):
        run(accepted(recorders, 1))


def test_several_servers_can_share_a_port(serve):
    first = serve(reuse_port=True)
    second = serve(port=address_of(first)[1], reuse_port=True)
    assert address_of(second) == address_of(first)


def test_an_address_in_use_is_an_error_that_names_it(serve):
    address = address_of(serve())
    with pytest.raises(OSError, match="error while attempting to bind on address") as e:
        serve(port=address[1])
    assert e.value.errno == errno.EADDRINUSE
    assert str(address[1]) in str(e.value)


def test_an_address_of_another_machine_is_an_error(serve):
    with pytest.raises(OSError, match="could not bind on any address out of"):
        serve(host="192.0.2.1")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"host": None, "port": None}, ValueError, "Neither host/port nor sock were"),
        ({"ssl": True}, TypeError, "ssl argument must be an SSLContext or None"),
        ({"ssl_handshake_timeout": 1}, ValueError, "ssl_handshake_timeout is only"),
        ({"ssl_shutdown_timeout": 1}, ValueError, "ssl_shutdown_timeout is only"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(serve, options, error, message):
    with pytest.raises(error, match=message):
        serve(**options)


def test_a_socket_of_another_kind_is_refused(serve):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        with pytest.raises(ValueError, match="A Stream Socket was expected"):
            serve(host=None, port=None, sock=sock)
        with pytest.raises(ValueError, match="can not be specified at the same time"):
            serve(sock=sock)


def test_an_accepted_socket_can_be_handed_over(loop, run, peers):
    recorder = Recorder()
    recorder.lost = loop.create_future()
    near, far = peers
    transport, protocol = run(loop.connect_accepted_socket(lambda: recorder, near))
    assert protocol is recorder
    transport.write(b"welcome")
    assert run(loop.sock_recv(far, 100)) == b"welcome"
    run(recorder.end())


def test_a_server_says_what_it_is(serve, loop):
    server = serve()
    assert isinstance(server, asyncio.AbstractServer)
    assert server.get_loop() is loop
    assert repr(server).startswith("<Server sockets=(<asyncio.TransportSocket fd=")
