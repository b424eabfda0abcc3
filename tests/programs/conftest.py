"""The two ways to bring an asyncio program onto quiesce."""

from __future__ import annotations

import textwrap

import pytest

from tests.programs.children import PYTHON, QUIESCE_RUN

WAYS = {
    "quiesce as asyncio": ("import quiesce as asyncio\n", PYTHON),
    "quiesce run": ("import asyncio\n", QUIESCE_RUN),
}


@pytest.fixture(params=WAYS)
def program(request, tmp_path):
    """Make a program of some text; gives the words to run it."""
    head, words = WAYS[request.param]

    def make(text):
        path = tmp_path / "program.py"
        path.write_text(head + textwrap.dedent(text))
        return (*words, path)

    return make


@pytest.fixture
def own_program(tmp_path):
    """As `program`, for what only ``import quiesce as asyncio`` can spell."""

    def make(text):
        path = tmp_path / "program.py"
        path.write_text("import quiesce as asyncio\n" + textwrap.dedent(text))
        return (*PYTHON, path)

    return make
