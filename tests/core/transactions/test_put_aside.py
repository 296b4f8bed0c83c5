"""Large transactions: what they have changed goes to a file from time to time, and nobody notices."""

import errno
import os
import random
import signal
import subprocess
import sys
import textwrap
from typing import ClassVar

import numpy as np
import pytest
from tests.core.nodes.test_patchwork_stories import Story

from lotdb import (
    LOTDB,
    BaseNode,
    Blocks,
    ClosedError,
    ConflictError,
    DamagedError,
    FileSystemError,
    Plugins,
    hookimpl,
)
from lotdb.database.session import Session
from lotdb.records import Children
from lotdb.storage.aside import Aside

SESSION = "lotdb.database.session."


@pytest.fixture
def often(monkeypatch):
    """Every few changes, whatever was written before."""
    monkeypatch.setattr(SESSION + "CHANGES_IN_MEMORY", 5)
    monkeypatch.setattr(SESSION + "_LESS_OFTEN", 1)


@pytest.fixture
def count(monkeypatch):
    """How many times it was done."""
    done = []
    put_aside = Session.put_aside

    def counted(session):
        put_aside(session)
        done.append(session)

    monkeypatch.setattr(Session, "put_aside", counted)
    return done


def build(root, first, last):
    for number in range(first, last):
        root.get_node_path((f"g{number // 10:03}", f"n{number % 10}")).attrs.update(number=number)


def seen(root):
    return {leaf.path: leaf.attrs["number"] for leaf in root.iterate_tree_leaves()}


def expected(first, last):
    return {f"g{number // 10:03}/n{number % 10}": number for number in range(first, last)}


def left(folder):
    """Temporary files of the database."""
    return os.listdir(folder / "lotdb.fs.blobs" / "tmp")


@pytest.mark.parametrize("seed", [3, 5])
def test_stories_end_as_told(tmp_path, monkeypatch, count, seed, often):
    monkeypatch.setattr(Children, "max_leaf_size", 4)
    monkeypatch.setattr(Children, "max_internal_size", 4)
    monkeypatch.setattr("lotdb.records.patchwork.MOST_COPIED", 2)
    Story(tmp_path, seed).tell(80)
    assert len(count) > 20


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 112))
def test_many_longer_stories_end_as_told(tmp_path, monkeypatch, count, seed, often):
    monkeypatch.setattr(SESSION + "CHANGES_IN_MEMORY", seed % 4 * 5 + 1)
    monkeypatch.setattr(Children, "max_leaf_size", 4)
    monkeypatch.setattr(Children, "max_internal_size", 4)
    monkeypatch.setattr("lotdb.records.patchwork.MOST_COPIED", 2)
    options = {"backends": {"blob": {"record_bytes": 0}}} if seed % 2 else {}
    Story(tmp_path, seed, **options).tell(150)
    assert len(count) > 20


def test_little_of_what_was_built_stays_in_memory(db, mine, monkeypatch, count):
    monkeypatch.setattr(SESSION + "CHANGES_IN_MEMORY", 1000)
    db.abort("mine")
    build(mine, 0, 4000)
    assert len(count) >= 6
    cache = mine._tree._session.connection._cache
    in_memory = sum(record._p_changed is not None for _, record in cache.items())
    assert in_memory < 130  # of 400 records; the last ones
    assert seen(mine) == expected(0, 4000)
    db.commit("mine")
    assert seen(mine) == expected(0, 4000)
    with db.connection() as root:
        assert seen(root) == expected(0, 4000)
    assert db.verify() == []


def test_a_small_transaction_puts_nothing_aside(db, mine, count):
    build(mine, 0, 100)
    db.commit("mine")
    assert count == []


def test_it_is_done_less_often_where_it_saves_nothing(db, mine, monkeypatch, count):
    monkeypatch.setattr(SESSION + "CHANGES_IN_MEMORY", 200)
    db.abort("mine")
    numbers = random.Random(1).choices(range(500), k=6000)
    for number in numbers:
        build(mine, number, number + 1)
    assert 2 <= len(count) <= 5
    assert seen(mine) == {key: number for key, number in expected(0, 500).items() if number in numbers}


def test_an_abort_and_a_rollback_take_back_what_was_put_aside(often, db, folder, mine, count):
    build(mine, 0, 30)
    db.commit("mine")
    build(mine, 30, 60)
    savepoint = db.savepoint("mine")
    for _ in range(2):
        before = len(count)
        build(mine, 60, 90)
        mine["g000"].delete_tree()
        assert len(count) > before + 3
        savepoint.rollback()
        assert seen(mine) == expected(0, 60)
    db.abort("mine")
    assert seen(mine) == expected(0, 30)
    assert left(folder) == []


