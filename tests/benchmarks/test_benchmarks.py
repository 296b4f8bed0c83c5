"""The benchmarks run, each side does its work, and the report has all of it."""

import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
THEMES = [
    "startup",
    "tree",
    "queries",
    "interop",
    "branches",
    "commits",
    "variants",
    "payloads",
    "windows",
    "recordings",
    "slow_store",
    "appends",
    "pictures",
    "neighbours",
    "scale",
    "memory",
    "growth",
]
# the code of the others is much the same
LONG = [
    *("commits", "recordings", "slow_store", "appends", "neighbours", "scale", "growth", "branches"),
    *("startup", "interop", "pictures"),
]


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


@pytest.mark.slow
def test_a_theme_is_run_and_reported(tmp_path: Path, cases) -> None:
    printed = run(tmp_path, "--tiny", "--only", "tree")
    report = (tmp_path / "performance.md").read_text()
    assert "## Tree" in report
    for case in cases("tree"):
        assert case.work in printed
        assert f"| {case.work} |" in report
    assert sorted(path.name for path in tmp_path.iterdir()) == ["performance.md", "performance.svg"]


@pytest.mark.sampled(2)
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize(
    "theme", [pytest.param(theme, marks=[pytest.mark.slow] * (theme in LONG)) for theme in THEMES]
)
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


@pytest.fixture
def grown(cases) -> list[Any]:
    """A row of each case of growth."""
    row = importlib.import_module("benchmarks.run").Row
    return [row(case, 2.0, case.against[0].side, 1.0, repeats=2) for case in cases("growth")]


@pytest.mark.slow
def test_what_grows_is_drawn(tmp_path: Path, grown) -> None:
    plot = importlib.import_module("benchmarks.plot")
    assert len(plot.growing(grown)) == 12
    assert all(len(curves) > 1 for curves in plot.growing(grown).values())
    assert plot.draw(grown, tmp_path / "growth.svg")
    assert plot.draw(grown, tmp_path / "again.svg")
    picture = (tmp_path / "growth.svg").read_text()
    assert picture == (tmp_path / "again.svg").read_text()
    for text in ("leaves", "µs a leaf", "MB", "µs a window", "captures", "µs a capture", "LOTDB, zarr"):
        assert f">{text}</text>" in picture
    assert not plot.draw([], tmp_path / "nothing.svg")


@pytest.mark.slow
def test_a_single_curve_has_no_legend(tmp_path: Path, grown) -> None:
    plot = importlib.import_module("benchmarks.plot")
    assert plot.draw([row for row in grown if row.case.ours.label == "LOTDB"], tmp_path / "growth.svg")
    assert ">LOTDB</text>" not in (tmp_path / "growth.svg").read_text()


def test_the_picture_stands_in_the_section_of_what_grows(tmp_path: Path, cases, grown) -> None:
    report, runs = importlib.import_module("benchmarks.report"), importlib.import_module("benchmarks.run")
    themes = {"tree": [runs.Row(case, 2.0, repeats=5) for case in cases("tree")], "growth": grown}
    text = report.document(themes, folder=tmp_path, peer_python=None, plot="growth.svg")
    assert "- medians of 5 repetitions, of 2 for growth\n" in text
    assert text.count("](growth.svg)") == 1
    assert text.index("## Tree") < text.index("## Growth") < text.index("](growth.svg)")


def test_growth_is_repeated_as_often_as_is_asked(cases) -> None:
    growth, sizes = importlib.import_module("benchmarks.growth"), importlib.import_module("benchmarks.sizes")
    assert {case.repeats for case in cases("growth")} == {None}
    assert {case.repeats for case in growth.cases(replace(sizes.TINY, growth_repeats=2))} == {2}


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
            if theme not in ("growth", "neighbours", "recordings", "windows") and all(sizes):
                assert sizes[0] == sizes[1]


def test_a_target_is_met_or_missed(cases) -> None:
    targets = importlib.import_module("benchmarks.cases")
    assert targets.faster(4).holds(targets.faster(4).number(1.0, 4.0))
    assert not targets.faster(4).holds(targets.faster(4).number(1.0, 3.9))
    assert targets.at_most(1.5).holds(targets.at_most(1.5).number(1.5, 1.0))
    assert not targets.at_most(1.5).holds(targets.at_most(1.5).number(1.6, 1.0))
    assert targets.more(0.01, "10 ms").holds(targets.more(0.01, "10 ms").number(0.30, 0.295))
    assert not targets.below(60, "60 bytes").holds(targets.below(60, "60 bytes").number(61.0, 0.0))


def test_a_target_is_said_in_the_direction_of_its_row(cases) -> None:
    report, runs = importlib.import_module("benchmarks.report"), importlib.import_module("benchmarks.run")
    targets = importlib.import_module("benchmarks.cases")
    case = cases("tree")[0]

    def row(target: Any, ours: float, theirs: float) -> Any:
        number = target.number(ours, theirs)
        met = target.holds(number)
        return runs.Row(case, ours, case.against[0].side, theirs, target, number, (0.4, 0.6), met)

    import_time = row(targets.at_most(1.2), 200e-3, 100e-3)
    assert report.ratio(import_time) == "0.50 × (0.40–0.60)"
    assert report.target(import_time) == "≥ 0.83 × (its time × 1.2)"
    assert report.verdict(import_time) == "missed"
    for text in (report.line(import_time), report.markdown([import_time]), report.missed(import_time)):
        assert report.target(import_time) in text
    assert report.target(row(targets.at_most(1.5, "size"), 1.0, 1.0)) == "≥ 0.67 × (its size × 1.5)"
    assert report.target(row(targets.faster(8), 1.0, 9.0)) == "≥ 8 ×"
    assert report.target(row(targets.more(15e-6, "15 µs"), 7e-6, 2e-6)) == "≤ 15 µs more (5.00 µs)"


def test_the_options_are_explained() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for option in ("--only", "--quick", "--full", "--growth-repeats", "--folder", "--output", "--against"):
        assert option in done.stdout
