"""A node type that checks what is written to its nodes sees every write, whichever way it comes."""

import numpy as np
import pytest

from lotdb import LOTDB, BaseNode, DataNode, DataWriter, Payload, PluginError, Plugins, attr, hookimpl


class Checked(DataNode):
    """Notes what is to be written, and refuses if it is told to."""

    __slots__ = ()
    node_type_name = "checked"

    seen: list[tuple[object, ...]] = []  # noqa: RUF012 - shared by all handles, as each is made anew
    refuses = False

    def check_write(self, written, removed):
        shown = {
            name: value.read().tolist() if isinstance(value, Payload) and value.kind == "array" else value
            for name, value in written.items()
        }
        self.seen.append((type(self), self.path, shown, sorted(removed)))
        if Checked.refuses:
            raise TypeError("refused by the type")


class Plugin:
    @hookimpl
    def lotdb_get_node_type(self, name):
        return Checked if name == "checked" else None


@pytest.fixture
def plugins():
    plugins = Plugins()
    plugins.register(Plugin())
    return plugins


@pytest.fixture(params=["database", "memory"])
def root(request, tmp_path, plugins, monkeypatch):
    monkeypatch.setattr(Checked, "refuses", False)
    monkeypatch.setattr(Checked, "seen", [])
    monkeypatch.chdir(tmp_path)
    np.save("f.npy", np.arange(2.0))
    if request.param == "memory":
        yield grown(BaseNode(plugins=plugins))
        return
    with LOTDB(tmp_path / "db", durability="process", plugins=plugins) as db:
        yield grown(db.open_connection())


def grown(root):
    node = root.get_node_path("e", node_type="checked")
    node.attrs["there"] = [1]
    node.write_data([1, 2], data_attribute="rows")
    plain = root.get_node("plain")
    plain.attrs["x"] = 1
    Checked.seen.clear()
    return root


def with_attribute(**named):
    tree = BaseNode("tree")
    tree.attrs.update(**named)
    return tree


def typed_tree(root):
    """A tree in memory with a node of the type, and a plain one above it."""
    tree = BaseNode("tree", plugins=root._tree.plugins)
    refuses, Checked.refuses = Checked.refuses, False
    tree.get_node_path("in/e", node_type="checked").attrs["z"] = 1
    Checked.refuses = refuses
    Checked.seen.clear()
    return tree


def edit(node):
    with node.edit_attribute("there") as value:
        value.append(2)


def merged(data):
    tree = DataNode("tree")
    tree.write_data(data, data_attribute="rows")
    return tree


