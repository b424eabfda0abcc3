"""Print the SHA-256 sums of all files below some folders, as sha256sum does.

A few workers take the files from one queue and have them read in threads. The queue is
bounded: however large the tree, only a few names are in memory at a time.

    quiesce run examples/checksums.py --workers 8 ~/src
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import sys
from pathlib import Path


async def find(folders: list[Path], queue: asyncio.Queue[Path]) -> None:
    """Put every file on the queue, waiting whenever it is full."""
    for folder in folders:
        for place, subfolders, names in os.walk(folder):
            subfolders.sort()
            for name in sorted(names):
                await queue.put(Path(place, name))


async def work(queue: asyncio.Queue[Path]) -> None:
    """Take files from the queue and print their sums."""
    while True:
        path = await queue.get()
        try:
            digest = await asyncio.to_thread(checksum, path)
        except OSError as error:
            print(f"{path}: {error.strerror}", file=sys.stderr)
        else:
            print(f"{digest}  {path}", flush=True)
        finally:
            queue.task_done()


def checksum(path: Path) -> str:
    """Read the file, which blocks, and return its sum."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def main(folders: list[Path], workers: int) -> None:
    """Run the workers until everything that was found is done."""
    queue: asyncio.Queue[Path] = asyncio.Queue(maxsize=2 * workers)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(queue)) for _ in range(workers)]
        await find(folders, queue)
        await queue.join()
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print SHA-256 sums.")
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    try:
        asyncio.run(main(options.folders, options.workers))
    except KeyboardInterrupt:
        sys.exit(130)
