"""Reads a .pxd and its .py as text, so that a test can compare what they declare."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
CLASS = re.compile(r"cdef class (\w+)(?:\((\w+)\))?:")
FUNCTION = re.compile(r"cp?def (?!class).*?(\w+)\(")
VARIABLES = re.compile(r"cdef (?!class|extern|enum)([^(:]+)$")
# In an `extern` block: what stands before a C name in quotes, or before parentheses.
EXTERNAL = re.compile(r'[\w* ]*?(\w+)(?: "[^"]*")?(?:\(.*)?$')


@dataclass
class Class:
    """What one class declares; `slots` is None where a .py names no fields."""

    bases: list[str] = field(default_factory=list)
    slots: set[str] | None = None
    methods: set[str] = field(default_factory=set)
    assigned: set[str] = field(default_factory=set)


@dataclass
class Module:
    """What one file declares."""

    classes: dict[str, Class] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)


def described_by(pxd: Path) -> Path:
    """The module that a .pxd describes."""
    return pxd.with_suffix(".py")


def pairs() -> list[Path]:
    """Each .pxd that says how the .py beside it is compiled."""
    return sorted(set(SOURCE.rglob("*.pxd")) - set(natives()))


def natives() -> list[Path]:
    """Each .pxd of C functions; the .py beside it has their stand-ins."""
    return sorted(SOURCE.rglob("native*.pxd"))


def read_pxd(path: Path) -> Module:
    """Read what a .pxd declares of the module beside it."""
    module = Module()
    current: Class | None = None
    for indented, line in statements(path.read_text()):
        current = current if indented else None
        if found := CLASS.match(line):
            current = Class([found[2]] if found[2] else [], set())
            module.classes[found[1]] = current
        elif found := FUNCTION.match(line):
            functions = module.functions if current is None else current.methods
            functions.add(found[1])
        elif found := VARIABLES.match(line):
            variables = module.variables if current is None else current.slots
            variables.update(re.findall(r"(\w+)(?:,|$)", found[1]))
    return module


def read_externals(path: Path) -> set[str]:
    """Read the names that a .pxd of C functions gives to those who cimport it."""
    inside = (line for indented, line in statements(path.read_text()) if indented)
    return {EXTERNAL.match(line)[1] for line in inside if not line.endswith(":")}


def statements(text: str) -> list[tuple[bool, str]]:
    """Split into (indented, statement), joined within brackets, without remarks."""
    text = re.sub(r"#.*", "", re.sub(r'"""(?s:.*?)"""', "", text))
    text = re.sub(r"\([^()]*\)", lambda inside: " ".join(inside[0].split()), text)
    lines = (line for line in text.splitlines() if line.strip())
    return [(line[0].isspace(), line.strip()) for line in lines]


def read_py(path: Path) -> Module:
    """Read what a module's source declares, without running it."""
    tree = ast.parse(path.read_text())
    module = Module()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            module.classes[node.name] = read_class(node)
        elif isinstance(node, ast.FunctionDef):
            module.functions.add(node.name)
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.alias(asname=str(name)):
                module.variables.add(name)
            case ast.alias(name=name):
                module.variables.add(name)
            case ast.Call(
                func=ast.Attribute(attr="give_defaults"),
                args=[ast.Name(id=name), ast.Dict(keys=keys)],
            ):
                module.classes[name].slots = {key.value for key in keys}
    return module


def read_class(node: ast.ClassDef) -> Class:
    """Read one class: its fields, its methods, and what it assigns on itself."""
    found = Class([ast.unparse(base) for base in node.bases])
    for part in ast.walk(node):
        match part:
            case ast.FunctionDef(name=name):
                found.methods.add(name)
            case ast.Assign(targets=[ast.Name(id="__slots__")], value=slots):
                found.slots = set(ast.literal_eval(slots))
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                found.assigned.add(name)
    return found
