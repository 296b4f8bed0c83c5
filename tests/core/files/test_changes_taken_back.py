"""Files that are taken in and taken back: aborted, rolled back, or together with another connection."""

import pytest
from tests.core.files.rig_plugin import numbers, rig, with_rigs

from lotdb import LOTDB


def said(value, children):
    child = {"payloads": {"": numbers(value)}, "attributes": {"value": value}}
    return rig(
        payloads={"a": numbers(value)},
        attributes={"value": value},
        children=dict.fromkeys(children, child),
    )


def state(node):
    children = {key: (node[key].read_data().tolist(), node[key].attrs["value"]) for key in node}
    return node.attrs["value"], node.get_data("data.a").read().tolist(), children


BEFORE = (1, [1], {"c": ([1], 1), "d": ([1], 1)})
AFTER = (2, [2], {"c": ([2], 2), "e": ([2], 2)})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.rig"


@pytest.fixture
def db(tmp_path, path):
    with LOTDB(tmp_path / "db", plugins=with_rigs(), durability="process") as db:
        with db.connection() as root:
            path.write_bytes(said(1, "cd"))
            root.get_data_node("n").attach_file(path)
        path.write_bytes(said(2, "ce"))
        yield db


def test_an_abort_leaves_what_was_committed(db, path):
    root = db.open_connection()
    root["n"].attach_file(path)
    assert state(root["n"]) == AFTER
    db.abort(root)
    assert state(root["n"]) == BEFORE
    root["n"].attach_file(path, skip_unchanged=True)
    assert state(root["n"]) == AFTER


def test_a_savepoint_leaves_what_was_there_and_the_file_is_no_unchanged_one_then(db, path):
    root = db.open_connection()
    savepoint = db.savepoint(root)
    root["n"].attach_file(path)
    savepoint.rollback()
    assert state(root["n"]) == BEFORE
    root["n"].attach_file(path, skip_unchanged=True)
    db.commit(root)
    assert state(root["n"]) == AFTER
    assert db.verify() == []


def test_what_a_user_sets_meanwhile_elsewhere_stays(db, path):
    one, other = db.open_connection(), db.open_connection()
    one["n"].attach_file(path)
    other["n"].attrs["mine"] = 1
    db.commit(other)
    db.commit(one)
    assert state(one["n"]) == AFTER
    assert one["n"].attrs["mine"] == 1
