"""Debug mode's record of where each coroutine was called, kept by the interpreter."""

from __future__ import annotations

import sys
from asyncio import constants


class OriginTracking:
    """Switches the interpreter's record on and off for the thread of one loop."""

    def __init__(self) -> None:
        self.enabled = False
        self.depth_before = 0

    def set(self, enabled: bool) -> None:
        """Record origins from now on, or go back to what was before."""
        if bool(enabled) == self.enabled:
            return
        if enabled:
            self.depth_before = sys.get_coroutine_origin_tracking_depth()
            sys.set_coroutine_origin_tracking_depth(constants.DEBUG_STACK_DEPTH)
        else:
            sys.set_coroutine_origin_tracking_depth(self.depth_before)
        self.enabled = bool(enabled)
