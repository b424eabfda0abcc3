"""Datagram endpoints."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import socket
import sys

import pytest


class Notes(asyncio.DatagramProtocol):
    """Notes what it is told."""

    def __init__(self, loop):
        self.messages = asyncio.Queue()
        self.errors = asyncio.Queue()
        self.paused = []
        self.lost = loop.create_future()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.messages.put_nowait((data, addr))

    def error_received(self, exc):
        self.errors.put_nowait(exc)

    def pause_writing(self):
        self.paused.append(True)

    def resume_writing(self):
        self.paused.append(False)

    def connection_lost(self, exc):
        self.lost.set_result(exc)


class Answers(Notes):
    """Answers what it is told, as `answer` says."""

    def datagram_received(self, data, addr):
        super().datagram_received(data, addr)
        self.answer(data, addr)

    def answer(self, data, addr):
        self.transport.sendto(data, addr)


@pytest.fixture
def peers():
    """Make plain sockets, connected to an endpoint if one is given."""
    made = []

    def peer(notes=None, family=socket.AF_INET):
        sock = socket.socket(family, socket.SOCK_DGRAM)
        made.append(sock)
        # A test that waits in vain is to fail, not to hang.
        sock.settimeout(20)
        if notes is not None:
            sock.connect(address_of(notes))
        return sock

    yield peer
    for sock in made:
        sock.close()


@pytest.fixture
def endpoint(loop, run):
    """Make an endpoint, closed after the test."""
    made = []

    def endpoint(*args, kind=Notes, **options):
        _, notes = run(
            loop.create_datagram_endpoint(lambda: kind(loop), *args, **options)
        )
        made.append(notes)
        return notes

    yield endpoint

    async def end():
        for notes in made:
            notes.transport.close()
            await notes.lost

    run(end())


def address_of(notes):
    return notes.transport.get_extra_info("sockname")


HERE = ("127.0.0.1", 0)


def test_messages_travel_both_ways(endpoint, run):
    server = endpoint(HERE)
    client = endpoint(remote_addr=address_of(server))
    client.transport.sendto(b"question")
    data, origin = run(server.messages.get())
    assert (data, origin) == (b"question", address_of(client))
    server.transport.sendto(b"answer", origin)
    assert run(client.messages.get()) == (b"answer", address_of(server))


def test_empty_messages_are_messages(endpoint, run):
    server = endpoint(HERE)
    client = endpoint(remote_addr=address_of(server))
    client.transport.sendto(b"")
    assert run(server.messages.get())[0] == b""


def test_every_peer_gets_its_own_answers(endpoint, run, peers):
    server = endpoint(HERE, kind=Answers)
    clients = [peers(server) for _ in range(150)]
    for turn in (b"first", b"second"):
        for number, client in enumerate(clients):
            client.send(b"%s %d" % (turn, number))
        for _ in clients:
            run(server.messages.get())
        for number, client in enumerate(clients):
            assert client.recv(100) == b"%s %d" % (turn, number)


def test_messages_are_answered_in_their_order(endpoint, run, peers):
    server = endpoint(HERE, kind=Answers)
    client = peers(server)
    sent = [b"%d" % number for number in range(100)]
    for message in sent:
        client.send(message)
    assert [run(server.messages.get())[0] for _ in sent] == sent
    assert [client.recv(100) for _ in sent] == sent


def test_others_have_their_turn_while_messages_arrive(loop, endpoint, run, peers):
    class Server(Answers):
        seen = None

        def answer(self, data, addr):
            if data == b"0":
                loop.call_soon(self.others)

        def others(self):
            self.seen = self.messages.qsize()

    server = endpoint(HERE, kind=Server)
    client = peers(server)
    for number in range(150):
        client.send(b"%d" % number)
    run(asyncio.sleep(0))
    while server.messages.qsize() < 150:
        run(asyncio.sleep(0))
    assert 1 <= server.seen < 150


def test_addresses_of_ipv6_have_four_parts(endpoint, run):
    try:
        server = endpoint(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    client = endpoint(("::1", 0))
    for target in (
        address_of(server),
        address_of(server)[:2],
        (*address_of(server)[:2], 0),
    ):
        client.transport.sendto(b"question", target)
        assert run(server.messages.get()) == (b"question", address_of(client))
    server.transport.sendto(b"answer", address_of(client))
    assert run(client.messages.get()) == (b"answer", address_of(server))


def test_a_host_may_be_given_by_its_name(endpoint, run):
    server, client = endpoint(HERE), endpoint(HERE)
    client.transport.sendto(b"hello", ("localhost", address_of(server)[1]))
    assert run(server.messages.get()) == (b"hello", address_of(client))


def test_an_answer_can_go_to_a_name(endpoint, run, peers):
    class Server(Answers):
        def answer(self, data, addr):
            self.transport.sendto(b"1", addr)
            self.transport.sendto(b"2", ("localhost", addr[1]))
            self.transport.sendto(b"3", addr)

    server = endpoint(HERE, kind=Server)
    client = peers(server)
    client.send(b"?")
    run(server.messages.get())
    assert [client.recv(10) for _ in range(3)] == [b"1", b"2", b"3"]


def test_whoever_may_broadcast_reaches_everybody(endpoint, run):
    server = endpoint(("0.0.0.0", 0))
    client = endpoint(HERE, allow_broadcast=True)
    client.transport.sendto(b"all", ("127.255.255.255", address_of(server)[1]))
    assert run(server.messages.get()) == (b"all", address_of(client))


def test_without_leave_a_broadcast_is_told_as_an_error(endpoint, run):
    client = endpoint(HERE)
    client.transport.sendto(b"all", ("127.255.255.255", 9))
    assert isinstance(run(client.errors.get()), PermissionError)


TOO_BIG = bytes(70_000)


def test_a_message_that_is_too_big_is_told_as_an_error(endpoint, run):
    server, client = endpoint(HERE), endpoint(HERE)
    client.transport.sendto(TOO_BIG, address_of(server))
    assert run(client.errors.get()).errno == errno.EMSGSIZE
    client.transport.sendto(b"small", address_of(server))
    assert run(server.messages.get())[0] == b"small"


def test_an_answer_that_is_too_big_spares_those_around_it(endpoint, run, peers):
    class Server(Answers):
        def answer(self, data, addr):
            for message in (b"before", TOO_BIG, b"after"):
                self.transport.sendto(message, addr)

    server = endpoint(HERE, kind=Server)
    client = peers(server)
    client.send(b"?")
    assert run(server.errors.get()).errno == errno.EMSGSIZE
    assert client.recv(100) == b"before"
    assert client.recv(100) == b"after"


@pytest.mark.parametrize("address", [None, "nonsense", ("127.0.0.1",), ("::1", "x")])
def test_an_address_that_is_none_ends_the_endpoint(loop, endpoint, run, address):
    reports = []
    loop.set_exception_handler(lambda _, report: reports.append(report))
    client = endpoint(HERE)
    client.transport.sendto(b"x", address)
    assert isinstance(run(client.lost), (TypeError, OSError, OverflowError))
    assert [report["message"] for report in reports] == [
        "Fatal write error on datagram transport"
    ]


def test_what_a_protocol_raises_is_reported_and_the_next_message_comes(
    loop, endpoint, run, peers
):
    class Fragile(Answers):
        def answer(self, data, addr):
            if data == b"bad":
                raise RuntimeError("no")

    reports = []
    loop.set_exception_handler(lambda _, report: reports.append(report))
    server = endpoint(HERE, kind=Fragile)
    client = peers(server)
    client.send(b"bad")
    client.send(b"good")
    assert run(server.messages.get())[0] == b"bad"
    assert run(server.messages.get())[0] == b"good"
    assert [str(report["exception"]) for report in reports] == ["no"]


def test_ctrl_c_in_a_protocol_loses_no_other_message(endpoint, run, peers):
    class Interrupted(Answers):
        def answer(self, data, addr):
            if data == b"stop":
                raise KeyboardInterrupt
            super().answer(data, addr)

    server = endpoint(HERE, kind=Interrupted)
    client = peers(server)
    for message in (b"before", b"stop", b"after"):
        client.send(message)
    with pytest.raises(KeyboardInterrupt):
        run(asyncio.Event().wait())
    assert client.recv(10) == b"before"
    for message in (b"before", b"stop", b"after"):
        assert run(server.messages.get())[0] == message
    assert client.recv(10) == b"after"


@pytest.mark.parametrize("end", ["close", "abort"])
def test_what_was_answered_before_the_end_is_sent(endpoint, run, peers, end):
    class Last(Answers):
        def answer(self, data, addr):
            super().answer(data, addr)
            getattr(self.transport, end)()

    server = endpoint(HERE, kind=Last)
    client = peers(server)
    client.send(b"first")
    client.send(b"second")
    run(server.lost)
    assert client.recv(10) == b"first"
    assert server.messages.qsize() == 1


def test_the_caller_may_change_what_it_has_sent(endpoint, run, peers):
    class Reuses(Answers):
        def answer(self, data, addr):
            memory = bytearray(b"one")
            self.transport.sendto(memory, addr)
            memory[:] = b"two"
            self.transport.sendto(memoryview(memory), addr)

    server = endpoint(HERE, kind=Reuses)
    client = peers(server)
    client.send(b"?")
    run(server.messages.get())
    assert [client.recv(10), client.recv(10)] == [b"one", b"two"]


def test_a_context_variable_is_what_it_was_when_the_endpoint_was_made(
    endpoint, run, peers
):
    variable = contextvars.ContextVar("variable", default="outside")
    seen = []

    class Reader(Answers):
        def answer(self, data, addr):
            seen.append(variable.get())
            variable.set("changed")

    token = variable.set("inside")
    server = endpoint(HERE, kind=Reader)
    variable.reset(token)
    client = peers(server)
    for _ in range(2):
        client.send(b"x")
        run(server.messages.get())
    assert seen == ["inside", "changed"]
    assert variable.get() == "outside"


def test_a_connected_endpoint_sends_to_nobody_else(endpoint):
    server = endpoint(HERE)
    client = endpoint(remote_addr=address_of(server))
    client.transport.sendto(b"x", address_of(server))
    with pytest.raises(ValueError, match="Invalid address: must be None or"):
        client.transport.sendto(b"x", ("127.0.0.1", 1))


def test_what_is_no_bytes_is_refused(endpoint):
    with pytest.raises(TypeError, match="must be a bytes-like object, not 'str'"):
        endpoint(HERE).transport.sendto("text", ("127.0.0.1", 1))


def test_a_port_on_which_nobody_listens_is_told_as_an_error(endpoint, run):
    with socket.socket(type=socket.SOCK_DGRAM) as gone:
        gone.bind(HERE)
        address = gone.getsockname()
    client = endpoint(remote_addr=address)
    client.transport.sendto(b"anybody?")
    assert isinstance(run(client.errors.get()), ConnectionRefusedError)
    assert not client.transport.is_closing()


def test_messages_wait_for_a_slow_reader_and_pause_the_protocol(loop, endpoint, run):
    near, far = socket.socketpair(type=socket.SOCK_DGRAM)
    with far:
        far.setblocking(False)
        notes = endpoint(sock=near)
        notes.transport.set_write_buffer_limits(high=10_000)
        sent = [number.to_bytes(1000, "big") for number in range(1000)]
        for message in sent:
            notes.transport.sendto(message)
        assert notes.paused == [True]
        assert notes.transport.get_write_buffer_size() > 10_000

        async def receive():
            return [await loop.sock_recv(far, 2000) for _ in sent]

        assert run(receive()) == sent
        assert notes.paused == [True, False]
        assert notes.transport.get_write_buffer_size() == 0


def test_a_protocol_that_answers_with_much_is_paused(loop, endpoint, run):
    class Much(Answers):
        def answer(self, data, addr):
            for _ in range(1000):
                self.transport.sendto(bytes(1000))

    near, far = socket.socketpair(type=socket.SOCK_DGRAM)
    with far:
        far.setblocking(False)
        notes = endpoint(sock=near, kind=Much)
        far.send(b"?")
        assert run(notes.messages.get()) == (b"?", None)
        assert notes.paused == [True]

        async def receive():
            return [len(await loop.sock_recv(far, 2000)) for _ in range(1000)]

        assert run(receive()) == [1000] * 1000
        assert notes.paused == [True, False]


def test_an_unconnected_socket_waits_for_a_receiver_without_room(
    loop, endpoint, run, peers, tmp_path
):
    path = str(tmp_path / "full")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full:
        full.bind(path)
        full.setblocking(False)
        crowd = peers(family=socket.AF_UNIX)
        crowd.setblocking(False)
        crowded = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                crowd.sendto(b"crowd", path)
                crowded += 1
        notes = endpoint(family=socket.AF_UNIX)
        notes.transport.sendto(b"mine", path)
        notes.transport.sendto(b"too", path)
        assert notes.transport.get_write_buffer_size() > 0

        async def receive():
            return [await loop.sock_recv(full, 100) for _ in range(crowded + 2)]

        assert run(receive())[crowded:] == [b"mine", b"too"]
        notes.transport.close()
        run(notes.lost)


def test_addresses_of_this_machine_are_paths_or_names_or_none(
    endpoint, run, peers, tmp_path
):
    path = str(tmp_path / "server")
    server = endpoint(path, family=socket.AF_UNIX)
    places = [None, str(tmp_path / "client")]
    if sys.platform == "linux":
        places.append(f"\0{tmp_path}".encode())
    for place in places:
        client = peers(family=socket.AF_UNIX)
        if place is not None:
            client.bind(place)
        client.sendto(b"hello", path)
        assert run(server.messages.get()) == (b"hello", place)


def test_the_descriptor_of_an_endpoint_is_its_own(loop, endpoint):
    notes = endpoint(HERE)
    descriptor = notes.transport.get_extra_info("socket").fileno()
    with pytest.raises(RuntimeError, match="is used by transport"):
        loop.add_reader(descriptor, print)


def test_abort_drops_what_waits_and_is_told_once(loop, endpoint, run):
    near, far = socket.socketpair(type=socket.SOCK_DGRAM)
    with far:
        notes = endpoint(sock=near)
        for _ in range(1000):
            notes.transport.sendto(bytes(1000))
        notes.transport.abort()
        notes.transport.abort()
        assert notes.transport.is_closing()
        assert run(notes.lost) is None


def test_endpoints_can_meet_at_a_path(endpoint, run, tmp_path):
    path = str(tmp_path / "socket")
    server = endpoint(path, family=socket.AF_UNIX)
    client = endpoint(remote_addr=path, family=socket.AF_UNIX)
    client.transport.sendto(b"hello")
    assert run(server.messages.get())[0] == b"hello"


def test_an_endpoint_is_a_transport_of_both_kinds(endpoint):
    transport = endpoint(HERE).transport
    assert isinstance(transport, asyncio.DatagramTransport)
    assert isinstance(transport, asyncio.Transport)


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        ((), {}, ValueError, "unexpected address family"),
        (("host",), {}, TypeError, "2-tuple is expected"),
        ((1,), {"family": socket.AF_UNIX}, TypeError, "string is expected"),
        (
            (("127.0.0.1", 0), ("::1", 1)),
            {},
            ValueError,
            "can not get address information",
        ),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(
    loop, run, args, options, error, message
):
    with pytest.raises(error, match=message):
        run(loop.create_datagram_endpoint(asyncio.DatagramProtocol, *args, **options))


def test_a_socket_takes_no_options(loop, run):
    with (
        socket.socket(type=socket.SOCK_DGRAM) as sock,
        pytest.raises(ValueError, match=r"when sock is specified. \(proto=1\)"),
    ):
        run(loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=sock, proto=1))
    with (
        socket.socket() as sock,
        pytest.raises(ValueError, match="A datagram socket was expected"),
    ):
        run(loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=sock))
