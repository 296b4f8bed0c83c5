"""Merging many leaves at once gives what merging them one by one gives."""

import numpy as np
import pytest

from lotdb import LOTDB, BaseNode
from lotdb.tree import merging

MANY = 3000


def filled(extra=()):
    top = BaseNode("top")
    source = top.get_node("source")
    for number in range(MANY):
        source.get_node(f"c{number:05d}").set_attribute("x", number)
    source.get_node_path("c00010/below").set_attribute("deep", 1)
    source.get_node_path("zz/last").set_attribute("deep", 2)
    for key in extra:
        source.get_data_node(key, samplerate_hz=10).write_data(np.arange(5))
    return top


def content(node):
    return {
        each.path.removeprefix(node.path): {
            name: value if name == "x" or name == "deep" else value.read().tolist()
            for name, value in each.attrs.items()
        }
        for each in node.iterate_tree()
    }


def test_into_nothing_and_into_some(tmp_path):
    top = filled(extra=("c00500",))
    source = top["source"]
    target = top.get_node("target")
    target.get_node("c00100").set_attribute("x", "mine")
    target.merge_tree(source)
    expected = content(source)
    expected["/c00100"] = {"x": "mine"}
    assert content(target) == expected
    with LOTDB(tmp_path, durability="process") as db:
        with db.connection() as root:
            root.get_node("target").merge_tree(source)
            root.get_node("again").merge_tree(root["target"])
        with db.connection() as root:
            assert content(root["target"]) == content(root["again"]) == content(source)
            root["again/c00007"].set_attribute("x", "changed")
            assert root["target/c00007"].get_attribute("x") == 7
        assert db.verify() == []


@pytest.mark.parametrize("where", ["memory", "database"])
def test_a_merge_that_fails_leaves_nothing(tmp_path, monkeypatch, where):
    top = filled()

    def merge(root):
        target = root.get_node("target")
        target.get_node("c00003").set_attribute("x", "mine")

        def fail(*args, **options):
            assert len(target) > 200
            raise RuntimeError("in the middle")

        with monkeypatch.context() as patched:
            patched.setattr(merging, "add_tree", fail)
            with pytest.raises(RuntimeError):
                target.merge_tree(top["source"])
        assert content(target) == {"": {}, "/c00003": {"x": "mine"}}

    if where == "memory":
        merge(top)
        return
    with LOTDB(tmp_path, durability="process") as db, db.connection() as root:
        merge(root)
