"""A database that is copied between storages is the same, commit by commit, or the copy is not there."""

import os
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    BaseNode,
    ConvertReport,
    DamagedError,
    DatabaseBusyError,
    DatabaseExistsError,
    DatabaseNotFoundError,
    InvalidOptionError,
    LotdbError,
    convert,
    diff,
)
from lotdb.converting import moved_arrays as arrays_of
from lotdb.database.moments import open_moment
from lotdb_backend_blob.backend import BlobBackend

npy_backend = runpy.run_path(str(Path(__file__).parents[1] / "core" / "npy_backend.py"))

SMALL = np.arange(300.0)
LARGE = np.random.default_rng(0).random((60_000, 3))  # not in a pack, with sums in a record of their own
STORAGES = ["file", "sqlite"]


@pytest.fixture(autouse=True)
def sqlite_is_there(request):
    if "sqlite" in str(getattr(request.node, "callspec", "")):
        pytest.importorskip("relstorage", reason="RelStorage is not installed: lotdb-core[sqlite]")


def fill(db, backends=("blob", "zarr")):
    """A history: payloads in several backends, branches, changes, deletions and appended rows."""
    root = db.open_connection()
    for number in range(12):
        node = root.get_data_node(("takes", str(number)))
        node.write_data(SMALL + number, samplerate_hz=100, metadata={"unit": "mV"})
        node.attrs.update(label=f"take {number}", when=np.datetime64("2024-05-01"), nested={"a": [1, None]})
    db.commit()
    for backend in backends:
        root.get_data_node(("large", backend), backend=backend).write_data(LARGE)
        root.get_data_node(("text", backend), backend=backend).write_data("täxt")
        root.get_data_node(("table", backend), backend=backend).write_data(
            np.array([(1, 2.5), (3, 4.5)], [("a", "i4"), ("b", "f8")])
        )
        db.commit()
    root["takes"].branch("variant")
    db.commit()
    root["variant/3"].append_data(SMALL)
    root["variant/4"].write_data(SMALL * 2)
    del root["variant/5"]
    db.commit()
    root["takes/7"].delete_data()
    root["takes/8"].attrs["label"] = "changed"
    db.commit()
    for number in range(300):  # more than one bucket
        root.get_node_path(("wide", str(number))).attrs["n"] = number
    db.commit()
    db.close_connection()


def commits_of(db):
    """Id, texts and status of each commit."""
    found = [
        (each.tid, bytes_of(each.user), bytes_of(each.description), each.status)
        for each in db._zodb.storage.iterator()
    ]
    return [(tid, user, text, str(status).strip("b'")) for tid, user, text, status in found]


def bytes_of(text):
    return text if isinstance(text, bytes) else text.encode()


def differences(one, other, tid):
    """What differs between two databases at a commit."""
    sessions = [open_moment(db, tid.hex()) for db in (one, other)]
    try:
        return list(diff(*(session.root for session in sessions)))
    finally:
        for session in sessions:
            session.close()


def beside(folder):
    return sorted(os.listdir(folder))


def of_and_to(*quick):
    """Pairs of a source's storage and a target's; those that are not *quick* are slow."""
    pairs = [(of, to) for of in STORAGES for to in STORAGES]
    marked = [pytest.param(*each, marks=[] if each in quick else pytest.mark.slow) for each in pairs]
    return pytest.mark.parametrize(("source", "storage"), marked, indirect=["source"])


@pytest.fixture(params=STORAGES)
def source(request, tmp_path):
    if request.param == "sqlite":
        pytest.importorskip("relstorage", reason="RelStorage is not installed: lotdb-core[sqlite]")
    with LOTDB(tmp_path / "source", new=True, storage=request.param, durability="process") as db:
        fill(db)
        yield db


