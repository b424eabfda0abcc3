"""Making connections: names, several addresses, races between them, and errors."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import ClassVar

import pytest

from quiesce.loop import Loop
from tests.net.recording import Recorder


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def recorder(loop):
    recorder = Recorder()
    recorder.lost = loop.create_future()
    return recorder


def free_port():
    """Return a port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class NamingLoop(Loop):
    """A loop with a name server of its own."""

    names: ClassVar = {}

    async def getaddrinfo(self, host, port, **_):
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (each, port))
            for each in self.names[host]
        ]


def test_a_connection_to_an_address_in_digits_asks_no_resolver(
    loop, run, listener, recorder
):
    host, port = listener.getsockname()
    transport, protocol = run(loop.create_connection(lambda: recorder, host, str(port)))
    assert protocol is recorder
    assert transport.get_extra_info("peername") == (host, port)
    run(recorder.end())


def test_a_name_is_looked_up(loop, run, listener, recorder):
    port = listener.getsockname()[1]
    run(loop.create_connection(lambda: recorder, "localhost", port))
    run(recorder.end())


def test_a_name_that_does_not_exist_is_an_error(loop, run):
    with pytest.raises(socket.gaierror):
        run(loop.create_connection(asyncio.Protocol, "no-such-host.invalid", 1))


def test_a_refused_connection_is_an_error_that_names_the_address(loop, run):
    port = free_port()
    with pytest.raises(ConnectionRefusedError, match=f"Connect call failed .*{port}"):
        run(loop.create_connection(asyncio.Protocol, "127.0.0.1", port))


def test_a_connection_can_leave_from_a_chosen_address(loop, run, listener, recorder):
    host, port = listener.getsockname()
    transport, _ = run(
        loop.create_connection(
            lambda: recorder, host, port, local_addr=("127.0.0.7", 0)
        )
    )
    assert transport.get_extra_info("sockname")[0] == "127.0.0.7"
    run(recorder.end())


