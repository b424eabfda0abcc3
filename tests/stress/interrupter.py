"""A process that sends SIGINT to the one that forked it, once for each request.

Only one signal is ever under way, so the interrupted program always knows whether
another one can still come; and the signals come from outside, so that they arrive
anywhere.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import struct
import time


class Interrupter:
    """Sends one SIGINT at a random moment after each `request`."""

    def __init__(self, seed: int, longest: float) -> None:
        """Fork the sender, which waits up to `longest` seconds before each signal."""
        self.sent = mmap.mmap(-1, 8)
        self.requested = 0
        listening, self.asking = os.pipe()
        self.child = os.fork()
        if not self.child:
            os.close(self.asking)
            self.serve(listening, random.Random(seed), longest)
        os.close(listening)

    def request(self) -> None:
        """Ask for a signal; it may come from now on."""
        self.requested += 1
        os.write(self.asking, b".")

    def has_sent(self) -> bool:
        """Tell whether no signal is under way any more."""
        return struct.unpack("q", self.sent[:])[0] == self.requested

    def serve(self, listening: int, chance: random.Random, longest: float) -> None:
        """Be the sender until the other side closes; never returns."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        target = os.getppid()
        number = 0
        while os.read(listening, 1):
            # Mostly at once, to hit the start of a run; sometimes late, to hit a sleep.
            moment = time.perf_counter() + longest * chance.random() ** 3
            while time.perf_counter() < moment:
                pass
            os.kill(target, signal.SIGINT)
            number += 1
            self.sent[:] = struct.pack("q", number)
        os._exit(0)

    def close(self) -> None:
        """End the sender."""
        os.close(self.asking)
        os.waitpid(self.child, 0)
