"""What was measured, for a terminal and as Markdown."""

from __future__ import annotations

import datetime
import os
import platform
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from benchmarks.cases import Side
from benchmarks.run import Row

UNITS = {"µs": 1e6, "ms": 1e3, "bytes": 1.0, "MB": 1e-6, "×": 1.0, "syncs": 1.0}
PACKAGES = ("lotdb-core", "ZODB", "numpy", "zarr", "zarrs", "numcodecs", "h5py", "signac", "tensorstore")
PEER_PACKAGES = ("lotdb", "ZODB", "numpy", "zarr", "icechunk")
# Prints those of its arguments that are installed, with their versions.
NAME_VERSIONS = """
import contextlib, importlib.metadata as metadata, sys
found = []
for name in sys.argv[1:]:
    with contextlib.suppress(metadata.PackageNotFoundError):
        found.append(f"{name} {metadata.version(name)}")
print(", ".join(found))
"""
FASTER = "LOTDB is … × as fast"

LEGEND = """\
- *Times* are medians of the repetitions. Each repetition is a process of its own, and those who are compared
  take turns, so that what else the machine does hits all of them.
  What takes longer than ten seconds is repeated three times at most.
- *LOTDB is … × as fast*: the other's figure divided by LOTDB's. Above 1, LOTDB takes less. In brackets the
  lowest and the highest of the repetitions.
- *Target* is what LOTDB is held to. One with × bounds the number to the left of it, and has the same bound in
  other words in brackets: "≥ 0.83 × (its time × 1.2)" lets LOTDB take up to 1.2 times the other's time, and
  is met by 0.90 ×, but not by 0.50 ×. "≤ 15 µs more" bounds the difference of the two, which stands behind
  it. A target in a row without a number to the left bounds LOTDB's own figure.
- *In brackets behind a name* stands what survives a power cut when the clock is stopped: "synced" means that
  a sync of everything is part of the time.
- *Cold* means a fresh process in which the database has just been opened. Files are in the page cache of the
  operating system, for everybody.
- Imports are over before the clock starts, where they are not what is measured, and so are the loading of
  LOTDB's plugins and the first way of Python's garbage collector through all that was imported. What each one
  has read or written is checked after the clock has stopped.
"""

READING = """\
× as fast: the other's figure divided by LOTDB's. A target of "≥ 0.83 × (its time × 1.2)" bounds that number:
LOTDB may take up to 1.2 times the other's time, and is then 0.83 × as fast."""

GROWTH = """\
Each library is compared with itself: how fast it is with one item among many, to one among the fewest. 1 ×
means that the cost of one does not grow.
"""

INTRODUCTION = """\
# Performance

How long tasks take with LOTDB, and with what you would use instead.
"""

ABOUT_THE_PICTURE = """\
A bar to the right: LOTDB is faster. A bar to the left: the other is faster. Each bar is one line of the table
below. The machine that it was measured on is named [further down](#how-it-was-measured); on another one the
times differ, and the ratios stay much the same. The bars do not show that LOTDB commits all of a task or
nothing, has it on the disk when the commit returns, and checks what it reads. Most of the others do not.
"""

