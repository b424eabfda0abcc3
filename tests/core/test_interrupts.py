"""Ctrl-C while a loop runs reaches user code at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal

import pytest


def test_ctrl_c_in_a_cleanup_reaches_it_at_once(loop) -> None:
    heard: list[type[BaseException] | None] = []

    def note(kind: type[BaseException] | None, *_: object) -> None:
        heard.append(kind)

    # The cleanup is the standard library's alone, down to the task.
    cleanup = contextlib.AsyncExitStack()
    cleanup.push(note)
    cleanup.callback(signal.raise_signal, signal.SIGINT)
    cleanup.push_async_callback(asyncio.sleep, 3600)
    task = loop.create_task(cleanup.__aexit__(None, None, None))
    loop.call_soon(task.cancel)
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    assert heard == [KeyboardInterrupt]
