"""An end loads no code: descriptors may be used up by then, and files be gone"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import filled

TASKS = {
    "that end": 'start("task")',
    "that never end": 'start("task", for_ever)',
    "in another thread": "asyncio.create_task(asyncio.to_thread(time.sleep, 0.1))",
    "in a pool of the program": """
        from concurrent.futures import ThreadPoolExecutor
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor())
        loop.run_in_executor(None, time.sleep, 0.1)
    """,
}
ENDS = {
    "SIGINT": "await asyncio.sleep(3600)",
    "SIGTERM": "await asyncio.sleep(3600)",
    "return": "return",
}


def outcome_of(scenario, text, end, **options):
    """Return how a program ended, in that way."""
    if end == "return":
        return scenario.ended(text, **options)
    return scenario.interrupted(text, by=signal.Signals[end], **options)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("tasks", TASKS)
def test_no_module_is_looked_for_once_the_end_has_begun(scenario, tasks, end):
    text = """
    class Witness:
        def find_spec(name, path=None, target=None):
            if name.startswith("quiesce"):
                log(name)

    async def main():
        {tasks}
        await asyncio.sleep(0.01)
        sys.meta_path.insert(0, Witness)
        say()
        {end}

    run(main())
    """
    text = filled(text, tasks=TASKS[tasks], end=ENDS[end])
    outcome = outcome_of(scenario, text, end, grace=1)
    assert [name for name in outcome.log if name != "task"] == [], outcome


@pytest.mark.parametrize("end", ENDS)
def test_a_program_without_descriptors_names_what_it_leaves(scenario, end):
    text = """
    import resource

    async def main():
        start("stuck", for_ever)
        await asyncio.sleep(0)
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
        with contextlib.suppress(OSError):
            while True:
                os.open(os.devnull, os.O_RDONLY)
        say()
        try:
            {end}
        finally:
            log("main")

    run(main())
    """
    outcome = outcome_of(scenario, filled(text, end=ENDS[end]), end, grace=1)
    assert outcome.log == ["main"], outcome
    assert "quiesce:   task 'stuck' at " in outcome.err, outcome
    if end == "return":
        assert outcome.status == 70, outcome
    else:
        assert outcome.tells_force(signal.Signals[end]), outcome
