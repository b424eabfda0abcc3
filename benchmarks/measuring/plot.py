"""Results as a picture: one row per operation, one dot per candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Named(Protocol):
    """A row: what it is called, in data and by people."""

    @property
    def key(self) -> str:
        """Its name in data."""
        ...

    @property
    def title(self) -> str:
        """Its name for people."""
        ...


class Costs(Protocol):
    """What was measured."""

    def minimum(self, operation: str, name: str) -> float | None:
        """Return what `operation` cost the candidate called `name`, if it is known."""
        ...


STYLES = {
    "C": ("*", "#000000"),
    "quiesce (own)": ("D", "#b5179e"),
    "quiesce": ("o", "#d00000"),
    "rloop": ("v", "#577590"),
    "blazio": ("^", "#43aa8b"),
    "talyn": ("s", "#90a955"),
    "uvloop": ("P", "#277da1"),
    "asyncio": ("X", "#8d99ae"),
}
"""Shapes differ as well as colours, for whoever cannot tell the colours apart."""

OURS = ("quiesce", "quiesce (own)")
"""Drawn above the others where dots meet."""


def draw(
    results: Costs,
    operations: Sequence[Named],
    base: str,
    title: str,
    file: Path,
) -> bool:
    """Write how many times faster than ``base`` each candidate is.

    Returns False where matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        return False
    mpl.use("svg" if file.suffix == ".svg" else "agg")
    # Text stays text, and the same figures give the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "quiesce"})
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5.2), layout="constrained")
    rows = list(reversed(operations))
    for name, (marker, colour) in STYLES.items():
        places, heights = points(results, rows, name, base)
        if places:
            dots = axes.plot(places, heights, marker, color=colour, label=name)
            plt.setp(dots, markersize=8, zorder=4 if name in OURS else 3)
    finish(axes, rows, base, title)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    plt.close(figure)
    return True


def points(
    results: Costs, rows: Sequence[Named], name: str, base: str
) -> tuple[list[float], list[int]]:
    """Return where the candidate's dots stand."""
    places: list[float] = []
    heights: list[int] = []
    for height, operation in enumerate(rows):
        cost = results.minimum(operation.key, name)
        unit = results.minimum(operation.key, base)
        if cost and unit:
            places.append(unit / cost)
            heights.append(height)
    return places, heights


def finish(axes: Any, rows: Sequence[Named], base: str, title: str) -> None:
    """Add the scales, the names and the title."""
    axes.set_xscale("log")
    ticks = [0.5, 1, 2, 5, 10, 20, 50]
    axes.set_xticks(ticks, [f"{tick:g}x" for tick in ticks])
    axes.minorticks_off()
    axes.axvline(1, color="#8d99ae", linewidth=1)
    axes.set_yticks(range(len(rows)), [operation.title for operation in rows])
    axes.grid(alpha=0.3)
    axes.set_xlabel(f"times faster than {base} (further right is better)")
    axes.set_title(title, fontsize=10)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
