"""``lotdb.diff`` of two moments, or of a moment and now: what is the same is neither read nor told."""

import numpy as np
import pytest

from lotdb import LOTDB, diff


@pytest.fixture
def past(db):
    """The id of a commit, and the database after others."""
    with db.connection() as root:
        for group in range(30):
            for leaf in range(20):
                root.get_node_path(f"wide/g{group}/n{leaf}").attrs["x"] = leaf
        root.get_data_node("arrays/blob").write_data(np.arange(100_000))
        root.get_data_node("arrays/zarr", backend="zarr").write_data(np.arange(100_000))
        root.get_data_node("arrays/same").write_data(np.arange(100_000))
        root.get_node_path("from/here").attrs["text"] = "long" * 300
    made = db.last_commit
    with db.connection() as root:
        root["wide/g7/n7"].attrs["x"] = -1
        root["arrays/blob"].append_data(np.arange(5))
        data = np.arange(100_000)
        data[500:600] = 0
        root["arrays/zarr"].write_data(data)
        root["arrays/same"].attrs["more"] = 1
        root["from/here"].move(root, "there")
    return made


def told(found):
    return {(each.kind, each.path, each.old_path, each.name, each.rows) for each in found}


def test_moments_are_compared_by_what_differs(db, past):
    expected = {
        ("attribute_changed", "wide/g7/n7", None, "x", ()),
        ("payload_changed", "arrays/blob", None, "data", ((100_000, 100_005),)),
        ("payload_changed", "arrays/zarr", None, "data", ((500, 600),)),
        ("attribute_added", "arrays/same", None, "more", ()),
        ("moved", "there", "from/here", None, ()),
    }
    with db.at(past) as then, db.at(db.last_commit) as later, db.connection() as now:
        assert told(diff(then, later)) == expected
        assert told(diff(then, now)) == expected
        assert not diff(later, now)
        back = told(diff(now, then))
        assert len(back) == len(expected)
        assert ("moved", "from/here", "there", None, ()) in back
        now["wide/g8/n8"].attrs["x"] = "uncommitted"
        assert ("attribute_changed", "wide/g8/n8", None, "x", ()) in told(diff(then, now))
        assert told(diff(later, now)) == {("attribute_changed", "wide/g8/n8", None, "x", ())}


def test_what_has_not_changed_is_not_read(db, past):
    with db.at(past) as then, db.at(db.last_commit) as later:
        read = []
        storage = db._storage.opened
        load = storage.loadBefore
        storage.loadBefore = lambda *args: read.append(args[0]) or load(*args)
        assert told(diff(then["wide"], later["wide"])) == {("attribute_changed", "g7/n7", None, "x", ())}
        assert len(read) < 20  # of thirty lists of children in each moment
        read.clear()
        assert not list(diff(then["arrays/same"], later["arrays/same"]))[1:]
        assert len(read) < 10


def test_moments_of_two_databases_are_compared_by_what_they_hold(db, past, tmp_path):
    with LOTDB(tmp_path / "other", durability="process") as other, other.connection() as copy:
        with db.at(past) as then:
            for key in then:
                copy.add_tree(then[key], copy=True)
            assert not diff(then, copy)
        with db.connection() as now:
            assert len(told(diff(copy, now))) >= 5
