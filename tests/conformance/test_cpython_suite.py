"""CPython's tests of asyncio pass on quiesce, in the running Python and mode."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from . import launching, loading, results

pytestmark = pytest.mark.skipif(
    not loading.has_suite(), reason=f"this Python has no {loading.PACKAGE}"
)
FILES = [*(loading.files_here() if loading.has_suite() else ()), loading.EVIDENCE]


@pytest.fixture(scope="module")
def runs(request):
    """The runs that the chosen tests ask for, some at a time, in their order."""
    asked = [
        (item.callspec.params["file"], item.callspec.params["naming"])
        for item in request.session.items
        if item.path == request.path and "file" in item.callspec.params
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {job: pool.submit(launching.run_file, *job) for job in asked}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("naming", ["stock", "ours"])
def test_nothing_fails_that_stock_asyncio_passes(runs, file, naming):
    run = runs[file, naming].result()
    assert run.ids("passed"), f"nothing ran: {run}"
    if file not in loading.WITHOUT_LOOPS:
        assert sum(test.loops for test in run.tests.values()) > 0, "no loop was made"
    needs_baseline = run.ids(*results.BAD)
    baselines = {file: launching.run_file(file, "baseline")} if needs_baseline else {}
    mode = os.environ.get("QUIESCE_EXPECT")
    problems = list(results.problems([run], baselines, mode))
    assert not problems, "\n".join(map("\n".join, problems))
