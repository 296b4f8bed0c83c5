"""What one process is about to commit is not swept by another one: no record names what is gone."""

import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tests.core.backends.sweeping_writer import rows_of
from tests.services import forked

from lotdb import LOTDB, Blocks, ConflictError, InvalidOptionError

pytest.importorskip("relstorage", reason="RelStorage is missing: pip install 'lotdb-core[sqlite]'")

PACKS = 12  # 200 were tried
LARGE = np.arange(150_000, dtype="f8")  # more than a pack takes


@pytest.fixture(params=["blob", "zarr"])
def backend(request):
    return request.param


@pytest.fixture
def opened(tmp_path, backend):
    """Opens the database once more; each object stands for a process."""
    LOTDB(tmp_path / "db", new=True, storage="sqlite").close()
    made = []

    def open_it(**options):
        made.append(LOTDB(tmp_path / "db", default_backend=backend, **options))
        return made[-1]

    yield open_it
    for each in made:
        each.close()


def stored(db, backend):
    return {locator for locator, _ in db._backends(backend).locators()}


def test_what_others_have_just_written_is_left_alone(opened, backend):
    writer, packer = opened(), opened()
    root = writer.open_connection()
    root.get_data_node("a").write_data(LARGE)
    packer.pack()
    writer.commit()
    assert packer.verify() == []
    with packer.connection() as root:
        assert np.array_equal(root["a"].read_data(), LARGE)
    assert len(stored(packer, backend)) == 1


def test_what_was_swept_before_its_commit_is_not_committed(opened, backend):
    writer, packer = opened(), opened()
    root = writer.open_connection()
    root.get_data_node("kept").write_data(LARGE)
    writer.commit()
    root.get_data_node("lost").write_data(LARGE)
    root.attrs["with"] = "the array, or not at all"
    packer.pack(grace_s=0)
    with pytest.raises(ConflictError, match="lay uncommitted for so long"):
        writer.commit()
    assert "lost" not in root
    assert "with" not in root.attrs
    root.get_data_node("lost").write_data(LARGE + 1)
    writer.commit()
    assert packer.verify() == []
    with packer.connection() as root:
        assert np.array_equal(root["lost"].read_data(), LARGE + 1)
        assert np.array_equal(root["kept"].read_data(), LARGE)


def test_what_is_swept_while_it_is_written_is_a_conflict(opened, backend):
    writer, packer = opened(), opened()
    root = writer.open_connection()

    def blocks():
        yield np.zeros(5_000_000)
        packer.pack(grace_s=0)
        yield np.ones(5_000_000)

    with pytest.raises(ConflictError, match="removed"):
        root.get_data_node("a").write_data(Blocks(blocks(), np.dtype("f8"), rows=10_000_000))
        writer.commit()
    writer.abort()
    root.get_data_node("a").write_data(LARGE)
    writer.commit()
    assert packer.verify() == []


@pytest.mark.parametrize("then", ["read", "append", "window"])
def test_what_was_swept_before_its_commit_and_is_read_is_a_conflict(opened, backend, then):
    writer, packer = opened(), opened()
    root = writer.open_connection()
    node = root.get_data_node("a")
    node.write_data(LARGE)
    packer.pack(grace_s=0)
    with pytest.raises(ConflictError, match=r"removed|lay uncommitted"):
        if then == "append":
            node.append_data(LARGE)
            writer.commit()
        else:
            node.read_data() if then == "read" else node.get_data()[5:9]
    writer.abort()
    assert "a" not in root


def test_a_sweep_waits_for_a_commit_that_has_begun(opened, backend, monkeypatch):
    writer, packer = opened(), opened()
    root = writer.open_connection()
    root.get_data_node("a").write_data(LARGE)
    writer._backends(backend)
    store, begun, done = writer._backends(backend), threading.Event(), threading.Event()
    is_stored = type(store).is_stored

    def look(self, locator):
        found = is_stored(self, locator)
        begun.set()
        done.wait(1)  # it is here when the sweep begins
        return found

    monkeypatch.setattr(type(store), "is_stored", look)
    thread = threading.Thread(target=lambda: (begun.wait(30), packer.pack(grace_s=0)), daemon=True)
    thread.start()
    writer.commit()
    thread.join(60)
    assert not thread.is_alive()
    assert writer.verify() == []
    assert len(stored(packer, backend)) == 1


def test_what_a_killed_process_leaves_goes_after_the_grace_time(opened, backend, tmp_path, monkeypatch):
    packer = opened()
    lost = packer._backends(backend)
    locator = lost.new_locator()
    lost.write(locator, LARGE, {})
    packer.pack()
    assert stored(packer, backend) == {locator}
    # By the clock of the folder, and not by that of this process.
    now = type(lost).now
    monkeypatch.setattr(time, "time", lambda: 0.0)
    packer.pack()
    assert stored(packer, backend) == {locator}
    monkeypatch.setattr(type(lost), "now", lambda self: now(self) + 3700)
    packer.pack()
    assert stored(packer, backend) == set()


@pytest.mark.parametrize("grace_s", [-1, "1", True, float("nan"), float("inf")])
def test_a_grace_time_is_a_number_of_seconds(tmp_path, grace_s):
    with LOTDB(tmp_path / "db") as db, pytest.raises(InvalidOptionError, match="grace_s"):
        db.pack(grace_s=grace_s)


def run_writers(folder, backend, packs, kills, count, commits=10_000):
    """Let processes write so many commits each, and be killed, while this one packs."""
    script = Path(__file__).with_name("sweeping_writer.py")
    writers = {}

    def start(name):
        writers[name] = forked.Popen(
            [script, folder, name, backend, commits],
            needs=["relstorage.storage", f"lotdb_backend_{backend}.backend"],
            stdout=subprocess.PIPE,
            text=True,
        )

    def kill(name):
        with writers[name] as writer:
            said = writer.stdout.readline()
            writer.kill()
        assert said, "it has ended, and should go on until it is killed"

    with LOTDB(folder, new=True, storage="sqlite", default_backend=backend) as db:
        try:
            for number in range(count):
                start(f"w{number}")
            for number in range(packs):
                db.pack(grace_s=0 if number % 2 else 3600)
                if number % (packs // kills) == 0:
                    kill(f"w{number % count}")
                    start(f"w{number % count}")
            for name in writers:
                kill(name)
        finally:
            for writer in writers.values():
                writer.kill()


def check(folder, backend):
    with LOTDB(folder, default_backend=backend) as db:
        assert db.verify() == []
        found = 0
        with db.connection() as root:
            for node in root.iterate_tree():
                if "number" in node.attrs:
                    found += 1
                    assert np.array_equal(node.read_data(), rows_of(node.attrs["number"]))
        assert found
        db.pack(grace_s=0)
        used = {
            segment.locator
            for node in db.open_connection().iterate_tree()
            if "number" in node.attrs
            for segment in node.get_data()._record.segments
        }
        assert stored(db, backend) == used
        assert db.verify() == []


def test_sweeps_beside_processes_that_write_leave_no_dangling_record(tmp_path):
    run_writers(tmp_path / "db", "blob", packs=2, kills=1, count=1, commits=30)
    check(tmp_path / "db", "blob")


@pytest.mark.slow
def test_many_sweeps_beside_processes_that_write_leave_no_dangling_record(tmp_path, backend):
    run_writers(tmp_path / "db", backend, packs=PACKS, kills=PACKS // 6, count=3)
    check(tmp_path / "db", backend)
