"""What was measured, for a terminal and as Markdown."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

from benchmarks.cases import Side, Target
from benchmarks.run import Row
from benchmarks.sizes import Sizes

UNITS = {"µs": 1e6, "ms": 1e3, "bytes": 1.0, "MB": 1e-6, "×": 1.0}
PACKAGES = ("lotdb-core", "ZODB", "numpy", "zarr", "zarrs", "numcodecs", "h5py", "signac")
PEER_PACKAGES = ("lotdb", "ZODB", "numpy", "zarr")

LEGEND = """\
- *Times* are medians of the repetitions. Each repetition is a process of its own, and those who are compared
  take turns, so that what else the machine does hits all of them.
- *× as fast* is the other's figure divided by LOTDB's: above 1, LOTDB takes less. In brackets the lowest and
  the highest of the repetitions.
- *Target* is what LOTDB is held to; the number in brackets is what it bounds.
- *In brackets behind a name* stands what survives a power cut when the clock is stopped: "synced" means that
  a sync of everything is part of the time.
- *Cold* means a fresh process in which the database has just been opened. Files are in the page cache of the
  operating system, for everybody.
- Imports are over before the clock starts, where they are not what is measured, and so is the loading of
  LOTDB's plugins. What each one has read or written is checked after the clock has stopped.
"""

INTRODUCTION = """\
# Performance

How LOTDB compares with what one would use instead, and with what the machine can do at all. This file is
written by `make bench`, which anybody can run; ratios travel from machine to machine, times do not.
"""


def figure(value: float, unit: str) -> str:
    """*value*, in seconds or bytes, as the table shows it."""
    return f"{number(value * UNITS[unit])} {unit}"


def number(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def who(side: Side) -> str:
    """The label, with what is durable."""
    return f"{side.label} ({side.durable})" if side.durable else side.label


def ratio(row: Row) -> str:
    """How many times as fast ours is."""
    if row.theirs is None or row.spread is None:
        return ""
    low, high = row.spread
    return f"{number(row.theirs / row.ours)} × ({number(low)}–{number(high)})"


def target(row: Row) -> str:
    """The target, and how far it is met."""
    if row.target is None:
        return ""
    return row.target.text if row.other is None else f"{row.target.text} ({measured(row, row.target)})"


def measured(row: Row, target: Target) -> str:
    """The number that the target bounds."""
    assert row.number is not None
    return figure(row.number, row.case.unit) if target.difference else f"{row.number:.2f}"


def verdict(row: Row) -> str:
    return {True: "met", False: "missed", None: ""}[row.met]


def line(row: Row) -> str:
    """A row for the terminal."""
    side, value = (row.case.ours, row.ours) if row.other is None else (row.other, row.theirs)
    text = figure(value, row.case.unit)
    indent = "  " if row.other is None else "    "
    return f"{indent + who(side):<52}{text:>12}  {ratio(row):<24}{target(row):<26}{verdict(row)}".rstrip()


def markdown(rows: Iterable[Row]) -> str:
    """The table of a theme."""
    lines = [
        "| work | by | takes | LOTDB is | target | |",
        "|---|---|---:|---:|---|---|",
    ]
    for row in rows:
        side, value = (row.case.ours, row.ours) if row.other is None else (row.other, row.theirs)
        work = row.case.work if row.other is None else ""
        text = figure(value, row.case.unit)
        lines.append(f"| {work} | {who(side)} | {text} | {ratio(row)} | {target(row)} | {verdict(row)} |")
    return "\n".join(lines) + "\n"


def machine(folder: Path) -> str:
    """The machine, without its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{processor()}, {os.cpu_count()} cores, {memory:.0f} GiB of memory; "
        f"{platform.system()} {platform.release().split('-')[0]}, {file_system(folder)}; "
        f"Python {platform.python_version()}"
    )


def processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
        return next(each.split(":")[1].strip() for each in text.splitlines() if each.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def file_system(folder: Path) -> str:
    """The type of the file system that *folder* is on."""
    if not os.path.exists("/proc/mounts"):
        return "a file system of unknown type"
    mounts = [entry.split() for entry in Path("/proc/mounts").read_text().splitlines()]
    above = [entry for entry in mounts if folder.resolve().is_relative_to(entry[1])]
    return max(above, key=lambda entry: len(entry[1]))[2]


def versions(peer_python: str | None) -> str:
    """What is compared, each with its version."""
    here = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    if peer_python is None:
        return here
    code = (
        "import importlib.metadata as m, sys; print(', '.join(f'{n} {m.version(n)}' for n in sys.argv[1:]))"
    )
    done = subprocess.run(
        [peer_python, "-c", code, *PEER_PACKAGES], capture_output=True, text=True, check=True
    )
    return f"{here}; in an environment of its own {done.stdout.strip()}"


def document(
    themes: dict[str, list[Row]], *, sizes: Sizes, folder: Path, peer_python: str | None, plot: str | None
) -> str:
    """The whole Markdown file."""
    rows = [row for theme in themes.values() for row in theme]
    judged = [row for row in rows if row.target]
    missed = [row for row in judged if not row.met]
    parts = [
        INTRODUCTION,
        f"- {datetime.date.today().isoformat()}, {machine(folder)}",
        f"- {versions(peer_python)}",
        f"- medians of {sizes.repeats} repetitions",
        f"- {len(judged) - len(missed)} of {len(judged)} targets met\n",
        LEGEND,
    ]
    if plot:
        parts.append(f"![How the cost of one item grows with their number]({plot})\n")
    for theme, theme_rows in themes.items():
        parts.append(f"## {theme.capitalize()}\n\n{markdown(theme_rows)}")
    return "\n".join(parts)
