"""What is used of ZODB beyond its public names is listed, and looked for before anything is opened."""

import ast
import inspect
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from ZODB.FileStorage import FileStorage
from ZODB.serialize import ObjectReader, ObjectWriter

import lotdb.storage
from lotdb import LOTDB, PluginError
from lotdb.storage import compat

STORAGE = Path(lotdb.storage.__file__).parent
METHODS = [(cls, name) for cls, names in compat.NEEDED.items() for name in names]


def private_names(cls):
    """Names of *cls* and its bases in ZODB, those of instances too, that begin with one underscore."""
    bases = [each for each in cls.__mro__ if each.__module__.startswith("ZODB")]
    found = {name for base in bases for name in vars(base)}
    for base in bases:
        for node in ast.walk(ast.parse(inspect.getsource(inspect.getmodule(base)))):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "self":
                found.add(node.attr)
    return {name for name in found if name.startswith("_") and not name.startswith(("__", "_p_"))}


def names_used():
    """Private names that the storage package takes from ``self``, ``super()`` or a storage."""
    used = set()
    for path in STORAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
                base = node.value.func if isinstance(node.value, ast.Call) else node.value
                if isinstance(base, ast.Name) and base.id in ("self", "super", "storage"):
                    used.add(node.attr)
            if isinstance(node, ast.FunctionDef):
                used.add(node.name)
    return used


def test_all_that_is_used_of_a_storage_is_listed():
    listed = {*compat.NEEDED[FileStorage], *compat.ATTRIBUTES}
    used = names_used() & private_names(FileStorage)
    others = {
        "_add", "_cache", "_data", "_db", "_name", "_reader", "_register", "_storage", "_store_objects"
    }  # fmt: skip
    assert used - listed - others == set()
    assert listed - used == set(), "listed, and not used"


@pytest.mark.sampled(6)
@pytest.mark.parametrize(("cls", "name"), METHODS, ids=lambda each: getattr(each, "__name__", each))
def test_a_release_that_lacks_a_method_is_named_and_nothing_is_opened(tmp_path, monkeypatch, cls, name):
    with LOTDB(tmp_path) as db, db.connection() as root:
        root.attrs["kept"] = 1
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    monkeypatch.setattr(compat, "NEEDED", {cls: (*compat.NEEDED[cls], f"{name}_of_another_release")})
    told = rf"ZODB {version('ZODB')} has no {cls.__name__}\.{name}_of_another"
    with pytest.raises(PluginError, match=told):
        LOTDB(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    monkeypatch.undo()
    assert hasattr(cls, name), "this release has it"
    with LOTDB(tmp_path) as db, db.connection() as root:
        assert root.attrs["kept"] == 1


@pytest.mark.parametrize("name", ["_get_class", "_get_unpickler", "_persistent_load"])
def test_without_what_speeds_up_reading_records_are_read_all_the_same(tmp_path, monkeypatch, name):
    monkeypatch.setattr(compat, "_READER", (f"{name}_of_another_release",))
    assert hasattr(ObjectReader, name)
    _check_work(tmp_path)


def test_without_what_speeds_up_commits_records_are_written_all_the_same(tmp_path, monkeypatch):
    class Renamed(ObjectWriter):
        def __getattribute__(self, name):
            if name == "_p" and inspect.currentframe().f_back.f_code.co_name == "_store_objects":
                raise AttributeError(name)
            return super().__getattribute__(name)

    monkeypatch.setattr("ZODB.Connection.ObjectWriter", Renamed)
    _check_work(tmp_path)


def _check_work(folder):
    rows = np.arange(300_000.0)
    with LOTDB(folder) as db, db.connection() as root:
        for number in range(300):
            root.get_node(f"n{number}").attrs["number"] = number
        root.get_data_node("data").write_data(rows)
        root["n7"].branch("copy")
    with LOTDB(folder) as db:
        with db.connection() as root:
            assert [root[f"n{number}"].attrs["number"] for number in range(300)] == list(range(300))
            assert np.array_equal(root["data"].read_data(), rows)
            del root["n8"]
        db.pack()
        assert db.verify() == []
        with db.connection() as root:
            assert len(root) == 301
            assert root["copy"].attrs["number"] == 7
