"""Fetch web pages without being a burden: at most so many requests a second.

Each address (http:// only) becomes one line: status, size, time, address.

    quiesce run examples/polite_fetch.py --rate 5 http://localhost:8000/{a,b,c}
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from urllib.parse import urlsplit


class Pace:
    """Lets its users go on at a steady rate, in the order in which they came."""

    def __init__(self, rate: float) -> None:
        self.interval = 1 / rate
        self.next = 0.0

    async def wait(self) -> None:
        """Wait for a turn.

        A turn that was given out and not used, because its user was cancelled, is lost:
        the rate is an upper limit.
        """
        now = time.monotonic()
        turn = max(now, self.next)
        self.next = turn + self.interval
        await asyncio.sleep(turn - now)


async def fetch(address: str) -> tuple[str, int]:
    """Return the status and the size of the page at `address`."""
    parts = urlsplit(address)
    if parts.scheme != "http" or parts.hostname is None:
        raise ValueError("not an http:// address")
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        request = f"GET {target} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n"
        writer.write(request.encode("ascii"))
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.read()
    finally:
        writer.close()
    return head.decode("latin-1").split()[1], len(body)


async def report(address: str, pace: Pace, timeout: float) -> bool:
    """Fetch one page when it is its turn, and print what came of it."""
    await pace.wait()
    started = time.perf_counter()
    try:
        async with asyncio.timeout(timeout):
            status, size = await fetch(address)
    except TimeoutError:
        print(f"no answer within {timeout:g} s  {address}", flush=True)
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        print(f"{error}  {address}", flush=True)
    else:
        seconds = time.perf_counter() - started
        print(f"{status} {size:9,} bytes {seconds:6.3f} s  {address}", flush=True)
        return True
    return False


async def main(addresses: list[str], rate: float, timeout: float) -> bool:
    """Fetch all; tell whether all of them came."""
    pace = Pace(rate)
    reports = (report(address, pace, timeout) for address in addresses)
    return all(await asyncio.gather(*reports))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fetch web pages at a steady rate.")
    parser.add_argument("addresses", nargs="+", metavar="ADDRESS")
    parser.add_argument("--rate", type=float, default=2.0, help="requests a second")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds")
    options = parser.parse_args()
    if options.rate <= 0:
        parser.error("--rate must be above 0")
    try:
        complete = asyncio.run(main(options.addresses, options.rate, options.timeout))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if complete else 1)
