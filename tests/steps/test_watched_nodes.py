"""A step sees its node as anybody does, and whatever it looks at counts."""

import datetime
import json

import numpy as np
import pytest

from lotdb import DataNode, DataReader, StepAccessError, attr, payload, read_many
from lotdb.node_api.written_conditions import from_plain, to_plain
from lotdb.steps import load, step


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


def depth(node):
    levels = 0
    while node.parent is not None:
        node, levels = node.parent, levels + 1
    return levels


# What else than the data below tells where a node is, or of which type one is.
PLACES = {
    "depth": depth,
    "top": lambda n: n.parent.parent.parent is None,
    "repr": repr,
    "repr of attributes": lambda n: repr(n.attrs),
    "repr of payloads": lambda n: repr(n.payloads),
    "repr of a payload": lambda n: repr(n.get_data("imu")),
    "repr of what is found": lambda n: repr(n.find("*")),
    "tree": lambda n: str(n.tree()),
    "page": lambda n: n._repr_html_(),
    "frame": lambda n: n.find("a").to_frame(["x"]).index[0],
    "name of a copy": lambda n: n.copy_tree().key,
    "name of a tree of xarray": lambda n: n.to_datatree().name,
}
TYPES = {
    "node type": lambda n: (n["a"].node_type, n["a"].attrs["x"]),
    "instance": lambda n: (isinstance(n["a"], DataNode), n["a"].attrs["x"]),
    "instance of itself": lambda n: isinstance(n, DataNode),
    "values": lambda n: [isinstance(each, DataNode) for each in n.values()],
    "items": lambda n: [key for key, each in n.items() if isinstance(each, DataNode)],
    "find": lambda n: sum(isinstance(each, DataNode) for each in n.find("*")),
    "parent": lambda n: isinstance(n["a"].parent, DataNode),
}


@pytest.mark.parametrize("ask", PLACES.values(), ids=PLACES)
def test_where_the_node_is_counts_if_it_was_read(root, ask):
    if ask is PLACES["frame"]:
        pytest.importorskip("pandas")
    if ask is PLACES["name of a tree of xarray"]:
        pytest.importorskip("xarray")
    node = root.get_data_node("top/node")
    node.write_data(np.arange(20.0).reshape(10, 2), data_attribute="imu", samplerate_hz=100)
    node.get_node("a").attrs["x"] = 1

    @step
    def asked(node):
        return ask(node)

    asked.at(node)
    assert asked.why_stale(node) is None
    node.move(root.get_node_path("deep/er/est"), "other")
    moved = root["deep/er/est/other"]
    assert asked.why_stale(moved) is not None
    asked.at(moved)
    assert asked.why_stale(moved) is None


@pytest.mark.parametrize("ask", TYPES.values(), ids=TYPES)
def test_the_type_of_a_node_counts_if_it_was_seen(root, ask):
    node = root.get_node_path("top/node")
    node.get_node("a").attrs["x"] = 1

    @step
    def asked(node):
        return repr(ask(node))

    before = load(asked.at(node))
    assert asked.why_stale(node) is None
    root.get_data_node("top/node/a")
    root.get_data_node("top/node")
    node = root["top/node"]
    assert asked.why_stale(node) is not None
    assert load(asked.at(node)) != before
    assert asked.why_stale(node) is None


WHOLE = {
    "copy": lambda n: n.copy_tree().find("ones").first().read_data().sum(),
    "tree of xarray": lambda n: n.to_datatree()["ones"]["data"].sum(),
    "datasets": lambda n: n.datasets()["ones"].variables["data"].read(0, 3).sum(),
}


@pytest.mark.parametrize("look", WHOLE.values(), ids=WHOLE)
def test_results_within_what_is_read_as_a_whole_are_fresh(root, look):
    if look is not WHOLE["copy"]:
        pytest.importorskip("xarray")
    scale = root.get_node("scale")
    scale.attrs["x"] = 1
    node = root.get_data_node("top/node")

    @step
    def ones(node):
        return np.ones(3) * node.parent.parent["scale"].attrs["x"]

    @step
    def whole(node):
        return float(look(node))

    ones.at(node)
    scale.attrs["x"] = 10
    assert load(whole.at(node)) == 30
    assert whole.why_stale(node) is None
    scale.attrs["x"] = 100
    because = "attribute 'x' of '../../scale' was 10 and is 100"
    assert whole.why_stale(node) == f"result 'ones' is stale: {because}"
    assert load(whole.at(node)) == 300
    assert whole.why_stale(node) is None


def test_results_that_are_read_as_a_whole_may_be_made_from_each_other(root):
    node = root.get_node("node")
    node.get_node("a")

    @step
    def count(node):
        return sum(1 for _ in node.copy_tree().iterate_tree())

    @step
    def again(node):
        return sum(1 for _ in node.copy_tree().iterate_tree())

    @step
    def twice(node):
        return node["count"].attrs["value"] * 2

    assert load(count.at(node)) == 2
    node.attrs["x"] = 1
    assert load(count.at(node)) == 2  # not its own result
    assert load(again.at(node)) == 3
    assert load(twice.at(node)) == 6
    node.attrs["x"] = 2
    assert load(count.at(node)) == 4
    assert load(again.at(node)) == 4


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


