"""Every block of code in the README and in docs/ does what the text says."""

from __future__ import annotations

import pytest

from tests.programs.pages import PAGES, run_page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_on_a_page(page, tmp_path):
    run_page(page, tmp_path)
