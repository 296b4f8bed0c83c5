"""A file that becomes a tree: nodes below the one that it is attached to, with all that they have."""

import json

import numpy as np
import pytest
from tests.core.files.rig_plugin import Rigs, numbers, rig, with_rigs

from lotdb import (
    LOTDB,
    BaseNode,
    DataNode,
    DataWriter,
    Ingested,
    IngestedNode,
    IngestError,
    PayloadExistsError,
    Plugins,
    hookimpl,
)
from lotdb.testing.seen import picture

GAIT = {
    "attributes": {"subject": "S01"},
    "payloads": {"sync": numbers(1, 2, rate=10)},
    "children": {
        "left": {
            "attributes": {"side": "left"},
            "payloads": {"": numbers(1, 2, 3, 4, rate=256), "mag": numbers(1, rate=8, blocks=1)},
        },
        "right": {"payloads": {"": numbers(5, 6, 7, rate=128, backend="zarr")}},
        "notes": {"attributes": {"text": "fine"}, "children": {"more": {"attributes": {"text": "good"}}}},
    },
}


class Step(DataNode):
    __slots__ = ()
    node_type_name = "gait.step"


class Other(BaseNode):
    __slots__ = ()
    node_type_name = "gait.other"


class Types:
    @hookimpl
    def lotdb_get_node_type(self, name):
        return {"gait.step": Step, "gait.other": Other}.get(name)


WITH_TYPES = with_rigs(Types())


@pytest.fixture(params=["memory", "database"])
def node(request, tmp_path):
    """An empty data node."""
    if request.param == "memory":
        yield DataNode("node", plugins=WITH_TYPES)
        return
    with LOTDB(tmp_path / "db", plugins=WITH_TYPES) as db, db.connection() as root:
        yield root.get_data_node("node")


@pytest.fixture
def attach(node, tmp_path):
    """Writes a file, and attaches it."""

    def attach(said, name="walk.rig", **how):
        (tmp_path / name).write_bytes(rig(**said))
        return node.attach_file(tmp_path / name, **how)

    return attach


def without(said, *keys):
    """*said*, without what *keys* lead to."""
    said = json.loads(json.dumps(said))
    inner = said
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    return said


def test_a_file_becomes_nodes_with_all_that_they_have(node, attach):
    first = attach(GAIT)
    assert (first.name, first.samplerate_hz) == ("data.sync", 10)
    assert sorted(node) == ["left", "notes", "right"]
    assert (node.attrs["subject"], node["left"].attrs["side"]) == ("S01", "left")
    assert node["notes/more"].attrs["text"] == "good"
    assert node["left"].read_data().tolist() == [1, 2, 3, 4]
    assert node["left"].read_seconds(0, 1 / 128).tolist() == [1, 2]
    assert node["left"].get_data("data.mag").samplerate_hz == 8
    assert node["right"].get_data().backend == "zarr"
    assert [node["left"].node_type, node["notes"].node_type] == ["data", ""]
    assert node["left"].attrs["_source_filename"] == "walk.rig"
    assert node["right"].get_data().metadata["_source_format"] == "rig"


def test_children_are_in_the_backend_that_is_asked_for_or_the_nodes(tmp_path):
    (tmp_path / "x.rig").write_bytes(rig(**GAIT))
    with LOTDB(tmp_path / "db", plugins=with_rigs()) as db, db.connection() as root:
        node = root.get_data_node("a", backend="zarr")
        node.attach_file(tmp_path / "x.rig")
        assert node["left"].get_data().backend == "zarr"
        node.attach_file(tmp_path / "x.rig", backend="blob")
        assert node["right"].get_data().backend == "blob"


def test_the_name_that_is_asked_for_is_that_of_the_payloads_of_all_nodes(node, attach):
    attach(GAIT, data_attribute="imu")
    assert node["left"].read_data().tolist() == [1, 2, 3, 4]
    assert sorted(node["left"].payloads) == ["imu", "imu.mag"]
    assert node.get_data("imu.sync").samplerate_hz == 10


def test_two_files_of_one_node_do_not_touch_each_other(node, attach):
    attach(GAIT, "a.rig", data_attribute="a")
    attach(GAIT, "b.rig", data_attribute="b")
    attach(without(GAIT, "children", "left"), "a.rig", data_attribute="a")
    assert sorted(node["left"].payloads) == ["b", "b.mag"]
    assert sorted(node["right"].payloads) == ["a", "b"]


