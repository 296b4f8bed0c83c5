"""What lotdb.diff tells, and what it does not read."""

import numpy as np
import pytest

import lotdb
from lotdb import LOTDB, BaseNode


def told(a, b):
    return [(each.kind, each.path, each.old_path, each.name) for each in lotdb.diff(a, b)]


def two_branches(root):
    for group in range(3):
        for leaf in range(3):
            root.get_node_path(f"a/group_{group}/leaf_{leaf}").attrs.update({"label": "walk", "take": leaf})
    return root["a"], root["a"].branch("b")


@pytest.fixture
def root(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        yield db.open_connection()


def test_a_branch_does_not_differ_from_its_original(root):
    a, b = two_branches(root)
    assert not lotdb.diff(a, b)
    assert str(lotdb.diff(a, b)) == "no differences"


def test_changed_added_and_removed_attributes_have_their_values(root):
    a, b = two_branches(root)
    b["group_1/leaf_1"].attrs.update({"label": "run", "new": [1, 2]})
    b["group_1/leaf_1"].delete_attribute("take")
    found = {each.name: each for each in lotdb.diff(a, b)}
    assert {name: (each.kind, each.before, each.after) for name, each in found.items()} == {
        "label": ("attribute_changed", "walk", "run"),
        "new": ("attribute_added", None, [1, 2]),
        "take": ("attribute_removed", 1, None),
    }
    assert {each.path for each in found.values()} == {"group_1/leaf_1"}


@pytest.mark.parametrize(
    ("before", "after", "differs"),
    [(1, True, True), (1, 1.0, True), (0.0, -0.0, True), (float("nan"), float("nan"), False)],
)
def test_values_are_compared_with_their_types(before, after, differs):
    a, b = BaseNode("a"), BaseNode("b")
    a.get_node("x").set_attribute("value", before)
    b.get_node("x").set_attribute("value", after)
    assert bool(lotdb.diff(a, b)) is differs


def test_added_and_removed_nodes_are_told_with_all_below_them(root):
    a, b = two_branches(root)
    b.get_node_path("new/below").set_attribute("x", 1)
    del b["group_0"]
    assert told(a, b) == [("removed", "group_0", None, None), ("added", "new", None, None)]
    assert str(lotdb.diff(a, b)) == "- group_0\n+ new"


def test_a_moved_branch_is_told_as_moved(root):
    a, b = two_branches(root)
    b["group_1"].move(b.get_node("archive"), "old")
    assert told(a, b) == [("moved", "archive/old", "group_1", None), ("added", "archive", None, None)]


def test_a_moved_leaf_is_known_by_its_payload(root):
    a, _ = two_branches(root)
    a.get_data_node("group_0/data").write_data(np.arange(9.0))
    c = a.branch("c")
    c["group_0/data"].rename("renamed")
    assert told(a, c) == [("moved", "group_0/renamed", "group_0/data", None)]


def test_rows_that_differ_are_told(root):
    a = root.get_data_node("a")
    a.write_data(np.arange(1000.0).reshape(-1, 2), data_attribute="imu", samplerate_hz=10)
    b = a.branch("b")
    rows = a.read_data(data_attribute="imu")
    rows[10:20] += 1
    rows[499, 1] = -1
    b.write_data(rows, data_attribute="imu", samplerate_hz=20, metadata={"unit": "g"})
    (found,) = lotdb.diff(a, b)
    assert (found.kind, found.rows) == ("payload_changed", ((10, 20), (499, 500)))
    assert found.fields == ("samplerate_hz", "metadata")
    assert (found.before.samplerate_hz, found.after.samplerate_hz) == (10, 20)


def test_appended_rows_are_told_without_reading_the_others(root, monkeypatch):
    from lotdb.segments.stage import Stage

    a = root.get_data_node("a")
    a.write_data(np.arange(1000.0))
    b = a.branch("b")
    b.append_data(np.arange(10.0))
    monkeypatch.setattr(Stage, "read_into", lambda *args: pytest.fail("it was read"))
    (found,) = lotdb.diff(a, b)
    assert (found.rows, found.fields) == (((1000, 1010),), ("shape",))


def test_equal_payloads_of_two_databases_do_not_differ(tmp_path, root):
    root.get_data_node("x").write_data(np.arange(10.0))
    with LOTDB(tmp_path / "other") as db, db.connection() as other:
        other.get_data_node("x").write_data(np.arange(10.0))
        assert not lotdb.diff(root, other)
        other["x"].write_data(np.arange(10, dtype="i8"))
        (found,) = lotdb.diff(root, other)
        assert (found.fields, found.rows) == (("dtype",), ((0, 10),))


def test_defaults_of_data_nodes_and_types_are_told():
    a, b = BaseNode("a"), BaseNode("b")
    a.get_data_node("x", samplerate_hz=10)
    b.get_data_node("x", samplerate_hz=20)
    a.get_node("y")
    b.get_data_node("y")
    assert told(a, b) == [("default_changed", "x", None, "samplerate_hz"), ("retyped", "y", None, None)]


def test_shared_records_are_not_read(tmp_path):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        for group in range(30):
            node = root.get_node_path(f"a/group_{group:02}")
            for leaf in range(30):
                node.get_node(f"leaf_{leaf:02}").set_attribute("take", leaf)
        root["a"].branch("b")
        root["b/group_07/leaf_07"].set_attribute("take", -1)
    with LOTDB(tmp_path / "db", read_only=True) as db:
        root = db.open_connection()
        connection = root._tree._session.connection
        before = connection.getTransferCounts()[0]
        assert told(root["a"], root["b"]) == [("attribute_changed", "group_07/leaf_07", None, "take")]
        # The root, both branches and the two groups; of 30 groups that they share none.
        assert connection.getTransferCounts()[0] - before <= 8


@pytest.mark.slow
def test_a_deep_tree_can_be_compared():
    a, b = BaseNode("a"), BaseNode("b")
    for root in (a, b):
        root.get_node_path(["x"] * 3000)
    b.get_node_path(["x"] * 3000).set_attribute("end", 1)
    (found,) = lotdb.diff(a, b)
    assert found.path.count("/") == 2999


def test_what_is_no_node_is_refused():
    with pytest.raises(lotdb.WrongNodeError, match="pass a node"):
        lotdb.diff(BaseNode("a"), 3)