HOW = """\
## How it was measured

`make bench` measures all of this on your machine, in about half an hour, and writes a page like this one into
`benchmarks/output/` (with `ARGS="--output docs"`, this one). `make bench ARGS="--quick"` takes five minutes,
with less data. Ctrl-C keeps what has been measured until then. `make bench ARGS="--against HEAD~1"` compares
LOTDB with itself at another commit.
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
    """The target, with the number that it bounds if no other column has it: a difference."""
    if row.target is None:
        return ""
    if row.other is None or row.number is None or not row.target.difference:
        return row.target.text
    return f"{row.target.text} ({figure(row.number, row.case.unit)})"


def verdict(row: Row) -> str:
    return {True: "met", False: "missed", None: ""}[row.met]


def by(row: Row) -> tuple[str, str]:
    """Whom a row is about, and the figure."""
    if row.other is None or row.theirs is None:
        return who(row.case.ours), figure(row.ours, row.case.unit)
    return who(row.other), figure(row.theirs, row.case.unit)


def heading(theme: str) -> str:
    """What stands above the rows of a theme in the terminal."""
    return _columns(theme, "takes", FASTER, "target", "")


def line(row: Row) -> str:
    """A row for the terminal."""
    name, takes = by(row)
    indent = "  " if row.other is None else "    "
    return _columns(indent + name, takes, ratio(row), target(row), verdict(row))


def _columns(name: str, takes: str, faster: str, target: str, verdict: str) -> str:
    return f"{name:<52}{takes:>12}  {faster:<24}{target:<28}{verdict}".rstrip()


def missed(row: Row) -> str:
    """A target that is not met, in a line of its own."""
    if row.other is None:
        return f"{row.case.work}: {by(row)[1]}, target {target(row)}"
    return f"{row.case.work} against {row.other.label}: {ratio(row)}, target {target(row)}"


def markdown(rows: Iterable[Row]) -> str:
    """The table of a theme."""
    lines = [
        f"| work | by | takes | {FASTER} | target | |",
        "|---|---|---:|---:|---|---|",
    ]
    for row in rows:
        name, takes = by(row)
        work = row.case.work if row.other is None else ""
        lines.append(f"| {work} | {name} | {takes} | {ratio(row)} | {target(row)} | {verdict(row)} |")
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
    mounts: list[list[str]] = []
    if os.path.exists("/proc/mounts"):
        mounts = [entry.split() for entry in Path("/proc/mounts").read_text().splitlines()]
    # None of them is above it on another system than Linux, and under chroot.
    above = [entry for entry in mounts if folder.resolve().is_relative_to(entry[1])]
    return max(above, key=lambda entry: len(entry[1]))[2] if above else "a file system of unknown type"


def versions(peer_python: str | None) -> str:
    """What is compared, each with its version."""
    here = f"{_versions(sys.executable, PACKAGES)}, SQLite {sqlite3.sqlite_version}"
    if peer_python is None:
        return here
    return f"{here}; in an environment of its own {_versions(peer_python, PEER_PACKAGES)}"


def _versions(python: str, packages: Iterable[str]) -> str:
    """Those of *packages* that are installed there."""
    command = [python, "-c", NAME_VERSIONS, *packages]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def repetitions(themes: dict[str, list[Row]]) -> str:
    """How many repetitions the medians are of, and the themes of which it is another number."""
    counts = {theme: rows[0].repeats for theme, rows in themes.items() if rows}
    usual = Counter(counts.values()).most_common(1)[0][0] if counts else 0
    others = [f", of {count} for {theme}" for theme, count in counts.items() if count != usual]
    return f"medians of {usual} repetition{'' if usual == 1 else 's'}{''.join(others)}"


def document(
    themes: dict[str, list[Row]],
    *,
    folder: Path,
    peer_python: str | None,
    plot: str | None,
    first: str = "",
    left_out: Iterable[str] = (),
) -> str:
    """The whole Markdown file.

    *plot* is the name of the picture of what grows, *first* is what stands before all other tables, and
    *left_out* has a line for whatever was not measured.
    """
    rows = [row for theme in themes.values() for row in theme]
    judged = [row for row in rows if row.target]
    met = [row for row in judged if row.met]
    parts = [
        INTRODUCTION,
        *([first] if first else []),
        HOW,
        f"- {datetime.date.today().isoformat()}, {machine(folder)}",
        f"- {versions(peer_python)}",
        f"- {repetitions(themes)}",
        f"- {len(met)} of {len(judged)} targets met",
        *(f"- {line}" for line in left_out),
        "",
        LEGEND,
    ]
    for theme, theme_rows in themes.items():
        if not theme_rows:
            continue
        parts.append(f"## {theme.capitalize().replace('_', ' ')}\n")
        if plot and any(row.case.plot for row in theme_rows):
            parts += [GROWTH, f"![How the cost of one item grows with their number]({plot})\n"]
        parts.append(markdown(theme_rows))
    return "\n".join(parts)
