"""What ``quiesce run`` was told to run, found and made ready.

There are five kinds: a file (or a folder or zip file with a ``__main__.py``), a module
(``-m``), code (``-c``), code on stdin (``-``), and a coroutine function
(``package.module:function``). For each this says what ``python`` would set before
running it; `run` sets it.
"""

# Paths stay the text that they were given as, like those of `python`.
# ruff: noqa: PTH109, PTH110, PTH112, PTH118, PTH120

from __future__ import annotations

import importlib.util
import io
import linecache
import os
import sys
import textwrap
from dataclasses import dataclass, field
from importlib.machinery import (
    BuiltinImporter,
    PathFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from typing import TYPE_CHECKING, Any

from quiesce.cli.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import CodeType


@dataclass(frozen=True)
class Target:
    """A program that was found."""

    name: str
    """What becomes ``sys.argv[0]``."""

    folder: str
    """What becomes ``sys.path[0]``."""

    load: Callable[[], CodeType | Callable[[], Any]]
    """Gives the code to run in ``__main__``, or a function to call. It runs once
    ``sys.argv`` and ``sys.path`` are set, because it may import or compile."""

    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    """What ``__main__`` has beside its name."""


def find(words: list[str]) -> tuple[Target, list[str]]:
    """Return what the words after ``quiesce run`` name, and the program's arguments.

    Raises `Problem` if there is nothing of that name.
    """
    match words:
        case ["-m", module, *arguments]:
            # The packages it is in are imported to find it, and see this.
            enter(os.getcwd(), ["-m", *arguments])
            return module_target(module), arguments
        case ["-c", text, *arguments]:
            return text_target(text), arguments
        case ["-m" | "-c" as option]:
            raise Problem(f"run {option} needs something to run after it")
        case ["-", *arguments]:
            return stdin_target(), arguments
        case [word, *_] if word.startswith("-"):
            raise Problem(f"run has no option {word}; see quiesce --help")
        case [path, *arguments] if os.path.exists(path):
            return path_target(path), arguments
        case [path, *arguments] if ":" in path:
            return function_target(path), arguments
        case [path, *_]:
            raise Problem(f"no such file: {path}")
        case _:
            raise Problem("run needs a file, -m, -c or package.module:function")


def enter(folder: str, words: list[str]) -> None:
    """Set ``sys.argv`` and, unless Python was told to leave it, ``sys.path[0]``."""
    sys.argv[:] = words
    if not sys.flags.safe_path:
        sys.path[0] = folder


def path_target(path: str) -> Target:
    """Find a program in a file, or in a folder or zip file with a ``__main__.py``."""
    # As Python makes it absolute: not any shorter.
    place = os.path.join(os.getcwd(), path)
    found = PathFinder.find_spec("__main__", [place])
    if found is not None:
        return Target(path, place, lambda: code_of(found), attributes_of(found))
    if os.path.isdir(path):
        raise Problem(f"no __main__.py in {path}")
    kind = SourcelessFileLoader if path.endswith(".pyc") else SourceFileLoader
    loader: Any = kind("__main__", place)

    def load() -> CodeType:
        try:
            if kind is SourcelessFileLoader:
                return loader.get_code("__main__")
            with io.open_code(place) as file:
                return compile(file.read(), place, "exec", dont_inherit=True)
        except OSError as error:
            raise Problem(f"cannot read {path}: {error.strerror}") from None

    return Target(
        path,
        os.path.dirname(os.path.realpath(path)),
        load,
        with_cached({"__file__": place, "__loader__": loader}, None),
    )


def text_target(text: str) -> Target:
    """Find the program that ``-c`` gives word for word."""

    def load() -> CodeType:
        source = text
        if sys.version_info >= (3, 14):
            source = textwrap.dedent(text)
        if sys.version_info >= (3, 13):
            # From this version on Python's tracebacks quote it.
            lines = source.splitlines(keepends=True)
            linecache.cache["<string>"] = (len(source), None, lines, "<string>")
        return compile(source, "<string>", "exec", dont_inherit=True)

    return Target("-c", "", load, {"__loader__": BuiltinImporter})


def stdin_target() -> Target:
    """Find the program on stdin."""

    def load() -> CodeType:
        return compile(sys.stdin.read(), "<stdin>", "exec", dont_inherit=True)

    return Target("-", "", load, {"__loader__": BuiltinImporter})


def module_target(name: str) -> Target:
    """Find the program that is a module, or a package with a ``__main__`` module."""
    spec = spec_of(name)
    if spec.submodule_search_locations is not None:
        try:
            spec = spec_of(f"{name}.__main__")
        except Problem:
            raise Problem(f"{name} is a package without __main__") from None
    if not hasattr(spec.loader, "get_code"):
        raise Problem(f"{name} has no code to run")
    return Target(
        spec.origin or name, os.getcwd(), lambda: code_of(spec), attributes_of(spec)
    )


def function_target(path: str) -> Target:
    """Find a coroutine function by the name of its module and its own."""
    module, _, function = path.partition(":")

    def load() -> Callable[[], Any]:
        spec_of(module)
        found: Any = importlib.import_module(module)
        for part in function.split("."):
            found = getattr(found, part, None)
        if found is None:
            raise Problem(f"no function {function!r} in {module}")
        if not is_coroutine_function(found):
            raise Problem(f"{path} is not a coroutine function (async def)")
        return found

    return Target(path, os.getcwd(), load)


def is_coroutine_function(found: object) -> bool:
    """Tell whether calling `found` gives a coroutine."""
    from inspect import iscoroutinefunction

    return iscoroutinefunction(found) or (
        callable(found) and iscoroutinefunction(type(found).__call__)
    )


def spec_of(name: str) -> ModuleSpec:
    """Find a module by its full name, which imports the packages it is in.

    An error in those is the program's own and passes through.
    """
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        spec = None
    except ValueError:
        # A module without a spec, such as __main__, or an empty name.
        spec = None
    if spec is None:
        raise Problem(f"no module named {name!r}")
    return spec


def code_of(spec: ModuleSpec) -> CodeType:
    """Load the code of a module that is to be ``__main__``."""
    loader: Any = spec.loader
    return loader.get_code(spec.name)


def attributes_of(spec: ModuleSpec) -> dict[str, Any]:
    """Return what ``__main__`` has when it is that module."""
    attributes = {
        "__file__": spec.origin,
        "__loader__": spec.loader,
        "__package__": spec.parent,
        "__spec__": spec,
    }
    return with_cached(attributes, spec)


def with_cached(attributes: dict[str, Any], spec: ModuleSpec | None) -> dict[str, Any]:
    """Add ``__cached__``, which modules have before Python 3.15."""
    if sys.version_info < (3, 15):
        attributes["__cached__"] = None if spec is None else spec.cached
    return attributes
