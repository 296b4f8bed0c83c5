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

import lotdb
from lotdb import LOTDB, DatabaseBusyError, DatabaseExistsError, DatabaseFormatError, DatabaseNotFoundError
from lotdb.cli.__main__ import main

HERE = Path(__file__).parent
NAMES = [f"{name}{end}" for name in ("attributes", "blobs", "zarrs", "shapes", "files") for end in ("", "_packed")]
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
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.is_file() and hashlib.md5(path.read_bytes()).hexdigest())
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
                elif name in node.payloads:
                    assert any((note.path, note.name) == where and "too large" in note.reason for note in report.changed)
                    same(node.payloads[name].read(), value)
                elif name == "_source_filepath":
                    assert node.attrs[name] == str(value)
                elif name in ("", "new\nline"):
                    assert value in node.attrs.values()
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
        assert (found.dtype, found.shape) == (value.dtype, value.shape)
        assert found.tobytes() == value.tobytes()
    else:
        assert type(found) is type(value)
        assert found == value or value != value


@pytest.mark.parametrize("name", NAMES)
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