# What is done, and what the type is to see of it: path, what is written, what is removed.
WAYS = {
    "attrs[]": (lambda root: root["e"].attrs.__setitem__("a", 1), ("e", {"a": 1}, [])),
    "set_attribute": (lambda root: root["e"].set_attribute("a", (1,)), ("e", {"a": (1,)}, [])),
    "update": (lambda root: root["e"].attrs.update(a=1, b="x"), ("e", {"a": 1, "b": "x"}, [])),
    "setdefault": (lambda root: root["e"].attrs.setdefault("a", 1), ("e", {"a": 1}, [])),
    "edit_attribute": (lambda root: edit(root["e"]), ("e", {"there": [1, 2]}, [])),
    "del": (lambda root: root["e"].attrs.__delitem__("there"), ("e", {}, ["there"])),
    "delete_attribute": (lambda root: root["e"].delete_attribute("there"), ("e", {}, ["there"])),
    "pop": (lambda root: root["e"].attrs.pop("there"), ("e", {}, ["there"])),
    "clear": (lambda root: root["e"].attrs.clear(), ("e", {}, ["there"])),
    "merge": (lambda root: root["e"].merge_tree(with_attribute(m=1)), ("e", {"m": 1}, [])),
    "merge over": (
        lambda root: root["e"].merge_tree(with_attribute(there=2), overwrite=True),
        ("e", {"there": 2}, []),
    ),
    "merge a payload": (
        lambda root: root["e"].merge_tree(merged([7]), overwrite=True),
        ("e", {"rows": [7]}, []),
    ),
    "write_data": (lambda root: root["e"].write_data([3.5]), ("e", {"data": [3.5]}, [])),
    "append_data": (
        lambda root: root["e"].append_data([3], data_attribute="rows"),
        ("e", {"rows": [1, 2, 3]}, []),
    ),
    "compact_data": (
        lambda root: root["e"].compact_data(data_attribute="rows"),
        ("e", {"rows": [1, 2]}, []),
    ),
    "compact_tree": (lambda root: root.compact_tree(), ("e", {"rows": [1, 2]}, [])),
    "delete_data": (lambda root: root["e"].delete_data("rows"), ("e", {}, ["rows"])),
    "DataWriter": (lambda root: DataWriter.write_array(root["e"], [4]), ("e", {"data": [4]}, [])),
    "append_array": (
        lambda root: DataWriter.append_array(root["e"], [4], "rows"),
        ("e", {"rows": [1, 2, 4]}, []),
    ),
    "delete by DataWriter": (
        lambda root: DataWriter.delete_data(root["e"], "rows"),
        ("e", {}, ["rows"]),
    ),
    "branch": (lambda root: root["e"].branch("twin"), ("twin", {"there": [1], "rows": [1, 2]}, [])),
    "copy": (
        lambda root: root.add_tree(root["e"].copy_tree(), key="twin", copy=True),
        ("twin", {"there": [1], "rows": [1, 2]}, []),
    ),
    "add": (lambda root: root.add_tree(typed_tree(root)), ("tree/in/e", {"z": 1}, [])),
    "add a copy": (
        lambda root: root.add_tree(typed_tree(root), copy=True),
        ("tree/in/e", {"z": 1}, []),
    ),
    "merge a tree": (
        lambda root: root.get_node("m").merge_tree(typed_tree(root)),
        ("m/in/e", {"z": 1}, []),
    ),
    "a plain node gets the type": (
        lambda root: root.get_node("plain", node_type="checked"),
        ("plain", {"x": 1}, []),
    ),
}


@pytest.mark.sampled(12)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_is_seen_and_can_be_refused(root, way):
    do, (path, written, removed) = WAYS[way]
    before = picture(root)
    Checked.refuses = True
    with pytest.raises(TypeError, match="refused by the type"):
        do(root)
    after = picture(root)
    after.pop("m", None)  # which was made before the merge
    assert after == before
    Checked.refuses = False
    Checked.seen.clear()
    if "m" in root:
        root["m"].delete_tree()
    do(root)
    assert Checked.seen == [(Checked, path, written, removed)]
    for name, value in written.items():
        there = root[path].attrs[name]
        assert (there.read().tolist() if isinstance(there, Payload) else there) == value
    assert not set(removed) & set(root[path].attrs)


def picture(root):
    return {
        node.path: (
            node.node_type,
            {
                name: value.read().tolist() if isinstance(value, Payload) else value
                for name, value in node.attrs.items()
            },
        )
        for node in root.iterate_tree()
    }


def test_files_tables_and_texts_are_seen(root):
    node = root["e"]
    node.attach_file("f.npy", data_attribute="file")
    DataWriter.write_table(node, {"column": [1, 2]}, data_attribute="table")
    DataWriter.write_table(node, {"column": [3]}, data_attribute="table", if_exists="append")
    DataWriter.write_text(node, "words", data_attribute="text")
    names = [set(written) for _, _, written, _ in Checked.seen]
    assert [each & {"file", "table", "text"} for each in names] == [{"file"}, {"table"}, {"table"}, {"text"}]
    assert "_source_filepath" in names[0]


