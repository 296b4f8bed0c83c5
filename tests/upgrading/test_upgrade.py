"""Databases that lotdb 1.1.3 wrote, copied into new ones and compared value for value."""

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.services import forked

import lotdb
from lotdb import LOTDB, DatabaseBusyError, DatabaseExistsError, DatabaseFormatError, DatabaseNotFoundError
from lotdb.cli.__main__ import main

HERE = Path(__file__).parent
NAMES = [
    f"{name}{end}" for name in ("attributes", "blobs", "zarrs", "shapes", "files") for end in ("", "_packed")
]
PEER = Path(sys.prefix) / "peer/bin/python"


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """The databases of old_databases.py, as lotdb 1.1.3 wrote them."""
    folder = tmp_path_factory.mktemp("written")
    with zipfile.ZipFile(HERE / "old_databases.zip") as archive:
        archive.extractall(folder)
    return folder


def snapshot(folder):
    """Every file with its content and its time."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in [folder, *folder.rglob("*")]
    }


def compare(old, new, report):
    """Compare what lotdb 1.1.3 read with what is in the new database; the number of values."""
    with open(old / "expected.pickle", "rb") as file:
        expected = pickle.load(file)
    renamed = {note.path for note in report.changed if "its key was" in note.reason}
    missed = {(note.path, note.name) for note in report.missed}
    count = 0
    with LOTDB(new, read_only=True) as db, db.connection() as root:
        found = {tuple(node.path.split("/")) if node.path else (): node for node in root.iterate_tree()}
        assert len(found) == len(expected) == report.nodes
        for path, (policy, values, payloads) in expected.items():
            if path not in found:
                new_paths = [tuple(each.split("/")) for each in renamed]
                [node] = [found[each] for each in new_paths if found[each].attrs.get("key") == values["key"]]
            else:
                node = found[path]
            assert (policy is not None) == (node.node_type == "data")
            if policy is not None:
                assert (node.samplerate_hz, node.backend, node.data_attribute) == policy
            for name, value in values.items():
                count += 1
                where = (node.path, name)
                if isinstance(value, str) and value == "LOST":
                    assert where in missed
                elif name in ("", "new\nline"):
                    assert value in node.attrs.values()
                elif name in node.payloads:
                    notes = [note.reason for note in report.changed if (note.path, note.name) == where]
                    assert "too large" in notes[0]
                    same(node.payloads[name].read(), value)
                elif name == "_source_filepath":
                    assert node.attrs[name] == str(value)
                else:
                    same(node.attrs[name], value)
            for name, (data, rate) in payloads.items():
                count += 1
                payload = node.payloads[name]
                assert payload.samplerate_hz == rate
                if isinstance(data, dict):
                    frame = payload.read_frame()
                    assert list(frame) == list(data["table"])
                    for column, cells in data["table"].items():
                        assert [None if each != each else each for each in frame[column].astype(object)] == [
                            None if each != each else each for each in cells
                        ]
                else:
                    same(payload.read(), data)
    return count


def same(found, value):
    if isinstance(value, np.ndarray):
        # Unpickling an array, which 1.1.3 does and so does this test, makes its byte order the machine's.
        assert (found.dtype.newbyteorder("="), found.shape) == (value.dtype.newbyteorder("="), value.shape)
        assert found.astype(found.dtype.newbyteorder("=")).tobytes() == value.tobytes()
    else:
        assert type(found) is type(value)
        assert found == value or value != value


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "name",
    # each kind of database once, and a packed one among them
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name.endswith("_packed") != name.startswith("zarrs")))
        for name in NAMES
    ],
)
def test_everything_is_carried_value_for_value_and_the_old_one_is_left_as_it_is(written, tmp_path, name):
    before = snapshot(written / name)

    report = lotdb.upgrade(written / name, tmp_path / "new")

    assert compare(written / name, tmp_path / "new", report) > 0
    assert snapshot(written / name) == before
    assert os.listdir(tmp_path) == ["new"]
    expected = 4 if name.startswith("attributes") else 0
    assert len(report.missed) == expected, report.missed
    with LOTDB(tmp_path / "new") as db:
        assert db.verify() == []


def test_the_order_of_bytes_is_kept(written, tmp_path):
    lotdb.upgrade(written / "blobs", tmp_path / "new")

    with LOTDB(tmp_path / "new", read_only=True) as db, db.connection() as root:
        assert root["type_4"].read_data().dtype == ">i2"
        assert root["odd"].get_data("raw").content_type == "image/x-raw"
        assert dict(root["type_4"].get_data().metadata) == {"unit": "g", "gain": [1, 2.5]}


@pytest.mark.parametrize("name", ["blobs", "blobs_packed"])
@pytest.mark.parametrize("how", [{}, {"read_only": True}, {"new": True}])
@pytest.mark.parametrize("names_file", [False, True])
def test_an_old_database_opened_by_mistake_is_named_and_left_as_it_is(written, name, how, names_file):
    before = snapshot(written / name)
    file = "LOTDB" if name.endswith("packed") else "lotdb.fs"
    place = {"path": written / name / file} if names_file else {"path": written / name, "name": file}

    with pytest.raises(DatabaseFormatError, match=r"lotdb 1\.x.*lotdb upgrade "):
        LOTDB(**place, **how)

    assert snapshot(written / name) == before


@pytest.mark.parametrize("read_only", [False, True])
def test_an_old_database_of_the_old_default_name_is_found(written, read_only):
    before = snapshot(written / "blobs_packed")

    with pytest.raises(DatabaseFormatError, match=r"LOTDB is a database of lotdb 1\.x"):
        LOTDB(written / "blobs_packed", read_only=read_only)

    assert snapshot(written / "blobs_packed") == before


@pytest.mark.sampled
@pytest.mark.parametrize("command", ["tree", "ls", "show", "find", "du", "stats", "verify", "pack"])
@pytest.mark.parametrize("name", ["blobs", "blobs_packed", "blobs/lotdb.fs"])
def test_each_command_says_what_to_type(written, name, command, capsys):
    before = snapshot(written / "blobs")

    assert main([command, str(written / name)]) == 1

    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert "lotdb upgrade " in printed.err
    assert snapshot(written / "blobs") == before


def test_the_command_copies_and_reports(written, tmp_path, capsys):
    new = tmp_path / "new"

    assert main(["upgrade", str(written / "attributes"), str(new), "--dry-run"]) == 1
    assert not new.exists()
    assert "nothing was written" in capsys.readouterr().out
    assert main(["upgrade", str(written / "attributes/lotdb.fs"), str(new), "--json"]) == 1
    told = capsys.readouterr().out
    assert '"name": "custom", "reason": "it is of the class __main__.Custom, which was not run"' in told
    assert main(["upgrade", str(written / "attributes"), str(new)]) == 1
    assert "exists" in capsys.readouterr().err
    assert main(["upgrade", str(written / "blobs"), str(tmp_path / "blobs")]) == 0


def test_what_is_no_old_database_is_refused(written, tmp_path):
    (tmp_path / "file").write_text("FS30")
    with LOTDB(tmp_path / "db", new=True):
        pass
    for old in ("none", "db"):
        with pytest.raises(DatabaseNotFoundError):
            lotdb.upgrade(tmp_path / old, tmp_path / "new")
    for old in ("file", "db/lotdb.fs"):
        with pytest.raises(DatabaseFormatError):
            lotdb.upgrade(tmp_path / old, tmp_path / "new")
    (tmp_path / "new").mkdir()
    with pytest.raises(DatabaseExistsError, match="exists"):
        lotdb.upgrade(written / "blobs", tmp_path / "new")
    assert sorted(os.listdir(tmp_path)) == ["db", "file", "new"]


def test_a_database_that_a_program_writes_to_is_refused(written, tmp_path):
    old = shutil.copytree(written / "blobs", tmp_path / "old")
    code = (
        f"import zc.lockfile, sys; lock = zc.lockfile.LockFile({str(old / 'lotdb.fs.lock')!r})\n"
        "print(flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with forked.Popen(["-c", code], **pipes) as writer:
        writer.stdout.readline()
        with pytest.raises(DatabaseBusyError, match="open for writing"):
            lotdb.upgrade(old, tmp_path / "new")
        writer.stdin.close()
    lotdb.upgrade(old, tmp_path / "new")


def test_a_database_that_changed_meanwhile_is_copied_anew(written, tmp_path):
    old = shutil.copytree(written / "blobs", tmp_path / "old")

    def append(done, total, path):
        if done == 3:
            with open(old / "lotdb.fs", "ab") as file:
                file.write(b"\0")

    with pytest.raises(DatabaseBusyError, match="written to"):
        lotdb.upgrade(old, tmp_path / "new", progress=append)
    assert os.listdir(tmp_path) == ["old"]


def test_a_killed_upgrade_leaves_nothing_that_looks_whole_and_is_run_again(written, tmp_path):
    code = (
        "import lotdb, os, signal, sys\n"
        "def kill(done, total, path):\n"
        "    if done == 10: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"lotdb.upgrade({str(written / 'blobs')!r}, {str(tmp_path / 'new')!r}, progress=kill)\n"
    )
    assert forked.run(["-c", code]).returncode == -9
    assert os.listdir(tmp_path) == [".new.upgrading"]

    report = lotdb.upgrade(written / "blobs", tmp_path / "new")

    assert os.listdir(tmp_path) == ["new"]
    assert compare(written / "blobs", tmp_path / "new", report)


def test_ctrl_c_leaves_nothing(written, tmp_path):
    def interrupt(done, total, path):
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lotdb.upgrade(written / "blobs", tmp_path / "new", progress=interrupt)
    assert os.listdir(tmp_path) == []


def test_a_missing_blob_and_a_missing_store_are_reported_and_the_rest_is_carried(written, tmp_path):
    old = shutil.copytree(written / "blobs", tmp_path / "blobs")
    blob = sorted(old.rglob("*.blob"))[0]
    blob.unlink()
    report = lotdb.upgrade(old, tmp_path / "new_blobs")
    assert [("missing" in note.reason) for note in report.missed] == [True]
    store = shutil.copytree(written / "zarrs", tmp_path / "zarrs")
    shutil.rmtree(store / "lotdb.fs.data.zarr")
    report = lotdb.upgrade(store, tmp_path / "new_zarrs")
    assert len(report.missed) > 10
    assert all("zarr store" in note.reason for note in report.missed)


def test_without_zarr_nothing_is_written(written, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(lotdb.MissingPluginError, match="pip install lotdb-backend-zarr"):
        lotdb.upgrade(written / "zarrs", tmp_path / "new")
    assert os.listdir(tmp_path) == []


def test_an_old_database_that_may_not_be_written_is_read(written, tmp_path):
    old = shutil.copytree(written / "blobs", tmp_path / "old")
    for path in [*old.rglob("*"), old]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert lotdb.upgrade(old, tmp_path / "new").missed == []
    finally:
        for path in [old, *old.rglob("*")]:
            path.chmod(0o755)


class Marks:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_what_a_pickle_names_is_neither_imported_nor_called(written, tmp_path, monkeypatch):
    # The module would leave a file behind when it is imported.
    (tmp_path / "modules").mkdir()
    mark = tmp_path / "mark"
    (tmp_path / "modules/leaves_a_mark.py").write_text(f"open({str(mark)!r}, 'w')\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path / "modules")
    from lotdb.upgrading.pickles import load_record

    hostile = pickle.dumps(None, 2) + pickle.dumps([Marks(str(mark))], 2)
    kind, state = load_record(hostile)
    assert not mark.exists()
    assert state[0].named.endswith(".open")
    kind, state = load_record(b"cleaves_a_mark\nThing\n." + b"cleaves_a_mark\nThing\n)R}b.")
    assert kind == "leaves_a_mark.Thing"
    assert state.named == "leaves_a_mark.Thing"
    assert not mark.exists()
    assert "leaves_a_mark" not in sys.modules


@pytest.mark.slow
@pytest.mark.skipif(not PEER.exists(), reason="make .venv/peer/.installed sets up lotdb 1.1.3")
def test_what_1_1_3_writes_now_is_carried(tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    environment = {**os.environ, "MANY": "20000"}
    subprocess.run([PEER, "-W", "ignore", HERE / "old_databases.py", old], check=True, env=environment)
    for name in NAMES:
        report = lotdb.upgrade(old / name, tmp_path / f"new_{name}")
        assert compare(old / name, tmp_path / f"new_{name}", report)
