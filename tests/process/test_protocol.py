"""What a child's protocol hears, and in which order."""

from __future__ import annotations

import asyncio
import os

from tests.process.recording import PATIENT, leaver, python, spawn


def test_the_whole_life_of_a_child(run):
    async def main():
        _, heard = await spawn(*python("print('hello')"), stdin=None, stderr=None)
        await heard.over.wait()
        return heard.calls

    calls = run(main())
    assert calls[0] == "made"
    assert calls[-1] == ("lost", None)
    assert calls.index(("data", 1)) < calls.index(("pipe lost", 1))
    assert sorted(map(str, calls[1:-1])) == [
        "('data', 1)",
        "('pipe lost', 1)",
        "exited",
    ]


def test_each_pipe_is_lost_once(run):
    async def main():
        _, heard = await spawn("true")
        await heard.over.wait()
        return heard.calls

    calls = run(main())
    assert [calls.count(("pipe lost", fd)) for fd in range(3)] == [1, 1, 1]
    assert calls.count("exited") == 1


def test_a_child_without_pipes_is_over_when_it_ends(run):
    async def main():
        _, heard = await spawn("true", stdin=None, stdout=None, stderr=None)
        await heard.over.wait()
        return heard.calls

    assert run(main()) == ["made", "exited", ("lost", None)]


def test_the_protocol_is_connected_when_the_child_is_returned(run):
    async def main():
        transport, heard = await spawn(*PATIENT)
        calls = list(heard.calls)
        transport.close()
        await heard.over.wait()
        return calls

    assert run(main()) == ["made"]


def test_all_output_arrives_before_its_pipe_is_lost(run):
    async def main():
        code = "import os; [os.write(1, bytes(65536)) for _ in range(16)]"
        _, heard = await spawn(*python(code))
        await heard.over.wait()
        return len(heard.output[1])

    assert run(main()) == 1 << 20


def test_a_child_may_close_its_output_before_it_ends(run):
    async def main():
        code = "import os, sys; os.close(1); os.close(2); sys.stdin.read()"
        transport, heard = await spawn(*python(code))
        await heard.hears(("pipe lost", 1))
        exited = "exited" in heard.calls
        transport.get_pipe_transport(0).close()
        await heard.over.wait()
        return exited

    assert run(main()) is False


def test_a_child_may_end_before_its_output_is_closed(run):
    async def main():
        keeper, held = os.pipe()
        transport, heard = await spawn(
            *leaver(3, "echo late"), stdin=keeper, stderr=None
        )
        os.close(keeper)
        await heard.exited.wait()
        calls = [*heard.calls, transport.get_returncode()]
        os.write(held, b"\n")
        os.close(held)
        await heard.over.wait()
        return calls, heard.calls[2:]

    calls, later = run(main())
    assert calls == ["made", "exited", 3]
    assert later == [("data", 1), ("pipe lost", 1), ("lost", None)]


def test_a_failing_protocol_is_reported_and_the_child_still_reaped(run, loop):
    class Failing(asyncio.SubprocessProtocol):
        def __init__(self):
            self.over = asyncio.Event()

        def process_exited(self):
            raise ZeroDivisionError

        def connection_lost(self, exc):
            self.over.set()

    reports = []
    loop.set_exception_handler(lambda loop, context: reports.append(context))

    async def main():
        transport, protocol = await loop.subprocess_exec(Failing, "true")
        await protocol.over.wait()
        return transport.get_returncode()

    assert run(main()) == 0
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]


def test_the_protocol_can_be_replaced(run):
    async def main():
        transport, _ = await spawn(*PATIENT)
        other = type(transport.get_protocol())()
        transport.set_protocol(other)
        transport.get_pipe_transport(0).close()
        await other.over.wait()
        return other.calls

    assert "exited" in run(main())


def test_a_representation_says_how_the_child_is(run):
    async def main():
        transport, heard = await spawn(*PATIENT, stdout=None, stderr=None)
        running = repr(transport)
        transport.get_pipe_transport(0).close()
        await heard.over.wait()
        return transport.get_pid(), running, repr(transport)

    pid, running, over = run(main())
    assert f"pid={pid} running stdin=<" in running
    assert f"pid={pid} returncode=0" in over
