"""Callbacks on descriptors: `add_reader`, `add_writer` and their opposites."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest


@pytest.fixture
def ends():
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        far.setblocking(False)
        yield near, far


def iterate(loop, times=3):
    async def iterate():
        for _ in range(times):
            await asyncio.sleep(0)

    loop.run_until_complete(iterate())
    # Asks the system, whatever is ready.
    loop.call_later(0, loop.stop)
    loop.run_forever()


def test_a_reader_is_called_while_there_is_something_to_read(loop, ends):
    seen = []

    def read():
        seen.append(ends[0].recv(1))
        if len(seen) == 3:
            loop.stop()

    loop.add_reader(ends[0], read)
    ends[1].send(b"abc")
    loop.run_forever()
    assert seen == [b"a", b"b", b"c"]


def test_a_writer_is_called_while_there_is_room(loop, ends):
    sent = []

    def write():
        sent.append(ends[0].send(b"x"))
        if len(sent) == 3:
            loop.stop()

    loop.add_writer(ends[0].fileno(), write)
    loop.run_forever()
    assert sent == [1, 1, 1]


def test_reader_and_writer_of_one_descriptor_are_apart(loop, ends):
    seen = set()
    loop.add_reader(ends[0], seen.add, "reader")
    loop.add_writer(ends[0], seen.add, "writer")
    iterate(loop)
    assert seen == {"writer"}
    assert loop.remove_writer(ends[0]) is True
    assert loop.remove_writer(ends[0]) is False
    ends[1].send(b"x")
    iterate(loop)
    assert seen == {"writer", "reader"}
    assert loop.remove_reader(ends[0]) is True
    assert loop.remove_reader(ends[0]) is False


def test_another_callback_takes_the_place_of_the_first(loop, ends):
    seen = []
    loop.add_reader(ends[0], seen.append, "first")
    loop.add_reader(ends[0], seen.append, "second")
    ends[1].send(b"x")
    iterate(loop)
    assert set(seen) == {"second"}


def test_a_removed_callback_is_not_called_even_if_it_was_due(loop, ends):
    seen = []

    def only_one():
        seen.append(None)
        loop.remove_reader(ends[0])
        loop.remove_reader(ends[1])

    for end in ends:
        loop.add_reader(end, only_one)
        end.send(b"x")
    iterate(loop)
    assert seen == [None]


def test_a_hang_up_calls_reader_and_writer(loop):
    reading, writing = os.pipe()
    os.close(reading)
    seen = set()
    loop.add_reader(writing, seen.add, "reader")
    loop.add_writer(writing, seen.add, "writer")
    iterate(loop)
    loop.remove_reader(writing)
    loop.remove_writer(writing)
    os.close(writing)
    assert seen == {"reader", "writer"}


def test_an_error_in_a_callback_is_reported_and_the_loop_goes_on(loop, ends):
    reports = []
    loop.set_exception_handler(lambda _, context: reports.append(context["exception"]))

    def fail():
        ends[0].recv(1)
        raise ZeroDivisionError

    loop.add_reader(ends[0], fail)
    ends[1].send(b"x")
    iterate(loop)
    assert [type(error) for error in reports] == [ZeroDivisionError]


@pytest.mark.parametrize("method", ["add_reader", "add_writer"])
def test_what_is_no_descriptor_is_refused(loop, method):
    add = getattr(loop, method)
    with pytest.raises(ValueError, match="Invalid file object: 'file'"):
        add("file", print)
    with pytest.raises(ValueError, match="Invalid file descriptor: -1"):
        add(-1, print)
    with socket.socket() as closed:
        pass
    with pytest.raises(ValueError, match="Invalid file descriptor: -1"):
        add(closed, print)


def test_a_descriptor_that_is_not_open_is_an_error(loop, ends):
    number = ends[0].fileno()
    ends[0].close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        loop.add_reader(number, print)


def test_a_closed_loop_takes_no_callback_and_has_none_to_remove(loop, ends):
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.add_reader(ends[0], print)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.add_writer(ends[0], print)
    assert loop.remove_reader(ends[0]) is False
    assert loop.remove_writer(ends[0]) is False
