"""A step sees its node as anybody does, and whatever it looks at counts."""

import datetime
import json

import numpy as np
import pytest

from lotdb import DataReader, StepAccessError, attr, payload, read_many
from lotdb.node_api.written_conditions import from_plain, to_plain
from lotdb.steps import step


def write_b(node):
    node.write_data([1], data_attribute="b")


def write_imu(node):
    node.write_data([1], data_attribute="imu")


def delete_imu(node):
    node.delete_data("imu")


def write_deep(node):
    node["a/deep"].attrs["x"] = 9


# What is asked of a node, and a change that makes the answer another one.
QUESTIONS = {
    "attrs": (lambda n: dict(n.attrs.items()).keys() - {"imu"}, lambda n: n.attrs.update(new=1)),
    "attrs value": (lambda n: n.attrs["label"], lambda n: n.attrs.update(label="x")),
    "attrs get": (lambda n: n.attrs.get("none", 7), lambda n: n.attrs.update(none=1)),
    "attrs in": (lambda n: "none" in n.attrs, lambda n: n.attrs.update(none=1)),
    "attrs len": (lambda n: len(n.attrs), lambda n: n.attrs.update(none=1)),
    "get_attribute": (lambda n: n.get_attribute("none", 3), lambda n: n.attrs.update(none=1)),
    "payloads": (lambda n: list(n.payloads), write_b),
    "payload": (lambda n: n.payloads["imu"].shape,
        lambda n: n.append_data([[1.0, 2.0]], data_attribute="imu")),
    "has_data": (lambda n: n.has_data("b"), write_b),
    "get_data": (lambda n: n.get_data("imu").samplerate_hz, write_imu),
    "read_data": (lambda n: n.read_data(0, 2, data_attribute="imu").tolist(), write_imu),
    "default name": (lambda n: n.data_attribute, lambda n: n.configure_data(data_attribute="b")),
    "default rate": (lambda n: n.samplerate_hz, lambda n: n.configure_data(samplerate_hz=3)),
    "read_seconds": (lambda n: len(n.read_seconds(0, 0.02, data_attribute="imu")), delete_imu),
    "blocks": (lambda n: len(list(n.iter_data_blocks(3, data_attribute="imu"))), delete_imu),
    "read_many": (lambda n: len(list(read_many(n.payloads.values()))), write_b),
    "reader": (lambda n: DataReader.read(n, "imu").shape, delete_imu),
    "keys": (lambda n: list(n), lambda n: n.get_node("new")),
    "keys view": (lambda n: sorted(n.keys()), lambda n: n.get_node("new")),
    "len": (len, lambda n: n.get_node("new")),
    "values": (lambda n: [each.attrs["x"] for each in n.values()], lambda n: n["b"].attrs.update(x=5)),
    "items": (lambda n: [(key, each.attrs["x"]) for key, each in n.items()],
        lambda n: n["b"].attrs.update(x=5)),
    "in": (lambda n: "a/new" in n, lambda n: n.get_node_path("a/new")),
    "get": (lambda n: n.get("new") is None, lambda n: n.get_node("new")),
    "getitem": (lambda n: n["a"]["deep"].attrs["x"], write_deep),
    "get_node": (lambda n: n.get_node("a", False).node_type, lambda n: n.get_data_node("a")),
    "get_node_path": (lambda n: n.get_node_path(("a", "deep"), False).attrs["x"], write_deep),
    "get_data_node": (lambda n: n.get_data_node("d").data_attribute,
        lambda n: n["d"].configure_data(data_attribute="q")),
    "parent": (lambda n: list(n.parent), lambda n: n.parent.get_node("new")),
    "key": (lambda n: n.key, lambda n: n.rename("other")),
    "path": (lambda n: n.path, lambda n: n.rename("other")),
    "find": (lambda n: [each.key for each in n.find("*", where="x > 1")], lambda n: n["a"].attrs.update(x=5)),
    "find condition": (lambda n: n.find("*", where=attr("x") > 1).count(),
        lambda n: n["a"].attrs.update(x=5)),
    "find payload": (lambda n: bool(n.find("**", where=payload("b").exists())), write_b),
    "find first": (lambda n: n.find("*/deep").first().attrs["x"], write_deep),
    "distinct": (lambda n: n.find("*").distinct("x"), lambda n: n["a"].attrs.update(x=5)),
    "iterate": (lambda n: len(list(n.iterate_tree())), lambda n: n.get_node_path("a/deep/er")),
    "iterate level": (lambda n: [each.key for each in n.iterate_tree_level(1)], lambda n: n.get_node("new")),
    "leaves": (lambda n: [each.key for each in n.iterate_tree_leaves()], lambda n: n.get_node("new")),
    "buffered": (lambda n: [len(each) for each in n.iterate_tree_level_buffered(2, 1)],
        lambda n: n.get_node("new")),
    "tree": (lambda n: str(n.tree()), lambda n: n.get_node("new")),
    "usage": (lambda n: n.usage().nodes, lambda n: n.get_node("new")),
    "datasets": (lambda n: sorted(n.datasets()), lambda n: n.get_node("new")),
    "copy": (lambda n: len(n.copy_tree()), lambda n: n.get_node("new")),
}  # fmt: skip


