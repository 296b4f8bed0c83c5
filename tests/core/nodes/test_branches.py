"""copy_tree and branch: copies that are independent and share payloads."""

from pathlib import Path

import numpy as np
import pytest
from tests.core.nodes.growing import below, grow

from lotdb import LOTDB, BaseNode, ClosedError, InvalidMoveError, LotdbError, NodeExistsError


def stored_bytes(folder: Path) -> int:
    """Bytes of all payload files."""
    return sum(path.stat().st_size for path in folder.rglob("*.blob"))


def test_copy_tree_is_a_tree_of_its_own(root):
    grow(root, "a/b")
    copy = root["a"].copy_tree()
    assert copy.parent is None
    assert copy.key == "a"
    assert below(copy) == ["b"]
    copy["b"].set_attribute("path", "changed")
    copy.get_node("new")
    assert root["a/b"].get_attribute("path") == "a/b"
    assert below(root) == ["a", "a/b"]


def test_payloads_of_a_copied_tree_can_be_read(db):
    root = db.open_connection()
    root.get_data_node("a/x").write_data(np.arange(5))
    copy = root["a"].copy_tree()
    assert copy["x"].read_data().tolist() == [0, 1, 2, 3, 4]
    db.commit()
    assert copy["x"].read_data().tolist() == [0, 1, 2, 3, 4]


def test_payloads_of_a_copy_of_a_tree_in_memory_can_be_read():
    root = BaseNode()
    root.get_data_node("a/x").write_data(np.arange(5))
    copy = root["a"].copy_tree()
    assert copy["x"].read_data().tolist() == [0, 1, 2, 3, 4]


def test_payloads_of_a_copy_of_a_copy_can_be_read(db):
    root = db.open_connection()
    root.get_data_node("a/x").write_data(np.arange(5))
    first = root["a"].copy_tree()
    first.get_data_node("y").write_data(np.arange(3))
    second = first.copy_tree()
    assert second["x"].read_data().tolist() == [0, 1, 2, 3, 4]
    assert second["y"].read_data().tolist() == [0, 1, 2]


def test_payloads_can_be_written_to_a_copied_tree(db):
    root = db.open_connection()
    root.get_data_node("a/x").write_data(np.arange(5))
    copy = root["a"].copy_tree()
    copy["x"].append_data(np.arange(5, 7))
    assert copy["x"].read_data().tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert root["a/x"].read_data().tolist() == [0, 1, 2, 3, 4]


def test_a_copied_tree_can_be_added_to_another_database(db, tmp_path):
    root = db.open_connection()
    root.get_data_node("a/x").write_data(np.arange(5))
    with LOTDB(tmp_path / "other", durability="process") as other:
        with other.connection() as theirs:
            theirs.add_tree(root["a"].copy_tree())
        with other.connection() as theirs:
            assert theirs["a/x"].read_data().tolist() == [0, 1, 2, 3, 4]


def test_a_copied_tree_whose_connection_is_closed_says_so(db):
    with db.connection() as root:
        root.get_data_node("a").write_data(np.arange(5))
    with db.connection() as root:
        copy = root["a"].copy_tree()
    with pytest.raises(ClosedError, match="closed"):
        copy.read_data()


def test_a_branch_is_independent_both_ways(root):
    grow(root, "a/x/y")
    node = root["a"]
    branch = node.branch("b")
    branch["x/y"].set_attribute("path", "in the branch")
    branch.get_node_path("x/new")
    node["x"].delete_node("y")
    node["x"].set_attribute("path", "in the original")
    assert below(root) == ["a", "a/x", "b", "b/x", "b/x/new", "b/x/y"]
    assert root["b/x/y"].get_attribute("path") == "in the branch"
    assert root["b/x"].get_attribute("path") is None
    assert root["a/x"].get_attribute("path") == "in the original"


def test_old_handles_of_the_original_do_not_write_into_the_branch(root):
    grow(root, "a/x/y")
    deep = root["a/x/y"]
    deep.set_attribute("n", 1)
    branch = root["a"].branch("b")
    deep.set_attribute("n", 2)
    assert branch["x/y"].get_attribute("n") == 1
    assert root["a/x/y"].get_attribute("n") == 2


def test_a_branch_of_a_branch_is_independent(root):
    grow(root, "a/x/y")
    root["a"].branch("b").branch("c")
    root["b/x/y"].set_attribute("path", "b")
    root["c/x/y"].set_attribute("path", "c")
    found = [root[f"{key}/x/y"].get_attribute("path") for key in "abc"]
    assert found == ["a/x/y", "b", "c"]


def test_a_branch_of_a_leaf_with_large_attributes_is_independent(root):
    node = root.get_node("a")
    node.set_attribute("big", "x" * 2000)
    branch = node.branch("b")
    branch.set_attribute("big", "y" * 2000)
    assert node.get_attribute("big") == "x" * 2000
    node.set_attribute("big", "z" * 2000)
    assert branch.get_attribute("big") == "y" * 2000


def test_a_branch_shares_the_payloads_and_stores_no_new_bytes(db, tmp_path):
    root = db.open_connection()
    root.get_data_node("a/x").write_data(np.arange(300_000))
    db.commit()
    before = stored_bytes(tmp_path)
    assert before > 2_400_000
    branch = root["a"].branch("b")
    db.commit()
    assert stored_bytes(tmp_path) == before
    assert branch["x"].read_data(0, 3).tolist() == [0, 1, 2]


def test_replacing_a_payload_in_a_branch_leaves_the_original(root):
    root.get_data_node("a/x").write_data(np.arange(5))
    branch = root["a"].branch("b")
    branch["x"].replace_data(np.arange(2))
    assert root["a/x"].read_data().tolist() == [0, 1, 2, 3, 4]
    assert branch["x"].read_data().tolist() == [0, 1]


def test_appending_to_both_sides_of_a_branch_keeps_them_apart(root):
    node = root.get_data_node("a")
    node.write_data(np.arange(3))
    branch = node.branch("b")
    branch.append_data(np.array([10]))
    node.append_data(np.array([20, 21]))
    assert node.read_data().tolist() == [0, 1, 2, 20, 21]
    assert branch.read_data().tolist() == [0, 1, 2, 10]


def test_a_branch_is_independent_after_commit_and_reopening(tmp_path):
    with LOTDB(tmp_path, durability="process") as db, db.connection() as root:
        grow(root, "a/x/y")
        root["a"].branch("b")
    with LOTDB(tmp_path, durability="process") as db:
        with db.connection() as root:
            root["b/x/y"].set_attribute("path", "changed")
        with db.connection() as root:
            root["a/x"].get_node("new")
        with db.connection() as root:
            assert root["a/x/y"].get_attribute("path") == "a/x/y"
            assert below(root["b"]) == ["x", "x/y"]


def test_branch_refuses_a_key_that_is_taken(root):
    grow(root, "a", "b")
    with pytest.raises(NodeExistsError, match="'b' already"):
        root["a"].branch("b")


def test_branch_refuses_the_nodes_own_key(root):
    grow(root, "a/x")
    with pytest.raises(NodeExistsError):
        root["a"].branch("a")
    assert list(root) == ["a"]


def test_branch_needs_a_key(root):
    grow(root, "a/x")
    with pytest.raises(LotdbError):
        root["a"].branch(None)


def test_the_root_cannot_be_branched(root):
    with pytest.raises(InvalidMoveError, match="the root has no siblings"):
        root.branch("b")