def test_node_types_are_those_of_the_file(node, attach):
    attach({"children": {"one": {"type": "gait.step", "payloads": {"": numbers(1)}}}})
    assert type(node["one"]) is Step
    attach({"children": {"one": {"type": "gait.other", "payloads": {"": numbers(1)}}}})
    assert type(node["one"]) is Other


def test_a_node_of_a_users_keeps_its_type(node, attach):
    node.get_node("one", node_type="gait.step")
    attach({"children": {"one": {"payloads": {"": numbers(1)}}}})
    assert type(node["one"]) is Step
    before = picture(node)
    with pytest.raises(IngestError, match=r"walk\.rig.*'gait.other', and that is of type 'gait.step'"):
        attach({"children": {"one": {"type": "gait.other", "payloads": {"": numbers(1)}}}})
    assert picture(node) == before


def test_what_the_file_has_no_more_is_gone_when_it_comes_again(node, attach):
    attach(GAIT)
    attach(without(GAIT, "children", "left"))
    assert sorted(node) == ["notes", "right"]
    attach(without(GAIT, "children", "notes", "children"))
    assert sorted(node) == ["left", "notes", "right"]
    assert list(node["notes"]) == []
    attach(without(GAIT, "children", "left", "payloads", "mag"))
    assert list(node["left"].payloads) == ["data"]
    attach(without(without(GAIT, "children", "left", "attributes"), "attributes"))
    assert "side" not in node["left"].attrs
    assert "subject" not in node.attrs
    attach(GAIT)
    fresh = DataNode("node", plugins=WITH_TYPES)
    fresh.attach_file(node["left"].get_data().metadata["_source_filepath"])
    assert {name: set(node[name].attrs) for name in node} == {name: set(fresh[name].attrs) for name in fresh}


def test_what_a_user_wrote_stays(node, attach):
    attach(GAIT)
    node["left"].attrs["quality"] = "poor"
    node["left"].write_data(np.arange(3), data_attribute="filtered")
    node["left"].get_node("mine").attrs["x"] = 1
    node["notes"].attrs["text"] = "changed"
    node["right"].get_node("below")
    node["right"].delete_node("below")
    node.add_tree(node["right"], key="copy", copy=True)
    attach({"payloads": {"sync": numbers(1, rate=10)}, "children": {}})
    assert sorted(node) == ["copy", "left", "notes"]
    left = node["left"]
    assert sorted(left.payloads) == ["filtered"]
    assert [name for name in left.attrs if not name.startswith("_")] == ["quality", "filtered"]
    assert left["mine"].attrs["x"] == 1
    assert node["notes"].attrs["text"] == "changed"
    assert list(node["notes"]) == []
    assert node["copy"].read_data().tolist() == [5, 6, 7]


def test_an_attribute_that_a_user_set_stays_when_the_file_says_it_again(node, attach):
    attach(GAIT)
    node.attrs["subject"] = "S02"
    attach({**GAIT, "attributes": {"subject": "S03", "site": "lab"}})
    assert (node.attrs["subject"], node.attrs["site"]) == ("S02", "lab")
    attach(without(GAIT, "attributes"))
    assert node.attrs["subject"] == "S02"
    assert "site" not in node.attrs


def test_attributes_of_a_file_without_a_tree_go_with_it(node, attach):
    attach({"payloads": {"": numbers(1, attributes={"site": "lab"})}})
    attach({"payloads": {"": numbers(2, attributes={"room": 5})}})
    assert [name for name in node.attrs if not name.startswith("_")] == ["data", "room"]
    attach({"payloads": {"": numbers(3)}})
    assert [name for name in node.attrs if not name.startswith("_")] == ["data"]


def test_another_file_in_its_place_takes_the_nodes_away(node, attach, tmp_path):
    attach({**GAIT, "payloads": {"": numbers(1)}})
    np.save(tmp_path / "x.npy", np.arange(3))
    node.attach_file(tmp_path / "x.npy")
    assert list(node) == []
    assert [name for name in node.attrs if not name.startswith("_")] == ["data"]


