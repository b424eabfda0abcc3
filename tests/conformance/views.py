"""Modules seen by a test: the real ones, with some names standing for something else.

A CPython test reaches what it tests through ``asyncio``, ``asyncio.tasks``,
``asyncio.futures`` and so on. A `ModuleView` is such a module in the eyes of one test
file; nobody else sees it, and every name without a stand-in is the real module's.
"""

from __future__ import annotations

import importlib
import types
from dataclasses import dataclass


@dataclass(frozen=True)
class StandIn:
    """Where a name is really read and written: attribute `name` of `owner`."""

    owner: object
    name: str


class ModuleView(types.ModuleType):
    """A module whose stand-ins come from elsewhere.

    Writing goes where reading comes from, so a test that replaces
    ``asyncio.current_task`` for its duration replaces what its naming really calls.
    """

    def __init__(self, real: types.ModuleType, stand_ins: dict[str, StandIn]) -> None:
        super().__init__(real.__name__, real.__doc__)
        # Not by plain assignment: that would write to the real module.
        self.__dict__.update(
            real=real,
            stand_ins=stand_ins,
            __spec__=real.__spec__,
            __path__=getattr(real, "__path__", None),
        )

    def __getattr__(self, name: str) -> object:
        """Look in the stand-ins, then in the real module."""
        place = self.__dict__["stand_ins"].get(name)
        if place is None:
            return getattr(self.__dict__["real"], name)
        return getattr(place.owner, place.name)

    def __setattr__(self, name: str, value: object) -> None:
        """Write to where `name` is read from."""
        place = self.__dict__["stand_ins"].get(name)
        if place is None:
            setattr(self.__dict__["real"], name, value)
        else:
            setattr(place.owner, place.name, value)

    def __dir__(self) -> list[str]:
        """List the real module's names."""
        return dir(self.__dict__["real"])


class Places:
    """Attributes that several modules have in common: written to all of them.

    ``mock.patch`` finds here what asyncio has in one module and quiesce in many.
    """

    def __init__(self, **modules: tuple[str, ...]) -> None:
        self.__dict__["modules"] = modules
        for name, places in modules.items():
            self.__dict__[name] = getattr(importlib.import_module(places[0]), name)

    def __setattr__(self, name: str, value: object) -> None:
        """Write to every module that uses `name`."""
        self.__dict__[name] = value
        for place in self.__dict__["modules"][name]:
            setattr(importlib.import_module(place), name, value)


class Views:
    """The modules that one test file sees, by name; nobody else imports them."""

    def __init__(self) -> None:
        self.modules: dict[str, ModuleView] = {}

    def add(self, name: str, view: ModuleView) -> None:
        """Show `view` to whoever imports `name`, or reaches it through its package."""
        self.modules[name] = view
        package, _, leaf = name.rpartition(".")
        if package:
            if package not in self.modules:
                self.add(package, ModuleView(importlib.import_module(package), {}))
            holder = types.SimpleNamespace(**{leaf: view})
            self.modules[package].stand_ins[leaf] = StandIn(holder, leaf)

    def import_module(
        self,
        name: str,
        globals_: dict[str, object] | None = None,
        locals_: dict[str, object] | None = None,
        fromlist: tuple[str, ...] = (),
        level: int = 0,
    ) -> object:
        """Do what an import statement does, as the test file's own ``__import__``."""
        if level or name.partition(".")[0] not in self.tops():
            return __import__(name, globals_, locals_, fromlist, level)
        importlib.import_module(name)
        if not fromlist:
            return self.modules[name.partition(".")[0]]
        view = self.modules.get(name)
        if view is None:
            return __import__(name, globals_, locals_, fromlist, level)
        for leaf in fromlist:
            if not hasattr(view, leaf):
                # A submodule that nobody has imported yet.
                importlib.import_module(f"{name}.{leaf}")
        return view

    def tops(self) -> set[str]:
        """Return the packages of which this test file sees some module differently."""
        return {name.partition(".")[0] for name in self.modules}