def test_a_refused_file_leaves_nothing(root):
    before = picture(root)
    Checked.refuses = True
    with pytest.raises(TypeError, match="refused by the type"):
        root["e"].attach_file("f.npy", data_attribute="file")
    report = root.ingest_tree(".", "*.npy", to="e", batch_size=None)
    assert {file: type(error) for file, error in report.failed.items()} == {"f.npy": TypeError}
    assert report.failed["f.npy"].__notes__ == ["check_write of node type 'checked' refused this change"]
    with pytest.raises(TypeError, match="refused by the type"):
        root.ingest_tree(".", "*.npy", to="e", batch_size=None, on_error="raise")
    assert picture(root) == before


def test_a_handle_made_before_the_node_got_the_type_is_checked(root):
    plain = root["plain"]
    root.get_node("plain", node_type="checked")
    Checked.refuses = True
    with pytest.raises(TypeError, match="refused by the type"):
        plain.attrs["y"] = 1


def test_defaults_and_places_are_not_what_a_node_holds(root):
    Checked.refuses = True
    root["e"].configure_data(samplerate_hz=4)
    root["e"].rename("f")
    root["f"].get_node("child").attrs["x"] = 1
    root["f"].move(root["plain"])
    root["plain/f"].delete_tree()
    assert Checked.seen == []


def test_a_check_that_changes_its_node_is_told_so(plugins):
    class Meddling(BaseNode):
        __slots__ = ()
        node_type_name = "meddling"

        def check_write(self, written, removed):
            if "x" in written:
                self.attrs["y"] = 1

    class Other:
        @hookimpl
        def lotdb_get_node_type(self, name):
            return Meddling if name == "meddling" else None

    plugins.register(Other())
    node = BaseNode(plugins=plugins).get_node("a", node_type="meddling")
    with pytest.raises(PluginError, match="check_write of node type 'meddling' has changed node 'a'"):
        node.attrs["x"] = 1


def test_a_check_that_calls_itself_without_end_is_told_so(plugins):
    class Counting(BaseNode):
        __slots__ = ()
        node_type_name = "counting"

        def check_write(self, written, removed):
            self.attrs["writes"] = self.attrs.get("writes", 0) + 1

    class Other:
        @hookimpl
        def lotdb_get_node_type(self, name):
            return Counting if name == "counting" else None

    plugins.register(Other())
    node = BaseNode(plugins=plugins).get_node("a", node_type="counting")
    with pytest.raises(
        PluginError, match="'counting' calls itself without end: it must not write to node 'a'"
    ):
        node.attrs["x"] = 1
    assert dict(node.attrs) == {}


def test_without_the_plugin_writes_are_plain(tmp_path, plugins, monkeypatch):
    monkeypatch.setattr(Checked, "refuses", False)
    with LOTDB(tmp_path / "db", plugins=plugins) as db, db.connection() as root:
        root.get_node("e", node_type="checked")
    monkeypatch.setattr(Checked, "refuses", True)
    with LOTDB(tmp_path / "db", plugins=Plugins()) as db, db.connection() as root:
        root["e"].attrs["x"] = 1
    with LOTDB(tmp_path / "db", plugins=plugins) as db, db.connection() as root:
        with pytest.raises(TypeError, match="refused by the type"):
            root["e"].attrs["x"] = 2
        assert root["e"].attrs["x"] == 1


@pytest.mark.parametrize(
    "look_up",
    [lambda root: root["above/e"], lambda root: next(iter(root.find("**", attr("there") == [1])))],
    ids=["by its path", "by a search"],
)
def test_what_was_not_in_memory_is_not_taken_for_written(tmp_path, plugins, monkeypatch, look_up):
    monkeypatch.setattr(Checked, "seen", [])
    with LOTDB(tmp_path / "db", durability="process", plugins=plugins) as db, db.connection() as root:
        root.get_node_path("above/e", node_type="checked").attrs.update(there=[1], long=1000.5)
    with LOTDB(tmp_path / "db", durability="process", plugins=plugins) as db, db.connection() as root:
        Checked.seen.clear()
        look_up(root).attrs["x"] = 2
    assert Checked.seen == [(Checked, "above/e", {"x": 2}, [])]
