"""`quiesce run` does to a program what ``python`` does."""

from __future__ import annotations

import sys
import zipfile

import pytest

from tests.programs.children import PYTHON, QUIESCE_RUN, outcome_of

SAYS_WHERE_IT_IS = """
import sys
print(__name__, sys.argv, sys.path[0], sys.modules["__main__"].__dict__ is globals())
for name in sorted(globals()):
    if name == "__loader__":
        print(name, getattr(__loader__, "name", ""), getattr(__loader__, "path", ""))
    elif name == "__spec__":
        print(name, __spec__ and (__spec__.name, __spec__.origin, __spec__.parent))
    elif name.startswith("__"):
        print(name, globals()[name])
"""
PROGRAMS = {
    "where it is": SAYS_WHERE_IT_IS,
    "nothing": "",
    "output": "import sys; print('out'); print('err', file=sys.stderr)",
    "error": "def f():\n    1 / 0\n\nf()\n",
    "chained errors": """
def f():
    raise KeyError("first")
try:
    f()
except KeyError as error:
    try:
        raise ValueError("second")
    except ValueError:
        raise TypeError("third") from error
""",
    "group of errors": """
def f():
    1 / 0
errors = []
for _ in range(2):
    try:
        f()
    except ZeroDivisionError as error:
        errors.append(error)
raise ExceptionGroup("both", errors)
""",
    "syntax error": "print(1)\nthis is no Python\n",
    "missing import": "import no_such_module_as_this\n",
    "exit": "raise SystemExit",
    "exit with a number": "import sys; sys.exit(7)",
    "exit with a message": "import sys; sys.exit('that is enough')",
    "exit in a function called at exit": "import atexit; atexit.register(print, 'x')",
    "keyboard interrupt": "def f():\n    raise KeyboardInterrupt\n\nf()\n",
    "ctrl-c and an exit function": """
import atexit, signal
atexit.register(print, "exit function")
def f():
    signal.raise_signal(signal.SIGINT)
f()
""",
    "own excepthook": """
import sys
sys.excepthook = lambda kind, error, traceback: print(kind, traceback.tb_lineno)
1 / 0
""",
    "failing excepthook": """
import sys
def hook(*_):
    raise ValueError("hook")
sys.excepthook = hook
1 / 0
""",
    "excepthook that exits": """
import sys
sys.excepthook = lambda *_: sys.exit(5)
1 / 0
""",
    "error in a thread": """
import threading
threading.excepthook = lambda args: print("in a thread:", args.exc_value)
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
""",
    "thread that outlives main": """
import threading
main_done = threading.Event()
threading.Thread(target=lambda: (main_done.wait(), print("thread done"))).start()
main_done.set()
""",
    "pickle of a class in main": """
import pickle
class Thing:
    pass
print(type(pickle.loads(pickle.dumps(Thing()))) is Thing)
""",
}


def same(words, folder):
    """Check that quiesce and python run it in the same way; return how it ended."""
    expected = outcome_of(*PYTHON, *words, folder=folder)
    assert outcome_of(*QUIESCE_RUN, *words, folder=folder) == expected
    return expected


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_file(name, tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAMS[name])
    same([path, "one", "--two"], tmp_path)


@pytest.mark.parametrize("prefix", ["", "./", "folder/../", "././"])
def test_a_relative_file(prefix, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "program.py").write_text(SAYS_WHERE_IT_IS + "\n1 / 0\n")
    same([f"{prefix}program.py"], tmp_path)


def test_a_file_reached_through_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "program.py").write_text("import beside\n" + SAYS_WHERE_IT_IS)
    (tmp_path / "real" / "beside.py").write_text("print('beside')\n")
    (tmp_path / "link.py").symlink_to(tmp_path / "real" / "program.py")
    assert "beside" in same([tmp_path / "link.py"], tmp_path).out


def test_a_file_with_an_encoding(tmp_path):
    text = "# -*- coding: latin-1 -*-\nprint(ascii('\xe4'))\n"
    (tmp_path / "program.py").write_bytes(text.encode("latin-1"))
    same(["program.py"], tmp_path)


def test_a_compiled_file(tmp_path):
    (tmp_path / "program.py").write_text(
        "import sys; print(__name__, sys.argv)\n1 / 0\n"
    )
    compile_it = "import py_compile; py_compile.compile('program.py', 'program.pyc')"
    assert outcome_of(*PYTHON, "-c", compile_it, folder=tmp_path).status == 0
    same(["program.pyc"], tmp_path)


def test_a_folder(tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text(SAYS_WHERE_IT_IS)
    same(["./app", "one"], tmp_path)


def test_a_zip_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("__main__.py", "import sys; print(__name__, sys.argv)")
    same(["app.zip", "one"], tmp_path)


def test_a_module(tmp_path):
    (tmp_path / "program.py").write_text(SAYS_WHERE_IT_IS)
    same(["-m", "program", "one", "-m"], tmp_path)


def test_a_module_in_a_package(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("import sys; print(sys.argv)\n")
    text = "from . import other\n" + SAYS_WHERE_IT_IS
    (tmp_path / "package" / "program.py").write_text(text)
    (tmp_path / "package" / "other.py").write_text("")
    same(["-m", "package.program"], tmp_path)


def test_a_package(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "__main__.py").write_text(SAYS_WHERE_IT_IS)
    same(["-m", "package", "one"], tmp_path)


@pytest.mark.parametrize("name", ["where it is", "error", "exit with a number"])
def test_code(name, tmp_path):
    same(["-c", PROGRAMS[name], "one"], tmp_path)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Python refuses it before 3.14")
def test_indented_code(tmp_path):
    same(["-c", "\n    print(1)\n    print(2)\n"], tmp_path)


def test_python_told_to_keep_its_path_safe(tmp_path):
    (tmp_path / "program.py").write_text("import sys; print(sys.path)\n")
    words = ["-m", "quiesce", "run", "program.py"]
    quiesce = outcome_of(*PYTHON, "-P", *words, folder=tmp_path)
    python = outcome_of(*PYTHON, "-P", "program.py", folder=tmp_path)
    assert quiesce == python


def test_a_traceback_through_the_loop_shows_the_program_only(tmp_path):
    text = (
        "import asyncio\n"
        "async def inner():\n"
        "    await asyncio.sleep(0)\n"
        "    1 / 0\n"
        "async def main():\n"
        "    await asyncio.create_task(inner())\n"
        "asyncio.run(main())\n"
    )
    path = tmp_path / "program.py"
    path.write_text(text)
    outcome = outcome_of(*QUIESCE_RUN, path)
    frames = [
        line.split(", ")[1:] for line in outcome.err.splitlines() if "File" in line
    ]
    assert frames == [
        ["line 7", "in <module>"],
        ["line 6", "in main"],
        ["line 4", "in inner"],
    ]
    assert outcome.status == 1
