"""Each .pxd tells the truth about the .py beside it.

Cython compiles an undeclared attribute and a class that is gone without a word; both
fail when the compiled program runs.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.build import declarations
from tests.build.declarations import (
    Class,
    described_by,
    read_externals,
    read_pxd,
    read_py,
)

# What every extension type declares if it wants it and an ordinary class simply has.
BUILT_IN = {"__weakref__", "__dict__"}
ALL_FIELDS = {
    name: described
    for pxd in declarations.pairs()
    for name, described in read_pxd(pxd).classes.items()
}


def named(pxd: Path) -> str:
    return str(pxd.relative_to(declarations.SOURCE))


each_pxd = pytest.mark.parametrize("pxd", declarations.pairs(), ids=named)
each_native = pytest.mark.parametrize("pxd", declarations.natives(), ids=named)


def fields_with_inherited(described: Class) -> set[str]:
    # A base that is Python's own has no fields of ours.
    bases = [ALL_FIELDS[base] for base in described.bases if base in ALL_FIELDS]
    inherited = [fields_with_inherited(base) for base in bases]
    return set().union(described.slots or (), *inherited)


def test_there_are_compiled_modules():
    assert declarations.pairs()


@each_pxd
def test_a_pxd_stands_beside_a_module(pxd):
    assert described_by(pxd).exists()


@each_pxd
def test_classes_are_the_same_with_the_same_base(pxd):
    module = read_py(described_by(pxd)).classes
    declared = {name: known.bases for name, known in read_pxd(pxd).classes.items()}
    present = {name: module[name].bases[:1] for name in declared if name in module}
    assert present == declared


@each_pxd
def test_a_class_with_slots_is_declared(pxd):
    module = read_py(described_by(pxd)).classes
    slotted = {name for name, known in module.items() if known.slots is not None}
    assert slotted <= read_pxd(pxd).classes.keys()


@each_pxd
def test_fields_are_the_slots(pxd):
    module = read_py(described_by(pxd)).classes
    for name, declared in read_pxd(pxd).classes.items():
        slots = module[name].slots
        if slots is None:
            slots = module[name].assigned & (declared.slots or set())
            assert slots | BUILT_IN >= (declared.slots or set()), name
        else:
            assert slots - BUILT_IN == (declared.slots or set()) - BUILT_IN, name


@each_pxd
def test_nothing_undeclared_is_assigned(pxd):
    module = read_py(described_by(pxd)).classes
    for name, declared in read_pxd(pxd).classes.items():
        properties = module[name].methods
        undeclared = module[name].assigned - fields_with_inherited(declared)
        assert undeclared - properties == set(), name


@each_pxd
def test_methods_are_in_the_class(pxd):
    module = read_py(described_by(pxd)).classes
    for name, declared in read_pxd(pxd).classes.items():
        assert declared.methods <= module[name].methods, name


@each_pxd
def test_functions_and_variables_are_in_the_module(pxd):
    module, declared = read_py(described_by(pxd)), read_pxd(pxd)
    assert declared.functions <= module.functions
    assert declared.variables <= module.variables


@each_native
def test_each_c_function_has_a_stand_in(pxd):
    module = read_py(described_by(pxd))
    assert read_externals(pxd) <= module.functions | module.variables


@each_native
def test_each_stand_in_has_a_c_function(pxd):
    assert read_py(described_by(pxd)).functions <= read_externals(pxd)


@each_pxd
def test_a_compiled_module_has_no_coroutine_function(pxd):
    tree = ast.parse(described_by(pxd).read_text())
    found = [n.name for n in ast.walk(tree) if isinstance(n, ast.AsyncFunctionDef)]
    assert found == [], "compiled, it would be no native coroutine"


@each_pxd
def test_a_compiled_module_never_indexes_from_the_end(pxd):
    tree = ast.parse(described_by(pxd).read_text())
    found = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.UnaryOp)
        and isinstance(node.slice.op, ast.USub)
    ]
    assert found == [], "compiled without wraparound, it would read foreign memory"
