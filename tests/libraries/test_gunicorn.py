"""gunicorn with uvicorn's worker on our loop, and with its own under `quiesce run`."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.libraries.servers import FOLDER, OUR_LOOP, Server, url_of

httpx = pytest.importorskip("httpx")
pytest.importorskip("gunicorn")
pytest.importorskip("uvicorn")
pytest.importorskip("uvicorn_worker")

UVICORN_WORKER = f"""
from uvicorn_worker import UvicornWorker

class Worker(UvicornWorker):
    CONFIG_KWARGS = {{**UvicornWorker.CONFIG_KWARGS, "loop": "{OUR_LOOP}"}}
"""
UP = "the application has started"
WORKERS = {
    "uvicorn's": ("-m", "gunicorn", "--worker-class", "our_worker.Worker"),
    "its own": (
        *("-m", "quiesce", "run", "-m", "gunicorn"),
        *("--worker-class", "asgi", "--asgi-loop", "asyncio"),
    ),
}


@pytest.fixture(params=WORKERS)
def gunicorn(request, tmp_path):
    (tmp_path / "our_worker.py").write_text(UVICORN_WORKER)
    with Server(
        *(sys.executable, *WORKERS[request.param], "--pythonpath", tmp_path),
        *("asgi_app:app", "--chdir", FOLDER, "--bind", "127.0.0.1:0"),
        *("--workers", 2, "--no-control-socket"),
    ) as server:
        server.wait_for(UP, times=2)
        yield server


async def who(url):
    async with httpx.AsyncClient(timeout=None) as client:
        return (await client.get(f"{url}/who")).json()


def test_a_worker_answers_on_our_loop(run, gunicorn):
    assert run(who(url_of(gunicorn)))["loop"] == "quiesce.loop.Loop"


def test_sigterm_ends_all_workers_and_then_gunicorn(gunicorn):
    assert gunicorn.stop() == 0
    gunicorn.wait_for("the application has shut down", times=2)


def test_sighup_replaces_the_workers(run, gunicorn):
    url = url_of(gunicorn)
    old = run(who(url))
    gunicorn.process.send_signal(signal.SIGHUP)
    gunicorn.wait_for(UP, times=4)
    gunicorn.wait_for("the application has shut down", times=2)
    assert run(who(url))["pid"] != old["pid"]
