"""Builds quiesce as a user would, from a copy of the sources and without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]
BUILD_FILES = ["pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def whole(folder: Path) -> Path:
    """A copy of the project, so that nothing of an earlier build lies about."""
    shutil.copytree(ROOT / "src", folder / "src")
    return with_build_files(folder)


def small(folder: Path) -> Path:
    """The project with two short modules to compile in place of its own."""
    package = folder / "src" / "quiesce"
    package.mkdir(parents=True)
    for name in ("__init__", "early", "late"):
        (package / f"{name}.py").write_text("def answer():\n    return 42\n")
    for name in ("early", "late"):
        (package / f"{name}.pxd").write_text("cpdef int answer() except -1\n")
    return with_build_files(folder)


def with_build_files(folder: Path) -> Path:
    for name in BUILD_FILES:
        shutil.copy(ROOT / name, folder / name)
    return folder


def build(project: Path, **environment: str) -> Path:
    """Build a wheel under these environment variables; raise with pip's output."""
    folder = project / "wheels"
    shutil.rmtree(folder, ignore_errors=True)
    command = [*PIP, "wheel", "--verbose", "--no-build-isolation", "--no-deps"]
    run([*command, "--wheel-dir", str(folder), str(project)], **environment)
    (wheel,) = folder.glob("*.whl")
    return wheel


def build_sdist(project: Path) -> Path:
    """Build a source distribution."""
    program = "from setuptools import build_meta; build_meta.build_sdist('dist')"
    run([sys.executable, "-c", program], folder=project)
    (archive,) = project.glob("dist/*.tar.gz")
    return archive


def run(command: list[str], folder: Path | None = None, **environment: str) -> str:
    """Run a program to its end and return what it printed; raise if it failed."""
    finished = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise RuntimeError(finished.stdout)
    return finished.stdout


def names_in(wheel: Path) -> set[str]:
    """What a wheel installs, without its own metadata."""
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    return {name for name in names if ".dist-info/" not in name}


def sources_in(archive: Path) -> set[str]:
    """The files below src/ of a source distribution."""
    with tarfile.open(archive) as opened:
        names = [member.name for member in opened.getmembers() if member.isfile()]
    inside = (name.partition("/src/")[2] for name in names)
    return {name for name in inside if name.startswith("quiesce/")}


def extensions_in(wheel: Path) -> set[str]:
    """The modules of a wheel that are compiled, by their file names."""
    names = (Path(name).name for name in names_in(wheel))
    return {name.partition(".")[0] for name in names if name.endswith((".so", ".pyd"))}


def path_without_compiler(folder: Path) -> str:
    """A PATH on which nothing but this Python can be found."""
    folder.mkdir()
    (folder / "python").symlink_to(sys.executable)
    return str(folder)
