"""What a newcomer wants to know: how long a task takes, and how that compares with what is used today.

It is a table and a picture, made from the rows of those cases that have a task.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.plot import METADATA, STYLE
from benchmarks.report import figure
from benchmarks.run import Row

# Within a tenth, two figures are called the same.
SAME = 1.1
FASTER, SLOWER, ALIKE = "#2a7fb8", "#d9822b", "#8a8a8a"

HEAD = """\
## What to expect

| task | LOTDB | what you would use today | takes | LOTDB is |
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
    """*ratio* in words.

    >>> said(12.34), said(0.5), said(1.04)
    ('12 × as fast', '2.0 × as slow', 'as fast')
    """
    if 1 / SAME <= ratio <= SAME:
        return "as fast"
    number, word = (ratio, "fast") if ratio > 1 else (1 / ratio, "slow")
    return f"{number:.1f} × as {word}" if number < 9.95 else f"{number:.0f} × as {word}"


def table(rows: Sequence[Row]) -> str:
    """The rows of *tasks* as Markdown."""
    lines = []
    for row in rows:
        assert row.other is not None
        assert row.theirs is not None
        ours, theirs = figure(row.ours, row.case.unit), figure(row.theirs, row.case.unit)
        lines.append(f"| {row.case.task} | {ours} | {row.other.label} | {theirs} | {said(times(row))} |")
    return HEAD + "\n".join(lines) + "\n"


def draw(rows: Sequence[Row], path: Path) -> bool:
    """The rows of *tasks* as bars that start at 1 ×; False if there are none."""
    if not rows:
        return False
    import matplotlib
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {**STYLE, "axes.titlesize": "large"}
    with matplotlib.rc_context(style):
        picture = Figure(figsize=(11, 0.5 * len(rows) + 1.6), layout="constrained")
        place = picture.subplots()
        for number, row in enumerate(reversed(rows)):
            assert row.other is not None
            ratio = times(row)
            colour = ALIKE if 1 / SAME <= ratio <= SAME else FASTER if ratio > 1 else SLOWER
            place.barh(number, ratio - 1, left=1, color=colour, height=0.62)
            place.annotate(
                f"{said(ratio)}",
                (max(ratio, 1), number),
                xytext=(5, 0),
                textcoords="offset points",
                verticalalignment="center",
            )
        place.axvline(1, color="black", linewidth=1)
        place.set_xscale("log")
        low, high = place.get_xlim()
        place.set_xlim(min(low, 0.4), max(high, 10) * 4)  # room for the words
        place.set_yticks(
            range(len(rows)),
            [f"{row.case.task}\nand not with {row.other.label}" for row in reversed(rows) if row.other],
        )
        place.tick_params(axis="y", length=0, labelsize="small")
        place.minorticks_off()
        place.xaxis.set_major_formatter(lambda value, _: f"{value:g} ×")
        place.spines[["top", "right", "left"]].set_visible(False)
        place.set_title("How many times as fast a task is with LOTDB as with what you would use today")
        place.set_xlabel("← the other is faster          LOTDB is faster →")
        picture.savefig(path, metadata=METADATA if path.suffix == ".svg" else None)
    return True
