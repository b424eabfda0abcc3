"""Results as a table for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from task_operations import Operation

    from measuring.rounds import Results

FIRST_COLUMN = 21
COST_COLUMN = 9
PEER_COLUMN = 17


@dataclass(frozen=True)
class Verdict:
    """One ratio beside its bar."""

    ours: str
    peer: str
    operation: str
    ratio: float
    bar: float

    @property
    def met(self) -> bool:
        """Whether the ratio, as printed, reaches the bar."""
        return round(self.ratio, 2) >= self.bar


def judge(
    results: Results,
    operations: Sequence[Operation],
    ours: str,
    peers: Sequence[str],
    bar: Callable[[str, str], float],
) -> list[Verdict]:
    """Compare ``ours`` with each peer in each operation both were measured in."""
    verdicts: list[Verdict] = []
    for operation in operations:
        own_cost = results.minimum(operation.key, ours)
        for peer in peers:
            cost = results.minimum(operation.key, peer)
            if cost is not None and own_cost is not None:
                limit = bar(operation.key, peer)
                verdicts.append(
                    Verdict(ours, peer, operation.key, cost / own_cost, limit)
                )
    return verdicts


def table(
    results: Results,
    operations: Sequence[Operation],
    ours: str,
    peers: Sequence[str],
    verdicts: Sequence[Verdict],
) -> str:
    """Return a table: our nanoseconds, then how many times slower each peer is.

    Behind each ratio stands its bar: ``>= 12`` where it is met, ``< 12`` where
    it is not.
    """
    by_place = {(verdict.operation, verdict.peer): verdict for verdict in verdicts}
    heads = "".join(peer.rjust(PEER_COLUMN) for peer in peers)
    lines = [f"{ours:<{FIRST_COLUMN}}{'ns':>{COST_COLUMN}}{heads}"]
    for operation in operations:
        cost = results.minimum(operation.key, ours)
        line = f"{operation.title:<{FIRST_COLUMN}}{nanoseconds(cost):>{COST_COLUMN}}"
        for peer in peers:
            verdict = by_place.get((operation.key, peer))
            line += cell(verdict, results, operation.key, peer).rjust(PEER_COLUMN)
        lines.append(line)
    return "\n".join(lines)


def cell(verdict: Verdict | None, results: Results, operation: str, peer: str) -> str:
    """Return one ratio with its bar, or why there is none."""
    if verdict is None:
        failed = peer in results.failures.get(operation, {})
        return "failed" if failed else "-"
    sign = ">=" if verdict.met else "<"
    return f"{verdict.ratio:.2f} {sign} {verdict.bar:g}"


def nanoseconds(cost: float | None) -> str:
    """Return a cost to three digits or so."""
    if cost is None:
        return "-"
    return f"{cost:,.1f}"


def absences(results: Results) -> list[str]:
    """Return a sentence for everybody who could not be measured."""
    lines = [f"not measured: {name}: {why}" for name, why in results.missing.items()]
    for operation, failures in results.failures.items():
        for name, why in failures.items():
            lines.append(f"failed: {name} in {operation}: {why}")
    return lines


def shortfalls(verdicts: Sequence[Verdict]) -> list[str]:
    """Return a sentence for each bar that is not met."""
    return [
        f"not met: {each.ours} beside {each.peer} in {each.operation}: "
        f"{each.ratio:.2f} of {each.bar:g}"
        for each in verdicts
        if not each.met
    ]


def as_data(results: Results, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return everything measured, ready for JSON."""
    return {
        "candidates": results.described,
        "not measured": results.missing,
        "failed": results.failures,
        "nanoseconds": {
            operation: {
                name: {
                    "minimum": results.minimum(operation, name),
                    "spread": results.spread(operation, name),
                    "rounds": rounds,
                }
                for name, rounds in by_name.items()
            }
            for operation, by_name in results.samples.items()
        },
        "verdicts": [{**asdict(each), "met": each.met} for each in verdicts],
    }
