"""Servers that all run at once on one CPU, and one client that loads them in turn.

Each is loaded for some milliseconds, over and over, so that a slow second of the
machine is slow for everybody: the ratio of two servers is the median over neighbouring
turns.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from io_workloads import Workload

    from measuring.c_programs import Programs

BENCHMARKS = Path(__file__).parents[1]
C = "C"
"""The name of the server in C."""
PATIENCE = 15
"""Seconds that a server may take to start."""


@dataclass
class Outcome:
    """What one server did in one workload, turn by turn."""

    rate: list[float]
    cpu: list[float]
    p50: float
    p99: float
    stalled: bool

    @property
    def messages(self) -> float:
        """Messages per second."""
        return statistics.median(self.rate)


@dataclass
class Row:
    """Everybody in one workload, and why somebody is missing."""

    workload: Workload
    outcomes: dict[str, Outcome] = field(default_factory=dict[str, Outcome])
    failures: dict[str, str] = field(default_factory=dict[str, str])

    def ratio(self, ours: str, peer: str) -> tuple[float, float, float] | None:
        """Return the median ratio of messages and its quartiles; None if not known."""
        if ours not in self.outcomes or peer not in self.outcomes:
            return None
        pairs = zip(self.outcomes[ours].rate, self.outcomes[peer].rate, strict=True)
        ratios = [mine / theirs for mine, theirs in pairs if theirs]
        if len(ratios) < 2:  # noqa: PLR2004 - fewer have no quartiles
            return None
        low, median, high = statistics.quantiles(ratios, n=4)
        return median, low, high


@dataclass(frozen=True)
class Plan:
    """How to measure."""

    programs: Programs
    turns: int
    milliseconds: float
    realtime: bool
    server_cpu: int
    client_cpu: int


class Server:
    """One server process; `problem` says why it does not run."""

    def __init__(self, name: str, workload: Workload, plan: Plan, folder: Path) -> None:
        self.name = name
        self.address = str(folder / name) if workload.kind == "unix" else free_port()
        self._log = (folder / f"{name}.log").open("w+")
        self._process = subprocess.Popen(
            self._command(workload, plan.programs),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "PYTHONPATH": str(BENCHMARKS)},
        )
        settle(self._process.pid, plan.server_cpu, realtime=plan.realtime)
        self.problem = self._await_ready()

    def _command(self, workload: Workload, programs: Programs) -> list[str]:
        if self.name == C:
            echo = workload.kind if workload.kind != "accept" else "tcp"
            command = [str(programs.server), echo, self.address]
        else:
            program = str(BENCHMARKS / "io_servers.py")
            command = [sys.executable, program, self.name, workload.server]
            command.append(self.address)
        if workload.kind == "tls":
            command += [str(programs.certificate), str(programs.key)]
        return command

    def _await_ready(self) -> str | None:
        """Return None once the server says that it is ready, else its last words."""
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit and self._process.poll() is None:
            if b"ready" in (self._process.stdout.read() or b""):
                return None
            time.sleep(0.01)
        return self.last_words() or "did not start"

    def last_words(self) -> str:
        """Return the last line of what the server complained of."""
        self._log.seek(0)
        return self._log.read().strip().rpartition("\n")[2]

    @property
    def target(self) -> str:
        """What the client is told."""
        return f"{self.address}@{self._process.pid}"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()


def measure(workload: Workload, names: Sequence[str], plan: Plan) -> Row:
    """Load everybody in turn; who cannot be measured is left out, with the reason."""
    row = Row(workload)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers: list[Server] = []
        for name in names:
            server = Server(name, workload, plan, folder)
            stack.callback(server.close)
            if server.problem is None:
                servers.append(server)
            else:
                row.failures[name] = server.problem
        if servers:
            load(row, servers, plan)
    return row


def load(row: Row, servers: list[Server], plan: Plan) -> None:
    """Run the client once and note what it counted."""
    workload = row.workload
    size = workload.size
    if workload.kind == "http":
        size = answer_size(int(servers[0].address))
    arguments = [workload.kind, size, workload.connections, workload.depth]
    arguments += [plan.turns, plan.milliseconds, int(workload.busy)]
    process = subprocess.Popen(
        [str(plan.programs.load), *map(str, arguments), *(s.target for s in servers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    settle(process.pid, plan.client_cpu, realtime=plan.realtime)
    answers, complaint = process.communicate()
    if process.returncode:
        for server in servers:
            row.failures[server.name] = f"the client failed: {complaint.strip()}"
        return
    for server, line in zip(servers, answers.splitlines(), strict=True):
        outcome = Outcome(**json.loads(line))
        if outcome.stalled:
            row.failures[server.name] = "left messages unanswered"
        else:
            row.outcomes[server.name] = outcome


def settle(pid: int, cpu: int, *, realtime: bool) -> None:
    """Bind a process to one CPU, and let nobody else on it if `realtime`."""
    os.sched_setaffinity(pid, {cpu})
    if realtime:
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))


def free_port() -> str:
    """Return a port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return str(sock.getsockname()[1])


def answer_size(port: int) -> int:
    """Return how long a whole answer over HTTP is."""
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        received = b""
        while not received.endswith(b"Hello, world!"):
            data = sock.recv(65536)
            if not data:
                raise ConnectionError("the server hung up")
            received += data
    return len(received)


def as_data(row: Row, ours: str) -> dict[str, Any]:
    """Return everything measured in one workload, ready for JSON."""
    return {
        "size": row.workload.size,
        "connections": row.workload.connections,
        "depth": row.workload.depth,
        "bars": row.workload.bars,
        "ratios": {peer: row.ratio(ours, peer) for peer in row.outcomes},
        "failed": row.failures,
        "servers": {name: vars(outcome) for name, outcome in row.outcomes.items()},
    }
