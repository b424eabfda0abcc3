"""How a test of a combinator runs: inside a loop of ours, in virtual time."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from tests.properties.virtual_time import virtual_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test where waiting takes no time and waiting for ever is an error.

    What goes to the loop's exception handler fails the test.
    """

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        reports: list[dict[str, Any]] = []
        loop, _, _ = virtual_loop()
        loop.set_exception_handler(lambda _, context: reports.append(context))
        try:
            loop.run_until_complete(test(*args, **kwargs))
        finally:
            loop.close()
        assert reports == []

    return run
