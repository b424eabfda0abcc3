"""What lies in the package that these tests import."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import quiesce
from tests.build import declarations

PACKAGE = Path(quiesce.__file__).parent


def test_all_modules_with_a_pxd_are_compiled_or_none_is():
    wanted = declarations.pairs() if quiesce.COMPILED else []
    modules = [PACKAGE.parent / p.relative_to(declarations.SOURCE) for p in wanted]
    compiled = set(PACKAGE.rglob("*" + EXTENSION_SUFFIXES[0]))
    assert compiled == {module.with_suffix(EXTENSION_SUFFIXES[0]) for module in modules}


def test_type_checkers_find_types():
    stubs = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.pyi")}
    sources = declarations.SOURCE / "quiesce"
    assert (PACKAGE / "py.typed").exists()
    assert stubs == {path.relative_to(sources) for path in sources.rglob("*.pyi")}
