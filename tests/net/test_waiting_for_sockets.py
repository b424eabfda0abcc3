"""Calls on bare sockets that wait: who else may wait, and what closing does."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import weakref

import pytest

from tests.net.recording import Recorder, tcp_pair


@pytest.fixture
def ends(peers):
    for end in peers:
        end.setblocking(False)
    return peers


async def waiting(call):
    """Return a task in which `call` waits already."""
    task = asyncio.ensure_future(call)
    await asyncio.sleep(0)
    assert not task.done()
    return task


def reuse_descriptor(sock):
    """Close `sock`; return the end of a new connection that has its number."""
    number = sock.fileno()
    near, far = tcp_pair()
    sock.close()
    os.dup2(near.fileno(), number)
    near.close()
    reused = socket.socket(fileno=number)
    reused.setblocking(False)
    return reused, far


def test_two_calls_can_wait_to_receive_from_one_socket(loop, run, ends):
    async def exchange():
        first = await waiting(loop.sock_recv(ends[0], 1))
        second = await waiting(loop.sock_recv(ends[0], 1))
        third = await waiting(loop.sock_recv(ends[0], 1))
        ends[1].send(b"abc")
        return sorted(await asyncio.gather(first, second, third))

    assert run(exchange()) == [b"a", b"b", b"c"]


def test_a_call_that_waits_behind_a_cancelled_one_receives(loop, run, ends):
    async def exchange():
        first = await waiting(loop.sock_recv(ends[0], 100))
        second = await waiting(loop.sock_recv(ends[0], 100))
        first.cancel()
        await asyncio.sleep(0)
        ends[1].send(b"hello")
        return await second

    assert run(exchange()) == b"hello"


def test_a_call_after_a_cancelled_one_receives(loop, run, ends):
    async def exchange():
        first = await waiting(loop.sock_recv(ends[0], 100))
        first.cancel()
        await asyncio.wait([first])
        second = await waiting(loop.sock_recv(ends[0], 100))
        ends[1].send(b"hello")
        return await second

    assert run(exchange()) == b"hello"


def test_two_calls_can_wait_to_send_to_one_socket(loop, run, ends):
    # By themselves the buffers of a connection grow, on some systems beyond this.
    ends[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    ends[1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    much = bytes(4_000_000)

    async def exchange():
        first = await waiting(loop.sock_sendall(ends[0], much))
        second = await waiting(loop.sock_sendall(ends[0], much))
        received = 0
        while received < 2 * len(much):
            received += len(await loop.sock_recv(ends[1], 1_000_000))
        await asyncio.gather(first, second)

    run(exchange())


def test_two_tasks_can_accept_from_one_listener(loop, run):
    async def meet():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            tasks = [await waiting(loop.sock_accept(listener)) for _ in range(2)]
            callers = [
                socket.create_connection(listener.getsockname()) for _ in range(2)
            ]
            accepted = await asyncio.gather(*tasks)
            origins = {address for _, address in accepted}
            assert origins == {caller.getsockname() for caller in callers}
            for sock in [*callers, *(connection for connection, _ in accepted)]:
                sock.close()

    run(meet())


def test_what_is_received_in_parts_is_complete(loop, run, ends):
    async def exchange():
        task = await waiting(loop.sock_recv(ends[0], 2))
        ends[1].send(b"abcde")
        parts = [await task]
        parts.extend([await loop.sock_recv(ends[0], 2) for _ in range(2)])
        task = await waiting(loop.sock_recv(ends[0], 2))
        ends[1].send(b"f")
        return [*parts, await task]

    assert run(exchange()) == [b"ab", b"cd", b"e", b"f"]


def test_the_end_that_comes_with_the_last_bytes_is_not_missed(loop, run, ends):
    async def exchange():
        task = await waiting(loop.sock_recv(ends[0], 100))
        ends[1].send(b"last")
        ends[1].close()
        return [await task, *[await loop.sock_recv(ends[0], 100) for _ in range(2)]]

    assert run(exchange()) == [b"last", b"", b""]


def test_the_end_that_comes_after_the_last_bytes_is_not_missed(loop, run, ends):
    async def exchange():
        task = await waiting(loop.sock_recv(ends[0], 100))
        ends[1].send(b"last")
        assert await task == b"last"
        task = await waiting(loop.sock_recv(ends[0], 100))
        ends[1].close()
        return await task

    assert run(exchange()) == b""


def test_what_follows_urgent_data_is_not_missed(loop, run):
    near, far = tcp_pair()
    near.setblocking(False)

    async def exchange():
        received = b""
        task = await waiting(loop.sock_recv(near, 100))
        far.send(b"before")
        far.send(b"!", socket.MSG_OOB)
        far.send(b"after")
        while len(received) < len(b"beforeafter"):
            received += await task
            task = asyncio.ensure_future(loop.sock_recv(near, 100))
        task.cancel()
        return received

    with near, far:
        assert run(exchange()) == b"beforeafter"


def test_messages_that_a_unix_socket_keeps_apart_are_not_missed(loop, run):
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near.setblocking(False)

    async def exchange():
        task = await waiting(loop.sock_recv(near, 100))
        for message in (b"1", b"2", b"3"):
            far.send(message)
        return [await task, *[await loop.sock_recv(near, 100) for _ in range(2)]]

    with near, far:
        assert run(exchange()) == [b"1", b"2", b"3"]


def test_bytes_received_without_the_loop_do_no_harm(loop, run, ends):
    async def exchange():
        task = await waiting(loop.sock_recv(ends[0], 100))
        ends[1].send(b"one")
        assert await task == b"one"
        ends[1].send(b"two")
        assert ends[0].recv(100) == b"two"
        task = await waiting(loop.sock_recv(ends[0], 100))
        ends[1].send(b"three")
        return await task

    assert run(exchange()) == b"three"


def test_a_new_socket_with_the_number_of_a_closed_one_is_waited_for(loop, run, ends):
    async def exchange():
        task = await waiting(loop.sock_recv(ends[0], 100))
        ends[1].send(b"old")
        assert await task == b"old"
        reused, far = reuse_descriptor(ends[0])
        with reused, far:
            task = await waiting(loop.sock_recv(reused, 100))
            far.send(b"new")
            return await task

    assert run(exchange()) == b"new"


def test_who_waits_for_a_closed_socket_hears_of_it_when_its_number_is_used_again(
    loop, run, ends
):
    async def exchange():
        old = await waiting(loop.sock_recv(ends[0], 100))
        reused, far = reuse_descriptor(ends[0])
        with reused, far:
            new = await waiting(loop.sock_recv(reused, 100))
            with pytest.raises(OSError, match="Bad file descriptor") as raised:
                await old
            assert raised.value.errno == errno.EBADF
            far.send(b"new")
            return await new

    assert run(exchange()) == b"new"


def test_two_socket_objects_can_share_a_descriptor(loop, run, ends):
    twin = socket.socket(fileno=ends[0].fileno())

    async def exchange():
        first = await waiting(loop.sock_recv(ends[0], 1))
        second = await waiting(loop.sock_recv(twin, 1))
        ends[1].send(b"ab")
        return sorted(await asyncio.gather(first, second))

    try:
        assert run(exchange()) == [b"a", b"b"]
    finally:
        twin.detach()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_the_loop_keeps_no_socket_alive(loop, run):
    async def exchange(near, far):
        near.setblocking(False)
        task = await waiting(loop.sock_recv(near, 100))
        far.send(b"hello")
        await task
        far.close()
        return weakref.ref(near)

    known = run(exchange(*tcp_pair()))
    gc.collect()
    assert known() is None


def test_a_reader_callback_and_a_call_are_both_told(loop, run, ends):
    told = asyncio.Event()

    async def exchange():
        task = await waiting(loop.sock_recv(ends[0], 100))
        loop.add_reader(ends[0], told.set)
        ends[1].send(b"hello")
        assert await task == b"hello"
        await told.wait()
        assert loop.remove_reader(ends[0])
        task = await waiting(loop.sock_recv(ends[0], 100))
        ends[1].send(b"more")
        return await task

    assert run(exchange()) == b"more"


def test_a_call_waits_while_there_is_a_writer_callback(loop, run, ends):
    told = asyncio.Event()

    async def exchange():
        loop.add_writer(ends[0], told.set)
        task = await waiting(loop.sock_recv(ends[0], 100))
        await told.wait()
        assert loop.remove_writer(ends[0])
        ends[1].send(b"hello")
        return await task

    assert run(exchange()) == b"hello"


def test_a_callback_removed_while_a_call_waits_leaves_the_call_waiting(loop, run, ends):
    async def exchange():
        loop.add_reader(ends[0], lambda: None)
        task = await waiting(loop.sock_recv(ends[0], 100))
        assert loop.remove_reader(ends[0])
        assert not loop.remove_reader(ends[0])
        ends[1].send(b"hello")
        return await task

    assert run(exchange()) == b"hello"


def test_a_reader_callback_comes_after_calls_that_are_over(loop, run, ends):
    told = asyncio.Event()

    async def exchange():
        task = await waiting(loop.sock_recv(ends[0], 100))
        ends[1].send(b"hello")
        await task
        assert not loop.remove_reader(ends[0])
        loop.add_reader(ends[0], told.set)
        ends[1].send(b"more")
        await told.wait()
        assert loop.remove_reader(ends[0])

    run(exchange())


def test_a_socket_that_calls_waited_for_can_get_a_transport(loop, run, ends):
    recorder = Recorder()
    recorder.lost = loop.create_future()

    async def exchange():
        task = await waiting(loop.sock_recv(ends[0], 100))
        ends[1].send(b"hello")
        await task
        await loop.create_connection(lambda: recorder, sock=ends[0])
        ends[1].send(b"for the protocol")
        await recorder.until(lambda: recorder.received)
        assert recorder.received == b"for the protocol"
        with pytest.raises(RuntimeError, match="is used by transport"):
            await loop.sock_recv(ends[0], 100)
        await recorder.end()

    run(exchange())


def test_a_call_that_is_never_awaited_warns(loop, ends):
    call = loop.sock_recv(ends[0], 1)
    with pytest.warns(RuntimeWarning, match="'sock_recv' was never awaited"):
        del call


def test_a_call_can_be_awaited_once(loop, run, ends):
    call = loop.sock_sendall(ends[0], b"hello")
    run(call)
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        run(call)


def test_a_call_that_is_closed_while_it_waits_lets_others_wait(loop, run, ends):
    async def exchange():
        call = loop.sock_recv(ends[0], 100)
        assert asyncio.iscoroutine(call)
        call.send(None)
        call.close()
        task = await waiting(loop.sock_recv(ends[0], 100))
        ends[1].send(b"hello")
        return await task

    assert run(exchange()) == b"hello"


def test_nothing_at_all_can_be_received_and_sent(loop, run, ends):
    async def exchange():
        task = await waiting(loop.sock_recv(ends[0], 100))
        ends[1].send(b"hello")
        await task
        assert await loop.sock_recv_into(ends[0], bytearray()) == 0
        await loop.sock_sendall(ends[0], b"")
        await loop.sock_sendall(ends[0], bytearray())

    run(exchange())


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda loop, s: loop.sock_recv(s, -1), ValueError, "negative buffersize"),
        (lambda loop, s: loop.sock_recv(s, "1"), TypeError, "as an integer"),
        (lambda loop, s: loop.sock_recv_into(s, b"1"), TypeError, "read-write"),
        (lambda loop, s: loop.sock_sendall(s, "1"), TypeError, "bytes-like object"),
        (lambda loop, s: loop.sock_sendto(s, "1", None), TypeError, "bytes-like"),
    ],
)
def test_bad_arguments_are_refused(loop, run, ends, ask, error, message):
    with pytest.raises(error, match=message):
        run(ask(loop, ends[0]))


def test_a_closed_socket_is_refused(loop, run, ends):
    ends[0].close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        run(loop.sock_recv(ends[0], 1))
    with pytest.raises(OSError, match="Bad file descriptor"):
        run(loop.sock_sendall(ends[0], b"1"))


@pytest.mark.parametrize("size", [10, 300_000])
def test_what_a_subclass_receives_is_what_the_call_gives(loop, run, size):
    class Shouting(socket.socket):
        def recv(self, n):
            return super().recv(n).upper()

    near, far = tcp_pair()
    shouting = Shouting(fileno=near.detach())
    shouting.setblocking(False)
    with shouting, far:
        far.send(b"hello")
        assert run(loop.sock_recv(shouting, size)) == b"HELLO"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_memory_can_be_sent(loop, run, ends, kind):
    async def exchange():
        data = bytes(range(256)) * 10_000
        sending = asyncio.ensure_future(loop.sock_sendall(ends[0], kind(data)))
        received = b""
        while len(received) < len(data):
            received += await loop.sock_recv(ends[1], 300_000)
        await sending
        return received == data

    assert run(exchange())
