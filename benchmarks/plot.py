"""The cost of one item against the number of items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cases import Plot
from benchmarks.report import UNITS
from benchmarks.run import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3

# Text stays text, and the same figures give the same file: then a diff shows what has changed.
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lotdb",
    "font.sans-serif": ["DejaVu Sans"],
    "axes.titlesize": "medium",
}
METADATA = {"Date": None, "Creator": None}

# Number of items to figure, by label.
Curves = dict[str, dict[int, float]]


def growing(rows: Iterable[Row]) -> dict[tuple[Plot, str], Curves]:
    """The curves of each plot and its unit."""
    plots: dict[tuple[Plot, str], Curves] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row.case.plot is None:
            continue
        curve = plots[row.case.plot, row.case.unit][row.case.ours.label]
        for side, figure in ((row.case.ours, row.ours), (row.other, row.theirs)):
            if side is not None and side.items is not None and figure is not None:
                curve[side.items] = figure * UNITS[row.case.unit]
    return plots


def draw(rows: Iterable[Row], path: Path) -> bool:
    """Draw all plots into one picture; False if there is none."""
    plots = growing(rows)
    if not plots:
        return False
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        lines = -(-len(plots) // COLUMNS)
        figure = Figure(figsize=(11, 2.9 * lines), layout="constrained")
        places = figure.subplots(lines, COLUMNS, squeeze=False).flat
        for place in places[len(plots) :]:
            place.remove()
        for place, ((plot, unit), curves) in zip(places, plots.items(), strict=False):
            draw_one(place, plot, unit, curves)
        figure.savefig(path, metadata=METADATA if path.suffix == ".svg" else None)
    return True


def draw_one(place: Axes, plot: Plot, unit: str, curves: Curves) -> None:
    from matplotlib.ticker import LogLocator

    for label, curve in curves.items():
        items = sorted(curve)
        place.plot(items, [curve[count] for count in items], marker="o", label=label)
    place.set(title=plot.title, xlabel=plot.items, ylabel=f"{unit} a {plot.each}")
    place.set(xscale="log", yscale="log")
    # At least two decades, so that what is flat looks flat, and above them room for the legend.
    low, high = place.get_ylim()
    middle = (low * high) ** 0.5
    place.set_ylim(min(low, middle / 10), max(high * 4, middle * 20))
    # Ticks where the sizes are, and numbers that are written out.
    place.minorticks_off()
    place.set_xticks(sorted({count for curve in curves.values() for count in curve}))
    place.xaxis.set_major_formatter(lambda count, _: f"{count:,.0f}".replace(",", " "))
    place.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    place.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    if len(curves) > 1:
        place.legend(fontsize="small")
