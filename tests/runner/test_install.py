"""`install` gives a process our loop under asyncio's names, and can be undone.

A warning is an error here, so that these tests also show that there is none.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import new_event_loop, run

import pytest

import quiesce
from tests.programs.children import PYTHON, outcome_of

NAMES = ["run", "Runner", "new_event_loop", "EventLoop"]


async def running_loop_type():
    return type(asyncio.get_running_loop())


@pytest.fixture
def installation():
    with quiesce.install() as installed:
        yield installed


@pytest.mark.usefixtures("installation")
def test_run_and_runner_are_ours():
    assert asyncio.run is quiesce.run
    assert asyncio.Runner is quiesce.Runner
    assert asyncio.run(running_loop_type()) is quiesce.Loop


@pytest.mark.usefixtures("installation")
def test_functions_that_were_imported_before_use_our_loop():
    assert run(running_loop_type()) is quiesce.Loop
    loop = new_event_loop()
    assert type(loop) is quiesce.Loop
    loop.close()


@pytest.mark.usefixtures("installation")
@pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio has it since 3.13")
def test_event_loop_is_ours():
    assert asyncio.EventLoop is quiesce.Loop


@pytest.mark.usefixtures("installation")
def test_a_loop_that_was_asked_for_by_name_is_that_loop():
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert type(runner.get_loop()) is asyncio.SelectorEventLoop


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="asyncio makes none any more")
@pytest.mark.filterwarnings("ignore:There is no current event loop")
def test_get_event_loop_makes_ours():
    # In a process of its own, because a set loop leaves traces in the policy.
    text = "import asyncio, quiesce; quiesce.install(); print(asyncio.get_event_loop())"
    assert outcome_of(*PYTHON, "-c", text).out[0].startswith("<Loop ")


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="asyncio makes none any more")
def test_get_event_loop_of_quiesce_makes_ours_without_install():
    text = "import quiesce, asyncio; print(quiesce.get_event_loop())\n"
    text += "print(asyncio.new_event_loop())"
    loops = outcome_of(*PYTHON, "-c", text).out
    assert loops[0].startswith("<Loop ")
    assert loops[1].startswith("<_UnixSelectorEventLoop ")


def test_undo_puts_everything_back():
    before = {name: getattr(asyncio, name, None) for name in NAMES}
    installation = quiesce.install()
    installation.undo()
    assert {name: getattr(asyncio, name, None) for name in NAMES} == before
    assert asyncio.run(running_loop_type()) is not quiesce.Loop


def test_undo_twice_is_undo_once():
    installation = quiesce.install()
    installation.undo()
    with quiesce.install():
        installation.undo()
        assert asyncio.run is quiesce.run


def test_installing_again_changes_nothing_and_undoing_that_neither():
    with quiesce.install():
        quiesce.install().undo()
        assert asyncio.run(running_loop_type()) is quiesce.Loop
    assert asyncio.run is not quiesce.run


def test_what_the_program_replaced_since_is_left_alone(monkeypatch):
    installation = quiesce.install()
    monkeypatch.setattr(asyncio, "run", print)
    installation.undo()
    assert asyncio.run is print


POLICY = """
import asyncio, quiesce, sys
from asyncio import events
prefix = "_" if sys.version_info >= (3, 14) else ""
get = getattr(events, f"{prefix}get_event_loop_policy")
put = getattr(events, f"{prefix}set_event_loop_policy")

class Policy(type(get())):
    def new_event_loop(self):
        return asyncio.SelectorEventLoop()

async def main():
    return type(asyncio.get_running_loop()).__name__
"""


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("quiesce.install(); put(Policy())", "_UnixSelectorEventLoop"),
        ("put(Policy()); quiesce.install()", "Loop"),
        ("put(Policy()); quiesce.install().undo()", "_UnixSelectorEventLoop"),
    ],
    ids=["set afterwards", "set before", "set before and undone"],
)
def test_of_a_policy_and_install_the_later_one_decides(text, printed):
    text = f"{POLICY}\n{text}\nprint(asyncio.run(main()), quiesce.run(main()))"
    assert outcome_of(*PYTHON, "-c", text).out == [f"{printed} {printed}"]


def test_a_subinterpreter_is_told_that_it_is_refused():
    modules = ("_interpreters", "_xxsubinterpreters")
    text = f"""
import importlib
for name in {modules}:
    try:
        interpreters = importlib.import_module(name)
        break
    except ImportError:
        pass
interpreter = interpreters.create()
print(interpreters.run_string(interpreter, '''
try:
    import quiesce
    quiesce.run
except Exception as error:
    print(type(error).__name__, error, flush=True)
'''))
"""
    out = outcome_of(*PYTHON, "-c", text).out
    assert out[0].startswith("UnsupportedInterpreterError quiesce runs in the main")


def test_importing_quiesce_imports_nothing_else():
    text = "import sys; before = set(sys.modules); import quiesce\n"
    text += "print(sorted(set(sys.modules) - before - {'__future__'}))"
    assert outcome_of(*PYTHON, "-S", "-E", "-c", text).out in ([], ["['quiesce']"])