def test_a_local_address_of_another_family_does_not_match(loop, run, listener):
    host, port = listener.getsockname()
    with pytest.raises(OSError, match="no matching local address with family="):
        run(loop.create_connection(asyncio.Protocol, host, port, local_addr=("::1", 0)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "host and port was not specified and no sock specified"),
        ({"host": "x", "server_hostname": "x"}, "server_hostname is only meaningful"),
        ({"ssl": True}, "You must set server_hostname when using ssl without a host"),
        ({"host": "x", "ssl_handshake_timeout": 1}, "ssl_handshake_timeout is only"),
        ({"host": "x", "ssl_shutdown_timeout": 1}, "ssl_shutdown_timeout is only"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(loop, run, options, message):
    with pytest.raises(ValueError, match=message):
        run(loop.create_connection(asyncio.Protocol, **options))


def test_a_socket_and_a_host_together_are_refused(loop, run, peers):
    with pytest.raises(ValueError, match="can not be specified at the same time"):
        run(loop.create_connection(asyncio.Protocol, "127.0.0.1", 1, sock=peers[0]))


def test_a_socket_of_another_kind_is_refused(loop, run):
    with (
        socket.socket(type=socket.SOCK_DGRAM) as sock,
        pytest.raises(ValueError, match="A Stream Socket was expected"),
    ):
        run(loop.create_connection(asyncio.Protocol, sock=sock))


def test_a_cancelled_connection_leaves_nothing_behind(loop, run, listener, recorder):
    address = listener.getsockname()

    async def give_up():
        task = loop.create_task(loop.create_connection(lambda: recorder, *address))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(give_up())
    assert recorder.calls == []


class TestSeveralAddresses:
    @pytest.fixture
    def loop(self):
        loop = NamingLoop()
        yield loop
        loop.close()

    @pytest.fixture
    def named(self, loop):
        """Let a name stand for several addresses of this machine."""

        def named(*addresses):
            loop.names = {"host": addresses}
            return "host"

        return named

    def test_the_next_address_is_tried_after_one_that_fails(
        self, loop, run, listener, recorder, named
    ):
        port = listener.getsockname()[1]
        host = named("127.0.0.8", "127.0.0.1")
        transport, _ = run(loop.create_connection(lambda: recorder, host, port))
        assert transport.get_extra_info("peername") == ("127.0.0.1", port)
        run(recorder.end())

    def test_in_a_race_the_next_starts_at_once_after_one_that_fails(
        self, loop, run, listener, recorder, named
    ):
        port = listener.getsockname()[1]
        host = named("127.0.0.8", "127.0.0.1")
        transport, _ = run(
            loop.create_connection(
                lambda: recorder, host, port, happy_eyeballs_delay=1000
            )
        )
        assert transport.get_extra_info("peername") == ("127.0.0.1", port)
        run(recorder.end())

    def test_in_a_race_one_that_hangs_is_overtaken(
        self, loop, run, listener, recorder, named
    ):
        port = listener.getsockname()[1]
        host = named("127.0.0.8", "127.0.0.1")
        connect = loop.sock_connect
        given_up = []

        async def hang_or_connect(sock, address):
            if address[0] == "127.0.0.1":
                return await connect(sock, address)
            try:
                return await loop.create_future()
            finally:
                given_up.append(sock)

        loop.sock_connect = hang_or_connect
        transport, _ = run(
            loop.create_connection(
                lambda: recorder, host, port, happy_eyeballs_delay=0.001
            )
        )
        assert transport.get_extra_info("peername") == ("127.0.0.1", port)
        assert [sock.fileno() for sock in given_up] == [-1]
        run(recorder.end())

    @pytest.mark.parametrize("delay", [None, 0.001])
    def test_the_errors_of_all_addresses_are_told(self, loop, run, named, delay):
        port = free_port()
        host = named("127.0.0.8", "127.0.0.9")

        def connect(**options):
            return loop.create_connection(
                asyncio.Protocol, host, port, happy_eyeballs_delay=delay, **options
            )

        with pytest.raises(OSError, match=r"Multiple exceptions: .*0\.8.*0\.9"):
            run(connect())
        with pytest.raises(ExceptionGroup) as group:
            run(connect(all_errors=True))
        assert [type(each) for each in group.value.exceptions] == [
            ConnectionRefusedError,
            ConnectionRefusedError,
        ]

    @pytest.mark.parametrize("delay", [None, 0.001])
    def test_a_local_address_that_cannot_be_had_is_told_among_the_errors(
        self, loop, run, named, delay
    ):
        host = named("127.0.0.8")
        # The first is no address of this machine.
        loop.names = loop.names | {"here": ["192.0.2.1", "127.0.0.1"]}
        with pytest.raises(ExceptionGroup) as group:
            run(
                loop.create_connection(
                    asyncio.Protocol,
                    host,
                    free_port(),
                    local_addr=("here", 0),
                    happy_eyeballs_delay=delay,
                    all_errors=True,
                )
            )
        no_such_address, refused = group.value.exceptions
        assert no_such_address.errno == errno.EADDRNOTAVAIL
        assert "('192.0.2.1', 0)" in str(no_such_address)
        assert isinstance(refused, ConnectionRefusedError)

    def test_cancelling_a_race_ends_all_attempts(self, loop, run, named):
        host = named("127.0.0.8", "127.0.0.9")
        hanging = []
        both_hang = asyncio.Event()

        async def hang(sock, address):
            hanging.append(sock)
            if len(hanging) == 2:
                both_hang.set()
            await loop.create_future()

        loop.sock_connect = hang

        async def give_up():
            task = loop.create_task(
                loop.create_connection(
                    asyncio.Protocol, host, 1, happy_eyeballs_delay=0
                )
            )
            await both_hang.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        run(give_up())
        assert [sock.fileno() for sock in hanging] == [-1, -1]


@pytest.mark.parametrize("own_socket", [False, True])
def test_a_socket_for_which_no_protocol_could_be_made_is_closed(
    loop, run, listener, own_socket
):
    def fail():
        raise ZeroDivisionError

    sock = socket.create_connection(listener.getsockname())
    host, port = listener.getsockname()
    where = {"sock": sock} if own_socket else {"host": host, "port": port}
    with sock, pytest.raises(ZeroDivisionError):
        run(loop.create_connection(fail, **where))
    peer, _ = listener.accept()
    with peer:
        assert peer.recv(1) == b""
