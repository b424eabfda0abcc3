"""Children through asyncio's own `create_subprocess_exec` and its streams."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT

import pytest

from tests.process.recording import PATIENT, leaver, python

MIB = 1 << 20


async def result_of(*words, data=None, **options):
    """Run a program to its end; return its status and its two outputs."""
    child = await asyncio.create_subprocess_exec(*words, **options)
    outputs = await child.communicate(data)
    return child.returncode, *outputs


async def write_for_ever(stream):
    while True:
        stream.write(bytes(MIB))
        await stream.drain()


def test_a_child_reads_what_is_written_and_its_output_is_read(run):
    code = "import sys; print(sys.stdin.read().upper())"
    result = run(result_of(*python(code), data=b"hello", stdin=PIPE, stdout=PIPE))
    assert result == (0, b"HELLO\n", None)


def test_outputs_are_told_apart(run):
    code = "import sys; print('out'); print('err', file=sys.stderr)"
    result = run(result_of(*python(code), stdout=PIPE, stderr=PIPE))
    assert result == (0, b"out\n", b"err\n")


def test_stderr_can_go_where_stdout_goes(run):
    code = "import os; os.write(1, b'out '); os.write(2, b'err')"
    result = run(result_of(*python(code), stdout=PIPE, stderr=STDOUT))
    assert result == (0, b"out err", None)


def test_streams_can_be_open_files_or_nothing(run, tmp_path):
    path = tmp_path / "output"
    with path.open("wb") as output:
        result = run(result_of(*PATIENT, stdin=DEVNULL, stdout=output, stderr=output))
    assert result == (0, None, None)
    assert path.read_bytes() == b""


def test_output_can_be_a_descriptor(run, tmp_path):
    path = tmp_path / "output"
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        run(result_of("echo", "hello", stdout=fd))
    finally:
        os.close(fd)
    assert path.read_bytes() == b"hello\n"


def test_what_is_not_redirected_is_inherited(run, capfd):
    assert run(result_of("echo", "hello")) == (0, None, None)
    assert capfd.readouterr().out == "hello\n"


def test_megabytes_pass_both_ways(run):
    data = os.urandom(4 * MIB)
    result = run(result_of(*PATIENT, data=data, stdin=PIPE, stdout=PIPE))
    assert result == (0, data, None)


def test_writing_waits_for_a_child_that_does_not_read(run):
    async def main():
        code = "import sys; input(); sys.stdin.read()"
        child = await asyncio.create_subprocess_exec(
            *python("import sys; sys.stdout.write('x'); sys.stdout.flush(); " + code),
            stdin=PIPE,
            stdout=PIPE,
        )
        await child.stdout.read(1)
        child.stdin.write(bytes(MIB))
        drained = asyncio.ensure_future(child.stdin.drain())
        for _ in range(10):
            await asyncio.sleep(0)
        waited = not drained.done()
        child.stdin.write(b"\n")
        await drained
        child.stdin.close()
        return waited, await child.wait()

    assert run(main()) == (True, 0)


def test_writing_to_a_child_that_has_ended_raises(run):
    async def main():
        child = await asyncio.create_subprocess_exec("true", stdin=PIPE)
        await child.wait()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            await write_for_ever(child.stdin)

    run(main())


def test_a_shell_runs_a_command(run):
    async def main():
        child = await asyncio.create_subprocess_shell("echo $((6 * 7))", stdout=PIPE)
        return await child.communicate()

    assert run(main()) == (b"42\n", None)


@pytest.mark.parametrize("status", [0, 1, 255])
def test_wait_returns_the_exit_status(run, status):
    async def main():
        child = await asyncio.create_subprocess_shell(f"exit {status}")
        return await child.wait(), child.returncode

    assert run(main()) == (status, status)


def test_wait_returns_the_signal_that_ended_the_child(run):
    async def main():
        child = await asyncio.create_subprocess_shell("kill -USR1 $$")
        return await child.wait()

    assert run(main()) == -signal.SIGUSR1


def test_many_can_wait_for_one_child(run):
    async def main():
        child = await asyncio.create_subprocess_exec(*PATIENT, stdin=PIPE)
        waits = [asyncio.ensure_future(child.wait()) for _ in range(5)]
        child.stdin.close()
        return await asyncio.gather(*waits)

    assert run(main()) == [0] * 5


def test_a_wait_can_be_cancelled_and_repeated(run):
    async def main():
        child = await asyncio.create_subprocess_exec(*PATIENT, stdin=PIPE)
        first = asyncio.ensure_future(child.wait())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        child.stdin.close()
        return first.cancelled(), await child.wait()

    assert run(main()) == (True, 0)


def test_wait_does_not_wait_for_those_who_inherited_the_output(run):
    async def main():
        keeper, held = os.pipe()
        child = await asyncio.create_subprocess_exec(
            *leaver(3), stdin=keeper, stdout=PIPE
        )
        os.close(keeper)
        status = await child.wait()
        os.close(held)
        await child.stdout.read()
        return status

    assert run(main()) == 3
