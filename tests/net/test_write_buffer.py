"""The write buffer gives back what it was given, however it is taken away."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quiesce.net.write_buffer import WriteBuffer

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.binary(min_size=1, max_size=20)),
        st.tuples(st.just("remove"), st.floats(0, 1)),
        st.tuples(st.just("clear"), st.none()),
    ),
    max_size=300,
)


def content(buffer):
    return b"".join(buffer.chunks[buffer.first :])[buffer.offset :]


@given(ACTIONS)
def test_it_holds_what_was_added_and_not_yet_removed(actions):
    buffer = WriteBuffer()
    expected = b""
    for action, argument in actions:
        if action == "append":
            buffer.append(argument, 0)
            expected += argument
        elif action == "remove":
            count = int(len(expected) * argument)
            buffer.remove(count)
            expected = expected[count:]
        else:
            buffer.clear()
            expected = b""
        assert buffer.size == len(expected)
        assert content(buffer) == expected


def test_the_first_bytes_of_an_empty_buffer_can_be_skipped():
    buffer = WriteBuffer()
    buffer.append(b"hello", 2)
    assert buffer.size == 3
    assert content(buffer) == b"llo"


def test_what_was_removed_is_not_kept_in_memory():
    buffer = WriteBuffer()
    for _ in range(1000):
        buffer.append(bytes(10), 0)
    for _ in range(999):
        buffer.remove(10)
    assert len(buffer.chunks) < 200
