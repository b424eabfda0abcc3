"""anyio's own interface on our loop."""

from __future__ import annotations

import os
import signal
import sys
import threading
from functools import partial

import pytest

import quiesce

anyio = pytest.importorskip("anyio")
from_thread = pytest.importorskip("anyio.from_thread")
to_process = pytest.importorskip("anyio.to_process")
to_thread = pytest.importorskip("anyio.to_thread")
tls = pytest.importorskip("anyio.streams.tls")

MUCH = bytes(range(256)) * 16 * 1024
"""More than a socket takes at once, 4 MiB."""
OUR_LOOP = {"loop_factory": quiesce.new_event_loop}


@pytest.fixture
def run():
    """Run an async function with anyio, on our loop."""
    return partial(anyio.run, backend="asyncio", backend_options=OUR_LOOP)


def test_the_loop_is_ours(run):
    async def who():
        return type(quiesce.get_running_loop())

    assert run(who) is quiesce.Loop


def test_a_failed_task_ends_its_group(run):
    async def fail():
        raise LookupError("lost")

    async def start_both():
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            group.start_soon(fail)

    with pytest.RaisesGroup(pytest.RaisesExc(LookupError, match="lost")):
        run(start_both)


def test_start_waits_until_a_task_says_that_it_is_ready(run):
    async def serve(*, task_status):
        task_status.started("ready")
        await anyio.sleep_forever()

    async def start():
        async with anyio.create_task_group() as group:
            said = await group.start(serve)
            group.cancel_scope.cancel()
        return said

    assert run(start) == "ready"


def test_a_cancelled_scope_ends_all_that_is_in_it(run):
    ended = []

    async def wait(name):
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(name)

    async def cancel():
        async with anyio.create_task_group() as group:
            for name in "abc":
                group.start_soon(wait, name)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        return group.cancel_scope.cancelled_caught

    run(cancel)
    assert sorted(ended) == ["a", "b", "c"]


def test_a_scope_is_cancelled_again_at_each_await_until_it_is_left(run):
    attempts = []

    async def insist():
        with anyio.CancelScope() as scope:
            scope.cancel()
            for _ in range(3):
                try:
                    await anyio.sleep_forever()
                except anyio.get_cancelled_exc_class():
                    attempts.append("cancelled")
            await anyio.sleep_forever()

    run(insist)
    assert len(attempts) == 3


def test_a_shielded_cleanup_may_wait(run):
    async def clean_up():
        cleaned = False
        with anyio.move_on_after(0):
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.001)
                    cleaned = True
        return cleaned

    assert run(clean_up)


def test_fail_after_raises_once_the_time_is_over(run):
    async def wait():
        with anyio.fail_after(0.001):
            await anyio.sleep_forever()

    with pytest.raises(TimeoutError):
        run(wait)


def test_an_outer_scope_cancels_through_an_inner_one(run):
    async def nest():
        with anyio.CancelScope() as outer:
            with anyio.CancelScope() as inner:
                outer.cancel()
                await anyio.sleep_forever()
            raise AssertionError("the inner scope has caught what was not its own")
        return outer.cancelled_caught, inner.cancelled_caught

    assert run(nest) == (True, False)


async def echo(stream):
    async with stream:
        async for part in stream:
            await stream.send(part)


async def exchange(stream, data):
    """Send `data` to who echoes it, and return what comes back."""
    received = bytearray()
    async with stream, anyio.create_task_group() as group:
        group.start_soon(stream.send, data)
        while len(received) < len(data):
            received += await stream.receive()
    return bytes(received)


async def exchange_with(listener, connect):
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, echo)
        received = await exchange(await connect(), MUCH)
        group.cancel_scope.cancel()
    return received


def test_bytes_travel_both_ways_over_tcp(run):
    async def talk():
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        return await exchange_with(
            listener, partial(anyio.connect_tcp, "localhost", port)
        )

    assert run(talk) == MUCH


