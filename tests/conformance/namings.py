"""What a test file means by ``asyncio``: three namings.

``baseline``
    The standard library's asyncio, untouched: what CPython itself passes here.
``stock``
    A program that says ``import asyncio`` on our loop. Loop, Future and Task are ours;
    combinators, locks, streams, ``run`` and ``Runner`` are the standard library's.
``ours``
    A program that says ``import quiesce as asyncio``: all that quiesce owns is ours.

CPython tests most things twice, on its C classes and on their Python twins. Here the C
names mean ours, so each test keeps the name it has in CPython, and the classes that
pair C with Python test how we mix with asyncio's own Task and Future: in ``stock`` with
the Python ones, in ``ours`` with the C ones.
"""

from __future__ import annotations

import asyncio
import types
import unittest
from unittest import mock

import quiesce
import quiesce.loop
from quiesce.combinators import shield
from quiesce.policy import DEFAULT_POLICY, NEW_LOOP

from . import loops
from .views import ModuleView, Places, StandIn, Views

SUBMODULES = (
    "base_events",
    "coroutines",
    "events",
    "futures",
    "locks",
    "queues",
    "runners",
    "selector_events",
    "staggered",
    "streams",
    "taskgroups",
    "tasks",
    "threads",
    "timeouts",
    "unix_events",
)
# Functions that exist twice in CPython, as ``_c_<name>`` and ``_py_<name>``.
TWINS = (
    "all_tasks",
    "current_task",
    "enter_task",
    "future_add_to_awaited_by",
    "future_discard_from_awaited_by",
    "leave_task",
    "register_task",
    "swap_current_task",
    "unregister_task",
)
# asyncio's loop classes, and what stands for them.
LOOP_CLASSES = {
    "BaseEventLoop": StandIn(loops, "SelectorLoop"),
    "BaseSelectorEventLoop": StandIn(loops, "SelectorLoop"),
    "EventLoop": StandIn(loops, "SelectorLoop"),
    "SelectorEventLoop": StandIn(loops, "SelectorLoop"),
}
# Private functions of asyncio that tests look for, and ours that do the same.
PRIVATE_TWINS = {"_log_on_exception": StandIn(shield, "report_failure")}
# What asyncio's modules use under one name, and the modules of quiesce that use it.
PLACES = Places(
    logger=("quiesce.core.failures", "quiesce.core.hooks"),
    socket=tuple(
        f"quiesce.net.{name}"
        for name in (
            "bind",
            "connect",
            "endpoint",
            "listen",
            "resolve",
            "sock_calls",
            "unix_socket",
        )
    ),
)
# What a test replaces in asyncio's modules by name, and where quiesce has the same.
PATCH_TARGETS = {
    "asyncio.base_events.logger": f"{__name__}.PLACES.logger",
    "asyncio.base_events.socket": f"{__name__}.PLACES.socket",
    "asyncio.unix_events.socket": f"{__name__}.PLACES.socket",
    "asyncio.base_events.BaseEventLoop.call_exception_handler": (
        "quiesce.loop.Loop.call_exception_handler"
    ),
}


def views_of(naming: str) -> Views:
    """Return the modules that a test file run under `naming` imports."""
    views = Views()
    if naming == "baseline":
        return views
    if naming == "stock":
        install_loop_only()
    else:
        let_policy_make_our_loops()
    top = quiesce if naming == "ours" else asyncio
    views.add("asyncio", ModuleView(top, loops_in_place(asyncio)))
    for name in SUBMODULES:
        if hasattr(asyncio, name):
            real = getattr(asyncio, name)
            views.add(f"asyncio.{name}", ModuleView(real, stand_ins_of(naming, real)))
    add_test_tools(views, naming)
    return views


def install_loop_only() -> None:
    """Let asyncio make our loops, and keep its own ``run`` and ``Runner``.

    Those of quiesce are what ``ours`` tests; here asyncio's drive our loop.
    """
    run, runner = asyncio.run, asyncio.Runner
    quiesce.install()
    for module in (asyncio, asyncio.runners):
        module.run, module.Runner = run, runner


def let_policy_make_our_loops() -> None:
    """Let a test that asks asyncio's policy for a loop get ours.

    ``import quiesce as asyncio`` leaves policies to asyncio; up to 3.13 the tests of
    child processes make all their loops through one.
    """
    DEFAULT_POLICY._loop_factory = NEW_LOOP


def stand_ins_of(naming: str, module: types.ModuleType) -> dict[str, StandIn]:
    """Return what stands for what in one submodule of asyncio."""
    ours = loops_in_place(module) | classes_in_place_of_c(module)
    return ours | owned(module) | twins_in_c(module) if naming == "ours" else ours


def loops_in_place(module: types.ModuleType) -> dict[str, StandIn]:
    """Return our loop for each of asyncio's loop classes that `module` has."""
    return {
        name: place for name, place in LOOP_CLASSES.items() if hasattr(module, name)
    }


def classes_in_place_of_c(module: types.ModuleType) -> dict[str, StandIn]:
    """Return our Task and Future for the C ones that `module` has."""
    return {
        c_name: StandIn(quiesce, name)
        for c_name, name in (("_CTask", "Task"), ("_CFuture", "Future"))
        if hasattr(module, c_name)
    }


def twins_in_c(module: types.ModuleType) -> dict[str, StandIn]:
    """Return asyncio's C twins for its Python ones, and our functions for some."""
    found = {n: ours for n, ours in PRIVATE_TWINS.items() if hasattr(module, n)}
    if hasattr(module, "_PyTask"):
        found["_PyTask"] = StandIn(asyncio.tasks, "_CTask")
    if hasattr(module, "_PyFuture"):
        found["_PyFuture"] = StandIn(asyncio.futures, "_CFuture")
    for name in TWINS:
        if hasattr(module, f"_c_{name}"):
            owner = (
                StandIn(quiesce, name)
                if name in quiesce.__all__
                else StandIn(module, f"_c_{name}")
            )
            found[f"_c_{name}"] = found[f"_py_{name}"] = owner
    return found


def owned(module: types.ModuleType) -> dict[str, StandIn]:
    """Return the public names of `module` that quiesce has its own objects for."""
    return {
        name: StandIn(quiesce, name)
        for name in quiesce.__all__
        if hasattr(module, name) and getattr(module, name) is not getattr(quiesce, name)
    }


def add_test_tools(views: Views, naming: str) -> None:
    """Show tests the tools of ``unittest`` and ``test`` that build loops of ours."""
    from test.test_asyncio import utils

    tools = types.SimpleNamespace(
        patch=PatchElsewhere(),
        IsolatedAsyncioTestCase=loops.isolated_test_case(naming),
        TestCase=loops.TestCase,
    )
    for module, name in (
        (unittest, "IsolatedAsyncioTestCase"),
        (mock, "patch"),
        (utils, "TestCase"),
    ):
        views.add(module.__name__, ModuleView(module, {name: StandIn(tools, name)}))


class PatchElsewhere:
    """``mock.patch`` that follows `PATCH_TARGETS`."""

    def __call__(self, target: str, *args: object, **kwargs: object) -> object:
        """Patch what `target` is in quiesce."""
        return mock.patch(PATCH_TARGETS.get(target, target), *args, **kwargs)

    def __getattr__(self, name: str) -> object:
        """Give ``patch.object``, ``patch.dict`` and the like as they are."""
        return getattr(mock.patch, name)
