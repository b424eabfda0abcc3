"""What a wheel holds, for each way to build it."""

from __future__ import annotations

import pytest

from tests.build import compiler, declarations, projects

pytestmark = pytest.mark.build
needs_compiler = pytest.mark.skipif(
    compiler.lacking() is not None, reason=str(compiler.lacking())
)
PLAIN = {
    str(path.relative_to(declarations.SOURCE))
    for pattern in ("*.py", "*.pyi", "py.typed")
    for path in declarations.SOURCE.rglob(pattern)
}
FOR_THE_BUILD = {
    str(path.relative_to(declarations.SOURCE))
    for pattern in ("*.pxd", "*.h")
    for path in declarations.SOURCE.rglob(pattern)
}


@pytest.fixture
def whole(tmp_path):
    return projects.whole(tmp_path / "project")


@pytest.fixture
def small(tmp_path):
    return projects.small(tmp_path / "project")


@pytest.fixture
def no_compiler(tmp_path):
    return projects.path_without_compiler(tmp_path / "bin")


def test_never_gives_plain_python_with_types(whole):
    wheel = projects.build(whole, QUIESCE_COMPILE="never")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert projects.names_in(wheel) == PLAIN


def test_auto_without_a_compiler_gives_the_same(whole, no_compiler):
    wheel = projects.build(whole, QUIESCE_COMPILE="auto", PATH=no_compiler)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert projects.names_in(wheel) == PLAIN


def test_require_without_a_compiler_fails_and_says_why(small, no_compiler):
    with pytest.raises(RuntimeError, match="no C compiler"):
        projects.build(small, QUIESCE_COMPILE="require", PATH=no_compiler)


@needs_compiler
def test_auto_compiles_each_module_with_a_pxd(small):
    assert projects.extensions_in(projects.build(small)) == {"early", "late"}


@needs_compiler
def test_one_module_that_cannot_be_compiled_leaves_all_interpreted(small):
    projects.build(small, QUIESCE_COMPILE="auto")
    break_in_c(small / "src/quiesce/late.pxd")
    wheel = projects.build(small, QUIESCE_COMPILE="auto")
    assert projects.extensions_in(wheel) == set()
    assert list(small.glob("build/lib*/**/*.so")) == []


@needs_compiler
def test_require_fails_when_one_module_cannot_be_compiled(small):
    break_in_c(small / "src/quiesce/late.pxd")
    with pytest.raises(RuntimeError, match="not valid on purpose"):
        projects.build(small, QUIESCE_COMPILE="require")


@needs_compiler
def test_a_module_that_lost_its_pxd_is_interpreted_again(small):
    projects.build(small, QUIESCE_COMPILE="require")
    (small / "src/quiesce/early.pxd").unlink()
    wheel = projects.build(small, QUIESCE_COMPILE="require")
    assert projects.extensions_in(wheel) == {"late"}


@needs_compiler
def test_nothing_is_built_beside_the_sources(small):
    before = set(small.joinpath("src/quiesce").iterdir())
    projects.build(small, QUIESCE_COMPILE="require")
    assert set(small.joinpath("src/quiesce").iterdir()) == before


def test_a_source_distribution_holds_what_a_build_needs(whole):
    archive = projects.build_sdist(whole)
    assert projects.sources_in(archive) == PLAIN | FOR_THE_BUILD


def break_in_c(pxd):
    """Let the C compiler, not Cython, reject this module."""
    broken = 'cdef extern from *:\n    """\n    #error not valid on purpose\n    """\n'
    pxd.write_text(broken + pxd.read_text())
