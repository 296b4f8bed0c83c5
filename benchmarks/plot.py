"""The cost of one item against the number of items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from benchmarks.report import UNITS
from benchmarks.run import Row

COLUMNS = 3


def growing(rows: Iterable[Row]) -> dict[tuple[str, str], dict[str, dict[int, float]]]:
    """Title and unit of each plot, and its curves: number of items to figure, by label."""
    plots: dict[tuple[str, str], dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row.case.plot is None:
            continue
        label, scale = row.case.ours.label, UNITS[row.case.unit]
        curve = plots[row.case.plot, row.case.unit][label]
        curve[row.case.ours.items] = row.ours * scale
        if row.other is not None:
            curve[row.other.items] = row.theirs * scale
    return plots


def draw(rows: Iterable[Row], path: Path) -> bool:
    """Draw all plots into one picture; False if there is none."""
    plots = growing(rows)
    if not plots:
        return False
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "lotdb", "axes.titlesize": "medium"})
    from matplotlib import pyplot

    lines = -(-len(plots) // COLUMNS)
    figure, axes = pyplot.subplots(lines, COLUMNS, figsize=(11, 2.9 * lines), layout="constrained")
    for place in axes.flat[len(plots) :]:
        place.remove()
    for place, ((title, unit), curves) in zip(axes.flat, plots.items(), strict=False):
        for label, curve in curves.items():
            items = sorted(curve)
            place.plot(items, [curve[count] for count in items], marker="o", label=label)
        place.set(title=title, xscale="log", yscale="log", ylabel=unit)
        # At least two decades, so that what is flat looks flat.
        low, high = place.get_ylim()
        middle = (low * high) ** 0.5
        place.set_ylim(min(low, middle / 10), max(high, middle * 10))
        place.legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})
    return True
