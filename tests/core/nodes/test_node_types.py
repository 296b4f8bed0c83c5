"""Node types of plugins: kept, asked for, not installed, and wrong."""

import numpy as np
import pytest
from tests.core.nodes.growing import below, grow

import lotdb
from lotdb import LOTDB, BaseNode, DataNode, PluginError, Plugins, hookimpl


class Recording(BaseNode):
    __slots__ = ()
    node_type_name = "recording"

    def duration_s(self):
        return self.get_attribute("rows") / self.get_attribute("rate")


class Capture(DataNode):
    __slots__ = ()
    node_type_name = "capture"


class RecordingPlugin:
    @hookimpl
    def lotdb_get_node_type(self, name):
        return {"recording": Recording, "capture": Capture}.get(name)


@pytest.fixture
def plugins():
    plugins = Plugins()
    plugins.register(RecordingPlugin())
    return plugins


@pytest.fixture
def recordings(tmp_path, plugins):
    """A folder with a database that holds a node of a type of a plugin's."""
    with LOTDB(tmp_path / "typed", durability="process", plugins=plugins) as db, db.connection() as root:
        node = root.get_node("rec", node_type="recording")
        node.attrs.update(rows=100, rate=50)
        node.get_node("inner").set_attribute("x", 1)
    return tmp_path / "typed"


def test_a_node_of_a_plugins_type_has_its_methods(recordings, plugins):
    with LOTDB(recordings, durability="process", plugins=plugins) as db, db.connection() as root:
        assert type(root["rec"]) is Recording
        assert root["rec"].duration_s() == 2
        assert root["rec"].node_type == "recording"


def test_a_detached_node_of_a_plugins_type_keeps_it_in_the_database(tmp_path, plugins):
    with LOTDB(tmp_path, durability="process", plugins=plugins) as db, db.connection() as root:
        root.add_tree(Recording("r", plugins=plugins))
        assert type(root["r"]) is Recording


def test_a_node_becomes_of_the_type_that_is_asked_for(plugins):
    root = BaseNode(plugins=plugins)
    root.get_node("a").set_attribute("x", 1)
    assert type(root.get_node("a", node_type="recording")) is Recording
    assert root["a"].get_attribute("x") == 1
    assert type(root.get_node_path("a/b", node_type="recording")) is Recording
    assert type(root["a/b"]) is Recording


def test_a_type_that_is_not_installed_opens_as_a_plain_node(recordings):
    with LOTDB(recordings, durability="process", plugins=Plugins()) as db, db.connection() as root:
        assert isinstance(root["rec"], BaseNode)
        assert not isinstance(root["rec"], Recording)
        assert root["rec"].node_type == "recording"
        assert root["rec"].get_attribute("rows") == 100
        assert root["rec/inner"].get_attribute("x") == 1


def test_an_attribute_of_a_type_that_is_not_installed_says_what_to_install(recordings):
    with LOTDB(recordings, durability="process", plugins=Plugins()) as db, db.connection() as root:
        with pytest.raises(
            lotdb.WrongNodeTypeError,
            match=r"no node type named 'recording'.*install the package that provides it",
        ):
            root["rec"].duration_s()
        assert not hasattr(root["rec"], "duration_s")


def test_a_node_of_a_type_that_is_not_installed_does_not_lose_it_to_another(recordings, plugins):
    with LOTDB(recordings, durability="process", plugins=Plugins()) as db, db.connection() as root:
        with pytest.raises(
            lotdb.MissingPluginError, match=r"node 'rec' cannot be taken for one of 'data'.*install"
        ):
            root.get_data_node("rec")
        with pytest.raises(lotdb.MissingPluginError, match="'recording'"):
            root.get_node("rec", node_type="data")
    with LOTDB(recordings, durability="process", plugins=plugins) as db, db.connection() as root:
        assert type(root["rec"]) is Recording


def test_a_node_of_a_type_that_is_not_installed_can_be_moved_copied_and_deleted(recordings, plugins):
    with LOTDB(recordings, durability="process", plugins=Plugins()) as db, db.connection() as root:
        root["rec"].branch("copy")
        root["rec"].move(root.get_node("moved"))
        root["copy"].branch("third")
        root.delete_node("copy")
        root.add_tree(root["third"].copy_tree(), key="fourth")
    with LOTDB(recordings, durability="process", plugins=plugins) as db, db.connection() as root:
        assert list(root) == ["fourth", "moved", "third"]
        assert type(root["moved/rec"]) is type(root["third"]) is type(root["fourth"]) is Recording
        assert root["third"].duration_s() == 2


