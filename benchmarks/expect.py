"""What a newcomer wants to know: how long a task takes, and how that compares with what is used today.

It is a table and a picture, made from the rows of those cases that have a task.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.plot import METADATA, STYLE
from benchmarks.run import Row

# Within a tenth, two figures are called the same.
SAME = 1.1
FASTER, SLOWER, ALIKE = "#2a7fb8", "#d9822b", "#8a8a8a"

HEAD = """\
## What to expect

| task | LOTDB | what you would use today | takes | LOTDB |
|---|---:|---|---:|---|
"""


def tasks(rows: Iterable[Row]) -> list[Row]:
    """The rows that compare a task with what is used today."""
    return [
        row
        for row in rows
        if row.case.task and any(each.usual and each.side is row.other for each in row.case.against)
    ]


def times(row: Row) -> float:
    """How many times as fast LOTDB is."""
    assert row.theirs is not None
    return row.theirs / row.ours


def said(ratio: float) -> str:
    """*ratio* in words: 12 × as fast, takes 2.0 × as long."""
    if 1 / SAME <= ratio <= SAME:
        return "as fast"
    number = max(ratio, 1 / ratio)
    text = f"{number:.1f}" if number < 9.95 else f"{number:.0f}"
    return f"{text} × as fast" if ratio > 1 else f"takes {text} × as long"


def took(seconds: float) -> str:
    """*seconds* in the unit that gives a number one can read."""
    unit, factor = next(
        ((unit, by) for unit, by in (("s", 1), ("ms", 1e3)) if seconds * by >= 1), ("µs", 1e6)
    )
    return f"{report.number(seconds * factor)} {unit}"


def table(rows: Sequence[Row]) -> str:
    """The rows of *tasks* as Markdown."""
    lines = []
    for row in rows:
        assert row.other is not None
        assert row.theirs is not None
        figures = f"{took(row.ours)} | {row.other.label} | {took(row.theirs)}"
        lines.append(f"| {row.case.task} | {figures} | {said(times(row))} |")
    return HEAD + "\n".join(lines) + "\n"


def draw(rows: Sequence[Row], path: Path) -> bool:
    """The rows of *tasks* as bars that start at 1 ×; False if there are none."""
    if not rows:
        return False
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        picture = Figure(figsize=(11, 0.44 * len(rows) + 1.6), layout="constrained")
        place = picture.subplots()
        above: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        for number, row in enumerate(reversed(rows)):
            assert row.other is not None
            ratio = times(row)
            colour = ALIKE if 1 / SAME <= ratio <= SAME else FASTER if ratio > 1 else SLOWER
            place.barh(number, ratio - 1, left=1, color=colour, height=0.62)
            place.annotate(
                said(ratio),
                (max(ratio, 1), number),
                xytext=(5, 0),
                textcoords="offset points",
                verticalalignment="center",
            )
        place.axvline(1, color="black", linewidth=1)
        place.set_xscale("log")
        low, high = place.get_xlim()
        place.set_xlim(min(low, 0.3), max(high, 10) * 4)  # room for the words
        place.set_ylim(-0.8, len(rows) - 0.2)
        place.set_yticks(
            range(len(rows)),
            [f"{row.case.task}\ncompared with {row.other.label}" for row in reversed(rows) if row.other],
        )
        place.tick_params(axis="y", length=0, labelsize="small")
        place.minorticks_off()
        place.xaxis.set_major_formatter(lambda value, _: f"{value:g} ×")
        place.spines[["top", "right", "left"]].set_visible(False)
        picture.suptitle("LOTDB and what you would use today", size="x-large")
        place.annotate("← the other is faster", (1, 1), xytext=(-8, 4), horizontalalignment="right", **above)
        place.annotate("LOTDB is faster →", (1, 1), xytext=(8, 4), horizontalalignment="left", **above)
        picture.savefig(path, metadata=METADATA if path.suffix == ".svg" else None)
    return True