def test_a_node_that_was_there_stays_when_the_file_has_it_no_more(node, attach):
    node.get_node("left")
    attach(GAIT)
    attach(without(GAIT, "children", "left"))
    assert "left" in node
    assert list(node["left"].attrs) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"left": {"payloads": {"": numbers(1, blocks=1, rows=9)}}}, "announces 9 rows, 1 are present"),
        ({"left": {"type": "no.such", "payloads": {"": numbers(1)}}}, "no node type named 'no.such'"),
        ({"left": {"payloads": {"": numbers(1, backend="odd")}}}, "no backend named 'odd'"),
        ({"left": {"attributes": {"_x": 1}}}, "names that begin with _"),
        ({"a/b": {"payloads": {"": numbers(1)}}}, 'contains "/"'),
        ({"e\u0301": {}, "\u00e9": {}}, "two children of the first node with the same key"),
        ({"left": {"payloads": {"x\0": numbers(1)}}}, "control character"),
    ],
)
def test_a_tree_is_taken_in_whole_or_not_at_all(node, attach, wrong, message):
    attach(GAIT)
    before = picture(node)
    new = {"new": {"payloads": {"": numbers(1)}}, **wrong}
    said = {**GAIT, "payloads": {"": numbers(9)}, "children": new}
    with pytest.raises(IngestError, match=f"walk.rig' as rig: .*{message}"):
        attach(said)
    assert picture(node) == before


def test_a_payload_in_the_way_is_told_and_nothing_changes(node, attach):
    node.get_data_node("right").write_data(np.arange(3))
    before = picture(node)
    with pytest.raises(PayloadExistsError):
        attach(GAIT, if_exists="error")
    assert picture(node) == before


def test_nothing_of_a_refused_tree_is_on_the_disk(tmp_path):
    class Large(Rigs):
        def data(self, source, about, gain):
            if "rows" in about:
                return super().data(source, about, gain)
            return np.zeros(1 << 18)

    below = {"": numbers(), "x": numbers(1, blocks=1, rows=9)}
    (tmp_path / "x.rig").write_bytes(rig(payloads={"": numbers()}, children={"a": {"payloads": below}}))
    plugins = Plugins()
    plugins.register(Large())
    with LOTDB(tmp_path / "db", default_backend="zarr", plugins=plugins) as db:
        with db.connection() as root, pytest.raises(IngestError, match="9 rows"):
            root.get_data_node("n").attach_file(tmp_path / "x.rig")
        assert list((tmp_path / "db" / "lotdb.fs.zarr").glob("seg-*")) == []


def test_a_tree_that_contains_itself_is_refused(node, tmp_path):
    class Ring:
        @hookimpl
        def lotdb_ingest_file(self, source):
            children = {}
            children["again"] = IngestedNode(Ingested(b"x", format="ring"), children=children)
            return children["again"] if source.format == "ring" else None

    (tmp_path / "x.ring").write_bytes(b"x")
    root = DataNode("node", plugins=with_rigs(Ring()))
    with pytest.raises(IngestError, match="more than 1000 levels"):
        root.attach_file(tmp_path / "x.ring")
    assert list(root) == []


def test_a_tree_without_a_payload_is_refused(node, attach):
    with pytest.raises(IngestError, match="nothing in it that would be a payload"):
        attach({"attributes": {"a": 1}, "children": {"b": {"attributes": {"c": 2}}}})
    assert list(node.attrs) == []


def test_children_may_be_given_as_their_payloads(tmp_path):
    class Short:
        @hookimpl
        def lotdb_ingest_file(self, source):
            if source.format != "short":
                return None
            one = Ingested(np.arange(2), format="short", samplerate_hz=2)
            return IngestedNode(children={"one": one, "two": {"a": one, "b": one}, "3": IngestedNode(one)})

    (tmp_path / "x.short").write_bytes(b"x")
    node = DataNode("node", plugins=with_rigs(Short()))
    assert node.attach_file(tmp_path / "x.short").name == "data"
    found = {key: sorted(child.payloads) for key, child in node.items()}
    assert found == {"one": ["data"], "two": ["data.a", "data.b"], "3": ["data"]}


def test_an_unchanged_tree_is_left_out_and_a_part_that_is_missing_comes_back(node, attach):
    def again():
        version = node._tree.version
        attach(GAIT, skip_unchanged=True)
        return node._tree.version != version

    attach(GAIT)
    assert not again()
    node["left"].attrs["quality"] = "poor"
    assert not again()
    for damage in (
        lambda: node["left"].delete_data("data.mag"),
        lambda: node.delete_node("notes"),
        lambda: node["left"].delete_attribute("side"),
        lambda: node["right"].write_data(np.arange(3)),
    ):
        damage()
        assert again()
        assert not again()
    assert node["left"].attrs["quality"] == "poor"


