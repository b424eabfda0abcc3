"""Each example does what it says, on quiesce and on asyncio."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from tests.programs.children import PYTHON, QUIESCE_RUN, Child, outcome_of

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(params=["quiesce run", "python"])
def words(request):
    """The words that run an example, on quiesce or on asyncio."""
    return QUIESCE_RUN if request.param == "quiesce run" else PYTHON


@pytest.fixture
def tree(tmp_path):
    """A folder with files in folders, some with odd names."""
    root = tmp_path / "tree"
    for number in range(3):
        folder = root / f"folder {number}" / "deeper"
        folder.mkdir(parents=True)
        (folder / "a&b.txt").write_text("text\n" * number)
        (folder / "numbers.py").write_bytes(b"0123456789" * 10_000)
    (root / "circle").symlink_to(root)
    (root / "lost").symlink_to(root / "nowhere")
    return root


def test_every_example_is_tested():
    here = Path(__file__).read_text()
    assert [path.name for path in EXAMPLES.glob("*.py") if path.name not in here] == []


def test_crawl_finds_every_file(words, tree):
    crawl = EXAMPLES / "crawl.py"
    outcome = outcome_of(*words, crawl, "--root", tree, "--plain", "--concurrency", 20)
    assert outcome.status == 0
    assert outcome.out[1] == "done"
    assert outcome.out[2] == "files      6 in 7 folders"
    assert outcome.out[3] == "bytes      300,015"
    assert sorted(outcome.out[5][11:].split(", ")) == ["3 .py", "3 .txt"]
    assert outcome.out[7:] == ["errors     1", "           /lost: no such file"]


def test_crawl_stops_at_its_limit(words, tree):
    crawl = EXAMPLES / "crawl.py"
    outcome = outcome_of(*words, crawl, "--root", tree, "--plain", "--limit", 4)
    assert outcome.out[4].startswith("requests   4 ")


def test_crawl_says_on_ctrl_c_what_it_has_done(words):
    with Child(*words, EXAMPLES / "crawl.py") as child:
        child.wait_for("crawling")
        child.send(signal.SIGINT)
        outcome = child.finish()
    assert outcome.status == 130
    assert outcome.out[1] == "stopped early"
    assert outcome.out[2].startswith("files ")
    assert "Traceback" not in outcome.err


def test_crawl_refuses_a_folder_that_is_not_there(words, tmp_path):
    outcome = outcome_of(*words, EXAMPLES / "crawl.py", "--root", tmp_path / "no")
    assert outcome.status == 2
    assert "no such folder" in outcome.err


@contextmanager
def visitor(port, name):
    """Enter the room under a name; gives the file to talk through."""
    with (
        socket.create_connection(("127.0.0.1", port)) as sock,
        sock.makefile("rw", newline="\n") as talk,
    ):
        assert talk.read(19) == "Your name, please: "
        say(talk, name)
        yield talk


def say(talk, text):
    talk.write(f"{text}\n")
    talk.flush()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_chat_passes_on_what_is_said_and_says_goodbye(signum):
    with Child(*QUIESCE_RUN, EXAMPLES / "chat.py") as child:
        port = int(child.wait_for("the room is open").split()[-1])
        with visitor(port, "Ann") as ann, visitor(port, "Bob") as bob:
            assert ann.readline() == "* Bob comes in\n"
            say(bob, "hello")
            assert ann.readline() == "Bob: hello\n"
            child.send(signum)
            assert ann.readline() == "* the room closes, goodbye\n"
            assert bob.readline() == "* the room closes, goodbye\n"
            assert ann.readline() == ""
        outcome = child.finish()
    assert outcome.out[-1] == "the room is closed"
    assert outcome.status == (130 if signum == signal.SIGINT else -signum)


def test_checksums_are_those_of_the_files(words, tree):
    outcome = outcome_of(*words, EXAMPLES / "checksums.py", tree, "--workers", 3)
    files = [path for path in tree.rglob("*") if path.is_file()]
    sums = [f"{sha256(path.read_bytes()).hexdigest()}  {path}" for path in files]
    assert sorted(outcome.out) == sorted(sums)
    assert outcome.err == f"{tree / 'lost'}: No such file or directory\n"


def test_polite_fetch_goes_in_order_and_reports_each_page(words):
    arrivals = []

    async def answer(reader, writer):
        request = (await reader.readuntil(b"\r\n\r\n")).split()
        arrivals.append(request[1])
        if request[1] != b"/silent":
            writer.write(b"HTTP/1.0 200 OK\r\n\r\nhello")
            writer.close()
        else:
            await reader.read()
            writer.close()

    async def main():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        site = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        arguments = ["--rate", 20, "--timeout", 0.5, "ftp://no", f"{site}/a?b"]
        arguments += [f"{site}/silent", f"{site}/c"]
        call = asyncio.to_thread(
            outcome_of, *words, EXAMPLES / "polite_fetch.py", *arguments
        )
        outcome = await call
        server.close()
        await server.wait_closed()
        return outcome

    outcome = asyncio.run(main())
    lines = [re.sub(r" \d\.\d{3} s", "", line) for line in outcome.out]
    assert outcome.status == 1
    assert sorted(line.split("  ")[0] for line in lines) == sorted(
        ["not an http:// address", "200", "200", "no answer within 0.5 s"]
    )
    assert arrivals == [b"/a?b", b"/silent", b"/c"]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_periodic_completes_what_it_began(signum, tmp_path):
    log = tmp_path / "space.log"
    with Child(*QUIESCE_RUN, EXAMPLES / "periodic.py", "--every", 0.01, log) as child:
        child.wait_for("writing")
        child.send(signum)
        outcome = child.finish()
    lines = log.read_text().splitlines()
    assert lines.pop() == "stopped"
    assert all(re.fullmatch(r"[\d:]{8} \d+ MiB free", line) for line in lines)
    assert outcome.status == (130 if signum == signal.SIGINT else -signum)


def test_old_style_cleans_up_on_ctrl_c():
    with Child(*PYTHON, EXAMPLES / "old_style.py") as child:
        child.wait_for("Ctrl-C closes")
        child.send(signal.SIGINT)
        outcome = child.finish()
    assert outcome.out[3:] == [
        "the kitchen closes",
        "cleaned up after dumplings",
        "cleaned up after soup",
    ]
    assert (outcome.status, outcome.err) == (0, "")
