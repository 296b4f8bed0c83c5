"""What is said of records of children that cannot be read: of which file or node, and why."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ZODB.Connection import TransactionMetaData
from ZODB.serialize import ObjectWriter

from lotdb import LOTDB, BaseNode, DamagedError, FileSystemError, attr
from lotdb.database.upkeep import refuse_rings
from lotdb.records import Children
from lotdb.records.children import parts
from lotdb.records.patchwork import Patchwork

SIZES = {"few": 20, "many": 300}


def connection_of(root: BaseNode) -> Any:
    return root._tree._session.connection  # type: ignore[attr-defined]


def records_of(root: BaseNode, key: str) -> list[Any]:
    """The records in which the children of a node lie as columns."""
    children: Any = root[key]._children()
    return [children] if key == "few" else list(parts(children))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with LOTDB(tmp_path / "results", new=True) as db, db.connection() as root:
        for key, count in SIZES.items():
            for at in range(count):
                root.get_node_path((key, f"{at:03}")).attrs.update(label=f"walk {at % 3}", number=at / 4)
    return tmp_path / "results"


def damage(folder: Path, key: str) -> None:
    """Have the last column of the second record of *key* lack a number; its checksum is right."""
    with LOTDB(folder) as db:
        root = db.open_connection()
        record = records_of(root, key)[-1 if key == "few" else 1]
        state = connection_of(root).peek(record)
        version, own, keys, columns = stored = state[0][0][0] if key == "few" else state[0]
        assert stored[0] == 1
        form, data = columns[-1]
        changed = (version, own, keys, (*columns[:-1], (form, data[:-8])))
        state = (((changed,),),) if key == "few" else (changed, *state[1:])
        record._p_activate()
        storage, about = db._zodb.storage, TransactionMetaData()
        storage.tpc_begin(about)
        data = ObjectWriter(record)._dump(type(record), state)
        storage.store(record._p_oid, record._p_serial, data, "", about)
        storage.tpc_vote(about)
        storage.tpc_finish(about)


LOOKS: dict[str, Callable[[BaseNode], Any]] = {
    "one child": lambda node: node["070"],
    "a path": lambda node: node.get_node_path(["070"], create=False),
    "how many": len,
    "all": lambda node: list(node.values()),
    "a walk": lambda node: list(node.iterate_tree()),
    "a search": lambda node: list(node.find("*")),
    "a search of texts": lambda node: list(node.find("*", attr("label") == "walk 1")),
    "a search of numbers": lambda node: list(node.find("*", attr("number") > 1)),
    "a search of keys": lambda node: list(node.find("07*")),
    "what it takes": lambda node: node.usage(),
    "a copy": lambda node: node.copy_tree(),
    "rings": refuse_rings,
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("key", SIZES)
def test_columns_that_do_not_fit_are_told_with_their_file_or_node(folder: Path, key: str, look: str) -> None:
    damage(folder, key)
    with LOTDB(folder) as db:
        root = db.open_connection()
        with pytest.raises(DamagedError, match=rf"(lotdb\.fs|node '{key}').*: .*makes no sense: .+"):
            LOOKS[look](root if look == "rings" else root[key])
        assert [each.path for each in db.verify()] == [key]
        assert "makes no sense: " in db.verify()[0].reason


class Failing:
    """A storage of which one record cannot be read just now."""

    def __init__(self, storage: Any, record: Any) -> None:
        self._storage = storage
        self._oid = record._p_oid

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def load(self, oid: bytes, *about: Any) -> Any:
        if oid == self._oid:
            raise FileSystemError(errno.EIO, "the disk did not answer", "lotdb.fs")
        return self._storage.load(oid, *about)


@pytest.mark.parametrize("look", [look for look in LOOKS if look not in ("rings", "a search of keys")])
def test_a_record_that_cannot_be_read_now_is_not_called_damaged(folder: Path, look: str) -> None:
    with LOTDB(folder) as db:
        root = db.open_connection()
        node = root["many"]
        record = records_of(root, "many")[1]
        connection = connection_of(root)
        connection.cacheMinimize()
        connection._storage = Failing(connection._storage, record)
        with pytest.raises(FileSystemError, match="did not answer"):
            LOOKS[look](node)
        connection._storage = connection._normal_storage


def test_a_record_below_one_that_is_loaded_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more than some thousand children, a record is checked against those below it when it is loaded."""
    monkeypatch.setattr(Children, "max_leaf_size", 10)
    monkeypatch.setattr(Children, "max_internal_size", 10)
    with LOTDB(tmp_path / "results", new=True) as db:
        with db.connection() as root:
            for at in range(300):
                root.get_node_path(("a", f"{at:03}")).attrs["number"] = at
        root = db.open_connection()
        node = root["a"]
        children: Any = node._children()
        below = children.__getstate__()[0][2]
        assert type(below) is Children
        connection = connection_of(root)
        connection.cacheMinimize()
        connection._storage = Failing(connection._storage, below)
        with pytest.raises(FileSystemError, match="did not answer"):
            node["299"]
        connection._storage = connection._normal_storage
        assert node["299"].get_attribute("number") == 299


@pytest.mark.parametrize("change", [lambda own: own.put("150 b", ("", ())), lambda own: own.take("150")])
def test_a_bucket_that_is_counted_before_it_is_changed_tells_why_it_cannot_be_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Patchwork], Any]
) -> None:
    monkeypatch.setattr("lotdb.records.patchwork.MOST_COPIED", 1)
    with LOTDB(folder) as db:
        with db.connection() as root:
            root["many"].branch("twin")
            root["twin/150"].set_attribute("number", -1.0)
        root = db.open_connection()
        children: Any = root["twin"]._children()
        at = next(at for at, mark in enumerate(children._v_shared) if not mark and at)
        own = children.__getstate__()[0][2 * at]
        connection = connection_of(root)
        connection.cacheMinimize()
        connection._storage = Failing(connection._storage, own)
        with pytest.raises(FileSystemError, match="did not answer"):
            change(Patchwork(children))
        connection._storage = connection._normal_storage
