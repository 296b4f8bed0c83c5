"""Any tree may be followed by any other: what is there then is the last one, and what a user wrote."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.files.rig_plugin import numbers, rig, with_rigs

from lotdb import DataNode

EXAMPLES = settings().max_examples // 2  # 2000 take two minutes

KEYS = st.sampled_from(["a", "b"])
PAYLOADS = st.dictionaries(
    st.sampled_from(["", "x", "y"]),
    st.builds(numbers, st.integers(0, 5), rate=st.sampled_from([None, 1, 8])),
    max_size=2,
)
ATTRIBUTES = st.dictionaries(st.sampled_from("pq"), st.integers(0, 1), max_size=2)


def nodes(children):
    return st.fixed_dictionaries({"payloads": PAYLOADS, "attributes": ATTRIBUTES, "children": children})


LEAVES = nodes(st.builds(dict))
TREES = nodes(st.dictionaries(KEYS, nodes(st.dictionaries(KEYS, LEAVES, max_size=2)), max_size=2))
PATHS = st.lists(KEYS, max_size=2).map(tuple)
# What a user does to a node, if it is there: an attribute, a payload, a child.
EDITS = st.tuples(PATHS, st.sampled_from(["attribute", "payload", "child"]))
STEPS = st.lists(st.one_of(TREES, EDITS), min_size=1, max_size=8)


def has_payloads(tree):
    return bool(tree["payloads"]) or any(map(has_payloads, tree["children"].values()))


def content(node, path=()):
    """By path: attributes and payloads that are no notes."""
    found = {}
    for name in node.attrs:
        if not name.startswith("_"):
            value = node.attrs[name]
            found[name] = (value.read().tolist(), value.samplerate_hz) if hasattr(value, "kind") else value
    result = {path: found}
    for key, child in node.items():
        result |= content(child, (*path, key))
    return result


def edit(node, what):
    if what == "attribute":
        node.attrs["mine"] = 1
    elif what == "child":
        node.get_node("mine")
    else:
        node.get_node_path((), node_type="data").write_data([7], data_attribute="made")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trees")


def fresh(folder, tree):
    node = DataNode("node", plugins=PLUGINS)
    attach(folder, node, tree)
    return content(node)


def attach(folder, node, tree, **how):
    (folder / "x.rig").write_bytes(rig(**tree))
    node.attach_file(folder / "x.rig", **how)


PLUGINS = with_rigs()


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(STEPS)
def test_what_is_there_is_the_last_tree_and_what_the_user_wrote(folder, steps):
    node = DataNode("node", plugins=PLUGINS)
    users = {}
    last = {(): {}}
    for step in steps:
        if isinstance(step, dict):
            if not has_payloads(step):
                continue
            attach(folder, node, step)
            last = fresh(folder, step)
        else:
            path, what = step
            if path not in node:
                continue
            edit(node[path] if path else node, what)
            if what == "child":
                users.setdefault((*path, "mine"), {})
            else:
                gets = {"mine": 1} if what == "attribute" else {"made": ([7], None)}
                users.setdefault(path, {}).update(gets)
        expected = {path: dict(found) for path, found in last.items()}
        for path, found in users.items():
            for depth in range(len(path)):
                expected.setdefault(path[:depth], {})
            expected.setdefault(path, {}).update(found)
        assert content(node) == expected
        if isinstance(step, dict):
            version = node._tree.version
            attach(folder, node, step, skip_unchanged=True)
            assert node._tree.version == version
