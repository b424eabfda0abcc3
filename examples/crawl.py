"""Crawl a directory tree over HTTP, with a few hundred connections at once.

The tree (by default the sources of Python's own library) is served by a small HTTP
server on the loopback interface, and crawled from its root by following the links of
the directory listings. Server and crawler share one loop. Ctrl-C ends it at any time,
and it says what it had done.

    quiesce run examples/crawl.py
    python examples/crawl.py --root ~/src --concurrency 50 --limit 1000 --plain
"""

from __future__ import annotations

import argparse
import asyncio
import html
import mimetypes
import re
import sys
import sysconfig
import time
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

try:
    from rich import progress  # noqa: TID251 - quiesce does not need it, this does
    from rich.console import Console  # noqa: TID251
except ImportError:
    progress = None

HOST = "127.0.0.1"
LINK = re.compile(rb'<a href="([^"]+)">')
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Server Error"}


# ------------------------------------------------------------------ the server


@dataclass(frozen=True)
class Answer:
    """What one request is answered with."""

    status: int
    kind: str
    body: bytes

    def head(self) -> bytes:
        """Return the lines that go before the body."""
        return (
            f"HTTP/1.1 {self.status} {REASONS[self.status]}\r\n"
            f"Content-Type: {self.kind}\r\n"
            f"Content-Length: {len(self.body)}\r\n\r\n"
        ).encode("ascii")


class Site:
    """A directory tree, as a web site."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.connections: set[asyncio.Task[None]] = set()

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer the requests of one connection, one after the other."""
        connection = asyncio.current_task()
        assert connection is not None
        self.connections.add(connection)
        try:
            while head := await read_head(reader):
                answer = await asyncio.to_thread(self.answer, head)
                writer.write(answer.head() + answer.body)
                await writer.drain()
        except ConnectionError:
            pass  # the crawler went away in the middle of an answer
        finally:
            writer.close()
            self.connections.discard(connection)

    async def all_served(self) -> None:
        """Wait until the other side has closed all connections."""
        if self.connections:
            await asyncio.wait(self.connections)

    def answer(self, head: list[bytes]) -> Answer:
        """Find what is asked for; reads files, so it runs in a thread."""
        method, _, target = head[0].decode("ascii").partition(" ")
        path = PurePosixPath(urllib.parse.unquote(target.partition(" ")[0]))
        if method != "GET" or ".." in path.parts:
            return Answer(400, "text/plain", b"that is not to be had here\n")
        place = self.root.joinpath(*path.parts[1:])
        try:
            if place.is_dir():
                return Answer(200, "text/html", listing(place))
            kind = mimetypes.guess_type(place.name)[0] or "application/octet-stream"
            return Answer(200, kind, place.read_bytes())
        except FileNotFoundError:
            return Answer(404, "text/plain", b"no such file\n")
        except OSError as error:
            return Answer(500, "text/plain", f"{error.strerror}\n".encode())


def listing(folder: Path) -> bytes:
    """Return a page with a link to everything in `folder`."""
    links: list[str] = []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            if entry.is_symlink():
                continue  # it may lead in a circle
            name = f"{entry.name}/"
        else:
            name = entry.name
        link = urllib.parse.quote(name, errors="surrogateescape")
        shown = html.escape(name.encode(errors="replace").decode())
        links.append(f'<li><a href="{link}">{shown}</a></li>\n')
    return f"<!doctype html>\n<ul>\n{''.join(links)}</ul>\n".encode()


async def read_head(reader: asyncio.StreamReader) -> list[bytes]:
    """Return the lines before an empty one, or none if the connection has ended."""
    lines: list[bytes] = []
    while line := (await reader.readline()).rstrip():
        lines.append(line)
    return lines


# ------------------------------------------------------------------ the crawler


@dataclass
class Report:
    """What has been found so far."""

    started: float = field(default_factory=time.perf_counter)
    folders: int = 0
    files: int = 0
    size: int = 0
    found: int = 0
    errors: list[str] = field(default_factory=list)
    largest: list[tuple[int, str]] = field(default_factory=list)
    suffixes: Counter[str] = field(default_factory=Counter)

    def count(self, path: str, size: int, *, is_folder: bool) -> None:
        """Add one page or file that has arrived."""
        if is_folder:
            self.folders += 1
            return
        self.files += 1
        self.size += size
        self.suffixes[PurePosixPath(path).suffix or "(none)"] += 1
        self.largest = sorted([*self.largest, (size, path)])[-3:]

    def lines(self) -> list[str]:
        """Sum up, one line a fact."""
        seconds = time.perf_counter() - self.started
        requests = self.folders + self.files + len(self.errors)
        kinds = [f"{count} {suffix}" for suffix, count in self.suffixes.most_common(6)]
        sizes = [f"{size / 1e3:,.0f} kB {path}" for size, path in self.largest[::-1]]
        return [
            f"files      {self.files:,} in {self.folders:,} folders",
            f"bytes      {self.size:,}",
            f"requests   {requests:,} in {seconds:.2f} s: {requests / seconds:,.0f}/s",
            f"suffixes   {', '.join(kinds) or 'none'}",
            f"largest    {', '.join(sizes) or 'none'}",
            f"errors     {len(self.errors):,}",
            *(f"           {error}" for error in self.errors[:5]),
        ]