@pytest.mark.sampled(1)
@of_and_to(("file", "sqlite"), ("sqlite", "file"))
def test_each_commit_is_the_same_in_the_copy(source, storage, tmp_path):
    report = convert(source, tmp_path / "copy", storage=storage)
    assert isinstance(report, ConvertReport)
    assert report.history
    with LOTDB(tmp_path / "copy") as copy:
        assert copy.id == source.id
        assert copy.last_commit == source.last_commit
        assert commits_of(copy) == commits_of(source)
        assert report.commits == len(commits_of(source))
        for tid, *_ in commits_of(source)[1:]:
            assert differences(source, copy, tid) == []
        # What branches share they share in the copy, and each array is there once.
        mine, theirs = source.stats(), copy.stats()
        assert (mine.nodes, mine.payloads, mine.segments) == (theirs.nodes, theirs.payloads, theirs.segments)
        assert theirs.payload_bytes < 1.1 * mine.payload_bytes
        with copy.connection() as root:
            root["variant/3"].append_data(SMALL)
            root["large/zarr"].append_data(LARGE)
            del root["takes"]
        copy.pack()
        assert copy.verify() == []
        with copy.connection() as root:
            assert root["variant/3"].read_data().tolist() == [*(SMALL + 3), *SMALL, *SMALL]
            assert root["large/blob"].read_data(-5).tolist() == LARGE[-5:].tolist()
    assert beside(tmp_path) == ["copy", "source"]


def test_there_and_back_again(tmp_path):
    pytest.importorskip("relstorage", reason="RelStorage is not installed: lotdb-core[sqlite]")
    with LOTDB(tmp_path / "a", durability="process") as db:
        fill(db)
        before = commits_of(db)
    convert(tmp_path / "a", tmp_path / "b", storage="sqlite")
    convert(tmp_path / "b", tmp_path / "c")
    convert(tmp_path / "c", tmp_path / "d", storage="sqlite")
    with LOTDB(tmp_path / "a", read_only=True) as one, LOTDB(tmp_path / "d", read_only=True) as other:
        assert commits_of(other) == before
        for tid, *_ in before[1:]:
            assert differences(one, other, tid) == []


@pytest.mark.sampled(1)
@of_and_to(("file", "file"), ("sqlite", "sqlite"))
def test_of_a_packed_database_what_is_left_is_copied(source, storage, tmp_path):
    source.pack()
    with source.connection() as root:
        root["takes/1"].write_data(SMALL * 3)
    convert(source, tmp_path / "copy", storage=storage)
    with LOTDB(tmp_path / "copy", read_only=True) as copy:
        assert commits_of(copy) == commits_of(source)
        assert copy.verify() == []


@pytest.mark.sampled(1)
@of_and_to(("file", "sqlite"), ("sqlite", "sqlite"))
def test_the_newest_state_alone(source, storage, tmp_path):
    report = convert(source, tmp_path / "copy", storage=storage, history=False)
    assert (report.commits, report.history) == (2, False)
    with LOTDB(tmp_path / "copy") as copy, copy.connection() as root, source.connection() as before:
        assert list(diff(before, root)) == []
        assert copy.last_commit == source.last_commit
        assert copy.stats().segments == source.stats().segments
        root["takes/2"].append_data(SMALL)
    with LOTDB(tmp_path / "copy") as copy:
        assert copy.verify() == []


def test_a_backend_of_a_plugin(tmp_path):
    plugins = npy_backend["plugins_with"](npy_backend["NpyBackend"])
    with LOTDB(tmp_path / "source", plugins=plugins, durability="process") as db:
        fill(db, ["npy", "blob"])
        for storage in STORAGES:
            if storage == "sqlite":
                pytest.importorskip("relstorage", reason="RelStorage is not installed: lotdb-core[sqlite]")
            convert(db, tmp_path / storage, storage=storage)
            with LOTDB(tmp_path / storage, plugins=plugins) as copy:
                assert differences(db, copy, bytes.fromhex(db.last_commit)) == []


def test_arrays_outside_of_the_folder_come_into_it_or_stay_where_they_are(tmp_path):
    elsewhere = {"zarr": {"store": str(tmp_path / "arrays")}}
    with LOTDB(tmp_path / "source", backends=elsewhere, durability="process") as db:
        fill(db)
        report = convert(db, tmp_path / "inside")
        assert report.arrays > 0
        convert(db, tmp_path / "outside", backends=elsewhere)
        with LOTDB(tmp_path / "outside", backends=elsewhere) as copy:
            assert differences(db, copy, bytes.fromhex(db.last_commit)) == []
    shutil.rmtree(tmp_path / "arrays")
    with LOTDB(tmp_path / "inside") as copy, copy.connection() as root:
        assert copy.verify() == []
        assert root["large/zarr"].read_data().tobytes() == LARGE.tobytes()


