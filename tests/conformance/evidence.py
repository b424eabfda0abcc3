"""Evidence of what CPython's files run on. Loaded as they are, so it sees what they see.

Under the naming ``stock`` the name ``asyncio`` is the standard library's module, under
``ours`` it is quiesce; ``tasks._CTask`` is what the C classes' tests are given.
"""

import asyncio
import importlib.machinery
import sys
import unittest
from asyncio import futures, tasks

import quiesce
from quiesce.loop import Loop
from test.test_asyncio import utils as test_utils

NAMED_OURS = asyncio.__name__ == "quiesce"
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
        self.assertIsInstance(loop, Loop)
        self.assertIs(task, quiesce.Task)
        self.assertIs(child, quiesce.Task)
        self.assertIs(future, quiesce.Future)


class IsolatedTests(Evidence, unittest.IsolatedAsyncioTestCase):
    async def test_an_async_test_runs_on_ours(self):
        self.check(await where())
        self.assertIn(asyncio.current_task(), asyncio.all_tasks())


class LoopTests(Evidence, test_utils.TestCase):
    def test_a_loop_with_made_up_time_is_ours(self):
        self.check(self.new_test_loop().run_until_complete(where()))

    def test_made_up_time_obeys_its_generator(self):
        def gen():
            when = yield
            self.assertEqual(when, 3600)
            yield 3600

        loop = self.new_test_loop(gen)
        loop.run_until_complete(asyncio.sleep(3600))
        self.assertEqual(loop.time(), 3600)

    def test_a_new_event_loop_is_ours(self):
        loop = asyncio.new_event_loop()
        self.set_event_loop(loop)
        self.check(loop.run_until_complete(where()))

    def test_run_and_runner_run_on_ours(self):
        self.check(asyncio.run(where()))
        with asyncio.Runner() as runner:
            self.check(runner.run(where()))

    def test_every_loop_class_is_ours(self):
        self.assertIs(asyncio.BaseEventLoop, Loop)
        self.assertIs(asyncio.SelectorEventLoop, Loop)


class NameTests(unittest.TestCase):
    def test_the_c_classes_are_ours(self):
        self.assertIs(tasks._CTask, quiesce.Task)
        self.assertIs(futures._CFuture, quiesce.Future)

    def test_the_python_classes_are_asyncios(self):
        for twin in (tasks._PyTask, futures._PyFuture):
            self.assertFalse(issubclass(twin, quiesce.Future))

    def test_combinators_are_those_of_the_naming(self):
        for name in ("gather", "sleep", "wait", "wait_for", "shield", "timeout", "Queue"):
            with self.subTest(name):
                home = getattr(asyncio, name).__module__.partition(".")[0]
                self.assertEqual(home, "quiesce" if NAMED_OURS else "asyncio")


class ModeTests(unittest.TestCase):
    def test_the_heart_runs_in_the_mode_claimed(self):
        for name in HEART:
            with self.subTest(name):
                loader = sys.modules[f"quiesce.core.{name}"].__loader__
                compiled = isinstance(loader, importlib.machinery.ExtensionFileLoader)
                self.assertIs(compiled, bool(quiesce.COMPILED))

    def test_compiled_classes_have_no_python_code(self):
        for method in (quiesce.Task.cancel, quiesce.Future.set_result, Loop.call_soon):
            with self.subTest(method):
                self.assertIs(hasattr(method, "__code__"), not quiesce.COMPILED)
