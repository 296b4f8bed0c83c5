"""What depth costs: calls are counted, and no time taken.

A node deep in a tree is looked up, named and compared at no more calls than a shallow one. Whoever changes it
depends on the guards of all above it, so that takes some calls for each, once for each change of the epoch.
"""

import sys

import numpy as np
import pytest
from ZODB.serialize import ObjectWriter

from lotdb import LOTDB, BaseNode, ConflictError

FEW, MANY = 3, 103


@pytest.fixture
def db(tmp_path):
    with LOTDB(tmp_path / "db", durability="process") as db:
        yield db


def counted(function):
    """The names of the Python functions that *function* calls, also within others."""
    names = []

    def called(frame, event, argument):
        if event == "call":
            names.append(frame.f_code.co_name)

    function()
    function()
    sys.setprofile(called)
    try:
        function()
    finally:
        sys.setprofile(None)
    return names


def node_below(root, levels):
    node = root.get_node_path([f"level_{number}" for number in range(levels)]).get_data_node("node")
    node.write_data(np.arange(3.0))
    node.parent.get_node("beside")
    return node


READS = {
    "path": lambda node: node.path,
    "equal": lambda node: node == node.parent["node"],
    "not equal": lambda node: node != node.parent["beside"],
    "get_attribute": lambda node: node.get_attribute("label"),
    "repr": repr,
    "contains": lambda node: "absent" in node,
    "read_data": lambda node: node.read_data(0, 2),
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("in_memory", [True, False])
def test_a_deep_node_is_read_at_no_more_calls_than_a_shallow_one(db, name, in_memory):
    def calls(levels):
        root = BaseNode("root") if in_memory else db.open_connection(str(levels))
        node = node_below(root, levels)
        return len(counted(lambda: READS[name](node)))

    assert calls(MANY) <= calls(FEW) + 5


def move(node):
    parent, root = node.parent, node
    while root.parent is not None:
        root = root.parent
    node.move(root, "elsewhere")
    node.move(parent, "node")


@pytest.mark.parametrize(
    ("change", "epochs"),
    [
        (lambda node: node.branch("copy").delete_tree(), 1),
        (lambda node: (node.rename("renamed"), node.rename("node")), 2),
        (move, 2),
    ],
    ids=["branch", "rename", "move"],
)
def test_an_ancestor_costs_a_change_of_the_epoch_a_few_calls(db, change, epochs):
    def calls(levels):
        # Another connection each time, since a tree is in the way of the next.
        node = node_below(db.open_connection(str(levels)), levels)
        return [name for name in counted(lambda: change(node)) if name != "parent"]

    each = (len(calls(MANY)) - len(calls(FEW))) / (MANY - FEW)
    assert each <= 8 * epochs


def test_a_transaction_depends_once_on_each_guard_however_often_the_epoch_changes(db):
    node = node_below(db.open_connection(), MANY)
    db.commit()
    assert counted(lambda: move(node)).count("readCurrent") == 0
    db.commit()
    names = []

    def called(frame, event, argument):
        if event == "call":
            names.append(frame.f_code.co_name)

    sys.setprofile(called)
    try:
        for _ in range(5):
            move(node)
    finally:
        sys.setprofile(None)
    assert MANY <= names.count("readCurrent") <= MANY + 20


def test_two_transactions_conflict_though_the_second_depends_on_a_guard_once(tmp_path):
    """What is asked once must still be asked: a write below a branch that was deleted first is refused."""
    with LOTDB(tmp_path / "other") as db:
        with db.connection() as root:
            root.get_node_path("a/b/c/d")
        with pytest.raises(ConflictError), db.connection() as mine:
            mine["a/b/c/d"].rename("e")
            mine["a/b/c/e"].branch("f")
            with db.connection() as theirs:
                del theirs["a/b"]
            mine["a/b/c/e"].set_attribute("label", 1)


def test_handles_of_different_places_and_trees_are_not_equal():
    root, other = BaseNode("root"), BaseNode("root")
    for tree in (root, other):
        tree.get_node_path("a/x")
        tree.get_node_path("b/x")
        tree.get_node_path("x")
    assert root["a/x"] == root["a/x"]
    assert root["a"]["x"] == root["a/x"]
    assert root["a/x"].parent == root["a"]
    assert root == root["a"].parent
    mine = [root, root["a"], root["a/x"], root["b/x"], root["x"]]
    different = [*mine, other, other["a"], other["a/x"], other["x"]]
    assert [(i, j) for i, one in enumerate(different) for j, two in enumerate(different) if one == two] == [
        (i, i) for i in range(len(different))
    ]


def test_a_commit_asks_zodb_about_nothing_that_is_stored_already(db, monkeypatch):
    node = db.open_connection().get_data_node("node")
    for number in range(MANY):
        node.write_data(np.arange(3.0), data_attribute=f"payload_{number}")
    db.commit()
    asked = []
    original = ObjectWriter.persistent_id

    def persistent_id(self, value):
        asked.append(type(value).__name__)
        return original(self, value)

    monkeypatch.setattr(ObjectWriter, "persistent_id", persistent_id)
    node.set_attribute("label", 1)
    db.commit()
    assert len(asked) <= 5