@pytest.mark.sampled(12)
@pytest.mark.parametrize(("ask", "change"), QUESTIONS.values(), ids=QUESTIONS)
def test_a_step_gets_the_answers_that_anybody_gets_and_they_count(root, ask, change):
    node = root.get_data_node("top/node")
    node.write_data(np.arange(20.0).reshape(10, 2), data_attribute="imu", samplerate_hz=100)
    node.attrs["label"] = "walk"
    for at, key in enumerate("ab"):
        node.get_node(key).attrs["x"] = at
    node.get_data_node("d").attrs["x"] = 2
    node.get_node_path("a/deep").attrs["x"] = 3
    answers = []

    @step
    def asked(node):
        answers.append(ask(node))
        return len(answers)

    expected = ask(node)
    asked.at(node)
    assert answers == [expected]
    assert asked.why_stale(node) is None
    node.get_node("other").attrs["unrelated"] = (
        1  # which changes what is below, for those that look at all of it
    )
    node["other"].delete_tree()
    asked.at(node)
    assert len(answers) == 1
    change(node)
    node = node if root.get("top/node") is not None else root["top/other"]
    why = asked.why_stale(node)
    assert why is not None
    assert why[-1] != "."


WRITES = {
    "attrs": lambda n: n.attrs.pop("label"),
    "clear": lambda n: n.attrs.clear(),
    "delete_attribute": lambda n: n.delete_attribute("label"),
    "replace": lambda n: n.replace_data([1]),
    "append": lambda n: n.append_data([1]),
    "frame": lambda n: n.write_frame(None),
    "node": lambda n: n["a"].attrs.update(x=1),
    "del": lambda n: n.__delitem__("a"),
    "delete_node": lambda n: n.delete_node("a"),
    "move": lambda n: n["a"].move(n.parent),
    "merge": lambda n: n.merge_tree(n.parent["beside"]),
    "type": lambda n: n.get_node("a", node_type="data"),
    "restore": lambda n: n.restore("x"),
    "reference": lambda n: n.reference(),
    "find": lambda n: n.find("*").first().set_attribute("x", 1),
}


@pytest.mark.sampled
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_no_way_leads_to_a_node_that_can_be_changed(root, write):
    node = root.get_data_node("top/node")
    node.attrs["label"] = "walk"
    node.get_node("a").attrs["x"] = 1
    root.get_node_path("top/beside").attrs["y"] = 1

    @step
    def writes(node):
        write(node)
        return 1

    with pytest.raises(Exception, match="step 'writes' at 'top/node'") as caught:
        writes.at(node)
    assert isinstance(caught.value, StepAccessError) or write is WRITES["frame"]
    assert dict(node.attrs) == {"label": "walk"}
    assert list(node) == ["a"]


CONDITIONS = [
    attr("x") > 0,
    attr("x").is_in([0, 1.0]) & ~(attr("label") == "walk"),
    (attr("subject.age") >= 3) | attr("none").exists() | (payload("imu").metadata["unit"] == "g"),
    attr("when") < datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    payload("imu").dtype == "float64",
    attr("label").matches("^w") & attr("x").exists(),
    attr("x") != float("nan"),
    attr("x").contains(b"\0"),
    None,
    "x > 0 and not label == 'walk'",
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=repr)
def test_a_condition_is_asked_again(condition):
    """What is noted of a condition finds the same; one with NaN cannot be noted, and counts as all."""
    try:
        plain = to_plain(condition)
    except ValueError:
        assert "nan" in repr(condition)
        return
    assert repr(from_plain(json.loads(json.dumps(plain)))) == repr(condition)


def test_a_result_of_another_step_makes_no_list_by_a_condition_stale(root):
    for at in range(3):
        root.get_node_path(f"s{at}/trial").attrs["x"] = at

    @step
    def listed(node):
        return {"paths": [each.path for each in node.find("**", where=attr("x") > 0)]}

    @step
    def other(node):
        return {"x": 5}

    listed.at(root)
    other.at(root["s0/trial"])
    assert listed.why_stale(root) is None
    root["s0/trial"].attrs["x"] = 1
    assert listed.why_stale(root) == "the nodes that find() finds changed"