@pytest.mark.parametrize("ask", ["get_data", "payloads", "attrs", "get_attribute"])
@pytest.mark.parametrize("library", ["xarray", "pandas"])
def test_what_a_payload_takes_along_from_its_node_counts(root, ask, library):
    """It gives xarray the attributes of the node, and pandas the times by the node's attribute."""
    pytest.importorskip(library)
    node = root.get_data_node("top/node")
    node.write_data(np.arange(4.0), data_attribute="imu", samplerate_hz=1)
    node.attrs["start_time"] = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    asked_by = {
        "get_data": lambda n: n.get_data("imu"),
        "payloads": lambda n: n.payloads["imu"],
        "attrs": lambda n: n.attrs["imu"],
        "get_attribute": lambda n: n.get_attribute("imu"),
    }

    @step
    def begin(node):
        found = asked_by[ask](node)
        times = found.to_pandas().index if library == "pandas" else found.to_xarray().indexes["time"]
        return str(times[0].year)

    assert begin.at(node).get_data().read() == "2020"
    assert begin.why_stale(node) is None
    node.write_data([1], data_attribute="another")  # which is not shown
    assert begin.why_stale(node) is None
    node.attrs["start_time"] = datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC)
    assert begin.why_stale(node) == "the attributes changed"
    assert begin.at(node).get_data().read() == "2021"


def test_the_coordinates_of_a_payload_count(root):
    xarray = pytest.importorskip("xarray")
    node = root.get_data_node("node")
    written = xarray.DataArray([1.0, 2.0], {"x": ("t", [5, 6])}, ["t"], name="imu")
    node.write_xarray(written, data_attribute="imu")

    @step
    def first(node):
        return int(node.get_data("imu").to_xarray().coords["x"][0])

    assert first.at(node).attrs["value"] == 5
    (coordinate,) = set(node.payloads) - {"imu"}
    node.write_data(np.array([7, 8]), data_attribute=coordinate, metadata=node.payloads[coordinate].metadata)
    assert first.at(node).attrs["value"] == 7


def test_what_a_result_notes_of_itself_is_none_of_its_attributes(root):
    """A result that comes out the same again leaves those fresh that were made from it through xarray."""
    pytest.importorskip("xarray")
    node = root.get_data_node("node")
    node.attrs.update(x=1, unused=1)

    @step
    def spectrum(node):
        return {"power": np.full(3, node.attrs["x"] * 1.0), "unused": node.attrs["unused"] * 0}

    @step
    def mean(spectrum):
        return float(spectrum.get_data("power").to_xarray().mean())

    mean.at(spectrum.at(node))
    node.attrs["unused"] = 2
    assert mean.why_stale(spectrum.at(node)) is None
    node.attrs["x"] = 2
    assert mean.why_stale(spectrum.at(node)) == "input 'power' was replaced"


LOOKS = {
    "iterate": lambda found: [each.parent.key for each in found],
    "count": lambda found: found.count(),
    "bool": lambda found: bool(found),
    "first": lambda found: getattr(found.first(), "key", "none"),
    "distinct": lambda found: len(found.distinct("value")),
    "to_frame": lambda found: len(found.to_frame()),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_results_that_a_condition_is_asked_of_are_fresh(root, look):
    if look is LOOKS["to_frame"]:
        pytest.importorskip("pandas")
    scale = root.get_node("scale")
    scale.attrs["x"] = 1
    top = root.get_node("top")
    for at in range(3):
        top.get_node(f"s{at}").attrs["x"] = at

    @step
    def score(node):
        return node.attrs["x"] * node.parent.parent["scale"].attrs["x"]

    @step
    def large(top):
        return {"found": look(top.find("*/score", attr("value") > 5))}

    for node in top.values():
        score.at(node)
    before = large.at(top).attrs["found"]
    assert large.why_stale(top) is None
    scale.attrs["x"] = 10
    because = "attribute 'x' of '../../scale' was 1 and is 10"
    assert large.why_stale(top) == f"result 's0/score' is stale: {because}"
    after = large.at(top).attrs["found"]
    assert top["s2/score"].attrs["value"] == 20
    assert after == look(top.find("*/score", attr("value") > 5)) != before
    assert large.why_stale(top) is None


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_step_does_not_find_its_own_result(root, look):
    if look is LOOKS["to_frame"]:
        pytest.importorskip("pandas")
    node = root.get_node("node")
    answers = []

    @step(version=1)
    def mine(node):
        answers.append(look(node.parent.find("*/mine")))
        return 1

    mine.at(node)
    node["mine"].attrs["value"] = 5
    node["mine"].delete_attribute("value")
    mine.at(node)
    assert len(answers) == 2
    assert answers[0] == answers[1]


@pytest.mark.parametrize("path", ["reference", "reference/a"])
def test_a_node_that_a_step_finds_by_its_own_key_is_another_one_under_another_key(root, path):
    """Seen from itself, the node is in the same place; what its key leads to from above is not."""
    reference = root.get_data_node("top/reference")
    reference.get_node("a")
    root["top/" + path].attrs["x"] = 1

    @step
    def difference(node):
        above = node.parent
        return node.get_attribute("y", 5) - above[path].attrs["x"] if path in above else -1

    assert difference.at(reference).attrs["value"] == 4
    assert difference.why_stale(reference) is None
    branch = reference.branch("trial")
    assert difference.why_stale(branch) == "the key was 'reference' and is 'trial'"
    assert difference.at(branch).attrs["value"] == 4
    root["top/" + path].attrs["x"] = 2
    assert difference.at(branch).attrs["value"] == 3
    root["top"].rename("other")
    assert difference.why_stale(root["other/trial"]) is None
