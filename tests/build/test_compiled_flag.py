"""Few places may know whether quiesce is compiled."""

from __future__ import annotations

import ast

from tests.build import declarations

# How often each module asks, and why. Another place needs as good a reason.
ASKS = {
    # gives the flag of the C side to Python, as quiesce.COMPILED
    "quiesce/core/scheduler.py": 1,
    # knows our own code by its frames, which compiled code has only in tracebacks
    "quiesce/shutdown/interruption.py": 1,
    # says which mode runs, and what is missing if it is the slower one
    "quiesce/cli/doctor.py": 2,
}


def test_the_places_that_ask_are_counted():
    found = {}
    for path in sorted(declarations.SOURCE.rglob("*.py")):
        asks = sum(map(asks_for_mode, ast.walk(ast.parse(path.read_text()))))
        if asks:
            found[str(path.relative_to(declarations.SOURCE))] = asks
    assert found == ASKS


def asks_for_mode(node):
    match node:
        case ast.Name(id="COMPILED", ctx=ast.Load()):
            return True
        case ast.Attribute(attr="COMPILED", ctx=ast.Load()):
            return True
    return False
