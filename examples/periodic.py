"""Do something every few seconds, and never stop in the middle of it.

Here it is writing the free space of a disk to a file. When the program is asked to end,
by Ctrl-C or by SIGTERM, a record that was begun is completed and the last line written.

    quiesce run examples/periodic.py --every 2 free-space.log
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import time
from pathlib import Path
from typing import TextIO


async def record(log: TextIO, folder: str) -> None:
    """Write one line, in two steps between which the program must not stop."""
    log.write(f"{time.strftime('%H:%M:%S')} ")
    usage = await asyncio.to_thread(shutil.disk_usage, folder)
    log.write(f"{usage.free // 2**20} MiB free\n")
    log.flush()


async def every(seconds: float, log: TextIO, folder: str) -> None:
    """Make records at a steady pace until cancelled."""
    loop = asyncio.get_running_loop()
    turn = loop.time()
    while True:
        job = asyncio.create_task(record(log, folder))
        try:
            await asyncio.shield(job)
        except asyncio.CancelledError:
            await job
            raise
        # Turns are counted from the first one, so that late ones do not add up.
        turn += seconds
        await asyncio.sleep(turn - loop.time())


async def main(log: TextIO, seconds: float) -> None:
    """Keep the log until somebody ends the program."""
    print(f"writing to {log.name} every {seconds:g} s", flush=True)
    try:
        await every(seconds, log, str(Path(log.name).parent))
    finally:
        log.write("stopped\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Log the free space of a disk.")
    parser.add_argument("log", type=Path)
    parser.add_argument("--every", type=float, default=10.0, metavar="SECONDS")
    options = parser.parse_args()
    try:
        with options.log.open("a", encoding="utf-8") as file:
            asyncio.run(main(file, options.every))
    except KeyboardInterrupt:
        sys.exit(130)
