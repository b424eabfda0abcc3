"""Installing quiesce: for users without a compiler, and for its developers."""

from __future__ import annotations

import sys

import pytest

from tests.build import projects

pytestmark = pytest.mark.build
INSTALL = ["install", "--quiet", "--no-build-isolation", "--no-deps"]


@pytest.fixture
def fresh(tmp_path):
    """The Python of a virtual environment that holds nothing."""
    folder = tmp_path / "fresh"
    projects.run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    return folder / "bin" / "python"


def install(python, *what, **environment):
    """Install from a copy, with the build tools of the environment of the tests."""
    command = [*projects.PIP, "--python", str(python), *INSTALL, *map(str, what)]
    projects.run(command, **environment)


def test_without_a_compiler_quiesce_runs_interpreted(fresh, tmp_path):
    path = projects.path_without_compiler(tmp_path / "bin")
    project = projects.whole(tmp_path / "project")
    wheel = projects.build(project, QUIESCE_COMPILE="auto", PATH=path)
    install(fresh, wheel, PATH=path)
    doctor = projects.run([str(fresh.with_name("quiesce")), "doctor"], PATH=path)
    assert "interpreted" in doctor
    program = "import asyncio; asyncio.run(asyncio.sleep(0)); print('ran')"
    ran = projects.run([str(fresh.with_name("quiesce")), "run", "-c", program])
    assert ran == "ran\n"


def test_an_editable_install_is_interpreted(tmp_path):
    project = projects.small(tmp_path / "project")
    target = tmp_path / "target"
    command = [*projects.PIP, *INSTALL, "--target", str(target), "--editable"]
    projects.run([*command, str(project)], QUIESCE_COMPILE="auto")
    assert list(project.glob("src/**/*.so")) == []