def test_a_storage_that_takes_no_ids_gets_the_newest_state(tmp_path):
    from ZODB.FileStorage import FileStorage

    from lotdb import Plugins, Storage, hookimpl

    class Plain(FileStorage):
        @property
        def restore(self):
            raise AttributeError("restore")

    class PlainStorage(Storage):
        name = "plain"

        def open(self):
            folder = self.context.folder / f"{self.context.name}.plain"
            folder.mkdir(parents=True, exist_ok=True)
            return Plain(str(folder / "data.fs"), read_only=self.context.read_only)

        def pack(self, keep, references):
            pass

        def tree_bytes(self):
            return 0

    class Plugin:
        @staticmethod
        @hookimpl
        def lotdb_get_storage(name):
            return PlainStorage if name == "plain" else None

    plugins = Plugins()
    plugins.register(Plugin())
    with LOTDB(tmp_path / "source", plugins=plugins, durability="process") as db:
        fill(db)
        report = convert(db, tmp_path / "copy", storage="plain")
        assert not report.history
        with LOTDB(tmp_path / "copy", plugins=plugins) as copy, copy.connection() as root:
            with db.connection() as before:
                assert list(diff(before, root)) == []
            root["takes/2"].append_data(SMALL)


@pytest.mark.parametrize("storage", ["sqlite"])
def test_a_sync_that_fails_later_fails_the_copy(tmp_path, storage, monkeypatch):
    """A backend may sync what it has written while more is written, and say in ``settle`` that it failed."""

    def settle(backend, locator):
        if isinstance(locator, str):
            raise OSError(5, "Input/output error")

    with LOTDB(tmp_path / "source", durability="process") as db:
        fill(db)
        monkeypatch.setattr(BlobBackend, "settle", settle)
        with pytest.raises((OSError, LotdbError), match="Input/output error"):
            convert(db, tmp_path / "copy", storage=storage)
        assert beside(tmp_path) == ["source"]


# -- what is refused, and what is interrupted -----------------------------------------------------


@pytest.fixture
def filled(tmp_path):
    with LOTDB(tmp_path / "source", durability="process") as db:
        fill(db)
    return tmp_path / "source"


def test_nothing_is_written_over(filled, tmp_path):
    (tmp_path / "there").mkdir()
    for target in (tmp_path / "there", filled):
        with pytest.raises(DatabaseExistsError, match="exists"):
            convert(filled, target)
    with pytest.raises(DatabaseNotFoundError):
        convert(tmp_path / "nowhere", tmp_path / "copy")
    with pytest.raises(LookupError, match="nonesuch"):
        convert(filled, tmp_path / "copy", storage="nonesuch")
    with pytest.raises(InvalidOptionError):
        convert(filled, tmp_path / "copy", payloads=tmp_path / "elsewhere")
    assert beside(tmp_path) == ["source", "there"]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("storage", STORAGES)
def test_an_interrupted_one_leaves_nothing(filled, tmp_path, storage):
    steps = []
    convert(filled, tmp_path / "whole", storage=storage, progress=lambda *step: steps.append(step))
    shutil.rmtree(tmp_path / "whole")
    assert steps[-1][0] == steps[-1][1]
    for stop in {0, len(steps) // 2, len(steps) - 3, len(steps) - 1}:
        seen = []

        def tell(*step, seen=seen, stop=stop):
            seen.append(step)
            if len(seen) > stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            convert(filled, tmp_path / "copy", storage=storage, progress=tell)
        assert beside(tmp_path) == ["source"]
    with LOTDB(filled) as db:
        assert db.verify() == []


@pytest.mark.sampled(1)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="it is about a killed process")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("storage", STORAGES)
def test_after_a_killed_one_the_next_begins_anew(filled, tmp_path, storage):
    def die(done, *_):
        if done == 5:
            os._exit(9)

    child = os.fork()
    if child == 0:
        try:
            convert(filled, tmp_path / "copy", storage=storage, progress=die)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert not (tmp_path / "copy").exists()
    convert(filled, tmp_path / "copy", storage=storage)
    assert beside(tmp_path) == ["copy", "source"]


def test_two_at_once_do_not_meet(filled, tmp_path):
    def again(*_):
        with pytest.raises(DatabaseBusyError, match="another"):
            convert(filled, tmp_path / "copy")

    convert(filled, tmp_path / "copy", progress=again)
    with LOTDB(tmp_path / "copy") as db:
        assert db.verify() == []