def test_two_transactions_conflict_and_merge_as_they_do_otherwise(often, db, folder, mine, theirs, count):
    build(mine, 0, 200)
    db.commit("mine")
    db.abort("theirs")
    for root, first in (mine, 200), (theirs, 400):
        build(root, first, first + 200)
    mine["g000/n0"].attrs["number"] = -1
    db.commit("theirs")
    db.commit("mine")
    db.abort("theirs")
    merged = expected(0, 600) | {"g000/n0": -1}
    assert seen(mine) == seen(theirs) == merged

    theirs["g001"].delete_tree()
    build(theirs, 600, 650)
    mine["g001/n3"].attrs["number"] = -2
    build(mine, 700, 750)
    assert len(count) > 20
    db.commit("theirs")
    with pytest.raises(ConflictError):
        db.commit("mine")
    there = {key: number for key, number in merged.items() if not key.startswith("g001/")} | expected(
        600, 650
    )
    assert seen(mine) == seen(theirs) == there
    assert left(folder) == []
    assert db.verify() == []


def test_arrays_are_written_and_read_on_both_sides(often, db, folder, mine, backend, count):
    arrays = {f"n{number:02}": np.arange(number * 100) + number for number in range(40)}
    for key, array in arrays.items():
        mine.get_data_node(key, backend=backend).write_data(array[: len(array) // 2])
        for other in list(arrays)[:3]:
            if other < key:
                np.testing.assert_array_equal(mine[other].read_data(), arrays[other])
        mine.get_data_node(key).append_data(array[len(array) // 2 :])
    assert len(count) > 10
    branch = mine["n20"].branch("n99")
    branch.write_data(np.zeros(3))
    db.commit("mine")
    with db.connection() as root:
        for key, array in arrays.items():
            np.testing.assert_array_equal(root[key].read_data(), array)
        assert root["n99"].read_data().tolist() == [0, 0, 0]
    assert db.verify() == []
    assert left(folder) == []


def test_rows_that_are_produced_while_they_are_written_may_change_the_tree(often, db, mine, backend, count):
    def produced():
        for block in range(4):
            build(mine, block * 20, block * 20 + 20)
            yield np.full(100_000, float(block))

    rows = Blocks(produced(), np.dtype("float64"), rows=400_000)
    mine.get_data_node("large", backend=backend).write_data(rows)
    build(mine, 80, 100)
    assert count
    db.commit("mine")
    with db.connection() as root:
        assert root["large"].read_data()[::100_000].tolist() == [0, 1, 2, 3]
        del root["large"]
        assert seen(root) == expected(0, 100)


class Checked(BaseNode):
    __slots__ = ()
    node_type_name = "checked"
    seen: ClassVar[list[str]] = []

    def check_write(self, written, removed):
        self.seen.extend([*written, *removed])


class Plugin:
    @hookimpl
    def lotdb_get_node_type(self, name):
        return Checked if name == "checked" else None


def test_a_type_is_asked_of_what_is_written_only(often, tmp_path, count, monkeypatch):
    monkeypatch.setattr(Checked, "seen", [])
    plugins = Plugins()
    plugins.register(Plugin())
    with LOTDB(tmp_path / "db", plugins=plugins) as db:
        node = db.open_connection().get_node("node", node_type="checked")
        node.attrs["stays"] = [1, 2]
        Checked.seen.clear()
        for number in range(30):
            node.attrs["changes"] = number
        assert len(count) > 3
        assert Checked.seen == ["changes"] * 30


def test_the_file_is_beside_the_database_and_has_no_name(often, db, folder, mine):
    build(mine, 0, 20)
    file = mine._tree._session.connection._savepoint_storage._file
    where = os.readlink(f"/proc/self/fd/{file.fileno()}")
    assert where.startswith(str(folder.resolve()))
    assert where.endswith("(deleted)")
    assert left(folder) == []
    db.commit("mine")
    assert file.closed


def test_a_child_process_that_moves_the_place_in_the_file_does_no_harm(often, db, mine):
    random_, texts = random.Random(1), {}
    for number in range(400):
        key = f"n{random_.randrange(200)}"
        texts[key] = f"{number} " * random_.randrange(300)
        mine.get_node(key).attrs["text"] = texts[key]
        if number > 20:
            # A forked child shares the place, and moves it when it closes the file at its end.
            file = mine._tree._session.connection._savepoint_storage._file
            os.lseek(file.fileno(), random_.randrange(20_000), os.SEEK_SET)
            some = random_.choice(sorted(texts))
            assert mine[some].attrs["text"] == texts[some]
    db.commit("mine")
    with db.connection() as root:
        assert {key: root[key].attrs["text"] for key in root} == texts
    assert db.verify() == []


def test_what_is_damaged_in_the_file_is_not_committed(often, db, mine):
    build(mine, 0, 20)
    db.commit("mine")
    build(mine, 20, 60)
    aside = mine._tree._session.connection._savepoint_storage
    for place in aside.index.values():
        os.pwrite(aside._file.fileno(), b"!", place + 40)
    with pytest.raises(DamagedError, match="in its temporary file"):
        db.commit("mine")
    assert seen(mine) == expected(0, 20)
    build(mine, 20, 30)
    db.commit("mine")
    assert seen(mine) == expected(0, 30)
    assert db.verify() == []


def test_all_stays_in_memory_if_no_file_can_be_made(often, db, mine, monkeypatch):
    def refuse(*about, **options):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    build(mine, 0, 20)
    db.commit("mine")
    with monkeypatch.context() as patched:
        patched.setattr("tempfile.TemporaryFile", refuse)
        build(mine, 20, 60)
        db.commit("mine")
        build(mine, 60, 80)
    build(mine, 80, 100)
    db.commit("mine")
    with db.connection() as root:
        assert seen(root) == expected(0, 100)
    assert db.verify() == []


class TestAFullDisk:
    @pytest.fixture
    def full(self, often, monkeypatch):
        """A function after which nothing more can be put aside."""

        def fill():
            def write(*record):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            monkeypatch.setattr(Aside, "store", write)

        return fill

    def test_is_told_and_leaves_nothing(self, full, db, folder, mine, monkeypatch):
        build(mine, 0, 20)
        db.commit("mine")
        build(mine, 20, 40)
        store = Aside.store
        full()
        with pytest.raises(FileSystemError, match="all its changes were discarded") as caught:
            build(mine, 40, 60)
        assert caught.value.errno == errno.ENOSPC
        assert caught.value.filename
        monkeypatch.setattr(Aside, "store", store)
        assert seen(mine) == expected(0, 20)
        mine.get_node("half of what was meant")
        with pytest.raises(ClosedError, match="abort it"):
            db.commit("mine")
        savepoint = db.savepoint("mine")
        savepoint.rollback()  # to a moment when it was so already
        with pytest.raises(ClosedError, match="abort it"):
            db.commit("mine")
        db.abort("mine")
        assert seen(mine) == expected(0, 20)
        build(mine, 20, 30)
        db.commit("mine")
        assert seen(mine) == expected(0, 30)
        assert left(folder) == []
        assert db.verify() == []

    def test_within_a_merge_is_told_as_that(self, full, db, mine, monkeypatch):
        for key in ("one", "two"):
            for number in range(30):
                node = mine.get_node_path((key, f"{key}{number}", "leaf"))
                node.attrs["number"] = number
        db.commit("mine")
        for number in range(30):
            mine.get_node_path(("two", f"one{number}")).attrs["here"] = True
        put_aside = Session.put_aside
        monkeypatch.setattr(Session, "put_aside", lambda session: (full(), put_aside(session)))
        with pytest.raises(FileSystemError, match="all its changes were discarded"):
            mine["two"].merge_tree(mine["one"], overwrite=True)
        assert len(mine["two"]) == 30

    @pytest.mark.slow
    def test_that_is_one(self, often, small_disk):
        folder = small_disk("size=6m")
        with LOTDB(folder / "db") as db:
            root = db.open_connection()
            root.attrs["committed"] = True
            db.commit()
            with pytest.raises(FileSystemError) as caught:
                for number in range(10_000):
                    root.get_node(f"{number}").attrs["text"] = "x" * 3000
            assert caught.value.errno == errno.ENOSPC
            db.abort()
            assert list(root) == []
            assert root.attrs["committed"]
            build(root, 0, 20)
            db.commit()
        with LOTDB(folder / "db") as db, db.connection() as root:
            assert seen(root) == expected(0, 20)
            assert db.verify() == []


def test_ctrl_c_comes_when_all_is_written(often, db, mine, count, monkeypatch):
    build(mine, 0, 20)
    store = Aside.store

    def interrupted(self, *record):
        monkeypatch.setattr(Aside, "store", store)
        signal.raise_signal(signal.SIGINT)
        return store(self, *record)

    monkeypatch.setattr(Aside, "store", interrupted)
    done = 20
    with pytest.raises(KeyboardInterrupt):
        for done in range(20, 40):
            build(mine, done, done + 1)
    there = seen_or_bare(mine)
    assert there.keys() - {f"g{done // 10:03}/n{done % 10}"} == expected(0, done).keys()
    db.commit("mine")
    with db.connection() as root:
        assert seen_or_bare(root) == there


def seen_or_bare(root):
    return {leaf.path: leaf.attrs.get("number") for leaf in root.iterate_tree_leaves() if leaf.path[0] == "g"}


KILLED = """
    import sys
    from lotdb import LOTDB
    import lotdb.database.session as session

    session.CHANGES_IN_MEMORY, session._LESS_OFTEN = 50, 1
    db = LOTDB(sys.argv[1])
    root = db.open_connection()
    root.attrs["committed"] = 1
    db.commit()
    print("ready", flush=True)
    for number in range(10**9):
        root.get_node_path((f"g{number // 100}", f"n{number % 100}")).attrs["number"] = number
        if number == 2000:
            print("many", flush=True)
"""


def test_a_kill_leaves_the_last_commit_and_no_file(folder):
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "many\n"]
        process.kill()
    assert left(folder) == []
    with LOTDB(folder) as db, db.connection() as root:
        assert root.attrs["committed"] == 1
        assert list(root) == []
        assert db.verify() == []
