"""The page that compares how programs end says what the scenarios came to."""

from __future__ import annotations

from tests.programs.exits.table import failures, page

WAYS = ["quiesce.run", "asyncio.run"]
OURS = {"quiesce.run": True}
BOTH = {"quiesce.run": True, "asyncio.run": True}
NOT_ASYNCIO = {"quiesce.run": True, "asyncio.run": False}
RESULTS = {
    "Loops of one's own, under ``quiesce run`` & others": {
        "a signal ends it": {"SIGINT": BOTH, "SIGTERM": NOT_ASYNCIO},
        "one is closed": {"": NOT_ASYNCIO},
    },
    "Runners": {"a runner is closed": {"": OURS}},
}


def lines_of(results):
    return page(results, WAYS).splitlines()


def test_a_summary_of_the_sections_comes_first():
    lines = lines_of(RESULTS)
    begin = lines.index("| section | quiesce.run | asyncio.run |")
    assert lines[begin + 2 : begin + 5] == [
        "| Loops of one's own, under ``quiesce run`` & others | 3 of 3 | 1 of 3 |",
        "| Runners | 1 of 1 |  |",
        "| **all that apply** | 4 of 4 | 1 of 3 |",
    ]
    assert lines[begin - 2].startswith("4 programs; CPython ")


def test_each_section_can_be_opened():
    lines = lines_of(RESULTS)
    opened = "Loops of one's own, under <code>quiesce run</code> &amp; others"
    begin = lines.index(f"<details><summary>{opened}</summary>")
    assert lines[begin + 1 : begin + 8] == [
        "",
        "| scenario | quiesce.run | asyncio.run |",
        "|---|:-:|:-:|",
        "| a signal ends it | 2 of 2 | 1 of 2 |",
        "| one is closed | yes | **no** |",
        "",
        "</details>",
    ]
    assert lines.count("</details>") == 2


def test_what_fails_under_quiesce_is_named():
    assert list(failures(RESULTS)) == []
    wrong = {"Runners": {"one is closed": {"SIGINT": {"quiesce run": False}}}}
    named = "FAILED under quiesce run: Runners: one is closed (SIGINT)"
    assert list(failures(wrong)) == [named]
