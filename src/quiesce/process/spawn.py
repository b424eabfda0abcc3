"""Starting a child: what `subprocess_exec` and `subprocess_shell` do.

`subprocess.Popen` starts it, in the loop's thread; all of its keywords can be given but
those for text. Read `transport` before this.
"""

from __future__ import annotations

import subprocess
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from quiesce.combinators.shield import shield
from quiesce.process.transport import ChildTransport

if TYPE_CHECKING:
    from quiesce.net.connect import ProtocolFactory


async def run_program(
    loop: Any, protocol_factory: ProtocolFactory, args: tuple[Any, ...], **options: Any
) -> tuple[ChildTransport, Any]:
    """Return the transport and the protocol of a child that runs ``args``.

    Raises ValueError for what only `Popen` can do, and what `Popen` itself raises.
    If this is cancelled, the child is killed and reaped first.
    """
    refuse_text(options, False)
    return await start(loop, protocol_factory, args, False, options)


async def run_command(
    loop: Any, protocol_factory: ProtocolFactory, command: Any, **options: Any
) -> tuple[ChildTransport, Any]:
    """Return the transport and the protocol of a shell that runs `command`.

    As `run_program`; raises ValueError also if `command` is neither a string nor bytes.
    """
    if not isinstance(command, (bytes, str)):
        raise ValueError("cmd must be a string")  # noqa: TRY004 - asyncio's choice
    refuse_text(options, True)
    return await start(loop, protocol_factory, command, True, options)


async def start(
    loop: Any,
    protocol_factory: ProtocolFactory,
    args: Any,
    shell: bool,
    options: dict[str, Any],
) -> tuple[ChildTransport, Any]:
    """Start a child; return its transport and protocol once the pipes are connected."""
    protocol = protocol_factory()
    # This blocks until the program is loaded or could not be: about a millisecond. In
    # another thread a child could ask to die with its parent and die with that thread.
    process: Any = subprocess.Popen(  # noqa: ASYNC220, S603 - the user's own command
        args, shell=shell, bufsize=0, **options
    )
    transport = ChildTransport(loop, protocol, process)
    try:
        transport.watch()
    except BaseException:
        transport.close()
        process.wait()
        raise
    try:
        await transport.connect()
    except BaseException:
        transport.close()
        await shield(transport._wait())
        raise
    if loop.get_debug():
        logger.info("started child %r", transport)
    return transport, protocol


def refuse_text(options: dict[str, Any], shell: bool) -> None:
    """Take the keywords out of `options` that asyncio knows only to refuse.

    Pipes carry bytes here, and which of `args` and a shell command is run is the choice
    of the function that was called.
    """
    if options.pop("universal_newlines", False):
        raise ValueError("universal_newlines must be False")
    if bool(options.pop("shell", shell)) is not shell:
        raise ValueError(f"shell must be {shell}")
    if options.pop("bufsize", 0) != 0:
        raise ValueError("bufsize must be 0")
    if options.pop("text", None):
        raise ValueError("text must be False")
    if options.pop("encoding", None) is not None:
        raise ValueError("encoding must be None")
    if options.pop("errors", None) is not None:
        raise ValueError("errors must be None")
