"""A chat room over TCP: whatever one visitor types, all others see.

On Ctrl-C or SIGTERM the room says goodbye to everybody before it closes.

    quiesce run examples/chat.py --port 4040
    nc localhost 4040
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import suppress

PATIENCE = 5.0  # seconds for a visitor to take what was written to them


class Room:
    """The visitors and what passes between them."""

    def __init__(self) -> None:
        self.visitors: dict[str, asyncio.StreamWriter] = {}

    async def welcome(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Look after one visitor from the first word to the last."""
        name = ""
        try:
            writer.write(b"Your name, please: ")
            name = (await reader.readline()).decode(errors="replace").strip()
            if not name or name in self.visitors:
                writer.write(b"That name is not to be had.\n")
                return
            self.visitors[name] = writer
            self.tell_others(name, f"* {name} comes in")
            while line := await reader.readline():
                text = line.decode(errors="replace").rstrip()
                self.tell_others(name, f"{name}: {text}")
                await writer.drain()
        except ConnectionError:
            pass  # gone without a word
        finally:
            if self.visitors.get(name) is writer:
                del self.visitors[name]
                self.tell_others(name, f"* {name} goes")
            writer.close()

    def tell_others(self, speaker: str, text: str) -> None:
        """Write `text` to everybody but the speaker."""
        for name, writer in self.visitors.items():
            if name != speaker:
                writer.write(f"{text}\n".encode())

    async def say_goodbye(self) -> None:
        """Tell everybody that the room closes, and wait until they have heard it."""
        leaving = list(self.visitors.values())
        self.visitors.clear()
        for writer in leaving:
            writer.write(b"* the room closes, goodbye\n")
            writer.close()
        for writer in leaving:
            with suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), PATIENCE)


async def main(host: str, port: int) -> None:
    """Keep the room open until somebody ends the program."""
    room = Room()
    server = await asyncio.start_server(room.welcome, host, port)
    address = server.sockets[0].getsockname()
    print(f"the room is open at {address[0]} port {address[1]}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        server.close()
        await room.say_goodbye()
        print("the room is closed", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A chat room over TCP.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    options = parser.parse_args()
    try:
        asyncio.run(main(options.host, options.port))
    except KeyboardInterrupt:
        sys.exit(130)
