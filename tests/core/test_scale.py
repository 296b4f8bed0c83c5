"""Trees that are very deep or very wide: nothing recurses, and nothing takes more than it must."""

import inspect
import sys

import numpy as np
import pytest

from lotdb import LOTDB, BaseNode, DataReader, DataWriter


@pytest.fixture(autouse=True)
def little_stack():
    """Too little of it to recurse even a few hundred levels."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 250)
    yield
    sys.setrecursionlimit(limit)


@pytest.fixture(scope="module", params=[1_500, pytest.param(100_000, marks=pytest.mark.slow)])
def depth(request):
    return request.param


@pytest.fixture(scope="module")
def deep(tmp_path_factory, depth):
    """A folder with a chain of so many nodes below the root, and a payload at its end."""
    folder = tmp_path_factory.mktemp("deep")
    with LOTDB(folder, durability="process") as db, db.connection() as root:
        bottom = root.get_node_path(["n"] * depth)
        bottom.set_attribute("label", "bottom")
        DataWriter.write_array(bottom, np.arange(10))
    return folder


@pytest.fixture
def root(deep):
    """The root of the deep tree, in a connection whose changes are forgotten."""
    with LOTDB(deep, durability="process") as db:
        yield db.open_connection()


def bottom_of(node, depth):
    return node.get_node_path(["n"] * depth, create=False)


@pytest.mark.slow
def test_the_bottom_of_a_deep_tree_is_found_with_what_it_holds(root, depth):
    bottom = bottom_of(root, depth)
    assert bottom.get_attribute("label") == "bottom"
    np.testing.assert_array_equal(DataReader.read(bottom), np.arange(10))
    assert bottom.path == "/".join(["n"] * depth)
    assert repr(bottom).startswith("<BaseNode 'n/n/")
    same = root["/".join(["n"] * depth)]
    assert same == bottom
    assert hash(same) == hash(bottom)


@pytest.mark.slow
def test_a_deep_tree_is_walked(root):
    assert [leaf.get_attribute("label") for leaf in root.iterate_tree_leaves()] == ["bottom"]
    assert [node.get_attribute("label") for node in root.iterate_tree_level("deepest")] == ["bottom"]


def test_a_write_at_the_bottom_of_a_deep_branch_leaves_the_original(root, depth):
    root["n"].branch("copy")
    below = ["n"] * (depth - 1)
    copied = root["copy"].get_node_path(below, create=False)
    copied.set_attribute("label", "copied")
    DataWriter.append_array(copied, np.arange(5))
    original = bottom_of(root, depth)
    assert original.get_attribute("label") == "bottom"
    assert copied.get_attribute("label") == "copied"
    assert len(DataReader.read(original)) == 10
    assert len(DataReader.read(copied)) == 15


@pytest.mark.slow
def test_a_deep_tree_is_copied_merged_and_deleted(root, depth):
    copy = root["n"].copy_tree()
    below = copy.get_node_path(["n"] * (depth - 1), create=False)
    assert below.get_attribute("label") == "bottom"
    np.testing.assert_array_equal(DataReader.read(below), np.arange(10))
    root.get_node("target").merge_tree(copy)
    below = root["target"].get_node_path(["n"] * (depth - 1), create=False)
    np.testing.assert_array_equal(DataReader.read(below), np.arange(10))
    root.delete_node("n")
    assert list(root) == ["target"]


def test_a_deep_tree_is_changed_committed_and_changed_again(deep, depth):
    with LOTDB(deep, durability="process") as db:
        root = db.open_connection()
        end = bottom_of(root, depth).get_node("end")
        end.set_attribute("label", "end")
        root["n"].rename("m")
        root["m"].rename("n")
        db.commit()
        assert end.get_attribute("label") == "end"
        end.delete_tree()
        db.commit()
        assert db.verify() == []


@pytest.mark.slow
def test_a_deep_tree_in_memory_is_built_copied_added_and_dropped(tmp_path, depth):
    tree = BaseNode("tree")
    tree.get_node_path(["n"] * depth).set_attribute("label", "bottom")
    copy = tree.copy_tree()
    del tree
    with LOTDB(tmp_path, durability="process") as db:
        with db.connection() as root:
            root.add_tree(copy)
        with db.connection() as root:
            assert bottom_of(root["tree"], depth).get_attribute("label") == "bottom"
            root.delete_node("tree")
        db.pack()
        assert (tmp_path / "lotdb.fs").stat().st_size < 10_000


# -- wide -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [20_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_wide_node_is_built_walked_looked_up_counted_and_branched(tmp_path, width):
    with LOTDB(tmp_path, durability="process") as db:
        with db.connection() as root:
            wide = root.get_node("wide")
            for number in range(width):
                wide.get_node(f"{number:06}").set_attribute("number", number)
        size = (tmp_path / "lotdb.fs").stat().st_size
        assert size < 80 * width

        with db.connection() as root:
            wide = root["wide"]
            assert len(wide) == width
            assert [node.get_attribute("number") for node in wide.iterate_tree_level(1)] == list(range(width))
            assert sum(map(len, wide.iterate_tree_crone_buffered(999))) == width
            assert list(wide)[-1] == f"{width - 1:06}"
            for number in range(0, width, 997):
                assert f"{number:06}" in wide
                assert wide[f"{number:06}"].get_attribute("number") == number
            assert "x" not in wide

        with db.connection() as root:
            root["wide"].branch("copy")
        assert (tmp_path / "lotdb.fs").stat().st_size < size + 10_000

        with db.connection() as root:
            root["copy/000500"].set_attribute("number", -1)
            root["copy"].delete_node("000501")
        with db.connection() as root:
            assert len(root["wide"]) == width
            assert len(root["copy"]) == width - 1
            assert root["wide/000500"].get_attribute("number") == 500
            assert root["copy/000500"].get_attribute("number") == -1


def calls(function):
    """How many functions are called by *function*, in Python and in C: what it takes, on any machine."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def test_a_branch_of_many_nodes_costs_no_more_than_that_of_one(tmp_path):
    with LOTDB(tmp_path, durability="process") as db:
        with db.connection() as root:
            for group in range(100):
                for number in range(100):
                    root.get_node_path(f"large/{group}/{number}").set_attribute("number", number)
            root.get_node_path("small/0/0")
        sizes, steps = {}, {}
        for key in ("small", "large"):
            before = (tmp_path / "lotdb.fs").stat().st_size
            with db.connection() as root:
                steps[key] = calls(lambda root=root, key=key: root[key].branch(f"{key} copy"))
                steps[key] += calls(lambda root=root: db.commit(root))
            sizes[key] = (tmp_path / "lotdb.fs").stat().st_size - before
        assert sizes["large"] < sizes["small"] + 200
        assert steps["large"] < 2 * steps["small"]

        before = (tmp_path / "lotdb.fs").stat().st_size
        with db.connection() as root:
            root["large copy/50/50"].set_attribute("number", -1)
        assert (tmp_path / "lotdb.fs").stat().st_size - before < 30_000


@pytest.mark.slow
def test_a_walk_lets_go_of_what_it_has_read(tmp_path, monkeypatch):
    monkeypatch.setattr("lotdb.storage.zodb._CACHE_OBJECTS", 100)
    with LOTDB(tmp_path, durability="process") as db, db.connection() as root:
        for number in range(2000):
            root.get_node_path(f"{number}/child/leaf").set_attribute("number", number)
    with LOTDB(tmp_path) as db:
        root = db.open_connection()
        held = 0
        for leaf in root.iterate_tree_leaves():
            assert leaf.get_attribute("number") is not None
            held = max(held, root._tree._session.connection._cache.cache_non_ghost_count)
        assert held < 500
