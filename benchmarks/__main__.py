"""``make bench``: run the themes, print their tables, and write them into a Markdown file."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from benchmarks import plot, report
from benchmarks.run import Row, Runner
from benchmarks.sizes import QUICK, TINY, Sizes

THEMES = (
    "startup",
    "tree",
    "queries",
    "interop",
    "branches",
    "commits",
    "variants",
    "history",
    "backups",
    "payloads",
    "windows",
    "recordings",
    "slow_store",
    "objects",
    "appends",
    "looking_on",
    "handing_out",
    "scale",
    "computing",
    "pictures",
    "neighbours",
    "memory",
    "growth",
)
# How long a quick run may take.
QUICK_SECONDS = 300
OUTPUT = Path(__file__).parent / "output"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=THEMES, metavar="THEME", help=", ".join(THEMES))
    parser.add_argument(
        "--quick",
        action="store_true",
        help="about five minutes: smaller sizes, and what does not fit is left out",
    )
    parser.add_argument("--tiny", action="store_true", help="see that it runs; the figures mean nothing")
    parser.add_argument(
        "--full", action="store_true", help="how cost grows as well, up to 2 000 000 leaves and 4 GB"
    )
    parser.add_argument("--repeats", type=int, metavar="N", help="how many repetitions")
    parser.add_argument(
        "--growth-repeats", type=int, metavar="N", help="how many repetitions of growth, if another number"
    )
    parser.add_argument(
        "--folder", type=Path, default=OUTPUT, help="where data is written: the disk to measure"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where performance.md is written")
    parser.add_argument(
        "--peer", type=os.path.abspath, metavar="PYTHON", help="the Python of an environment with lotdb 1.1.3"
    )
    return parser.parse_args()


def check_room(folder: Path, sizes: Sizes, themes: Iterable[str]) -> None:
    """Refuse to fill up the disk."""
    needed = sizes.growth_gigabytes if "growth" in themes else sizes.gigabytes
    free = shutil.disk_usage(folder).free / 1e9
    if free < needed:
        sys.exit(
            f"{folder} has {free:.1f} GB left, and this takes up to {needed} GB; name another with --folder"
        )


def measure(runner: Runner, theme: str, sizes: Sizes) -> list[Row]:
    """The rows of a theme, each printed as soon as it is there."""
    print(f"\n{report.heading(theme)}", flush=True)
    rows = []
    for row in runner.run(importlib.import_module(f"benchmarks.{theme}").cases(sizes)):
        if row.other is None:
            _erase()
            print(f"\n  {row.case.work}")
        print(report.line(row), flush=True)
        rows.append(row)
    return rows


def _say(text: str) -> None:
    """What is going on, in a line that the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r{text[:79]:<79}", end="\r", file=sys.stderr, flush=True)


def _erase() -> None:
    _say("")


def main() -> None:
    options = arguments()
    sizes = TINY if options.tiny else QUICK if options.quick else Sizes()
    if options.repeats:
        sizes = replace(sizes, repeats=options.repeats)
    if options.growth_repeats:
        sizes = replace(sizes, growth_repeats=options.growth_repeats)
    left_out = {theme for theme in ("growth",) if not options.full} | (
        {"memory"} if sys.platform != "linux" else set()
    )
    themes = options.only or [theme for theme in THEMES if theme not in left_out]
    for folder in (options.folder, options.output):
        folder.mkdir(parents=True, exist_ok=True)
    check_room(options.folder, sizes, themes)
    if options.peer is None:
        print("lotdb 1.1.3 is left out: name the Python of its environment with --peer")

    print(report.machine(options.folder), report.versions(options.peer), report.READING, sep="\n")
    start = time.monotonic()
    measured = {}
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="data-") as data:
        runner = Runner(Path(data), sys.executable, options.peer, sizes.repeats, _say)
        for number, theme in enumerate(themes):
            if options.quick:  # an equal share of what is left for each
                left = start + QUICK_SECONDS - time.monotonic()
                runner.until = time.monotonic() + max(0, left) / (len(themes) - number)
            measured[theme] = measure(runner, theme, sizes)
    rows = [row for theme in measured.values() for row in theme]
    picture = options.output / "performance.svg"
    drawn = plot.draw(rows, picture)
    text = report.document(
        measured,
        folder=options.folder,
        peer_python=options.peer,
        plot=picture.name if drawn else None,
    )
    (options.output / "performance.md").write_text(text)

    missed = [row for row in rows if row.met is False]
    judged = [row for row in rows if row.met is not None]
    minutes = (time.monotonic() - start) / 60
    print(f"\n{len(judged) - len(missed)} of {len(judged)} targets met, in {minutes:.0f} minutes")
    if runner.left_out:
        print(f"{len(runner.left_out)} cases were left out, which did not fit into the time of --quick")
    for row in missed:
        print(f"  missed: {report.missed(row)}")
    print(f"written to {options.output / 'performance.md'}")


if __name__ == "__main__":
    main()
