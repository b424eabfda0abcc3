"""Every block of code in the README and in docs/ does what the text says."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack

import pytest

from tests.programs.children import outcome_of
from tests.programs.pages import PAGES, Session, run_page

KILLED = """\
$ python sleeper.py &
ready
$ kill %1{and_more}
$ echo $?
{status}
"""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_on_a_page(page, tmp_path):
    run_page(page, tmp_path)


@pytest.mark.parametrize(("and_more", "status"), [("", "0"), ("; wait %1", "143")])
def test_a_page_is_played_as_in_a_shell(and_more, status, tmp_path):
    text = "import time\nprint('ready', flush=True)\ntime.sleep(60)\n"
    (tmp_path / "sleeper.py").write_text(text)
    with ExitStack() as stack:
        page = KILLED.format(and_more=and_more, status=status)
        Session(tmp_path, stack).play(page)
    shell = shutil.which("bash")
    if shell is not None:
        typed = f"{sys.executable} sleeper.py & kill %1{and_more}; echo $?"
        outcome = outcome_of(shell, "-c", typed, folder=tmp_path)
        assert outcome.out[-1] == status
