"""What docs/libraries.md says holds: its code, and its table."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.programs.pages import LIBRARIES, ROOT, run_page

ROW = re.compile(r"^\| ([a-z0-9-]+) \| ([0-9.]+) \|", re.MULTILINE)


def test_the_code_on_the_page(tmp_path):
    for name in ("anyio", "gunicorn", "pytest_asyncio", "uvicorn", "uvicorn_worker"):
        pytest.importorskip(name)
    run_page(LIBRARIES, tmp_path)


def test_the_table_names_the_versions_that_are_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = project["optional-dependencies"]["libraries"]
    assert ["==".join(row) for row in ROW.findall(LIBRARIES.read_text())] == pins
