"""Drain steps: what a service does before it is cancelled."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from quiesce.shutdown import drain
from quiesce.shutdown.draining import drop_steps, has_steps, run_drain_steps
from tests.combinators.running import in_loop


class Budget:
    """A budget in which every moment is so many seconds away."""

    def __init__(self, seconds=100.0):
        self.seconds = seconds

    @property
    def cut(self):
        return self.seconds

    def at(self, share):
        return share * self.seconds

    def left(self, until=None):
        return self.seconds if until is None else until


async def drained(budget=None):
    await run_drain_steps(asyncio.get_running_loop(), budget or Budget())


@in_loop
async def test_steps_run_the_last_registered_first():
    log = []
    for number in range(3):
        drain(log.append, number)
    await drained()
    assert log == [2, 1, 0]


@in_loop
async def test_a_step_is_awaited_before_the_next_begins():
    log = []

    async def step(name):
        log.append(f"{name} begins")
        await asyncio.sleep(1)
        log.append(f"{name} ends")

    drain(step, "second")
    drain(step, "first")
    await drained()
    assert log == ["first begins", "first ends", "second begins", "second ends"]


@in_loop
async def test_a_step_runs_once():
    log = []
    drain(log.append, "ran")
    await drained()
    await drained()
    assert log == ["ran"]


@in_loop
async def test_a_step_can_be_taken_back():
    log = []
    registration = drain(log.append, "ran")
    registration.cancel()
    registration.cancel()
    await drained()
    assert log == []


@in_loop
async def test_a_step_is_registered_for_a_with_block():
    loop = asyncio.get_running_loop()
    with drain(print):
        assert has_steps(loop)
    assert not has_steps(loop)


@in_loop
async def test_a_step_sees_the_context_of_its_registration():
    variable = contextvars.ContextVar("variable", default="default")
    seen = []
    variable.set("registered")
    drain(lambda: seen.append(variable.get()))
    variable.set("later")
    await drained()
    assert seen == ["registered"]


@in_loop
async def test_a_step_registered_while_others_run_runs_too():
    log = []
    drain(lambda: drain(log.append, "ran"))
    await drained()
    assert log == ["ran"]


@in_loop
async def test_a_step_over_its_limit_is_named_and_cancelled(capfd):
    log = []

    async def slow():
        try:
            await asyncio.Event().wait()
        finally:
            log.append("cancelled")

    drain(log.append, "next")
    drain(slow, limit=5, name="the slow one")
    await drained()
    await asyncio.sleep(0)
    assert sorted(log) == ["cancelled", "next"]
    (line,) = capfd.readouterr().err.splitlines()
    assert "not done after 5 s: drain step 'the slow one'" in line
    assert "test_draining.py" in line


@in_loop
async def test_all_steps_together_have_half_of_the_grace():
    loop = asyncio.get_running_loop()
    drain(asyncio.sleep, 1000)
    begun = loop.time()
    await drained(Budget(seconds=10))
    assert loop.time() - begun == 5


@in_loop
async def test_a_step_that_gets_no_time_is_named(capfd):
    drain(print, name="the last one")
    await drained(Budget(seconds=0))
    assert "the last one" in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["function", "coroutine function"])
def test_a_step_that_fails_is_reported_and_the_others_run(loop, kind):
    log, reports = [], []
    loop.set_exception_handler(lambda _, context: reports.append(context))

    def fail():
        raise LookupError

    async def fail_later():
        raise LookupError

    async def main():
        drain(log.append, "ran")
        drain(fail if kind == "function" else fail_later, name="the wrong one")
        await drained()

    loop.run_until_complete(main())
    assert log == ["ran"]
    (report,) = reports
    assert report["message"] == "drain step 'the wrong one' failed"
    assert isinstance(report["exception"], LookupError)


@in_loop
async def test_to_cancel_the_drain_cancels_its_step_and_leaves_the_others(capfd):
    log = []

    async def step():
        try:
            await asyncio.Event().wait()
        finally:
            log.append("cancelled")

    drain(log.append, "never")
    drain(step)
    task = asyncio.create_task(drained())
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.sleep(1)
    assert log == ["cancelled"]
    assert has_steps(asyncio.get_running_loop())
    drop_steps(asyncio.get_running_loop())
    assert not has_steps(asyncio.get_running_loop())
    assert "no time was left" in capfd.readouterr().err


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
@in_loop
async def test_a_limit_must_be_above_zero(limit):
    with pytest.raises(ValueError, match="above 0"):
        drain(print, limit=limit)


def test_a_step_belongs_to_a_running_loop():
    with pytest.raises(RuntimeError, match="no running event loop"):
        drain(print)
