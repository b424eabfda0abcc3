"""Futures and tasks do what a simple model does, whatever is done to them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

import quiesce
from tests.properties.future_model import ModelFuture, ModelLoop, ModelTask, Outcome

CALLBACKS = st.integers(0, 2)


class PlannedError(Exception):
    """An exception that says which operation of the machine set it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlannedError) and self.args == other.args

    __hash__ = Exception.__hash__


class Recorder:
    """A callback that can be told apart from others, and found equal to itself."""

    def __init__(self, name: int, machine: FutureMachine) -> None:
        self.name = name
        self.machine = machine

    def note(self, future: asyncio.Future[Any]) -> None:
        number = next(n for n, f in enumerate(self.machine.real) if f is future)
        self.machine.log.append(("callback", self.name, number))


class FutureMachine(RuleBasedStateMachine):
    """Every operation is done to a real future and to the model's."""

    futures = Bundle("futures")
    tasks = Bundle("tasks")
    anything = st.one_of(futures, tasks)

    def new_loop(self) -> asyncio.AbstractEventLoop:
        return quiesce.new_event_loop()

    def __init__(self) -> None:
        super().__init__()
        self.loop = self.new_loop()
        self.model = ModelLoop()
        self.real: list[Any] = []
        self.planned: list[ModelFuture] = []
        self.log: list[tuple[object, ...]] = []
        self.recorders = [Recorder(name, self) for name in range(3)]
        self.reports: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.reports.append(context))

    # -- making

    @initialize(target=futures)
    def first_future(self) -> int:
        return self.make_future()

    @rule(target=futures)
    def make_future(self) -> int:
        self.real.append(self.loop.create_future())
        self.planned.append(ModelFuture(self.model, len(self.planned)))
        return len(self.planned) - 1

    @rule(
        target=tasks,
        awaited=st.lists(anything, max_size=3),
        stubborn=st.booleans(),
    )
    def make_task(self, awaited: list[int], stubborn: bool) -> int:
        number = len(self.planned)
        program = self.program(number, [self.real[n] for n in awaited], stubborn)
        self.real.append(self.loop.create_task(program))
        targets = [self.planned[n] for n in awaited]
        self.planned.append(ModelTask(self.model, number, targets, stubborn))
        return number

    async def program(self, number: int, awaited: list[Any], stubborn: bool) -> int:
        for future in awaited:
            try:
                outcome: Outcome = ("result", await future)
            except asyncio.CancelledError:
                self.log.append(("awaited", number, ("cancelled", None)))
                if not stubborn:
                    raise
            except PlannedError as error:
                self.log.append(("awaited", number, ("exception", error)))
                raise
            else:
                self.log.append(("awaited", number, outcome))
        return number

    # -- finishing

    @rule(number=futures, value=st.integers())
    def set_result(self, number: int, value: int) -> None:
        if self.planned[number].finish(("result", value)):
            self.real[number].set_result(value)
        else:
            with pytest.raises(asyncio.InvalidStateError):
                self.real[number].set_result(value)

    @rule(number=futures, value=st.integers())
    def set_exception(self, number: int, value: int) -> None:
        error = PlannedError(value)
        if self.planned[number].finish(("exception", error)):
            self.real[number].set_exception(error)
        else:
            with pytest.raises(asyncio.InvalidStateError):
                self.real[number].set_exception(error)

    @rule(number=anything)
    def cancel(self, number: int) -> None:
        assert self.real[number].cancel() == self.planned[number].cancel()

    # -- listening

    @rule(number=anything, name=CALLBACKS)
    def add_callback(self, number: int, name: int) -> None:
        self.real[number].add_done_callback(self.recorders[name].note)
        self.planned[number].listen(name)

    @rule(number=anything, name=CALLBACKS)
    def remove_callback(self, number: int, name: int) -> None:
        removed = self.real[number].remove_done_callback(self.recorders[name].note)
        assert removed == self.planned[number].ignore(name)

    # -- running

    @rule()
    def iterate(self) -> None:
        self.loop.stop()
        self.loop.run_forever()
        self.model.iterate()

    # -- comparing

    @rule(number=anything)
    def ask_for_the_outcome(self, number: int) -> None:
        real, planned = self.real[number], self.planned[number]
        assert outcome_of(real) == planned.outcome

    @invariant()
    def the_same_has_happened(self) -> None:
        assert self.log == self.model.log

    @invariant()
    def the_same_are_done(self) -> None:
        for real, planned in zip(self.real, self.planned, strict=True):
            assert real.done() == (planned.outcome is not None)
            assert real.cancelled() == (planned.outcome == ("cancelled", None))
            if isinstance(planned, ModelTask):
                assert real.cancelling() == planned.requests

    def teardown(self) -> None:
        while not all(future.done() for future in self.real):
            for number in range(len(self.real)):
                self.cancel(number)
            self.iterate()
            self.the_same_has_happened()
        self.iterate()
        self.the_same_has_happened()
        for future in self.real:
            outcome_of(future)
        self.loop.close()
        assert self.reports == []


def outcome_of(future: Any) -> Outcome | None:
    """Return the future's outcome in the model's words."""
    try:
        return ("result", future.result())
    except asyncio.InvalidStateError:
        return None
    except asyncio.CancelledError:
        return ("cancelled", None)
    except PlannedError as error:
        return ("exception", error)


class AsyncioMachine(FutureMachine):
    """The same on asyncio's loop: the model must be asyncio's, not our idea of it."""

    def new_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop()


LENGTH = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_futures_and_tasks_do_what_the_model_does():
    run_state_machine_as_test(FutureMachine, settings=LENGTH)


def test_the_model_does_what_asyncio_does():
    run_state_machine_as_test(AsyncioMachine, settings=LENGTH)


@pytest.mark.stress
def test_futures_and_tasks_do_what_the_model_does_for_long():
    many = settings(max_examples=1_000, stateful_step_count=80, deadline=None)
    run_state_machine_as_test(FutureMachine, settings=many)
