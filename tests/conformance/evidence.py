"""Evidence of what CPython's files run on: loaded as they are, it sees what they see.

Under the naming ``stock`` the name ``asyncio`` is the standard library's module, under
``ours`` it is quiesce; ``tasks._CTask`` is what the C classes' tests are given.
"""

import asyncio
import importlib.machinery
import sys
import unittest
from asyncio import futures, tasks

from test.test_asyncio import utils as test_utils

import quiesce
from quiesce.loop import Loop

NAMED_OURS = asyncio.__name__ == "quiesce"
COMBINATORS = ("gather", "sleep", "wait", "wait_for", "shield", "timeout", "Queue")
HEART = ("future", "handle", "ready", "scheduler", "task", "timers")


async def where():
    """Return the running loop and the types of the task and future it makes."""
    loop = asyncio.get_running_loop()
    child = asyncio.create_task(asyncio.sleep(0))
    await child
    return loop, type(asyncio.current_task()), type(child), type(loop.create_future())


class Evidence:
    def check(self, found):
        loop, task, child, future = found
        assert isinstance(loop, Loop)
        assert task is quiesce.Task
        assert child is quiesce.Task
        assert future is quiesce.Future


class IsolatedTests(Evidence, unittest.IsolatedAsyncioTestCase):
    async def test_an_async_test_runs_on_ours(self):
        self.check(await where())
        assert asyncio.current_task() in asyncio.all_tasks()


class LoopTests(Evidence, test_utils.TestCase):
    def test_a_loop_with_made_up_time_is_ours(self):
        self.check(self.new_test_loop().run_until_complete(where()))

    def test_made_up_time_obeys_its_generator(self):
        def gen():
            when = yield
            assert when == 3600
            yield 3600

        loop = self.new_test_loop(gen)
        loop.run_until_complete(asyncio.sleep(3600))
        assert loop.time() == 3600

    def test_a_new_event_loop_is_ours(self):
        loop = asyncio.new_event_loop()
        self.set_event_loop(loop)
        self.check(loop.run_until_complete(where()))

    def test_run_and_runner_run_on_ours(self):
        self.check(asyncio.run(where()))
        with asyncio.Runner() as runner:
            self.check(runner.run(where()))

    def test_every_loop_class_is_ours(self):
        assert issubclass(asyncio.BaseEventLoop, Loop)
        assert issubclass(asyncio.SelectorEventLoop, Loop)


class NameTests(unittest.TestCase):
    def test_the_c_classes_are_ours(self):
        assert tasks._CTask is quiesce.Task
        assert futures._CFuture is quiesce.Future

    def test_the_python_classes_are_asyncios(self):
        for twin in (tasks._PyTask, futures._PyFuture):
            assert not issubclass(twin, quiesce.Future)

    def test_combinators_are_those_of_the_naming(self):
        wanted = "quiesce" if NAMED_OURS else "asyncio"
        for name in COMBINATORS:
            with self.subTest(name):
                home = getattr(asyncio, name).__module__.partition(".")[0]
                assert home == wanted


class ModeTests(unittest.TestCase):
    def test_the_heart_runs_in_the_mode_claimed(self):
        for name in HEART:
            with self.subTest(name):
                loader = sys.modules[f"quiesce.core.{name}"].__loader__
                compiled = isinstance(loader, importlib.machinery.ExtensionFileLoader)
                assert compiled is bool(quiesce.COMPILED)

    def test_compiled_classes_have_no_python_code(self):
        for method in (quiesce.Task.cancel, quiesce.Future.set_result, Loop.call_soon):
            with self.subTest(method):
                assert hasattr(method, "__code__") != quiesce.COMPILED
