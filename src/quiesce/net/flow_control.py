"""Telling a protocol to write no more for now, for transports that are not `stream`'s.

Read `write_buffer` for what the water marks are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiesce.net.write_buffer import water_marks

if TYPE_CHECKING:
    from collections.abc import Callable


class FlowControl:
    """Whether one transport's protocol is paused, by how many bytes wait to be sent."""

    def __init__(self, loop: Any, transport: Any) -> None:
        self._loop = loop
        self._transport: Any = transport
        self.high, self.low = water_marks(None, None)
        self.paused = False

    def set_limits(self, high: int | None, low: int | None) -> None:
        """Set the water marks, in bytes; see `water_marks`."""
        self.high, self.low = water_marks(high, low)

    def note_more(self, size: int) -> None:
        """Pause the protocol if `size` bytes, after some were added, are too many."""
        if not self.paused and size > self.high:
            self.paused = True
            self._tell("pause_writing")

    def note_less(self, size: int) -> None:
        """Resume the protocol if `size` bytes, after some were sent, are few again."""
        if self.paused and size <= self.low:
            self.paused = False
            self._tell("resume_writing")

    def forget_transport(self) -> None:
        """Let go of the transport, which holds this, once its end has come."""
        self._transport = None

    def _tell(self, what: str) -> None:
        protocol = self._transport.get_protocol()
        call: Callable[[], None] = getattr(protocol, what)
        try:
            call()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - asyncio reports these too
            self._loop.call_exception_handler(
                {
                    "message": f"protocol.{what}() failed",
                    "exception": error,
                    "transport": self._transport,
                    "protocol": protocol,
                }
            )
