"""Each test of ``make torture`` runs, at a small size, and finds nothing wrong; and would find a fault."""

import random
import shutil
import subprocess
import sys
from importlib import import_module

import pytest
from torture.isolation import Done, anomalies
from torture.judge import Past, judge
from torture.libraries import check, rows
from torture.processes import ROOT, OtherProcess
from torture.replayed_cuts import acknowledgements, record
from torture.story import digest_of
from torture.story_worker import replay
from torture.tally import Settings, Tally
from torture.write_log import Event, LoggedDisk

EFFORTS = {
    "kills": 0.01,
    "replayed_cuts": 0.05,
    "damage": 0.004,
    "system_calls": 0.02,
    "power_cuts": 0.01,
    "full_disk": 0.05,
    "isolation": 0.1,
    "interrupts": 0.02,
    "soak": 0.01,
    "peers": 0.02,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EFFORTS)
def test_a_small_part_of_it_finds_nothing(name, tmp_path):
    tallies = import_module(f"torture.{name}").run(Settings(tmp_path, 5, EFFORTS[name]))
    ours = [tally for tally in tallies if tally.library == "LOTDB"]
    assert ours
    for tally in ours:
        assert tally.faults == []
        assert tally.runs or tally.note.startswith("not run")


@pytest.mark.slow
def test_the_program_prints_a_table_and_writes_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "torture", "--only", "isolation", "--effort", "0.04", "--seed", "9",
         "--folder", tmp_path, "--output", tmp_path / "out"],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "isolation" in done.stdout
    assert "| isolation | 1 |" in (tmp_path / "out" / "torture.md").read_text()


# -- it would find a fault ------------------------------------------------------------------------


@pytest.fixture
def story():
    """What was found after ten steps, if all is right; what each step is; and how it is judged."""
    steps = replay(Past().model, "a story", "commit", 11)
    model = steps[9][1]
    found = {"number": model["number"], "groups": digest_of(model["groups"]), "damage": []}
    found["tags"] = {tag: digest_of(groups) for tag, groups in model["tags"].items()}

    def judged(**changed):
        tally = Tally("story", 1)
        judge(tally, Past(), "a story", "commit", 10, {"db": found | changed}, "done", "")
        return tally

    return found, judged


def test_the_judge_tells_what_is_lost_torn_or_not_there(story):
    found, judged = story
    assert judged().faults == []
    assert judged(number=found["number"] - 1).lost == 1
    assert judged(number=0, groups={}).lost == found["number"]
    key, value = next(iter(found["groups"].items()))
    assert judged(groups=found["groups"] | {key: [value[0], "3 of another kind"]}).torn == 1
    assert judged(damage=["something"]).torn == 1
    assert judged(error="OSError", typed=False, text="").untyped == 1
    assert judged(error="DamagedError", typed=True, text="").not_opened == 1


def test_anomalies_are_found():
    good = [Done(1, {"a": []}, ["a"]), Done(2, {"a": [1]}, ["a"]), Done(3, {"a": [1, 2]})]
    assert not any(anomalies(good, {"a": [1, 2]}).values())
    assert anomalies(good, {"a": [1]})["lost"]
    assert anomalies(good, {"a": [2, 1]})["wrong"]
    assert anomalies(good, {"a": [1, 2, 7]})["wrong"]
    # Each of two read the one list before, and the other list after the other's append.
    skew = [Done(1, {"a": [], "b": []}, ["a"]), Done(2, {"a": [1], "b": []}, ["b"])]
    assert not any(anomalies(skew, {"a": [1], "b": [2]}).values())
    fractured = [Done(1, {"a": [], "b": []}, ["a", "b"]), Done(2, {"a": [1], "b": []}, [])]
    assert anomalies(fractured, {"a": [1], "b": [1]})["wrong"]


def event(call, arguments, result=0, begun=0, opened=""):
    return Event(call, arguments, result, begun, opened)


def test_what_was_not_synced_may_be_lost_and_what_was_is_there(tmp_path):
    top = tmp_path / "top"
    top.mkdir()
    disk, file = LoggedDisk(top), f"{top}/file"
    disk.apply(event("openat", f"AT_FDCWD<{top}>, O_CREAT|O_WRONLY", 3, opened=file))
    disk.apply(event("write", f'3<{file}>, "\\x61\\x62", 2', 2, begun=1))

    def cuts():
        found = set()
        for seed in range(30):
            shutil.rmtree(tmp_path / "cut", ignore_errors=True)
            disk.cut(tmp_path / "cut", random.Random(seed))
            path = tmp_path / "cut" / "file"
            found.add(path.read_bytes() if path.exists() else None)
        return found

    assert cuts() == {None, b"", b"ab"}
    disk.apply(event("fsync", f"3<{file}>", begun=2))
    assert cuts() == {None, b"ab"}
    disk.apply(event("fsync", f"4<{top}>", begun=3))
    assert cuts() == {b"ab"}
    disk.apply(event("rename", f'"{hexed(file)}", "{hexed(file + "2")}"', begun=4))
    assert cuts() == {b"ab", None}


def hexed(text):
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_log_makes_the_very_files_that_were_made(tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    disk = LoggedDisk(place)
    with OtherProcess("torture.peer_worker") as other:
        events = record(other, tmp_path / "log", "work_traced", "LOTDB", place, 4)
    for each in events:
        disk.apply(each)
    files = {str(path): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert disk.files() == files
    assert sum(map(acknowledgements, events)) == 4
    assert sorted(check("LOTDB", place)["right"]) == [1, 2, 3, 4]


def test_values_of_another_commit_are_wrong(tmp_path):
    from lotdb import LOTDB

    with LOTDB(tmp_path / "data") as db, db.connection() as root:
        for number, written in ((1, 1), (2, 1)):
            root.get_data_node(f"item_{number}").write_data(rows(written))
        root.attrs["number"] = 2
    found = check("LOTDB", tmp_path)
    assert (found["right"], found["wrong"], found["number"]) == ([1], ["item_2"], 2)
