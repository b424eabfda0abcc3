"""Compile each module that has a .pxd beside it, or none of them.

QUIESCE_COMPILE=auto     compile if that works, else install plain Python (the default)
QUIESCE_COMPILE=never    a pure Python wheel; Cython and the C compiler are not touched
QUIESCE_COMPILE=require  compile, or fail

All or none: a compiled module cannot import the C names of one left interpreted.
"""

import os
import shutil
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

MODE = os.environ.get("QUIESCE_COMPILE", "auto")
SOURCE = Path("src")
HEADERS = [str(header) for header in SOURCE.rglob("*.h")]
PURE = ("__init__", "native")  # all of native.pxd is C, so its .py stays Python
ON = ["cdivision", "embedsignature"]
OFF = "annotation_typing auto_pickle binding boundscheck initializedcheck wraparound"
DIRECTIVES = {"language_level": 3, "embedsignature.format": "clinic"}
# With it a SystemExit that a finalizer raises ends the process, there and at once.
DIRECTIVES["unraisable_tracebacks"] = False
DIRECTIVES |= dict.fromkeys(ON, True) | dict.fromkeys(OFF.split(), False)
# Whoever says how to compile wants it so: a sanitizer's reports need the names.
FLAGS_GIVEN = bool(os.environ.get("CFLAGS"))
SMALL = os.name == "posix" and not FLAGS_GIVEN
# Before glibc 2.34 the timers of the system are in a library of their own.
LINK = [*(["-s"] if SMALL else []), "-Wl,--as-needed", "-lrt"]


def extensions() -> list[Extension]:
    modules = sorted(pxd.with_suffix(".py") for pxd in SOURCE.rglob("*.pxd"))
    return [
        Extension(
            ".".join(module.relative_to(SOURCE).with_suffix("").parts),
            [str(module)],
            include_dirs=sorted({str(Path(header).parent) for header in HEADERS}),
            extra_compile_args=["-O2", "-g0"] if SMALL else [],
            extra_link_args=LINK if sys.platform == "linux" else [],
        )
        for module in modules
        if module.exists() and not module.name.startswith(PURE)
    ]


class CopySources(build_py):
    """Copy the sources, after removing what an earlier build left of lost ones."""

    def run(self) -> None:
        for old in Path(self.build_lib).rglob("*.*"):
            twin = SOURCE / old.relative_to(self.build_lib)
            twin = twin.with_name(old.name.partition(".")[0] + ".pxd")
            if old.is_file() and not twin.exists():
                old.unlink()
        super().run()


class CompileAllOrNone(build_ext):
    def run(self) -> None:
        if self.inplace:
            self.drop(RuntimeError("an extension beside its source would hide edits"))
        super().run()

    def build_extensions(self) -> None:
        try:
            self.translate()
            self.parallel = os.cpu_count()
            super().build_extensions()
        except Exception as error:  # plain Python works, whatever failed
            self.drop(error)

    def translate(self) -> None:
        """Replace the Python source of each extension by the C made from it."""
        command = getattr(self.compiler, "compiler_so", None)
        if command and not shutil.which(command[0]):
            raise FileNotFoundError(f"no C compiler: {command[0]}")
        import Cython
        from Cython.Build import cythonize

        where = f"build/cython-{Cython.__version__}"
        options = {"build_dir": where, "include_path": [str(SOURCE)], "quiet": True}
        made = cythonize(extensions(), compiler_directives=DIRECTIVES, **options)
        for wanted, translated in zip(self.extensions, made, strict=True):
            wanted.sources = translated.sources
            wanted.depends = [*HEADERS, "setup.py"]

    def drop(self, reason: Exception) -> None:
        """Leave every module interpreted, also those compiled by now."""
        if MODE == "require":
            raise reason
        print(f"quiesce: installing without compiled modules ({reason})", flush=True)
        for extension in self.extensions:
            Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
        self.extensions = self.distribution.ext_modules = []
        self.get_finalized_command("bdist_wheel").root_is_pure = True


COMMANDS = {"build_py": CopySources, "build_ext": CompileAllOrNone}
setup(ext_modules=[] if MODE == "never" else extensions(), cmdclass=COMMANDS)
