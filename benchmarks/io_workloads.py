"""What is measured of I/O: the workloads, and how fast each must be, as data."""

from __future__ import annotations

from dataclasses import dataclass, field

KIB = 1024


@dataclass(frozen=True)
class Workload:
    """One row: what the servers do, and what the client asks of them."""

    key: str
    title: str
    server: str
    """Which server of `io_servers`."""
    kind: str = "tcp"
    """What the client in `io_programs` speaks."""
    size: int = KIB
    connections: int = 100
    depth: int = 1
    """Messages under way on each connection."""
    busy: bool = False
    """Whether the client never sleeps, so that no server pays for waking it."""
    bars: dict[str, float] = field(default_factory=dict[str, float])
    """By peer, the ratio of messages per second that quiesce must reach."""

    @property
    def has_c_server(self) -> bool:
        """Whether there is a server in C for it."""
        return self.kind != "http"


def _bars(uvloop: float, c: float) -> dict[str, float]:
    return {"uvloop": uvloop, "C": c}


WORKLOADS = (
    Workload("protocol", "protocol echo", "protocol", bars=_bars(1.15, 0.88)),
    Workload("buffered", "BufferedProtocol echo", "buffered", bars=_bars(1.35, 0.8)),
    Workload("streams", "streams echo", "streams", bars=_bars(1.6, 0.55)),
    Workload("sock", "sock_recv, sock_sendall", "sock", bars=_bars(3.5, 0.4)),
    Workload("unix", "Unix socket", "unix", "unix", bars=_bars(1.35, 0.75)),
    Workload("udp", "UDP echo", "udp", "udp", bars=_bars(1.6, 0.75)),
    Workload("tls", "TLS echo", "tls", "tls", bars=_bars(2.5, 0.75)),
    Workload(
        "accept", "accept, echo, close", "protocol", "accept", bars=_bars(1.4, 0.95)
    ),
    Workload(
        "16KiB", "protocol, 16 KiB", "protocol", size=16 * KIB, bars=_bars(1.0, 1.0)
    ),
    Workload(
        "256KiB", "protocol, 256 KiB", "protocol", size=256 * KIB, bars=_bars(1.0, 1.0)
    ),
    Workload(
        "pipelined", "protocol, 16 deep", "protocol", depth=16, bars=_bars(1.0, 1.0)
    ),
    Workload("one", "one connection", "protocol", connections=1, bars=_bars(1.0, 0.93)),
    Workload("uvicorn", "uvicorn", "uvicorn", "http", bars={"uvloop": 1.9}),
    Workload(
        "uvicorn-busy",
        "uvicorn, busy client",
        "uvicorn",
        "http",
        busy=True,
        bars={"uvloop": 1.35},
    ),
)

NOT_BEHIND = 1.0
"""The bar wherever none is written, and that of the 99 % latency beside uvloop."""
