"""The benchmarks run, each side does its work, and the report has all of it."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
THEMES = ["startup", "tree", "branches", "commits", "payloads", "windows", "appends", "memory", "growth"]


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--folder", folder, "--output", folder, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def cases(monkeypatch: pytest.MonkeyPatch):
    """The cases of a theme, at the smallest sizes."""
    monkeypatch.syspath_prepend(ROOT)
    sizes = importlib.import_module("benchmarks.sizes").TINY
    return lambda theme: importlib.import_module(f"benchmarks.{theme}").cases(sizes)


def test_a_theme_is_run_and_reported(tmp_path: Path, cases) -> None:
    printed = run(tmp_path, "--tiny", "--only", "tree")
    report = (tmp_path / "performance.md").read_text()
    assert "## Tree" in report
    for case in cases("tree"):
        assert case.work in printed
        assert f"| {case.work} |" in report
    assert [path.name for path in tmp_path.iterdir()] == ["performance.md"]


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("theme", THEMES)
def test_every_side_does_its_work_and_gives_its_figure(cases, theme: str, tmp_path: Path) -> None:
    folders: dict[str, Path] = {}
    figures: dict[str, dict[str, float]] = {}

    def done(side: Any) -> Path:
        """The folder that *side* worked in; each side checks itself what it has done."""
        if side.key not in figures:
            folder = done(side.data) if side.data else tmp_path / str(len(folders))
            folder.mkdir(exist_ok=True)
            figures[side.key] = side.function(folder=str(folder), **side.arguments)
            folders[side.key] = folder
        return folders[side.key]

    for case in cases(theme):
        for side in (case.ours, *(each.side for each in case.against)):
            if not side.peer:
                done(side)
                assert side.value(figures[side.key]) >= 0


def test_what_grows_is_drawn(tmp_path: Path, cases) -> None:
    plot, runs = importlib.import_module("benchmarks.plot"), importlib.import_module("benchmarks.run")
    drawn = [case for case in cases("growth") if case.plot]
    rows = [runs.Row(case, 2.0, case.against[0].side, 1.0) for case in drawn]
    assert plot.draw(rows, tmp_path / "growth.svg")
    assert (tmp_path / "growth.svg").read_text().startswith("<?xml")
    assert not plot.draw([], tmp_path / "nothing.svg")


@pytest.mark.parametrize("theme", THEMES)
def test_ours_and_theirs_take_the_same_data(cases, theme: str) -> None:
    for case in cases(theme):
        assert case.against or case.alone
        for each in case.against:
            sizes = [
                {
                    name: value
                    for name, value in side.arguments.items()
                    if name in ("count", "seconds", "appends")
                }
                for side in (case.ours, each.side)
            ]
            if theme not in ("growth", "windows") and all(sizes):
                assert sizes[0] == sizes[1]


def test_a_target_is_met_or_missed(cases) -> None:
    targets = importlib.import_module("benchmarks.cases")
    assert targets.faster(4).holds(targets.faster(4).number(1.0, 4.0))
    assert not targets.faster(4).holds(targets.faster(4).number(1.0, 3.9))
    assert targets.at_most(1.5).holds(targets.at_most(1.5).number(1.5, 1.0))
    assert not targets.at_most(1.5).holds(targets.at_most(1.5).number(1.6, 1.0))
    assert targets.more(0.01, "10 ms").holds(targets.more(0.01, "10 ms").number(0.30, 0.295))
    assert not targets.below(60, "60 bytes").holds(targets.below(60, "60 bytes").number(61.0, 0.0))


def test_the_options_are_explained() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for option in ("--only", "--quick", "--full", "--folder", "--output", "--peer"):
        assert option in done.stdout
