"""NodeTypeTests: everything that a node type promises."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lotdb import LOTDB, BaseNode, DataNode, MissingPluginError, Payload, PayloadExistsError, Plugins
from lotdb.interfaces.installed import NODE
from lotdb.testing.bench import NAME
from lotdb.testing.plugin_fixtures import PluginFixtures
from lotdb.testing.promises import CHECKS, NODE_TYPE, promise
from lotdb.testing.seen import picture

__all__ = ["NodeTypeTests"]


class _Without(Plugins):
    """The installed plugins without one node type, as if the module that gives it were not installed."""

    def __init__(self, missing: str) -> None:
        super().__init__()
        self.missing = missing

    def node_type(self, name: str) -> type[BaseNode] | None:
        """The class of node type *name*, unless it is the missing one."""
        return None if name == self.missing else super().node_type(name)

    def _entry_points(self, group: str, name: str | None = None) -> tuple[Any, ...]:
        # A module may have further entry points, for types of values, say.
        modules = {point.value for point in super()._entry_points(NODE, self.missing)}
        points = super()._entry_points(group, name)
        return tuple(point for point in points if group != NODE or point.value not in modules)


class NodeTypeTests(PluginFixtures):
    """The tests of a node type; subclass it, and name the plugin and the type::

        class TestRecording(NodeTypeTests):
            @pytest.fixture
            def plugin(self):
                return my_package.plugin

            @pytest.fixture
            def node_type(self):
                return "my.recording"

    Fixtures to override
    --------------------
    plugin
        The module or object with the hook ``lotdb_get_node_type``.
    node_type
        The registered name of the type.
    refused
        For a type that checks what is written: attributes with a value that it refuses for each. They must be
        refused whichever way they come.
    required
        For a type whose nodes must have some attributes: these, each with a value that it takes. The kit
        writes them first, and then tries to do without them.
    """

    @pytest.fixture
    def required(self) -> Mapping[str, Any]:
        """Attributes that each node of the type must have, each with a value that it takes."""
        return {}

    @pytest.fixture
    def refused(self) -> Mapping[str, Any]:
        """Attributes that nodes of the type refuse, each with such a value."""
        return {}

    @pytest.fixture
    def node_type(self) -> str:
        """The registered name of the type."""
        raise NotImplementedError("a subclass of NodeTypeTests has a fixture node_type: the registered name")

    @pytest.fixture
    def node_class(self, plugins: Plugins, node_type: str) -> type[BaseNode]:
        """The class of the type."""
        with self.needed_by_all("lotdb_get_node_type() returns the class for its name.", NODE_TYPE):
            found = plugins.node_type(node_type)
            assert found is not None, f"lotdb_get_node_type({node_type!r}) gave no class"
        return found

    @pytest.fixture
    def folder(
        self, tmp_path: Path, plugins: Plugins, node_type: str, node_class: Any, required: Mapping[str, Any]
    ) -> Path:
        """The folder of a database with a node of the type at ``group/typed``."""
        must = (
            "A node of the type is made, and takes attributes that are not its own: check_write() looks only "
            "at names that are there, and changes nothing. If its nodes must have some attributes, the "
            "fixture required returns them: {'subject': 'S01'}."
        )
        with (
            self.needed_by_all(must, CHECKS),
            LOTDB(tmp_path / "database", NAME, plugins=plugins) as db,
            db.connection() as root,
        ):
            node = root.get_node_path("group/typed", node_type=node_type)
            node.attrs.update({"label": "as before", "numbers": np.arange(4), **required})
            node.get_node("child").attrs["label"] = "a plain child"
        return tmp_path / "database"

    @pytest.fixture
    def root(self, folder: Path, plugins: Plugins) -> Iterator[BaseNode]:
        """The root of that database, opened anew."""
        with LOTDB(folder, NAME, plugins=plugins) as db:
            yield db.open_connection()

    # -- the class ---------------------------------------------------------------------------------

    @promise(NODE_TYPE)
    def test_the_class_adds_to_base_node(self, node_class: type[BaseNode]) -> None:
        """lotdb_get_node_type() returns a subclass of lotdb.BaseNode."""
        assert issubclass(node_class, BaseNode), "lotdb_get_node_type gives a subclass of lotdb.BaseNode"

    @promise(NODE_TYPE)
    def test_other_names_are_left_to_others(self, plugin: Any) -> None:
        """lotdb_get_node_type() returns None for names that are not its own."""
        answer = plugin.lotdb_get_node_type(name="no such type of nodes")
        assert answer is None, (
            f"lotdb_get_node_type answers None to names that are not its own, not {answer!r}"
        )

    @promise(NODE_TYPE, "the_class_adds_to_base_node")
    def test_the_class_knows_its_registered_name(self, node_class: type[BaseNode], node_type: str) -> None:
        """The class has node_type_name, its registered name; a tree that is started with the class forgets
        its type otherwise.
        """
        assert node_class.node_type_name == node_type, (
            f"{node_class.__name__}.node_type_name is {node_class.node_type_name!r}; unless it is "
            f"{node_type!r}, a tree that is started with the class forgets its type"
        )

    @promise(NODE_TYPE, "the_class_knows_its_registered_name")
    def test_a_tree_may_start_with_the_class(
        self, node_class: type[BaseNode], node_type: str, plugins: Plugins
    ) -> None:
        """A tree may start with the class, and keeps it where it is added."""
        node = node_class("dataset", plugins=plugins)
        assert (type(node), node.node_type, node.key) == (node_class, node_type, "dataset")
        parent = BaseNode(plugins=plugins)
        parent.add_tree(node)
        assert type(parent["dataset"]) is node_class, "it keeps its class where it is added"

    # -- nodes of it -------------------------------------------------------------------------------

    @promise(NODE_TYPE, "the_class_adds_to_base_node")
    def test_new_nodes_have_the_class(
        self, node_class: type[BaseNode], node_type: str, plugins: Plugins
    ) -> None:
        """A node that is made with node_type= is of the class, and no other node is."""
        root = BaseNode(plugins=plugins)
        for node in (root.get_node("a", node_type=node_type), root.get_node_path("b/c", node_type=node_type)):
            assert type(node) is node_class
            assert node.node_type == node_type
        assert type(root["b"]) is BaseNode, "only the node that was asked for is of the type"

    @promise(NODE_TYPE, "new_nodes_have_the_class")
    def test_a_plain_node_can_become_one(
        self, node_class: type[BaseNode], node_type: str, required: Mapping[str, Any], plugins: Plugins
    ) -> None:
        """A plain node can become one of the type, and keeps all that it holds. What its nodes must have, the
        fixture required returns.
        """
        root = BaseNode(plugins=plugins)
        plain = root.get_node("plain")
        plain.attrs.update({"label": "as before", **required})
        plain.get_node("child")
        before = picture(plain)["attributes"]
        node = root.get_node("plain", node_type=node_type)
        assert type(node) is type(root["plain"]) is node_class
        assert picture(node)["attributes"] == before, "what a node holds is not its type's to change"
        assert list(node) == ["child"]

    @promise(NODE_TYPE, "new_nodes_have_the_class")
    def test_nodes_have_the_class_when_they_are_opened_again(
        self, root: BaseNode, node_class: type[BaseNode], node_type: str
    ) -> None:
        """A node of the type is of the class when the database is opened again."""
        node = root["group/typed"]
        assert (type(node), node.node_type) == (node_class, node_type)
        assert np.array_equal(node.attrs["numbers"], np.arange(4)), (
            "attributes differ when they are read again"
        )
        assert type(node["child"]) is BaseNode

    @promise(NODE_TYPE, "nodes_have_the_class_when_they_are_opened_again")
    def test_the_type_goes_with_the_node(
        self, root: BaseNode, node_class: type[BaseNode], node_type: str
    ) -> None:
        """Renaming, moving and branching change nothing in a node of the type."""
        before = picture(root["group/typed"])
        node = root["group/typed"]
        node.rename("renamed")
        node.branch("branch")
        node.move(root.get_node("elsewhere"))
        for path in ("elsewhere/renamed", "group/branch"):
            assert type(root[path]) is node_class, f"{path} is not of the type any more"
            assert picture(root[path]) == before, "renaming, moving and branching change nothing in a node"

    @promise(NODE_TYPE, "nodes_have_the_class_when_they_are_opened_again")
    def test_the_type_goes_into_another_database(
        self, root: BaseNode, node_class: type[BaseNode], plugins: Plugins, tmp_path: Path
    ) -> None:
        """A copy in another database is of the same type."""
        before = picture(root["group"])
        with LOTDB(tmp_path / "other", NAME, plugins=plugins) as other:
            with other.connection() as there:
                there.add_tree(root["group"], copy=True)
            with other.connection() as there:
                assert type(there["group/typed"]) is node_class, "a copy is of the same type"
                assert picture(there["group"]) == before
        assert picture(root["group"].copy_tree()) == before

    @promise(NODE_TYPE, "nodes_have_the_class_when_they_are_opened_again")
    def test_a_node_takes_what_any_node_takes(
        self, root: BaseNode, node_class: type[BaseNode], required: Mapping[str, Any], plugins: Plugins
    ) -> None:
        """What the class overrides does for names and values that are not its own what BaseNode does: call
        super(), and pass all arguments on.
        """
        start = node_class("dataset", plugins=plugins)
        start.attrs.update(required)
        for node in (root["group/typed"], start):
            before = picture(node)
            node.attrs["any name"] = [1, None, "text"]
            assert node.get_attribute("any name") == [1, None, "text"], "attrs and get_attribute() differ"
            assert node.get_attribute("no such name", 7) == 7, "get_attribute() loses its default"
            node.set_attribute("another", 2.5)
            assert node.attrs["another"] == 2.5, "set_attribute() and attrs differ"
            assert {"any name", "another"} <= {*node.attrs}, "attrs lists what it has"
            child = node.get_node("a child of its own")
            assert type(child) is BaseNode, (
                f"a child of it is {type(child).__name__}, if no type is asked for"
            )
            assert child.parent == node, "its child has another parent"
            assert node["a child of its own"] == child, "it does not find its child"
            key, path = child.key, child.path
            assert key in node, f"its child {key!r} is not in it"
            for way, there in (
                ("iter()", list(node)),
                ("keys()", [*node.keys()]),
                ("items()", [each for each, _ in node.items()]),
                ("values()", [each.key for each in node.values()]),
                ("iterate_tree()", [each.key for each in node.iterate_tree() if each.path == path]),
            ):
                assert key in there, f"{way} leaves its child {key!r} out"
            assert node.get(key) == child, f"get() does not find its child {key!r}"
            data = node.get_data_node("data", samplerate_hz=50, data_attribute="emg")
            assert (data.samplerate_hz, data.data_attribute) == (50, "emg"), "get_data_node() loses arguments"
            data.write_data(np.arange(3))
            assert data.get_data("emg").samplerate_hz == 50, "a data node below it loses its rate"
            assert repr(node), "repr() is empty"
            assert len(node) == len(list(node)), "len() counts something else than its children"
            assert node, "a node is true, whatever it holds"
            with pytest.raises(AttributeError):
                getattr(node, "no_such_member")  # noqa: B009
                pytest.fail("it has any member: __getattr__ raises AttributeError for what there is not")
            for key in ("a child of its own", "data"):
                node[key].delete_tree()
            for name in ("any name", "another"):
                del node.attrs[name]
            assert picture(node) == before, "what was made and deleted has left something"

    @promise(NODE_TYPE, "the_class_adds_to_base_node")
    def test_what_any_node_has_is_called_as_of_any_node(self, node_class: type[BaseNode]) -> None:
        """A member that BaseNode or DataNode has is of the same kind in the class, and takes the same
        arguments: give what is new another name.
        """
        base = DataNode if issubclass(node_class, DataNode) else BaseNode
        for name in dir(base):
            of_any = inspect.getattr_static(base, name)  # names of lotdb 1.x raise when they are asked for
            if name.startswith("_") or not inspect.isfunction(of_any):
                continue
            own = getattr(node_class, name)
            assert callable(own), f"{name}() of any node is {own!r} of the class"
            taken = inspect.signature(own).parameters.values()
            lost = set(inspect.signature(of_any).parameters) - {each.name for each in taken}
            kinds = {each.kind for each in taken}
            assert not lost or inspect.Parameter.VAR_KEYWORD in kinds, (
                f"{name}() does not take {sorted(lost)}"
            )

    @promise(NODE_TYPE, "nodes_have_the_class_when_they_are_opened_again")
    def test_a_node_is_shown_when_its_connection_is_closed(
        self, root: BaseNode, node_class: type[BaseNode], plugins: Plugins, tmp_path: Path
    ) -> None:
        """repr() reads nothing, since nodes are also shown, as in error messages, when their connection is
        closed.
        """
        with LOTDB(tmp_path / "shown", NAME, plugins=plugins) as db:
            with db.connection() as there:
                there.add_tree(root["group"], copy=True)
            with db.connection() as there:
                node = there["group/typed"]
            assert repr(node)

    @promise(NODE_TYPE, "the_class_adds_to_base_node")
    def test_a_class_takes_the_arguments_of_a_node(
        self, node_class: type[BaseNode], plugins: Plugins
    ) -> None:
        """__init__ takes the arguments of BaseNode and passes them on; leave it as it is, for nodes are made
        anew each time.
        """
        taken = {*inspect.signature(BaseNode.__init__).parameters}
        kept = inspect.signature(node_class.__init__).parameters
        named = any(each.kind is each.VAR_KEYWORD for each in kept.values())
        lost = taken - kept.keys() - {"key", "name"}
        assert named or not lost, f"__init__ does not take {sorted(lost)}; leave it as it is"
        node = node_class(plugins=plugins)
        assert node.get_node("child")._tree.plugins is plugins, "__init__ loses plugins="

    @promise(NODE_TYPE, "nodes_have_the_class_when_they_are_opened_again")
    def test_data_are_written_and_read_as_by_any_data_node(
        self, root: BaseNode, node_class: type[BaseNode]
    ) -> None:
        """What a type of data nodes overrides of writing and reading passes all arguments on, and returns
        what super() returns.
        """
        if not issubclass(node_class, DataNode):
            pytest.skip("it is no type of data nodes")
        node, array = root["group/typed"], np.arange(12.0).reshape(6, 2)
        assert isinstance(node, DataNode)
        written = node.write_data(
            array, data_attribute="any data", samplerate_hz=50, metadata={"unit": "any"}, content_type="a/b"
        )
        there = node.get_data("any data")
        assert isinstance(written, Payload), f"write_data() returns {written!r}, and not the payload"
        for payload in (written, there, node.payloads["any data"]):
            about = (payload.samplerate_hz, payload.metadata, payload.content_type)
            assert about == (50, {"unit": "any"}, "a/b"), f"write_data() loses what it is given: {about}"
        assert node.has_data("any data"), "has_data() does not find what was written"
        assert np.array_equal(node.read_data(1, 3, data_attribute="any data"), array[1:3]), (
            "read_data() gives other rows"
        )
        seconds = node.read_seconds(0.02, 0.06, data_attribute="any data")
        assert np.array_equal(seconds, array[1:3]), "read_seconds() gives other rows"
        node.append_data(array[:1], data_attribute="any data")
        assert len(node.get_data("any data")) == 7, "append_data() loses its rows, or the name"
        node.replace_data(array[:2], data_attribute="any data")
        replaced = node.read_data(data_attribute="any data")
        assert np.array_equal(replaced, array[:2]), "replace_data() loses data, or the name"
        with pytest.raises(PayloadExistsError):
            node.write_data(array, data_attribute="any data", if_exists="error")
            pytest.fail("write_data() loses if_exists=")
        node.delete_data("any data")
        assert not node.has_data("any data"), "delete_data() leaves it"

    @promise(NODE_TYPE, "nodes_have_the_class_when_they_are_opened_again")
    def test_what_it_refuses_is_refused_whichever_way_it_comes(
        self,
        root: BaseNode,
        node_type: str,
        refused: Mapping[str, Any],
        required: Mapping[str, Any],
        plugins: Plugins,
    ) -> None:
        """What the type refuses is refused in check_write(), which sees each write whichever way it comes;
        overriding set_attribute() leaves the other ways open.
        """
        if not refused:
            pytest.skip("it checks nothing: the fixture refused says what it refuses")
        for name, value in refused.items():
            others = BaseNode("group", plugins=plugins)
            others.get_node("typed").attrs[name] = value
            plain = root.get_node(f"plain with {name}")
            plain.attrs.update({**required, name: value})
            node = root["group/typed"]
            before = picture(root["group"])
            ways: list[tuple[str, Callable[[], object]]] = [
                ("set_attribute()", partial(node.set_attribute, name, value)),
                ("attrs[...] = ", partial(node.attrs.__setitem__, name, value)),
                ("attrs.update()", partial(node.attrs.update, {"another": 1, name: value})),
                ("merge_tree()", partial(root["group"].merge_tree, others, overwrite=True)),
                (
                    "get_node(node_type=), of a plain node that has it",
                    partial(root.get_node, plain.key, node_type=node_type),
                ),
            ]
            for way, write in ways:
                try:
                    write()
                except Exception:
                    assert picture(root["group"]) == before, f"{way} is refused, and changes something"
                    continue
                pytest.fail(f"{way} takes {name!r} = {value!r}; refuse it in check_write(written, removed)")

    @promise(CHECKS, "nodes_have_the_class_when_they_are_opened_again")
    def test_what_its_nodes_must_have_is_always_there(
        self, root: BaseNode, node_type: str, required: Mapping[str, Any]
    ) -> None:
        """What its nodes must have is there with the first write, and cannot be removed: check_write() looks
        at written, at removed, and at what the node has.
        """
        if not required:
            pytest.skip("its nodes need nothing: the fixture required says what they must have")
        for name in required:
            rest = {each: value for each, value in required.items() if each != name}
            node = root["group/typed"]
            new = root.get_node(f"new without {name}", node_type=node_type)
            plain = root.get_node(f"plain without {name}")
            plain.attrs.update({"another": "as before", **rest})
            before = picture(root)
            ways: list[tuple[str, Callable[[], object]]] = [
                ("delete_attribute()", partial(node.delete_attribute, name)),
                ("attrs.pop()", partial(node.attrs.pop, name)),
                ("attrs.clear()", node.attrs.clear),
                ("a first write", partial(new.attrs.update, {"another": "the first", **rest})),
                (
                    "get_node(node_type=), of a plain node that holds something,",
                    partial(root.get_node, plain.key, node_type=node_type),
                ),
            ]
            for way, write in ways:
                try:
                    write()
                except Exception:
                    assert picture(root) == before, f"{way} is refused, and changes something"
                    continue
                pytest.fail(f"{way} leaves a node without {name!r}; refuse that in check_write()")

    # -- behaviour only ----------------------------------------------------------------------------

    @promise(NODE_TYPE, "nodes_have_the_class_when_they_are_opened_again")
    def test_without_the_plugin_nodes_are_plain_and_keep_the_name(
        self, folder: Path, plugins: Plugins, node_class: type[BaseNode], node_type: str
    ) -> None:
        """Without the plugin its nodes are plain ones, keep the name of the type, and are of the class again
        when it is there.
        """
        with LOTDB(folder, NAME, plugins=_Without(node_type)) as db:
            with db.connection() as root:
                node = root["group/typed"]
                assert isinstance(node, BaseNode)
                assert not isinstance(node, node_class)
                assert node.node_type == node_type
                with pytest.raises(MissingPluginError, match="install"):
                    root.get_data_node("group/typed")
                assert np.array_equal(node.attrs["numbers"], np.arange(4))
                node.attrs["seen"] = True
                node.rename("renamed")
                node.branch("branch")
                with pytest.raises(MissingPluginError, match="install"):
                    root.get_node("new", node_type=node_type)
            assert db.verify() == []
        with LOTDB(folder, NAME, plugins=plugins) as db, db.connection() as root:
            for path in ("group/renamed", "group/branch"):
                node = root[path]
                assert (type(node), node.attrs["seen"]) == (node_class, True)

    @promise(NODE_TYPE, "nodes_have_the_class_when_they_are_opened_again")
    def test_the_class_is_not_in_the_file(
        self, folder: Path, node_class: type[BaseNode], node_type: str
    ) -> None:
        """The data file has the registered name, and nothing of the class."""
        stored = (folder / NAME).read_bytes()
        assert node_type.encode() in stored
        for named in (node_class.__module__, node_class.__qualname__):
            if len(named) > 3 and named not in node_type:
                assert named.encode() not in stored, (
                    f"{named!r} is in the data file; only the name belongs there"
                )

    @promise(NODE_TYPE, "the_class_adds_to_base_node")
    def test_nodes_carry_no_state_of_their_own(
        self, root: BaseNode, node_class: type[BaseNode], plugins: Plugins
    ) -> None:
        """A node carries nothing of its own, since it is a handle, made anew each time: keep state in
        attributes.
        """
        one, two = root["group/typed"], root["group"].get_node("typed")
        assert one == two
        assert hash(one) == hash(two)
        other = root.get_node_path("elsewhere/typed", node_type=one.node_type)
        assert one != other, "two nodes are equal if they are the same node, not if their keys are"
        one.attrs["set by one"] = 1
        assert two.attrs["set by one"] == 1
        for node in (one, two, node_class("dataset", plugins=plugins)):
            carried = getattr(node, "__dict__", {})
            assert not carried, f"a node is a handle, made anew each time; what it carries is lost: {carried}"
