"""Runs each scenario in each way, several at a time: most of their time is waiting."""

from __future__ import annotations

import os
import signal
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.programs.children import accept_interrupts
from tests.programs.exits.scenario import Scenario
from tests.programs.exits.ways import WAYS, chosen

JOBS = int(os.environ.get("QUIESCE_EXITS_JOBS", 4 * (os.cpu_count() or 2)))
SHARES = int(os.environ.get("QUIESCE_EXITS_SHARES", "1"))
POOL = pytest.StashKey[ThreadPoolExecutor]()
RUNNING = pytest.StashKey["dict[str, object]"]()


def pytest_generate_tests(metafunc):
    if "scenario" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("ways")
    applicable = WAYS if marker is None else marker.args
    ways = [way for way in chosen() if way in applicable]
    metafunc.parametrize("scenario", ways, indirect=True)


def pytest_make_parametrize_id(val):
    return val.name if isinstance(val, signal.Signals) else None


def pytest_collection_modifyitems(config, items):
    """Keep the share of the scenarios that falls to this Python."""
    others = {item for item in items if is_scenario(item) and not is_ours(item)}
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def is_ours(item):
    share = zlib.crc32(item.nodeid.encode()) % SHARES
    return share == sys.version_info.minor % SHARES


@pytest.fixture
def scenario(request):
    """Run programs in one of the ways."""
    return Scenario(request.param)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Start all scenarios at the first one; afterwards wait for the one that is asked.

    A scenario asks for nothing but `scenario` and its parameters, so that it can run
    in a thread before pytest sets it up.
    """
    if not is_scenario(pyfuncitem):
        return None
    stash = pyfuncitem.session.stash
    if RUNNING not in stash:
        accept_signals()
        stash[POOL] = pool = ThreadPoolExecutor(JOBS)
        stash[RUNNING] = {
            item.nodeid: pool.submit(run, item)
            for item in pyfuncitem.session.items
            if is_scenario(item)
        }
    stash[RUNNING].pop(pyfuncitem.nodeid).result()
    return True


def pytest_sessionfinish(session):
    if POOL in session.stash:
        session.stash[POOL].shutdown(cancel_futures=True)


def is_scenario(item):
    callspec = getattr(item, "callspec", None)
    return callspec is not None and "scenario" in callspec.params


def run(item):
    """Call the function of a scenario; it runs in a thread of its own."""
    arguments = dict(item.callspec.params)
    arguments["scenario"] = scenario = Scenario(arguments["scenario"])
    try:
        item.obj(**arguments)
    except AssertionError as error:
        for program in scenario.programs:
            if program.outcome is not None:
                error.add_note(str(program.outcome))
        raise


def accept_signals():
    """Let children be hung up and interrupted, also where the tests run with nohup."""
    accept_interrupts()
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
