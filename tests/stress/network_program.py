"""A program in which much goes on in the network at once, and most of it goes wrong.

``python -m tests.stress.network_program ROUNDS SEED`` starts servers of every kind and
dozens of clients that close, reset, cancel and abort at any moment. After each of
ROUNDS all is ended, and it is checked that every protocol was told so exactly once,
that no byte was out of place and no descriptor is left open.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import ssl
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import quiesce
from quiesce.loop import Loop
from quiesce.system.any_selector import SelectorPoller
from tests.net.conversation import PlannedError
from tests.stress import bare_sockets, connections
from tests.stress.fickle import FickleWithDatagrams, fickle
from tests.stress.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

WORKERS = 40
ACTS = 400
"""Acts in a round, of all workers."""
PATIENCE = 60.0
"""Seconds after which what should end is taken to go on for ever."""
EXPECTED = (PlannedError, OSError, EOFError, RuntimeError, ssl.SSLError)
"""With a peer that closes, resets and ends at any time, in the middle of a call."""


class Round:
    """One loop, from its beginning to its end."""

    def __init__(self, loop: Loop, chance: random.Random, folder: Path) -> None:
        self.loop = loop
        self.chance = chance
        self.scene = Scene(loop, chance, folder)
        self.left = ACTS
        self.ended = self.failed = 0
        loop.set_exception_handler(self.note)

    def note(self, _: object, context: dict[str, Any]) -> None:
        """Note what the loop reports, unless it was to be expected."""
        if not isinstance(context.get("exception"), EXPECTED):
            self.scene.wrong.append(f"reported: {context}")

    async def work(self) -> None:
        """Act until enough was done."""
        activities: tuple[Callable[[Scene], Coroutine[Any, Any, None]], ...]
        activities = bare_sockets.ACTIVITIES + connections.ACTIVITIES
        while self.left > 0:
            self.left -= 1
            try:
                await self.chance.choice(activities)(self.scene)
                self.ended += 1
            except EXPECTED:
                self.failed += 1

    async def disturb(self, workers: list[asyncio.Task[None]], servers: Any) -> None:
        """Cancel workers and end connections until enough was done."""
        while self.left > 0:
            await asyncio.sleep(self.chance.choice((0, 0, 0, 0.001, 0.005)))
            place = self.chance.randrange(len(workers))
            if self.chance.random() < 0.3:
                workers[place].cancel()
            if workers[place].done():
                workers[place] = self.loop.create_task(self.work())
            if self.chance.random() < 0.01:
                server = self.chance.choice(servers)
                self.chance.choice((server.close_clients, server.abort_clients))()
            if self.chance.random() < 0.02:
                gc.collect()

    async def run(self) -> None:
        """Start all, let it go on for a while, and end it."""
        servers, udp = await self.scene.serve(
            lambda: fickle(self.scene), lambda: FickleWithDatagrams(self.scene)
        )
        workers = [self.loop.create_task(self.work()) for _ in range(WORKERS)]
        await self.disturb(workers, servers)
        for worker in workers:
            worker.cancel()
        ends = await asyncio.gather(*workers, return_exceptions=True)
        for end in ends:
            expected = end is None or isinstance(end, asyncio.CancelledError)
            self.scene.check(expected, f"a worker raised {end!r}")
        udp.abort()
        for server in servers:
            server.close()
            server.abort_clients()
        await self.all_ends()

    async def all_ends(self) -> None:
        """Abort what clients left open, until every protocol was told of its end."""
        deadline = time.monotonic() + PATIENCE
        while not self.scene.are_over():
            if time.monotonic() > deadline:
                break
            for protocol in self.scene.protocols:
                if protocol.lost < protocol.expects_lost():
                    protocol.transport.abort()
            await asyncio.sleep(0.001)
        self.scene.check_ends()


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def one_round(chance: random.Random) -> Round:
    """Do a round on a loop of its own; end the program if something is wrong."""
    before = open_files()
    loop = Loop(poller=SelectorPoller() if chance.random() < 0.2 else None)
    loop.set_debug(chance.random() < 0.1)
    loop.slow_callback_duration = 1e9
    with tempfile.TemporaryDirectory() as folder:
        here = Round(loop, chance, Path(folder))
        loop.run_until_complete(here.run())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    gc.collect()
    here.scene.check(open_files() == before, "descriptors are left open")
    if here.scene.wrong:
        raise SystemExit("BROKEN: " + "\n".join(here.scene.wrong[:10]))
    return here


def main(rounds: int, seed: int) -> None:
    """Do some rounds; status 1 and lines that say why if something breaks."""
    # Transports that nobody closed because their client was cancelled.
    warnings.simplefilter("ignore", ResourceWarning)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    chance = random.Random(seed)
    ended = failed = protocols = 0
    for _ in range(rounds):
        done = one_round(chance)
        ended, failed = ended + done.ended, failed + done.failed
        protocols += len(done.scene.protocols)
    mode = "compiled" if quiesce.COMPILED else "interpreted"
    sys.stdout.write(f"{ended} acts, {failed} failed, {protocols} protocols, {mode}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
