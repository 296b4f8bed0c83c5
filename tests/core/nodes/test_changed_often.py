"""What one commit after the other changes gets a record of its own, and stays what it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lotdb import LOTDB, BaseNode, ConflictError
from lotdb.records import OWN_KEY, Box

OFTEN = 30


@pytest.fixture
def db(tmp_path: Path) -> Iterator[LOTDB]:
    with LOTDB(tmp_path / "results", new=True) as db:
        with db.connection() as root:
            for number in range(100):
                root.get_node_path(("study", f"leaf {number:02d}")).attrs.update({"number": number, "x": 0.5})
        yield db


def size_of(db: LOTDB, tmp_path: Path) -> int:
    return (tmp_path / "results" / "lotdb.fs").stat().st_size


def change(db: LOTDB, node: BaseNode, times: int = OFTEN) -> None:
    for number in range(times):
        node.attrs["number"] = -number
        db.commit()


@pytest.mark.parametrize("path", ["study/leaf 07", "study"])
def test_commits_become_small(db: LOTDB, tmp_path: Path, path: str) -> None:
    root = db.open_connection()
    change(db, root[path])
    before = size_of(db, tmp_path)
    change(db, root[path])
    assert (size_of(db, tmp_path) - before) / OFTEN < 400
    assert root[path].attrs["number"] == 1 - OFTEN
    assert [root["study"][f"leaf 0{number}"].attrs["number"] for number in (1, 2, 8)] == [1, 2, 8]


def test_only_what_changes_often_gets_a_record(db: LOTDB) -> None:
    root = db.open_connection()
    for _ in range(3):
        for number in range(100):
            root[f"study/leaf {number:02d}"].attrs["x"] = 1.5
            db.commit()
    children = root["study"]._children()
    assert children is not None
    assert not any(type(entry[1]) is Box for key, entry in children.items() if key != OWN_KEY)
    change(db, root["study/leaf 07"])
    boxed = [key for key, entry in children.items() if key != OWN_KEY and type(entry[1]) is Box]
    assert boxed == ["leaf 07"]


def test_a_small_bucket_and_one_transaction_leave_a_leaf_where_it_is(db: LOTDB) -> None:
    root = db.open_connection()
    change(db, root.get_node_path("small/leaf"))
    for number in range(OFTEN):
        root["study/leaf 07"].attrs["number"] = number
    db.commit()
    assert type(root["small/leaf"]._entry()[1]) is tuple
    assert type(root["study/leaf 07"]._entry()[1]) is tuple


def test_earlier_moments_branches_and_undo_have_what_they_had(db: LOTDB) -> None:
    root = db.open_connection()
    root["study"].branch("before")
    db.commit()
    ids = []
    for number in range(OFTEN):
        root["study/leaf 07"].attrs["number"] = -number
        db.commit()
        ids.append(next(iter(db.history())).id)
    root["study"].branch("after")
    db.commit()
    root["study/leaf 07"].attrs["number"] = 7000
    root["after/leaf 08"].attrs["number"] = 8000
    db.commit()
    for at in (3, 12, OFTEN - 1):
        with db.at(ids[at]) as then:
            assert then["study/leaf 07"].attrs["number"] == -at
            assert then["study/leaf 08"].attrs["number"] == 8
    assert root["before/leaf 07"].attrs["number"] == 7
    assert root["after/leaf 07"].attrs["number"] == 1 - OFTEN
    assert root["study/leaf 08"].attrs["number"] == 8
    db.undo(next(iter(db.history())).id)
    db.commit()
    root = db.open_connection()
    assert root["study/leaf 07"].attrs["number"] == 1 - OFTEN
    assert not db.verify()


def test_an_abort_and_a_failed_commit_take_it_back(db: LOTDB) -> None:
    root = db.open_connection()
    node = root["study/leaf 07"]
    while type(node._entry()[1]) is tuple:
        node.attrs["number"] = 1
        if type(node._entry()[1]) is Box:
            db.abort()
            break
        db.commit()
    assert type(node._entry()[1]) is tuple
    assert node.attrs["number"] == 1
    node.attrs["number"] = 2
    db.commit()
    assert node.attrs["number"] == 2
    assert len(root["study"]) == 100


@pytest.mark.parametrize("times", [7, 8, 20])
def test_simultaneous_changes_merge_or_conflict_as_ever(db: LOTDB, times: int) -> None:
    root = db.open_connection()
    change(db, root["study/leaf 07"], times)
    with db.connection() as other:
        root["study/leaf 07"].attrs["number"] = 700
        other["study/leaf 08"].attrs["number"] = 800
        other["study"].get_node("new").attrs["number"] = 1
        db.commit()
    db.abort()
    assert [root[f"study/{key}"].attrs["number"] for key in ("leaf 07", "leaf 08", "new")] == [700, 800, 1]
    with pytest.raises(ConflictError), db.connection() as other:
        root["study/leaf 07"].attrs["number"] = 701
        other["study/leaf 07"].attrs["number"] = 702
        db.commit()
    with pytest.raises(ConflictError), db.connection() as other:
        root["study/leaf 07"].attrs["number"] = 703
        other["study"].delete_node("leaf 07")
        db.commit()
    db.abort()
    assert root["study/leaf 07"].attrs["number"] == 703


def test_payloads_that_are_replaced_again_and_again(db: LOTDB, tmp_path: Path) -> None:
    root = db.open_connection()
    node = root["study"].get_data_node("rig")
    for number in range(2 * OFTEN):
        if number == OFTEN:
            before = size_of(db, tmp_path)
        node.write_data(np.arange(4.0) + number)
        db.commit()
    assert (size_of(db, tmp_path) - before) / OFTEN < 1200
    assert node.read_data().tolist() == [59, 60, 61, 62]