def test_a_tree_is_appended_to_a_tree(node, attach):
    for _ in range(2):
        attach(GAIT, if_exists="append")
    assert node["left"].read_data().tolist() == [1, 2, 3, 4, 1, 2, 3, 4]
    assert len(node["right"].get_data().metadata["_source_appended"]) == 1
    attach(GAIT, if_exists="append", skip_unchanged=True)
    assert node["left"].get_data().shape == (8,)


def test_a_folder_of_trees_is_taken_in_and_told(tmp_path):
    (tmp_path / "in").mkdir()
    for name in "ab":
        (tmp_path / "in" / f"{name}.rig").write_bytes(rig(**without(GAIT, "payloads")))
    root = BaseNode("root", plugins=with_rigs())
    report = root.ingest_tree(tmp_path / "in", "{name}.rig")
    assert report.added == ["a.rig", "b.rig"]
    assert root["a/left"].read_data().tolist() == [1, 2, 3, 4]
    assert root.ingest_tree(tmp_path / "in", "{name}.rig").unchanged == ["a.rig", "b.rig"]
    (tmp_path / "in" / "a.rig").write_bytes(rig(**without(without(GAIT, "payloads"), "children", "left")))
    report = root.ingest_tree(tmp_path / "in", "{name}.rig")
    assert (report.replaced, report.unchanged) == (["a.rig"], ["b.rig"])
    assert report.notes["a.rig"] == [
        "payload 'left/data' is gone: the file does not have it any more",
        "payload 'left/data.mag' is gone: the file does not have it any more",
    ]
    (tmp_path / "in" / "b.rig").unlink()
    assert root.ingest_tree(tmp_path / "in", "{name}.rig").vanished == ["b.rig"]


def test_plain_nodes_take_trees_in_as_well(tmp_path):
    (tmp_path / "x.rig").write_bytes(rig(**GAIT))
    node = BaseNode("plain", plugins=with_rigs())
    DataWriter.attach_file(node, tmp_path / "x.rig")
    assert (node.node_type, node["left"].read_data().tolist()) == ("", [1, 2, 3, 4])


def test_a_listener_that_refuses_a_tree_takes_no_data_away(tmp_path):
    class Listener:
        @hookimpl
        def lotdb_payload_written(self, node, name):
            if refuses:
                raise ValueError("no")

    path, refuses = tmp_path / "x.rig", False
    path.write_bytes(rig(**GAIT))
    with LOTDB(tmp_path / "db", plugins=with_rigs(Listener())) as db:
        with db.connection() as root:
            root.get_data_node("a").attach_file(path)
        path.write_bytes(rig(**without(GAIT, "children")))
        refuses = True
        with db.connection() as root:
            for name in "ab":
                with pytest.raises(ValueError, match="no"):
                    root.get_data_node(name).attach_file(path)
        assert db.verify() == []
        with db.connection() as root:
            assert root["a/left"].read_data().tolist() == [1, 2, 3, 4]
            assert list(root["b"].payloads) == list(root["b"]) == []


def test_a_tree_is_exported_and_taken_in_again(node, attach, tmp_path):
    said = without(GAIT, "children", "notes")
    attach(said)
    node.export(tmp_path / "out.rig")
    again = DataNode("node", plugins=WITH_TYPES)
    again.attach_file(tmp_path / "out.rig")
    for key in ("left", "right"):
        assert again[key].read_data().tolist() == node[key].read_data().tolist()
        assert again[key].get_data().samplerate_hz == node[key].get_data().samplerate_hz
    assert again.attrs["subject"] == "S01"


def test_two_files_under_one_name_keep_what_the_other_one_gave(node, attach):
    said = {"payloads": {"x": numbers(1)}, "children": {"left": {"payloads": {"": numbers(1)}}}}
    attach(said, "a.rig")
    attach({"payloads": {"y": numbers(2)}, "attributes": {"site": "lab"}}, "b.rig")
    assert (sorted(node.payloads), list(node)) == (["data.x", "data.y"], ["left"])
    attach(without(said, "children", "left"), "a.rig")
    assert (sorted(node.payloads), list(node), node.attrs["site"]) == (["data.x", "data.y"], [], "lab")