@pytest.mark.sampled(2)
@pytest.mark.parametrize("storage", STORAGES)
def test_others_write_and_pack_meanwhile(source, storage, tmp_path):
    before = commits_of(source)
    changes = []

    def meanwhile(done, total, last):
        if last.startswith("commit") and len(changes) < 3:
            with source.connection() as root:
                root["takes/3"].write_data(SMALL * done)
                root.get_data_node("large/blob").write_data(SMALL)
            source.pack()
            changes.append(done)

    convert(source, tmp_path / "copy", storage=storage, progress=meanwhile)
    assert len(changes) == 3
    with LOTDB(tmp_path / "copy", read_only=True) as copy, copy.connection() as root:
        assert [tid for tid, *_ in commits_of(copy)] == [tid for tid, *_ in before]
        assert root["takes/3"].read_data().tolist() == (SMALL + 3).tolist()
        assert root["large/blob"].read_data().tobytes() == LARGE.tobytes()


def test_a_damaged_source_is_an_error_and_there_is_no_copy(filled, tmp_path):
    largest = max((filled / "lotdb.fs.blobs").rglob("*.blob"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[-100] ^= 1
    largest.chmod(0o644)
    largest.write_bytes(content)
    with pytest.raises(DamagedError):
        convert(filled, tmp_path / "copy")
    data = bytearray((filled / "lotdb.fs").read_bytes())
    data[len(data) // 2] ^= 1
    (filled / "lotdb.fs").write_bytes(data)
    with pytest.raises(DamagedError):
        convert(filled, tmp_path / "copy")
    assert beside(tmp_path) == ["source"]


def test_a_copy_that_is_not_the_same_is_noticed(filled, tmp_path, monkeypatch):
    pytest.importorskip("relstorage", reason="RelStorage is not installed: lotdb-core[sqlite]")
    monkeypatch.setattr(arrays_of, "_BLOCK_BYTES", 1000)
    convert(filled, tmp_path / "small blocks", storage="sqlite")
    monkeypatch.setattr(arrays_of.Arrays, "_write_one", lambda *_: None)
    with pytest.raises(DamagedError, match="copy is not whole"):
        convert(filled, tmp_path / "copy", storage="sqlite")
    assert beside(tmp_path) == ["small blocks", "source"]


def test_a_copy_that_lacks_a_change_is_noticed(filled, tmp_path, monkeypatch):
    carried = arrays_of.Arrays.carried

    def spoilt(self, oid, data):
        return carried(self, oid, data.replace(b"changed", b"chanced"))

    monkeypatch.setattr(arrays_of.Arrays, "carried", spoilt)
    with pytest.raises(DamagedError, match="not the same"):
        convert(filled, tmp_path / "copy")
    convert(filled, tmp_path / "unchecked", verify=False)
    assert beside(tmp_path) == ["source", "unchecked"]


def test_an_empty_database_and_one_of_another_name(tmp_path):
    with LOTDB(tmp_path / "source", "other.fs", durability="process"):
        pass
    convert(tmp_path / "source", tmp_path / "copy", name="other.fs")
    with LOTDB(tmp_path / "copy", "other.fs", read_only=True) as copy, copy.connection() as root:
        assert list(root) == []
        assert isinstance(root, BaseNode)


def test_the_command(filled, tmp_path, capsys, monkeypatch):
    pytest.importorskip("click", reason="click is not installed: lotdb-core[cli]")
    from lotdb.cli.__main__ import main

    monkeypatch.setattr(sys, "argv", ["lotdb"])
    main(["convert", str(filled), str(tmp_path / "copy"), "--json"])
    assert '"commits": ' in capsys.readouterr().out
    with LOTDB(tmp_path / "copy") as db:
        assert db.verify() == []


def test_a_column_that_begins_like_a_payload_is_none(tmp_path):
    """A text may be the same as the mark of payloads, and the first of as many as a payload has parts."""
    pytest.importorskip("relstorage", reason="RelStorage is not installed: lotdb-core[sqlite]")
    with LOTDB(tmp_path / "db", new=True) as db, db.connection() as root:
        root.get_data_node("takes/0").attrs["take"] = "p"
        for number in range(1, 10):
            root.get_data_node(f"takes/{number}").write_data(LARGE + number, data_attribute="take")
    convert(tmp_path / "db", tmp_path / "copy", storage="sqlite")
    with LOTDB(tmp_path / "copy") as db, db.connection() as root:
        assert root["takes/0"].attrs["take"] == "p"
        for number in range(1, 10):
            found = root[f"takes/{number}"].read_data(data_attribute="take")
            np.testing.assert_array_equal(found, LARGE + number)
        assert db.verify() == []
