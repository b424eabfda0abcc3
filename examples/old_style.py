"""A program in the style from before ``asyncio.run``, with its recipe for Ctrl-C.

It drives its loop by itself. On Ctrl-C it cancels all tasks and runs the loop once
more, so that they can clean up. With asyncio that second ``run_forever`` never comes
back, because nobody tells it when everything is done; quiesce remembers what was
interrupted and ends it then.

    python examples/old_style.py
"""

from __future__ import annotations

import quiesce as asyncio


def say(text: str) -> None:
    """Print `text` at once."""
    print(text, flush=True)


async def cook(dish: str, minutes: float) -> None:
    """Cook for as long as it is allowed to, then clean the kitchen."""
    try:
        while True:
            say(f"cooking {dish}")
            await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(minutes)
        say(f"cleaned up after {dish}")


loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
dishes = asyncio.gather(
    asyncio.ensure_future(cook("soup", 0.3)),
    asyncio.ensure_future(cook("dumplings", 0.1)),
)
loop.call_soon(say, "Ctrl-C closes the kitchen")
try:
    loop.run_until_complete(dishes)
except KeyboardInterrupt:
    say("the kitchen closes")
    for task in asyncio.Task.all_tasks():
        task.cancel()
    loop.run_forever()
finally:
    loop.close()
