"""``make bench``: run the themes, print their tables, and write them into a Markdown file.

What has been measured is written after each theme, and when it is interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import expect, plot, report
from benchmarks.against import Earlier, summary, verdict
from benchmarks.cases import Case
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
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__.partition("\n")[0])
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
    parser.add_argument(
        "--against",
        metavar="COMMIT",
        help="compare LOTDB with itself at another commit, and with nobody else: prints how many times as "
        "fast it has become, and writes no file; go with --quick or --only",
    )
    options = parser.parse_args()
    if options.against and options.repeats is None and not options.tiny:
        options.repeats = 5
    return options


def check_room(folder: Path, sizes: Sizes, themes: Iterable[str]) -> None:
    """Refuse to fill up the disk."""
    needed = sizes.growth_gigabytes if "growth" in themes else sizes.gigabytes
    free = shutil.disk_usage(folder).free / 1e9
    if free < needed:
        sys.exit(
            f"{folder} has {free:.1f} GB left, and this takes up to {needed} GB; name another with --folder"
        )


@dataclass
class Bench:
    """A run: what is measured, and what it has found so far."""

    options: argparse.Namespace
    sizes: Sizes
    themes: Sequence[str]
    measured: dict[str, list[Row]] = field(default_factory=dict)
    finished: int = 0  # themes
    chosen: Callable[[Sequence[Case]], Sequence[Case]] = lambda cases: cases

    def run(self, runner: Runner, after: Callable[[], None]) -> None:
        """Measure all themes, and call *after* after each of them."""
        start = time.monotonic()
        for number, theme in enumerate(self.themes):
            if self.options.quick:  # an equal share of what is left for each
                left = start + QUICK_SECONDS - time.monotonic()
                runner.until = time.monotonic() + max(0, left) / (len(self.themes) - number)
            self._measure(runner, theme)
            self.finished = number + 1
            after()

    def _measure(self, runner: Runner, theme: str) -> None:
        """Add the rows of a theme, each printed as soon as it is there."""
        print(f"\n{report.heading(theme)}", flush=True)
        rows = self.measured[theme] = []
        start, busy, failed = time.monotonic(), _cpu_seconds(), len(runner.failed)
        cases = self.chosen(importlib.import_module(f"benchmarks.{theme}").cases(self.sizes))
        for row in runner.run(cases):
            rows.append(row)
            if row.other is None:
                _erase()
                print(f"\n  {row.case.work}")
            print(report.line(row), verdict(row) if self.options.against else "", flush=True)
        for line in runner.failed[failed:]:
            print(f"  failed: {line}")
        _erase()
        seconds, busy = time.monotonic() - start, _cpu_seconds() - busy
        print(f"\n  {theme} took {seconds:.0f} s, and {busy:.0f} s of the processors", flush=True)

    @property
    def rows(self) -> list[Row]:
        return [row for theme in self.measured.values() for row in theme]

    def left_out(self, runner: Runner) -> list[str]:
        """What was not measured, and why."""
        lines = [f"not finished: {', '.join(late)}"] if (late := self.themes[self.finished :]) else []
        if runner.missing:
            lines.append(f"left out, because not installed: {', '.join(sorted(runner.missing))}")
        if runner.left_out:
            lines.append(
                f"{len(runner.left_out)} cases were left out, which did not fit into the time of --quick"
            )
        return [*lines, *(f"failed: {line}" for line in runner.failed)]

    def write(self, runner: Runner) -> None:
        """Write all that has been measured until now."""
        output, rows = self.options.output, self.rows
        first = expect.tasks(rows)
        drawn = expect.draw(first, output / "performance.svg")
        picture = "![How many times as fast each task is with LOTDB](performance.svg)\n"
        parts = [picture, report.ABOUT_THE_PICTURE, expect.table(first)] if drawn else []
        text = report.document(
            self.measured,
            folder=self.options.folder,
            peer_python=self.options.peer,
            plot="growth.svg" if plot.draw(rows, output / "growth.svg") else None,
            first="\n".join(parts),
            left_out=self.left_out(runner),
        )
        (output / "performance.md").write_text(text)


def _cpu_seconds() -> float:
    """What all processes that have ended took of the processors."""
    spent = os.times()
    return spent.children_user + spent.children_system


def _say(text: str) -> None:
    """What is going on, in a line that the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r{text[:79]:<79}", end="\r", file=sys.stderr, flush=True)


def _erase() -> None:
    _say("")


def main() -> int:
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

    bench = Bench(options, sizes, themes)
    print(report.machine(options.folder), report.versions(options.peer), report.READING, sep="\n")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="data-") as data:
        peer = options.peer
        if options.against:
            earlier = Earlier(options.against, Path(data) / "earlier")
            bench.chosen, peer = earlier.compared, earlier.python
        runner = Runner(Path(data), sys.executable, peer, sizes.repeats, _say)
        if peer is None:
            runner.missing.add("lotdb 1.1.3 (name the Python of its environment with --peer)")

        def after() -> None:
            if not options.against:
                bench.write(runner)

        interrupted = False
        try:
            bench.run(runner, after)
        except KeyboardInterrupt:
            interrupted = True
            after()
    minutes = (time.monotonic() - start) / 60
    print(f"\n{'interrupted after' if interrupted else 'took'} {minutes:.0f} minutes")
    for line in bench.left_out(runner):
        print(line)
    if options.against:
        print(summary(bench.rows))
    else:
        _conclude(bench.rows, options.output / "performance.md")
    return 130 if interrupted else 1 if runner.failed and not options.against else 0


def _conclude(rows: Sequence[Row], path: Path) -> None:
    """How many targets are met, and which are not."""
    missed = [row for row in rows if row.met is False]
    judged = [row for row in rows if row.met is not None]
    print(f"{len(judged) - len(missed)} of {len(judged)} targets met")
    for row in missed:
        print(f"  missed: {report.missed(row)}")
    print(f"written to {path}")


if __name__ == "__main__":
    sys.exit(main())
