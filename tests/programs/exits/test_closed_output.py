"""Programs whose output ends in a closed pipe, or in one that nobody reads"""

from __future__ import annotations

import signal
import time

import pytest

GRACE = 2.0
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_closed_stdout_keeps_no_cleanup_from_running(scenario, signum):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        say()
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.05)
            log("main")

    run(main())
    """
    with scenario.start(text) as program:
        program.wait_for("ready")
        program.hang_up()
        program.send(signum)
        outcome = program.end()
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signum)
    assert outcome.is_silent


@pytest.mark.parametrize("signum", SIGNALS)
def test_unflushed_output_to_a_closed_pipe_changes_no_status(scenario, signum):
    text = """
    async def main():
        say()
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.3)
            print("x" * 1000)
            log("main")

    run(main())
    """
    with scenario.start(text) as program:
        program.wait_for("ready")
        program.send(signum)
        program.hang_up()
        outcome = program.end()
    assert outcome.log == ["main"]
    assert outcome.tells(signum)


def test_a_program_whose_reader_left_ends_as_any_python_program(scenario):
    # As `program | head -1` does.
    text = """
    async def main():
        start("background", 0.05)
        say()
        while True:
            await asyncio.sleep(0.01)
            print("more", flush=True)

    run(main())
    """
    with scenario.start(text) as program:
        program.wait_for("ready")
        program.hang_up()
        outcome = program.end()
    assert outcome.log == ["background"]
    assert outcome.status in {1, 120}
    assert "BrokenPipeError: [Errno 32] Broken pipe" in outcome.err
    assert outcome.tracebacks == 1


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("signum", SIGNALS)
def test_a_stream_that_the_program_closed_is_not_missed(scenario, signum, stream):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        say()
        sys.{stream}.close()
        await sleeper("main", 1.2)

    run(main())
    """
    outcome = scenario.interrupted(text.replace("{stream}", stream), by=signum)
    assert outcome.log == ["background", "main"]
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_descriptor_that_is_closed_is_not_missed(scenario, signum):
    text = """
    async def main():
        start("background", 0.05)
        asyncio.create_task(never_ends())
        await asyncio.sleep(0)
        say()
        os.close(2)
        await sleeper("main", 0.05)

    run(main())
    """
    outcome = scenario.interrupted(text, by=signum, grace=GRACE)
    assert outcome.log == ["main", "background"]
    assert outcome.tells_force(signum)


def test_what_was_printed_reaches_a_slow_reader(scenario):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        say()
        await sleeper("main", 0.05)

    try:
        run(main())
    finally:
        for _ in range(30_000):
            print("0123456789")
    """
    with scenario.start(text) as program:
        program.wait_for("ready")
        program.send(signal.SIGTERM)
        time.sleep(1)
        outcome = program.end()
    assert outcome.log == ["main", "background"]
    assert len(outcome.out) == 30_001
    assert outcome.tells(signal.SIGTERM)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_report_that_nobody_reads_does_not_hold_the_exit(scenario, signum):
    # stderr is a pipe that is full and that nobody reads.
    text = """
    import fcntl

    async def main():
        asyncio.create_task(never_ends())
        await asyncio.sleep(0)
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * 4096)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x")
        os.set_blocking(writer, True)
        os.dup2(writer, 2)
        say()
        await sleeper("main", 0.05)

    run(main())
    """
    outcome = scenario.interrupted(text, by=signum, grace=GRACE)
    assert outcome.log == ["main"]
    assert outcome.tells_force(signum)
    assert outcome.gone_within(GRACE + 1.5)


def test_stdout_as_a_transport_is_flushed(scenario):
    text = """
    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, os.fdopen(1, "wb", 0)
        )
        transport.write(b"ready\\n")
        transport.write(b"0123456789\\n" * 50_000)
        await sleeper("main", 0.05)

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert len(outcome.out) == 50_001
    assert outcome.log == ["main"]
    assert outcome.tells(signal.SIGTERM)


def test_a_pipe_that_nobody_reads_is_cut_off(scenario):
    text = """
    async def main():
        loop = asyncio.get_running_loop()
        global reader
        reader, writer = os.pipe()
        transport, protocol = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, os.fdopen(writer, "wb", 0)
        )
        transport.write(b"x" * 1_000_000)
        say()
        await sleeper("main", 0.05)

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=GRACE)
    assert outcome.log == ["main"]
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)
    assert "bytes" in outcome.err


def test_stdin_as_a_stream_does_not_hold_the_exit(scenario):
    text = """
    async def main():
        loop = asyncio.get_running_loop()
        reader, writer = os.pipe()
        stream = asyncio.StreamReader()
        await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reader, "rb", 0)
        )
        say()
        try:
            await stream.readline()
        finally:
            await asyncio.sleep(0.05)
            log("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["main"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


def test_reading_stdin_in_a_thread_does_not_hold_the_exit_past_the_grace(scenario):
    text = """
    async def main():
        say()
        try:
            await asyncio.to_thread(os.read, READER, 1)
        finally:
            log("main")

    READER, WRITER = os.pipe()
    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=GRACE)
    assert outcome.log == ["main"]
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)
