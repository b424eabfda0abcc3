"""What every poller promises, and what the one of Linux promises beyond."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import threading

import pytest

from quiesce.core.poller import READABLE, WRITABLE, Poller, Watcher
from quiesce.loop import Loop
from quiesce.system.any_selector import SelectorPoller

KINDS = [SelectorPoller]
if hasattr(select, "epoll"):
    from quiesce.system.epoll import EpollPoller

    KINDS.append(EpollPoller)

FOR_EVER = -1.0
AT_ONCE = 0.0


class Listening(Watcher):
    """Notes the events it is told, and does what it was asked to."""

    def __init__(self, then=None):
        self.heard = []
        self.then = then

    def on_ready(self, events):
        self.heard.append(events)
        if self.then is not None:
            self.then()


class Counting(Poller):
    """Counts how often another poller is asked."""

    def __init__(self, poller):
        self.poller = poller
        self.polls = 0

    def poll(self, timeout):
        self.polls += 1
        return self.poller.poll(timeout)

    def watch(self, fd, events, watcher, edge=False):
        self.poller.watch(fd, events, watcher, edge)

    def unwatch(self, fd):
        self.poller.unwatch(fd)

    def watcher_of(self, fd):
        return self.poller.watcher_of(fd)

    def wake(self):
        self.poller.wake()

    def close(self):
        self.poller.close()


@pytest.fixture(params=KINDS)
def poller(request):
    poller = request.param()
    yield poller
    poller.close()


@pytest.fixture
def ends():
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        yield near, far


@pytest.fixture
def two_ready():
    """Two sockets with something to read, and their other ends."""
    pairs = [socket.socketpair() for _ in range(2)]
    for _, far in pairs:
        far.send(b"x")
    yield [near for near, _ in pairs]
    for pair in pairs:
        for end in pair:
            end.close()


def test_a_watcher_is_told_what_it_asked_about(poller, ends):
    near, far = ends
    watcher = Listening()
    poller.watch(near.fileno(), READABLE, watcher)
    assert poller.poll(AT_ONCE) == 0
    far.send(b"x")
    assert poller.poll(FOR_EVER) == 1
    assert watcher.heard == [READABLE]
    assert poller.watcher_of(near.fileno()) is watcher


def test_a_watcher_can_ask_about_something_else(poller, ends):
    watcher = Listening()
    poller.watch(ends[0].fileno(), READABLE, watcher)
    poller.watch(ends[0].fileno(), READABLE | WRITABLE, watcher)
    assert poller.poll(FOR_EVER) == 1
    assert watcher.heard == [WRITABLE]


def test_a_watcher_is_told_again_of_what_it_leaves_undone(poller, ends):
    watcher = Listening()
    poller.watch(ends[0].fileno(), READABLE, watcher)
    ends[1].send(b"x")
    poller.poll(FOR_EVER)
    poller.poll(FOR_EVER)
    assert watcher.heard == [READABLE, READABLE]


def test_another_watcher_takes_the_place_of_the_first(poller, ends):
    first, second = Listening(), Listening()
    poller.watch(ends[0].fileno(), READABLE, first)
    poller.watch(ends[0].fileno(), READABLE, second)
    ends[1].send(b"x")
    poller.poll(FOR_EVER)
    assert (first.heard, second.heard) == ([], [READABLE])


def test_nobody_is_told_of_what_is_no_longer_watched(poller, ends):
    watcher = Listening()
    poller.watch(ends[0].fileno(), READABLE, watcher)
    ends[1].send(b"x")
    poller.unwatch(ends[0].fileno())
    assert poller.poll(AT_ONCE) == 0
    assert poller.watcher_of(ends[0].fileno()) is None
    poller.unwatch(ends[0].fileno())


def test_a_watcher_taken_off_by_another_hears_no_more_of_the_same_poll(
    poller, two_ready
):
    watchers = []

    def take_both_off():
        for sock in two_ready:
            poller.unwatch(sock.fileno())

    for sock in two_ready:
        watchers.append(Listening(then=take_both_off))
        poller.watch(sock.fileno(), READABLE, watchers[-1])
    poller.poll(FOR_EVER)
    assert sorted(watcher.heard for watcher in watchers) == [[], [READABLE]]


def test_a_file_that_gets_the_number_of_a_closed_one_hears_nothing_of_it(
    poller, two_ready
):
    heir, far = socket.socketpair()
    newcomer = Listening()
    watchers = []

    def replace_the_other(mine):
        other = two_ready[1 - mine]
        poller.unwatch(other.fileno())
        os.dup2(heir.fileno(), other.fileno())
        poller.watch(other.fileno(), READABLE, newcomer)

    for index, sock in enumerate(two_ready):
        watchers.append(Listening(then=lambda mine=index: replace_the_other(mine)))
        poller.watch(sock.fileno(), READABLE, watchers[-1])
    with heir, far:
        poller.poll(FOR_EVER)
    assert sorted(watcher.heard for watcher in watchers) == [[], [READABLE]]
    assert newcomer.heard == []


def test_what_a_watcher_raises_comes_out_and_the_rest_is_told_next_time(
    poller, two_ready
):
    def fail():
        raise ZeroDivisionError

    watchers = [Listening(then=fail), Listening(then=fail)]
    for sock, watcher in zip(two_ready, watchers, strict=True):
        poller.watch(sock.fileno(), READABLE, watcher)
    with pytest.raises(ZeroDivisionError):
        poller.poll(FOR_EVER)
    assert sorted(watcher.heard for watcher in watchers) == [[], [READABLE]]
    with pytest.raises(ZeroDivisionError):
        poller.poll(FOR_EVER)
    assert [watcher.heard for watcher in watchers] == [[READABLE], [READABLE]]


def test_a_descriptor_closed_behind_its_back_can_be_watched_anew(poller, ends):
    watcher = Listening()
    near, far = socket.socketpair()
    number = near.fileno()
    poller.watch(number, READABLE, watcher)
    near.close()
    os.dup2(ends[0].fileno(), number)
    try:
        if isinstance(poller, SelectorPoller):
            # Selectors trust what they remember.
            poller.unwatch(number)
        poller.watch(number, READABLE, watcher)
        ends[1].send(b"x")
        poller.poll(FOR_EVER)
        assert watcher.heard == [READABLE]
    finally:
        poller.unwatch(number)
        os.close(number)
        far.close()


def test_a_bad_descriptor_is_an_error(poller, ends):
    number = ends[0].fileno()
    ends[0].close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        poller.watch(number, READABLE, Listening())
    assert poller.watcher_of(number) is None


def test_a_wake_up_before_the_poll_ends_it_at_once(poller):
    poller.wake()
    poller.wake()
    assert poller.poll(FOR_EVER) in (0, 1)


def test_a_wake_up_from_a_thread_ends_a_sleep(poller):
    thread = threading.Thread(target=poller.wake)
    thread.start()
    poller.poll(FOR_EVER)
    thread.join()


def test_each_wake_up_ends_one_poll(poller):
    for _ in range(3):
        poller.wake()
        poller.poll(FOR_EVER)
    assert poller.poll(AT_ONCE) == 0


def test_a_poll_without_events_ends_after_its_time(poller):
    assert poller.poll(0.001) == 0


def test_a_loop_polls_twice_at_most_for_one_short_sleep(poller):
    counting = Counting(poller)
    loop = Loop(poller=counting)

    async def sleep_for_short():
        for seconds in (1e-2, 1e-4, 1e-6, 1e-8, 1e-10):
            polls = counting.polls
            await asyncio.sleep(seconds)
            assert counting.polls - polls <= 2

    loop.run_until_complete(sleep_for_short())
    loop.close()


def test_what_a_signal_handler_raises_ends_a_sleep(poller):
    def handle(signum, frame):
        raise ZeroDivisionError

    previous = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(ZeroDivisionError):
            poller.poll(FOR_EVER)
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_a_signal_handler_can_end_a_sleep_by_waking(poller):
    previous = signal.signal(signal.SIGALRM, lambda *_: poller.wake())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        poller.poll(FOR_EVER)
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_close_can_be_repeated_and_a_late_wake_up_is_harmless(poller, ends):
    poller.watch(ends[0].fileno(), READABLE, Listening())
    poller.close()
    poller.close()
    poller.wake()
    assert poller.watcher_of(ends[0].fileno()) is None
    poller.unwatch(ends[0].fileno())


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="epoll is Linux's")
class TestEdges:
    @pytest.fixture
    def poller(self):
        poller = EpollPoller()
        yield poller
        poller.close()

    def test_a_change_is_told_once(self, poller, ends):
        watcher = Listening()
        poller.watch(ends[0].fileno(), READABLE, watcher, True)
        ends[1].send(b"x")
        assert poller.poll(FOR_EVER) == 1
        assert poller.poll(AT_ONCE) == 0
        ends[1].send(b"y")
        assert poller.poll(FOR_EVER) == 1

    def test_asking_again_tells_the_state_again(self, poller, ends):
        watcher = Listening()
        ends[1].send(b"x")
        for _ in range(2):
            poller.watch(ends[0].fileno(), READABLE, watcher, True)
            assert poller.poll(FOR_EVER) == 1
        assert watcher.heard == [READABLE, READABLE]

    def test_a_regular_file_cannot_be_watched(self, poller, tmp_path):
        with (
            (tmp_path / "file").open("w") as file,
            pytest.raises(PermissionError),
        ):
            poller.watch(file.fileno(), READABLE, Listening())
