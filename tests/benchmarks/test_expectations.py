"""What stands first in the report, what becomes of rows that fail, and another commit to compare with."""

import importlib
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def rows_of(module: Any, ours: float, theirs: float) -> list[Any]:
    """Each task, with these figures."""
    row, tiny = module("run").Row, module("sizes").TINY
    return [
        row(case, ours, each.side, theirs)
        for theme in module("__main__").THEMES
        for case in module(theme).cases(tiny)
        for each in case.against
    ]


def test_each_task_is_compared_with_one_thing_that_is_used_today(module) -> None:
    tiny = module("sizes").TINY
    for theme in module("__main__").THEMES:
        for case in module(theme).cases(tiny):
            usual = [each for each in case.against if each.usual]
            assert len(usual) == (1 if case.task else 0) or (not case.task and len(usual) == 1), case.work
    tasks = [row.case.task for row in module("expect").tasks(rows_of(module, 1.0, 2.0))]
    assert len(tasks) == len(set(tasks)) >= 12


def test_the_table_says_what_to_expect(module) -> None:
    expect = module("expect")
    rows = expect.tasks(rows_of(module, 0.001, 0.004))
    text = expect.table(rows)
    assert (
        "| change one attribute, on the disk when it returns | 1.00 ms | sqlite3, JSON | 4.00 ms | 4.0 × "
        in text
    )
    assert expect.said(0.5) == "takes 2.0 × as long"
    assert expect.said(1.05) == expect.said(0.95) == "as fast"
    assert expect.said(99.7) == "100 × as fast"
    assert [expect.took(seconds) for seconds in (2.5, 0.25, 1.5e-3, 99e-6)] == [
        "2.50 s",
        "250 ms",
        "1.50 ms",
        "99.0 µs",
    ]


@pytest.mark.slow
def test_the_picture_names_each_task(module, tmp_path: Path) -> None:
    expect = module("expect")
    rows = expect.tasks(rows_of(module, 0.001, 0.004))
    assert expect.draw(rows, tmp_path / "first.svg")
    assert expect.draw(rows, tmp_path / "again.svg")
    picture = (tmp_path / "first.svg").read_text()
    assert picture == (tmp_path / "again.svg").read_text()
    for row in rows:
        assert row.case.task in picture
    assert "4.0 × as fast" in picture
    assert not expect.draw([], tmp_path / "nothing.svg")


def test_the_table_stands_before_all_others(module, tmp_path: Path) -> None:
    report, rows = module("report"), rows_of(module, 1.0, 2.0)
    text = report.document(
        {"tree": rows},
        folder=tmp_path,
        peer_python=None,
        plot=None,
        first="FIRST",
        left_out=["not finished: x"],
    )
    assert text.index("FIRST") < text.index("## How it was measured") < text.index("not finished: x")
    assert text.index("not finished: x") < text.index("## Tree")


# ── what does not run ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_side_that_fails_is_left_out_and_named(module, tmp_path: Path) -> None:
    cases, tree = module("cases"), module("tree")
    built = cases.Side("LOTDB", tree.build_lotdb, {"leaves": 10})
    wrong = built.but(label="someone", arguments={"leafs": 10})
    absent = built.but(label="nobody", needs="no_such_module")
    below_wrong = cases.Side("below", tree.walk_lotdb, {"leaves": 10}, wrong, "cold")
    against = tuple(map(cases.Against, (wrong, absent, below_wrong)))
    runner = module("run").Runner(tmp_path, sys.executable, None, 1)
    rows = list(runner.run([cases.Case("build", built, against), cases.Case("build wrong", wrong)]))
    assert [row.other for row in rows] == [None]
    assert sorted(line.partition(": TypeError")[0] for line in runner.failed) == [
        "below: tree.build_lotdb",
        "someone: tree.build_lotdb",
    ]
    assert "unexpected keyword argument 'leafs'" in runner.failed[0]
    assert runner.missing == {"no_such_module"}
    left = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert left  # until all is over, and without what was in them
    assert not any(each.stat().st_size for each in left)


def test_a_side_that_hangs_is_ended(module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, cases, tree = module("run"), module("cases"), module("tree")
    monkeypatch.setattr(run, "LONGEST_S", 0)
    runner = run.Runner(tmp_path, sys.executable, None, 1)
    assert (
        list(runner.run([cases.Case("build", cases.Side("LOTDB", tree.build_lotdb, {"leaves": 10}))])) == []
    )
    assert runner.failed == ["LOTDB: tree.build_lotdb took longer than 0 s"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_what_was_measured_is_kept_when_it_is_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "benchmarks", "--tiny", "--only", "memory", "tree"]
    with subprocess.Popen(
        [*command, "--folder", tmp_path, "--output", tmp_path],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        # Also where those that started the tests ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as running:
        assert running.stdout is not None
        printed = ""
        while "memory: walk over" not in printed:
            printed += running.stdout.readline()
        running.send_signal(signal.SIGINT)
        printed += running.stdout.read()
    assert running.returncode == 130
    assert "interrupted after" in printed
    text = (tmp_path / "performance.md").read_text()
    assert "| memory: walk over" in text
    assert "- not finished: memory, tree\n" in text
    assert "## Tree" not in text
    assert not list(tmp_path.glob("data-*"))


# ── another commit ────────────────────────────────────────────────────────────────────────────────────────


def test_only_what_each_repetition_says_is_slower_or_faster(module) -> None:
    against, run = module("against"), module("run")
    cases = module("commits").cases(module("sizes").TINY)
    case = next(each for each in cases if each.work == "one small change and commit")

    def row(low: float, high: float) -> Any:
        return run.Row(case, 1.0, case.against[0].side, 0.5, spread=(low, high))

    rows = [row(0.5, 0.9), row(0.9, 1.5), row(1.1, 1.5), row(0.98, 1.02)]
    assert [against.verdict(each) for each in rows] == ["slower", "level", "faster", "level"]
    assert against.verdict(replace(rows[0], other=None, spread=None)) == ""
    text = against.summary(rows)
    assert text.startswith("1 slower, 2 level, 1 faster")
    assert "  slower: one small change and commit: 0.50 ×" in text


def test_an_unknown_commit_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--tiny", "--against", "no-such-commit"]
    done = subprocess.run(
        [*command, "--folder", tmp_path, "--output", tmp_path], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "no-such-commit is no commit of this repository" in done.stderr


@pytest.mark.slow
def test_another_commit_is_compared_with(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone, so there is no other commit")
    command = [sys.executable, "-m", "benchmarks", "--tiny", "--against", "HEAD", "--only", "commits"]
    done = subprocess.run(
        [*command, "--folder", tmp_path, "--output", tmp_path], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"\n  LOTDB \(synced\) .* ms\s*\n    at [0-9a-f]+ \(synced\) .* (slower|level|faster)\n", done.stdout
    )
    assert re.search(r"\d+ slower, \d+ level, \d+ faster", done.stdout)
    assert list(tmp_path.iterdir()) == []
