"""Run the sides of cases, each repetition in a process of its own, turn about."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import Case, Figures, Side, Target
from benchmarks.data import KEPT

ROOT = Path(__file__).resolve().parent.parent
# What takes longer hangs: it is ended, and the rest goes on.
LONGEST_S = 900
# What takes longer than this is repeated less often: it would take most of the time, and differs less.
LONG_S, FEW = 10, 3


class SideFailedError(Exception):
    """A side did not do its work; the text is the last line that it wrote."""


@dataclass(frozen=True)
class Row:
    """What was measured of a case against one other side, or alone."""

    case: Case
    ours: float
    other: Side | None = None
    theirs: float | None = None
    target: Target | None = None
    number: float | None = None  # what the target is about: a ratio of medians, or a difference
    spread: tuple[float, float] | None = None  # the ratio's lowest and highest in one repetition
    met: bool | None = None
    repeats: int = 1  # how many repetitions the medians are of


def _empty(folder: Path) -> None:
    """Free what the files in *folder* take. They are removed when all is over.

    For some minutes after files were removed, ext4 does not use their places again, and looks at each of them
    whenever a file is made near by. That takes ten times as long, and who comes later would pay for it.
    """
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                os.truncate(os.path.join(path, name), 0)


class Runner:
    """Runs sides in *folder*, with *python*, and those of the other environment with *peer_python*."""

    def __init__(
        self,
        folder: Path,
        python: str,
        peer_python: str | None,
        repeats: int,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.folder = folder
        self.pythons = {False: python, True: peer_python}
        self.repeats = repeats
        self.say = say
        # Modules are compiled once, and not by each process.
        self._environment = dict(os.environ)
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._environment[KEPT] = str(folder / "kept")
        self._figures: dict[str, list[Figures]] = {}
        self._data: dict[str, Path] = {}
        self._wanted: set[str] = set()
        self._installed: dict[tuple[str, str], bool] = {}
        self._broken: set[str] = set()
        #: What did not run, and why: a line each.
        self.failed: list[str] = []
        #: Libraries that are not installed, and so are not compared with.
        self.missing: set[str] = set()
        #: When no more cases are begun, by the clock of ``time.monotonic``, and those that were not.
        self.until = math.inf
        self.left_out: list[Case] = []

    def run(self, cases: Sequence[Case]) -> Iterator[Row]:
        """The rows of *cases*, as they are measured; then all files that they worked on are emptied.

        Figures are not kept either: what other cases measure later, and more or less often, is measured anew
        along with what it is compared with.
        """
        sides = [side for case in cases for side in (case.ours, *(each.side for each in case.against))]
        self._wanted = {side.data.key for side in sides if side.data}
        os.makedirs(self._environment[KEPT], exist_ok=True)
        try:
            for case in cases:
                if time.monotonic() > self.until:
                    self.left_out.append(case)
                else:
                    yield from self._rows(case)
        finally:
            for folder in self._data.values():
                _empty(folder)
            shutil.rmtree(self._environment[KEPT], ignore_errors=True)
            self._data.clear()
            self._figures.clear()
            self._broken.clear()

    def _rows(self, case: Case) -> list[Row]:
        """Run what has not been run yet of a case, and compare."""
        if case.ours.peer and not self.pythons[True]:
            return []
        against = [each for each in case.against if self._is_there(each.side)]
        sides = [each.side for each in against] + [case.ours]
        self._repeat(sides, case.repeats or self.repeats)
        if case.ours.key in self._broken:
            return []
        against = [each for each in against if each.side.key not in self._broken]
        ours = self._values(case.ours)
        median = statistics.median(ours)
        met = case.alone.holds(median) if case.alone else None
        rows = [Row(case, median, target=case.alone, number=median, met=met, repeats=len(ours))]
        for each in against:
            rows.append(_compared(case, ours, each.side, self._values(each.side), each.target))
        return rows

    def _is_there(self, side: Side) -> bool:
        """Whether the environment of *side* is there, and has what it needs."""
        python = self.pythons[side.peer]
        if not python or not side.needs:
            return bool(python)
        if (python, side.needs) not in self._installed:
            code = f"import importlib.util as u, sys; sys.exit(u.find_spec({side.needs!r}) is None)"
            done = subprocess.run([python, "-c", code], capture_output=True, check=False)
            self._installed[python, side.needs] = done.returncode == 0
        if not self._installed[python, side.needs]:
            self.missing.add(side.needs)
        return self._installed[python, side.needs]

    def _repeat(self, sides: Iterable[Side], repeats: int) -> None:
        todo = {side.key: side for side in sides if side.key not in self._figures}
        took = dict.fromkeys(todo, 0.0)
        for side in todo.values():
            with self._noted(side):
                self._prepare(side)
        for repetition in range(repeats):
            for key, side in todo.items():
                if key in self._broken or (repetition >= FEW and took[key] > LONG_S):
                    continue
                self.say(f"{side.function.__name__} {repetition + 1}/{repeats}")
                start = time.monotonic()
                with self._noted(side):
                    self._figures.setdefault(key, []).append(self._run(side))
                took[key] = time.monotonic() - start

    @contextlib.contextmanager
    def _noted(self, side: Side) -> Iterator[None]:
        """Go on without *side* if it does not do its work."""
        try:
            yield
        except SideFailedError as error:
            self._broken.add(side.key)
            self.failed.append(f"{side.label}: {error}")

    def _values(self, side: Side) -> list[float]:
        return [side.value(figures) for figures in self._figures[side.key]]

    def _prepare(self, side: Side) -> None:
        """Make what *side* works on, if it is not there."""
        if side.data is None or side.data.key in self._data:
            return
        self._prepare(side.data)
        self.say(f"{side.data.function.__name__}, for others to work on")
        self._run(side.data)

    def _run(self, side: Side) -> Figures:
        if side.data is not None:
            return self._call(side, self._data[side.data.key])
        folder = Path(tempfile.mkdtemp(dir=self.folder, prefix=f"{side.function.__name__}-"))
        keep = False
        try:
            figures = self._call(side, folder)
            keep = side.key in self._wanted and side.key not in self._data
        finally:
            if not keep:
                _empty(folder)
        if keep:
            self._data[side.key] = folder
        return figures

    def _call(self, side: Side, folder: Path) -> Figures:
        # Nobody pays for what another one has left to be written.
        os.sync()
        function = side.function
        arguments = json.dumps({"folder": str(folder), **side.arguments})
        name = f"{function.__module__.removeprefix('benchmarks.')}.{function.__name__}"
        worker = [self.pythons[side.peer], "-m", "benchmarks.worker"]
        # A group of its own, so that the servers and workers that it has started end with it.
        with subprocess.Popen(
            [*worker, function.__module__, function.__name__, arguments],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as running:
            try:
                written, errors = running.communicate(timeout=LONGEST_S)
            except subprocess.TimeoutExpired:
                raise SideFailedError(f"{name} took longer than {LONGEST_S} s") from None
            finally:
                if running.returncode is None:
                    os.killpg(running.pid, signal.SIGKILL)
        if running.returncode:
            lines = errors.strip().splitlines() or [f"ended with {running.returncode}"]
            raise SideFailedError(f"{name}: {lines[-1]}")
        return json.loads(written.splitlines()[-1])


def _compared(case: Case, ours: list[float], side: Side, theirs: list[float], target: Target | None) -> Row:
    our_median, their_median = statistics.median(ours), statistics.median(theirs)
    ratios = [their / our for our, their in zip(ours, theirs, strict=False) if our]
    number = met = None
    if target is not None:
        number = target.number(our_median, their_median)
        met = target.holds(number)
    return Row(
        case,
        our_median,
        side,
        their_median,
        target,
        number,
        (min(ratios), max(ratios)) if ratios else None,
        met,
        len(ours),
    )