def test_bytes_travel_both_ways_over_a_unix_socket(run, tmp_path):
    async def talk():
        listener = await anyio.create_unix_listener(tmp_path / "socket")
        connect = partial(anyio.connect_unix, tmp_path / "socket")
        return await exchange_with(listener, connect)

    assert run(talk) == MUCH


def test_bytes_travel_both_ways_over_tls(run, server_side, client_side):
    async def talk():
        plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = plain.extra(anyio.abc.SocketAttribute.local_port)
        listener = tls.TLSListener(plain, server_side, standard_compatible=False)
        connect = partial(
            anyio.connect_tcp,
            "127.0.0.1",
            port,
            ssl_context=client_side,
            tls_standard_compatible=False,
        )
        return await exchange_with(listener, connect)

    assert run(talk) == MUCH


def test_datagrams_travel_both_ways(run):
    async def talk():
        async with (
            await anyio.create_udp_socket(local_host="127.0.0.1") as server,
            await anyio.create_connected_udp_socket(
                "127.0.0.1", server.extra(anyio.abc.SocketAttribute.local_port)
            ) as client,
        ):
            await client.send(b"question")
            question, address = await server.receive()
            await server.sendto(b"answer", *address)
            return question, await client.receive()

    assert run(talk) == (b"question", b"answer")


def test_a_receiver_that_is_cancelled_leaves_the_stream_usable(run):
    async def talk():
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, echo)
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                with anyio.move_on_after(0.001) as scope:
                    await stream.receive()
                await stream.send(b"later")
                received = await stream.receive()
            group.cancel_scope.cancel()
        return scope.cancelled_caught, received

    assert run(talk) == (True, b"later")


def test_a_child_process_reads_and_prints(run):
    upper = "import sys; sys.stdout.write(sys.stdin.read().upper())"

    async def start():
        return await anyio.run_process([sys.executable, "-c", upper], input=b"word")

    assert run(start).stdout == b"WORD"


def test_a_child_process_is_killed_when_its_scope_is_cancelled(run):
    waits = "import signal; print('ready', flush=True); signal.pause()"

    async def start():
        with anyio.CancelScope() as scope:
            async with await anyio.open_process([sys.executable, "-c", waits]) as child:
                await child.stdout.receive()
                scope.cancel()
                await child.wait()
        return child.returncode

    assert run(start) == -signal.SIGKILL


def test_functions_run_in_threads_and_come_back(run):
    async def start():
        main = threading.get_ident()
        return await to_thread.run_sync(threading.get_ident) != main

    assert run(start)


def test_a_thread_calls_back_into_the_loop(run):
    async def loop_name():
        await anyio.sleep(0)
        return type(quiesce.get_running_loop()).__name__

    async def start():
        return await to_thread.run_sync(from_thread.run, loop_name)

    assert run(start) == "Loop"


def test_a_portal_runs_coroutines_for_threads_without_a_loop():
    async def loop_type():
        return type(quiesce.get_running_loop())

    with from_thread.start_blocking_portal("asyncio", OUR_LOOP) as portal:
        assert portal.call(loop_type) is quiesce.Loop


def test_functions_run_in_other_processes(run):
    async def start():
        return await to_process.run_sync(os.getpid)

    assert run(start) != os.getpid()


def test_signals_arrive_in_a_loop(run):
    async def listen():
        with anyio.open_signal_receiver(signal.SIGUSR1) as signals:
            os.kill(os.getpid(), signal.SIGUSR1)
            return await anext(signals)

    assert run(listen) == signal.SIGUSR1


def test_items_pass_through_a_memory_stream_in_order(run):
    async def hand_over():
        send, receive = anyio.create_memory_object_stream(5)

        async def produce():
            async with send:
                for number in range(100):
                    await send.send(number)

        async with receive, anyio.create_task_group() as group:
            group.start_soon(produce)
            return [number async for number in receive]

    assert run(hand_over) == list(range(100))


def test_files_are_read_and_written(run, tmp_path):
    async def write_and_read():
        path = anyio.Path(tmp_path / "file")
        async with await anyio.open_file(path, "w") as file:
            await file.write("a line\n")
        return await path.read_text()

    assert run(write_and_read) == "a line\n"
