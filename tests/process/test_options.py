"""What can be asked of a child, and what is refused."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import PIPE

import pytest

from tests.process.recording import Recorder, open_descriptors, python

TEXT = {
    "universal_newlines must be False": {"universal_newlines": True},
    "bufsize must be 0": {"bufsize": 1},
    "text must be False": {"text": True},
    "encoding must be None": {"encoding": "utf-8"},
    "errors must be None": {"errors": "strict"},
}


async def output_of(code, **options):
    child = await asyncio.create_subprocess_exec(*python(code), stdout=PIPE, **options)
    output, _ = await child.communicate()
    return output.decode().strip()


@pytest.mark.parametrize("message", TEXT)
def test_text_is_refused(run, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        run(asyncio.create_subprocess_exec("true", **TEXT[message]))
    with pytest.raises(ValueError, match=f"^{message}$"):
        run(asyncio.create_subprocess_shell("true", **TEXT[message]))


def test_a_program_is_not_run_in_a_shell(run):
    with pytest.raises(ValueError, match="shell must be False"):
        run(asyncio.create_subprocess_exec("true", shell=True))


def test_a_command_is_not_run_without_a_shell(run):
    with pytest.raises(ValueError, match="shell must be True"):
        run(asyncio.create_subprocess_shell("true", shell=False))


def test_a_command_is_a_string(run):
    with pytest.raises(ValueError, match="cmd must be a string"):
        run(asyncio.create_subprocess_shell(["true"]))


def test_a_command_can_be_bytes(run):
    async def main():
        child = await asyncio.create_subprocess_shell(b"exit 7")
        return await child.wait()

    assert run(main()) == 7


def test_all_streams_are_pipes_unless_said_otherwise(run, loop):
    async def main():
        transport, heard = await loop.subprocess_exec(Recorder, "true")
        pipes = [transport.get_pipe_transport(fd) for fd in range(4)]
        await heard.over.wait()
        return pipes

    *pipes, other = run(main())
    assert None not in pipes
    assert other is None


def test_a_program_can_be_a_path(run, tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 9\n")
    program.chmod(0o755)

    async def main():
        child = await asyncio.create_subprocess_exec(program)
        return await child.wait()

    assert run(main()) == 9


def test_a_missing_program_raises_and_leaves_nothing_open(run):
    # A loop's first run opens what all its runs use.
    run(asyncio.sleep(0))
    before = open_descriptors()
    with pytest.raises(FileNotFoundError):
        run(asyncio.create_subprocess_exec("/missing", stdin=PIPE, stdout=PIPE))
    assert open_descriptors() == before


def test_environment_and_folder_can_be_set(run, tmp_path):
    code = "import os; print(os.environ['WORD'], os.getcwd())"
    output = run(output_of(code, env={"WORD": "hello"}, cwd=tmp_path))
    assert output == f"hello {tmp_path}"


def test_a_child_can_lead_a_session(run):
    code = "import os; print(os.getsid(0) == os.getpid())"
    assert run(output_of(code, start_new_session=True)) == "True"


def test_a_child_can_lead_a_process_group(run):
    code = "import os; print(os.getpgrp() == os.getpid())"
    assert run(output_of(code, process_group=0)) == "True"


def test_a_function_can_run_in_the_child_first(run):
    code = "import os; print(os.umask(0))"
    assert run(output_of(code, preexec_fn=lambda: os.umask(0o27))) == str(0o27)


def test_descriptors_can_be_passed_on(run):
    async def main():
        readable, writable = os.pipe()
        try:
            code = f"import os; os.write({writable}, b'hello')"
            await output_of(code, pass_fds=[writable])
            return os.read(readable, 100)
        finally:
            os.close(readable)
            os.close(writable)

    assert run(main()) == b"hello"


def test_a_child_inherits_none_of_the_descriptors_of_its_siblings(run):
    async def main():
        first = await asyncio.create_subprocess_exec("cat", stdin=PIPE)
        second = await asyncio.create_subprocess_exec(
            "cat", stdin=PIPE, close_fds=False
        )
        first.stdin.close()
        status = await first.wait()
        second.stdin.close()
        return status, await second.wait()

    assert run(main()) == (0, 0)
