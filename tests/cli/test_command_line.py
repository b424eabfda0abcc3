"""What `quiesce` says to good and to bad use."""

from __future__ import annotations

import signal
import sys

import pytest

import quiesce
from quiesce.cli.main import main
from tests.programs.children import PYTHON, QUIESCE_RUN, Child, interrupted, outcome_of

APP = """
import asyncio, sys

async def main():
    print("ready", sys.argv, type(asyncio.get_running_loop()).__module__, flush=True)
    try:
        await asyncio.sleep(3600 if "wait" in sys.argv else 0)
    finally:
        print("cleaned up")

async def fails():
    raise ValueError("no")

def plain():
    pass

class Callable:
    async def __call__(self):
        print("called")

instance = Callable()
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "app.py").write_text(APP)
    (tmp_path / "broken.py").write_text("import no_such_module_as_this\n")
    (tmp_path / "app.py").write_text("print(1)\n")
    return tmp_path


def test_a_coroutine_function_is_run_with_its_arguments(folder):
    outcome = outcome_of(*QUIESCE_RUN, "package.app:main", "one", folder=folder)
    line = "ready ['package.app:main', 'one'] quiesce.loop"
    assert (outcome.status, outcome.out) == (0, [line, "cleaned up"])


def test_an_object_whose_call_is_a_coroutine_function_is_run(folder):
    outcome = outcome_of(*QUIESCE_RUN, "package.app:instance", folder=folder)
    assert (outcome.status, outcome.out) == (0, ["called"])


@pytest.mark.parametrize("name", ["QUIESCE_GRACE", "QUIESCE_WATCHDOG_MS"])
def test_a_bad_number_in_the_environment_is_told_before_the_program_begins(
    folder, monkeypatch, name
):
    monkeypatch.setenv(name, "soon")
    outcome = outcome_of(*QUIESCE_RUN, "app.py", folder=folder)
    assert (outcome.status, outcome.out) == (2, [])
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"quiesce: {name} must be a number of ")
    assert line.endswith(", not 'soon'")


def test_a_coroutine_function_that_fails_shows_its_own_frames_only(folder):
    outcome = outcome_of(*QUIESCE_RUN, "package.app:fails", folder=folder)
    assert outcome.status == 1
    assert outcome.err.count("File") == 1
    assert outcome.err.endswith("ValueError: no\n")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_coroutine_function_in_order(folder, signum):
    words = (*QUIESCE_RUN, "package.app:main", "wait")
    outcome = interrupted(*words, by=signum, folder=folder)
    assert outcome.out[-1] == "cleaned up"
    assert outcome.status == -signum


def test_a_program_on_stdin_is_run():
    with Child(*QUIESCE_RUN, "-", "one") as child:
        child.process.stdin.write("import sys; print(sys.argv)")
        child.process.stdin.close()
        outcome = child.finish()
    assert (outcome.status, outcome.out) == (0, ["['-', 'one']"])


BAD_USE = {
    "no_such_file.py": "no such file: no_such_file.py",
    "-m no_such_module": "no module named 'no_such_module'",
    "-m package.no_such_module": "no module named 'package.no_such_module'",
    "-m no_such_package.module": "no module named 'no_such_package.module'",
    "-m package": "package is a package without __main__",
    "-m": "run -m needs something to run after it",
    "-c": "run -c needs something to run after it",
    "-x app.py": "run has no option -x; see quiesce --help",
    "no_such_module:main": "no module named 'no_such_module'",
    "package.app:no_such": "no function 'no_such' in package.app",
    "package.app:plain": "package.app:plain is not a coroutine function (async def)",
    "package.app:": "no function '' in package.app",
    "package": "no __main__.py in package",
    "": "run needs a file, -m, -c or package.module:function",
}


@pytest.mark.parametrize("words", BAD_USE)
def test_bad_use_is_one_line_and_status_2(words, folder):
    outcome = outcome_of(*QUIESCE_RUN, *words.split(), folder=folder)
    assert (outcome.status, outcome.out) == (2, [])
    assert outcome.err == f"quiesce: {BAD_USE[words]}\n"


def test_an_import_that_fails_inside_the_program_is_its_own_error(folder):
    for words in (["broken:main"], ["-m", "broken"]):
        outcome = outcome_of(*QUIESCE_RUN, *words, folder=folder)
        assert outcome.status == 1
        assert outcome.err.endswith("No module named 'no_such_module_as_this'\n")


def test_help_names_every_way_to_run(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("FILE", "-m", "-c", "FUNCTION", "doctor"))


@pytest.mark.parametrize(
    "words",
    ["-h", "help run", "run --help", "run -h", "run --grace 3 -h x", "doctor --help"],
)
def test_help_is_printed_wherever_it_is_asked_for(words):
    outcome = outcome_of(*PYTHON, "-m", "quiesce", *words.split())
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out[0].startswith("usage: quiesce run ")


def test_help_names_what_a_file_may_be_and_each_environment_variable(capsys):
    main(["run", "--help"])
    out = capsys.readouterr().out
    assert "__main__.py, or - for stdin" in out
    for name in ("QUIESCE_GRACE", "QUIESCE_REPORT", "QUIESCE_WATCHDOG_MS"):
        assert name in out


@pytest.mark.parametrize("option", ["-h", "--help", "--grace"])
def test_an_option_behind_the_file_is_the_programs_own(folder, option):
    (folder / "says.py").write_text("import sys; print(sys.argv[1:])\n")
    outcome = outcome_of(*QUIESCE_RUN, "says.py", option, folder=folder)
    assert (outcome.status, outcome.out) == (0, [f"['{option}']"])


@pytest.mark.parametrize(
    ("words", "variable", "in_program", "seconds"),
    [
        ([], None, "", 8.0),
        ([], "3", "", 3.0),
        (["--grace", "2"], "3", "", 2.0),
        (["--grace", "2"], "3", "grace=1", 1.0),
    ],
)
def test_of_several_graces_the_nearest_to_the_program_counts(
    folder, monkeypatch, words, variable, in_program, seconds
):
    monkeypatch.delenv("QUIESCE_GRACE", raising=False)
    if variable is not None:
        monkeypatch.setenv("QUIESCE_GRACE", variable)
    (folder / "says.py").write_text(
        "import asyncio, quiesce\n"
        "def show(report):\n"
        "    print(report['grace'])\n"
        f"quiesce.run(asyncio.sleep(0), report=show, {in_program})\n"
    )
    outcome = outcome_of(*QUIESCE_RUN, *words, "says.py", folder=folder)
    assert (outcome.status, outcome.out) == (0, [str(seconds)])


@pytest.mark.parametrize("grace", ["0", "-1", "soon", "nan"])
def test_a_bad_grace_is_told_before_the_program_begins(folder, grace):
    outcome = outcome_of(*QUIESCE_RUN, "--grace", grace, "app.py", folder=folder)
    assert (outcome.status, outcome.out) == (2, [])
    words = f"--grace must be a number of seconds above 0, not {grace!r}"
    assert outcome.err == f"quiesce: {words}\n"


def test_no_word_at_all_is_answered_with_the_usage(capsys):
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage:")


def test_an_unknown_command_is_named(capsys):
    assert main(["walk"]) == 2
    assert capsys.readouterr().err == "quiesce: no command 'walk'; see quiesce --help\n"


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"quiesce {quiesce.__version__}\n"


def test_doctor_says_what_runs(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    mode = "compiled" if quiesce.COMPILED else "interpreted"
    assert f"quiesce  {quiesce.__version__}\n" in out
    assert f"mode     {mode}" in out
    assert f"python   {sys.version.split()[0]} " in out
    assert "poller " in out
    assert "missing " in out


def test_doctor_takes_no_argument(capsys):
    assert main(["doctor", "please"]) == 2
    assert "no argument" in capsys.readouterr().err


def test_a_program_starts_with_no_module_of_the_command_line_but_its_own():
    heavy = (
        "print([m for m in ('argparse', 'rich', 'logging.config') if m in sys.modules])"
    )
    outcome = outcome_of(*QUIESCE_RUN, "-c", f"import sys; {heavy}")
    assert outcome.out == ["[]"]