@pytest.mark.parametrize(
    ("misspelt", "advice"),
    [
        ("dat", "did you mean 'data'?"),
        ("Data", "did you mean 'data'?"),
        ("acme.data", "install the package that provides it"),
    ],
)
def test_the_built_in_type_is_named_beside_those_of_plugins(misspelt, advice):
    with pytest.raises(lotdb.MissingPluginError) as refused:
        BaseNode(plugins=Plugins()).get_node("a", node_type=misspelt)
    assert str(refused.value) == f"no node type named {misspelt!r} (installed: data); {advice}"


def test_a_new_node_of_a_type_that_is_not_installed_is_refused_with_the_command():
    root = BaseNode(plugins=Plugins())
    message = r"no node type named 'recording'.*install the package that provides it"
    with pytest.raises(lotdb.MissingPluginError, match=message):
        root.get_node("a", node_type="recording")
    assert len(root) == 0


@pytest.mark.parametrize("name", ["write_data", "read_data", "get_data", "attach_file", "samplerate_hz"])
def test_a_plain_node_says_how_to_get_what_data_nodes_have(root, name):
    node = root.get_node("a")
    message = f"'a' is not a data node, so it has no '{name}'; get it with get_data_node"
    with pytest.raises(lotdb.WrongNodeTypeError, match=message):
        getattr(node, name)
    with pytest.raises(AttributeError, match="the root is not a data node"):
        getattr(root, name)
    assert not hasattr(node, name)
    assert not hasattr(BaseNode, name)
    assert hasattr(root.get_data_node("a"), name)


class Readable:
    samplerate_hz = 7

    def read_data(self):
        return "mixed in"


class Mixed(BaseNode, Readable):  # type: ignore[misc]
    node_type_name = "mixed"


def test_a_class_behind_the_node_may_have_what_data_nodes_have():
    assert (Mixed().read_data(), Mixed().samplerate_hz, Mixed.samplerate_hz) == ("mixed in", 7, 7)
    assert {"read_data", "samplerate_hz"} < set(dir(Mixed()))
    with pytest.raises(lotdb.WrongNodeTypeError):
        Mixed().write_data  # noqa: B018


def test_what_a_plain_node_does_not_have_is_not_listed(root):
    assert "get_data_node" in dir(root)
    assert not {"read_data", "write_data", "samplerate_hz"} & set(dir(root))
    assert {"read_data", "write_data", "samplerate_hz"} < set(dir(DataNode()))


@pytest.mark.parametrize(
    ("pairs", "count"), [((), 0), ([], 0), ({}, 0), (np.array([]), 0), (np.array([["a", "b"]]), 1)]
)
def test_attributes_are_set_from_pairs_of_any_kind(root, pairs, count):
    node = root.get_node("a")
    node.attrs.update(pairs)
    assert len(node.attrs) == count


@pytest.mark.parametrize("other", [5, "ab", [1], None])
def test_attributes_are_not_set_from_what_is_no_mapping(root, other):
    node = root.get_node("a")
    with pytest.raises(lotdb.InvalidOptionError, match="use a mapping"):
        node.attrs.update(other)
    assert len(node.attrs) == 0


def test_a_misspelt_attribute_of_a_plain_node_is_an_ordinary_attribute_error(root):
    with pytest.raises(AttributeError, match="'BaseNode' object has no attribute 'get_atribute'"):
        root.get_node("a").get_atribute  # noqa: B018


def test_get_data_node_turns_a_plain_node_into_one_and_keeps_what_it_holds(root):
    grow(root, "a/b")
    node = root.get_data_node("a", samplerate_hz=10)
    assert type(node) is DataNode
    assert type(root["a"]) is DataNode
    assert below(root) == ["a", "a/b"]


def test_get_data_node_keeps_a_type_that_is_a_data_node_already(plugins):
    root = BaseNode(plugins=plugins)
    root.get_node("a", node_type="capture")
    assert type(root.get_data_node("a")) is Capture


def test_a_node_type_that_fails_does_not_keep_others_out_of_reach():
    class Failing:
        @hookimpl
        def lotdb_get_node_type(self, name):
            raise RuntimeError("cannot")

    working, failing = Plugins(), Plugins()
    working.register(RecordingPlugin())
    failing.register(Failing())
    root = BaseNode(plugins=working)
    root.get_node("rec", node_type="recording")
    grow(root, "plain")
    root._tree.plugins = failing
    assert list(root) == ["plain", "rec"]
    assert root["plain"].get_attribute("path") == "plain"
    assert [node.key for node in root.iterate_tree_level(1)] == ["plain", "rec"]
    root.delete_node("rec")


def test_a_node_type_that_is_no_class_of_nodes_is_a_plugin_error():
    class Wrong:
        @hookimpl
        def lotdb_get_node_type(self, name):
            return dict if name == "wrong" else None

    plugins = Plugins()
    plugins.register(Wrong())
    root = BaseNode(plugins=plugins)
    with pytest.raises(PluginError, match="wrong"):
        root.get_node("a", node_type="wrong")
    assert len(root) == 0