class Crawler:
    """Follows links from the root until there are no new ones."""

    def __init__(self, port: int, limit: int | None, report: Report) -> None:
        self.port = port
        self.limit = limit
        self.report = report
        self.queue: asyncio.Queue[str] = asyncio.Queue()
        self.seen: set[str] = set()
        self.add("/")

    def add(self, path: str) -> None:
        """Fetch `path` too, unless it was found before or enough were found."""
        if path in self.seen or self.limit == len(self.seen):
            return
        self.seen.add(path)
        self.report.found = len(self.seen)
        self.queue.put_nowait(path)

    async def crawl(self, concurrency: int) -> None:
        """Fetch everything over `concurrency` connections."""
        async with asyncio.TaskGroup() as group:
            fetchers = [
                group.create_task(self.fetch_from_queue()) for _ in range(concurrency)
            ]
            await self.queue.join()
            for fetcher in fetchers:
                fetcher.cancel()

    async def fetch_from_queue(self) -> None:
        """Fetch one path after the other over a connection of its own."""
        reader, writer = await asyncio.open_connection(HOST, self.port)
        try:
            while True:
                path = await self.queue.get()
                await self.fetch(path, reader, writer)
                self.queue.task_done()
        finally:
            writer.close()

    async def fetch(
        self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Fetch `path`, count it, and queue what it links to."""
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode("ascii"))
        status, *fields = await read_head(reader)
        head = dict(line.split(b": ", 1) for line in fields)
        body = await reader.readexactly(int(head[b"Content-Length"]))
        if status.split()[1] != b"200":
            said = body.decode(errors="replace").strip()
            self.report.errors.append(f"{path}: {said}")
            return
        self.report.count(path, len(body), is_folder=path.endswith("/"))
        if path.endswith("/"):
            for link in LINK.findall(body):
                self.add(path + link.decode("ascii"))


# ------------------------------------------------------------------ the program


async def show_progress(report: Report) -> None:
    """Draw a bar on stderr until cancelled."""
    columns = (
        progress.TextColumn("crawling"),
        progress.BarColumn(bar_width=None),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[megabytes]:.1f} MB"),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as display:
        bar = display.add_task("crawl", megabytes=0.0)
        try:
            while True:
                update(display, bar, report)
                await asyncio.sleep(0.1)
        finally:
            update(display, bar, report)


def update(display: progress.Progress, bar: progress.TaskID, report: Report) -> None:
    """Bring the bar up to date."""
    done = report.folders + report.files + len(report.errors)
    display.update(bar, completed=done, total=report.found, megabytes=report.size / 1e6)


async def main(options: argparse.Namespace) -> None:
    """Serve and crawl, and say what was found, also if it is cut short."""
    report = Report()
    site = Site(options.root)
    server = await asyncio.start_server(site.serve, HOST, 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    runtime = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    print(f"crawling {options.root} at http://{HOST}:{port}/ on {runtime}", flush=True)
    shows = not options.plain and progress is not None
    bar = asyncio.create_task(show_progress(report)) if shows else None
    ending = "stopped early"
    try:
        async with server:
            await Crawler(port, options.limit, report).crawl(options.concurrency)
        ending = "done"
    finally:
        if bar is not None:
            bar.cancel()
            await asyncio.wait([bar])
        await site.all_served()
        print("\n".join([ending, *report.lines()]), flush=True)


def command_line() -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        description="Crawl a directory tree over HTTP on the loopback interface."
    )
    stdlib = Path(sysconfig.get_path("stdlib"))
    parser.add_argument("--root", type=Path, default=stdlib, metavar="FOLDER")
    parser.add_argument("--concurrency", type=int, default=300, metavar="CONNECTIONS")
    parser.add_argument("--limit", type=int, metavar="REQUESTS")
    parser.add_argument("--plain", action="store_true", help="draw no progress bar")
    options = parser.parse_args()
    if not options.root.is_dir():
        parser.error(f"no such folder: {options.root}")
    if options.concurrency < 1 or (options.limit is not None and options.limit < 1):
        parser.error("--concurrency and --limit must be at least 1")
    return options


if __name__ == "__main__":
    try:
        asyncio.run(main(command_line()))
    except KeyboardInterrupt:
        sys.exit(130)
