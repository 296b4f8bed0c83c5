"""Which plugins there are: listed, switched off, failed, of one name twice, and of another than they say."""

import importlib
import subprocess
import sys
import textwrap
import uuid
import warnings

import numpy as np
import pytest

import lotdb
from lotdb import (
    LOTDB,
    BaseNode,
    DataNode,
    Ingested,
    InvalidOptionError,
    MissingPluginError,
    PluginError,
    PluginInfo,
    Plugins,
    ValueType,
    WrongNodeTypeError,
    hookimpl,
)

OURS = {
    ("backend", "blob"), ("backend", "zarr"),
    ("ingester", "audio"), ("ingester", "image"), ("ingester", "npy"), ("ingester", "npz"),
    ("ingester", "raw"), ("ingester", "table"), ("ingester", "text"),
}  # fmt: skip


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs distributions for the length of a test."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def installing(name, group, point, source, version="1.0"):
        """A distribution *name* with one plugin, called *point*, whose module has that *source*."""
        module = f"m{uuid.uuid4().hex}"
        (folder / f"{module}.py").write_text(textwrap.dedent(source))
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        with (info / "entry_points.txt").open("a") as file:
            file.write(f"[lotdb.{group}]\n{point} = {module}\n")
        importlib.invalidate_caches()
        return module

    return installing


def backend_called(name, own=None):
    return f"""
        from lotdb import hookimpl
        from lotdb.segments.memory import MemoryBackend

        class Found(MemoryBackend):
            name = {(own or name)!r}

        @hookimpl
        def lotdb_get_backend(name):
            return Found if name == {name!r} else None
    """


def node_type_called(name):
    return f"""
        from lotdb import BaseNode, hookimpl

        class Found(BaseNode):
            __slots__ = ()
            node_type_name = {name!r}

        @hookimpl
        def lotdb_get_node_type(name):
            return Found if name == {name!r} else None
    """


FAILING = "import a_library_that_is_not_there\n"


def row_of(plugins, name, **how):
    (row,) = [row for row in plugins.listing(**how) if row.name == name]
    return row


# -- the listing ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_is_installed_is_listed_and_nothing_is_imported_for_it():
    code = """
        import sys, lotdb
        rows = lotdb.plugins()
        assert {row.state for row in rows} <= {"not loaded yet"}, rows
        print(sorted((row.kind, row.name) for row in rows))
        print([name for name in sys.modules if name.startswith(("lotdb_", "zarr", "soundfile", "PIL"))])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    listed, imported = done.stdout.splitlines()
    assert {tuple(row) for row in eval(listed)} >= OURS
    assert imported == "[]"


def test_a_row_is_a_frozen_record_with_the_distribution_and_its_version():
    row = row_of(Plugins(), "zarr")
    version = importlib.metadata.version("lotdb-backend-zarr")
    assert row == PluginInfo("backend", "zarr", "lotdb-backend-zarr", version, "not loaded yet")
    assert row.reason == ""
    with pytest.raises(AttributeError):
        row.name = "other"


def test_the_listing_is_a_list_and_prints_as_a_table():
    rows = lotdb.plugins()
    assert isinstance(rows, list)
    head, *lines = repr(rows).splitlines()
    assert head.split() == list(PluginInfo._fields)
    assert len(lines) == len(rows)
    at = head.index("distribution")
    assert all(line[at:].startswith(row.distribution) for line, row in zip(lines, rows, strict=True))
    assert str(rows) == repr(rows)


def test_an_empty_listing_says_so():
    plugins = Plugins()
    kinds = "backend", "ingester", "node", "storage"
    plugins._points.update({f"lotdb.{kind}": () for kind in kinds})
    assert plugins.listing() == []
    assert repr(plugins.listing()) == "no plugins are installed"


def test_what_is_in_use_is_loaded():
    plugins = Plugins()
    plugins.backend("blob")
    assert row_of(plugins, "blob").state == "loaded"
    assert row_of(plugins, "zarr").state == "not loaded yet"


def test_load_tries_all_and_says_why_one_failed(install):
    install("acme-good", "backend", "good", backend_called("good"))
    install("acme-bad", "backend", "bad", FAILING, version="3.1")
    install("acme-lazy", "backend", "lazy", "from lotdb import hookimpl\n@hookimpl\ndef "
            "lotdb_get_backend(name):\n    import a_library_that_is_not_there\n")  # fmt: skip
    install(
        "acme-typo", "node", "typo", "from lotdb import hookimpl\n@hookimpl\ndef lotdb_node_create(): ...\n"
    )
    plugins = Plugins()
    assert row_of(plugins, "bad").state == "not loaded yet"
    with pytest.warns(RuntimeWarning, match="acme-"):
        rows = {row.name: row for row in plugins.listing(load=True)}
    assert (rows["good"].state, rows["good"].reason) == ("loaded", "")
    assert (rows["bad"].state, rows["bad"].distribution, rows["bad"].version) == ("failed", "acme-bad", "3.1")
    assert "a_library_that_is_not_there" in rows["bad"].reason
    assert (rows["lazy"].state, rows["typo"].state) == ("failed", "failed")
    assert "acme-lazy 1.0, is installed but failed: ModuleNotFoundError" in rows["lazy"].reason
    assert "did you mean lotdb_node_created?" in rows["typo"].reason
    assert rows["blob"].state == rows["raw"].state == "loaded"


@pytest.mark.parametrize(("kind", "lacks"), [("backend", "delete, read_into"), ("storage", "open, pack")])
def test_a_class_that_lacks_methods_is_listed_as_failed_and_named(install, kind, lacks):
    given = {"backend": "write = locators = describe = None", "storage": "abandon = tree_bytes = None"}[kind]
    source = f"""
        from lotdb import {kind.title()}, hookimpl

        class Found({kind.title()}):
            name = "half"
            {given}

        @hookimpl
        def lotdb_get_{kind}(name):
            return Found
    """
    install("acme-half", kind, "half", source)
    plugins = Plugins()
    assert row_of(plugins, "half", load=True).state == "failed"
    with pytest.raises(PluginError, match=f"{kind} 'half' gave Found, which lacks {lacks}"):
        getattr(plugins, kind)("half")


def test_what_a_failing_backend_has_in_its_module_beside_it_has_not_failed(install, tmp_path):
    source = """
        from lotdb import Ingested, hookimpl

        @hookimpl
        def lotdb_get_backend(name):
            import a_library_that_is_not_there

        @hookimpl
        def lotdb_ingest_file(source):
            return Ingested(source.file.read(), format="lab") if source.format == "lab" else None
    """
    module = install("acme-lab", "backend", "lab", source)
    info = tmp_path / "site-packages" / "acme_lab-1.0.dist-info" / "entry_points.txt"
    info.write_text(info.read_text() + f"[lotdb.ingester]\nlab-files = {module}\n")
    plugins = Plugins()
    rows = {row.name: row for row in plugins.listing(load=True)}
    assert (rows["lab"].state, rows["lab-files"].state) == ("failed", "loaded")
    assert rows["lab-files"].reason == ""
    (tmp_path / "a.lab").write_bytes(b"samples")
    assert DataNode("n", plugins=plugins).attach_file(tmp_path / "a.lab").read() == b"samples"


def test_a_node_plugin_that_is_loaded_says_what_it_is(install):
    install("acme-node", "node", "acme.kind", node_type_called("acme.kind"))
    plugins = Plugins()
    assert row_of(plugins, "acme.kind").kind == "node"
    assert plugins.node_type("acme.kind").__name__ == "Found"
    assert row_of(plugins, "acme.kind").kind == "node type"


def test_what_the_program_registered_is_listed_with_what_it_is():
    class Both:
        @hookimpl
        def lotdb_node_created(self):
            pass

        @hookimpl
        def lotdb_get_value_types(self):
            return []

    plugins = Plugins()
    plugins.register(Both(), name="both")
    assert row_of(plugins, "both") == PluginInfo("value types, listener", "both", "", "", "loaded")


def test_lotdb_plugins_is_a_function_and_no_module():
    assert callable(lotdb.plugins)
    with pytest.raises(ImportError):
        importlib.import_module("lotdb.plugins")


@pytest.mark.parametrize("first", ["loaded", "registered"])
def test_an_installed_plugin_may_be_registered_as_well_before_it_is_loaded_or_after(install, first):
    module = install("acme-node", "node", "acme.kind", node_type_called("acme.kind"))
    plugins = Plugins()
    if first == "loaded":
        assert plugins.node_type("acme.kind").__name__ == "Found"
    plugins.register(importlib.import_module(module), name="mine")
    BaseNode(plugins=plugins).get_node("a", node_type="acme.kind")
    listed = {(row.name, row.state) for row in plugins.listing() if row.kind == "node type"}
    assert listed == {("acme.kind", "loaded"), ("mine", "loaded")}


# -- switched off ---------------------------------------------------------------------------------


def test_a_backend_that_is_switched_off_says_so_and_not_what_to_install(tmp_path):
    with LOTDB(tmp_path, durability="process") as db, db.connection() as root:
        root.get_data_node("a").write_data([1.0, 2.0], backend="zarr")
    told = r"^backend 'zarr' is switched off by plugins_off=; take its name out there to use it$"
    with LOTDB(tmp_path, durability="process", plugins_off=["zarr"]) as db:
        with db.connection() as root:
            assert root["a"].get_data().shape == (2,)
            for attempt in (root["a"].read_data, lambda: root["a"].write_data([1.0], backend="zarr")):
                with pytest.raises(MissingPluginError, match=told):
                    attempt()
            root.get_data_node("b").write_data([3.0])
        db.pack()  # which leaves alone what it cannot look after
    with LOTDB(tmp_path, durability="process") as db, db.connection() as root:
        assert root["a"].read_data().tolist() == [1.0, 2.0]
        assert db.verify() == []


def test_a_default_backend_that_is_switched_off_is_refused_at_the_opening(tmp_path):
    with pytest.raises(MissingPluginError, match="switched off by plugins_off="):
        LOTDB(tmp_path / "db", default_backend="zarr", plugins_off=("zarr",))
    with pytest.raises(MissingPluginError, match="switched off by plugins_off="):
        LOTDB(tmp_path / "db", backends={"zarr": {}}, plugins_off={"zarr"})
    assert not (tmp_path / "db").exists()


def test_the_environment_switches_off_as_well(monkeypatch):
    monkeypatch.setenv("LOTDB_PLUGINS_OFF", " zarr, ,not-there,raw")
    plugins = Plugins(off=["npy"])
    off = {row.name: row.reason for row in plugins.listing() if row.state == "switched off"}
    assert off == {"zarr": "by LOTDB_PLUGINS_OFF", "raw": "by LOTDB_PLUGINS_OFF", "npy": "by plugins_off="}
    with pytest.raises(MissingPluginError, match="backend 'zarr' is switched off by LOTDB_PLUGINS_OFF"):
        plugins.backend("zarr")
    names = {name for name, _ in plugins.ingesters("lotdb_ingest_file")}
    assert not names & {"lotdb.ingester:raw", "lotdb.ingester:npy"}
    assert "lotdb.ingester:npz" in names


def test_a_plugin_that_is_switched_off_is_never_imported(install, tmp_path):
    module = install("acme-node", "node", "acme.kind", "raise SystemExit('imported')")
    with LOTDB(tmp_path / "db", durability="process", plugins_off=["acme.kind"]) as db:
        with db.connection() as root:
            root.get_node("a").attrs["x"] = 1
        assert row_of(db.plugins, "acme.kind", load=True).state == "switched off"
    assert module not in sys.modules


def test_nodes_of_a_type_that_is_switched_off_open_as_plain_ones_that_say_so(install, tmp_path):
    install("acme-node", "node", "acme.kind", node_type_called("acme.kind"))
    with LOTDB(tmp_path / "db", durability="process", plugins=Plugins()) as db, db.connection() as root:
        root.get_node("a", node_type="acme.kind").attrs["x"] = 1
    plugins = Plugins(off=["acme.kind"])
    with LOTDB(tmp_path / "db", durability="process", plugins=plugins) as db, db.connection() as root:
        assert root["a"].attrs["x"] == 1
        assert root["a"].node_type == "acme.kind"
        with pytest.raises(WrongNodeTypeError, match=r"type 'acme.kind' is switched off by plugins_off="):
            root["a"].duration_s()
        with pytest.raises(MissingPluginError, match=r"node type 'acme.kind' is switched off"):
            root.get_node("b", node_type="acme.kind")
        assert list(root) == ["a"]


def test_what_the_program_registers_is_not_switched_off():
    class Mine:
        @hookimpl
        def lotdb_ingest_file(self, source):
            return Ingested("mine")

    plugins = Plugins(off=["mine"])
    plugins.register(Mine(), name="mine")
    assert "mine" in {name for name, _ in plugins.ingesters("lotdb_ingest_file")}


@pytest.mark.parametrize("off", ["zarr", 5, [5], [None], [b"zarr"]])
def test_what_is_no_list_of_names_is_refused(tmp_path, off):
    with pytest.raises(InvalidOptionError, match="to switch off"):
        LOTDB(tmp_path / "db", plugins_off=off)
    with pytest.raises(InvalidOptionError, match="to switch off"):
        Plugins(off=off)
    assert not (tmp_path / "db").exists()


def test_plugins_off_beside_plugins_is_refused(tmp_path):
    with pytest.raises(InvalidOptionError, match=r"plugins=Plugins\(off=\[...\]\)"):
        LOTDB(tmp_path / "db", plugins=Plugins(), plugins_off=["zarr"])
    assert not (tmp_path / "db").exists()


def test_one_database_does_without_and_another_does_not(tmp_path):
    with (
        LOTDB(tmp_path / "one", plugins_off=["zarr"]) as one,
        LOTDB(tmp_path / "two") as two,
        two.connection() as root,
    ):
        root.get_data_node("a").write_data([1.0], backend="zarr")
        assert one.plugins is not two.plugins


# -- names that disagree --------------------------------------------------------------------------


def test_an_entry_point_whose_hook_knows_another_name_is_told_so(install):
    install("acme-store", "backend", "acme", backend_called("store"))
    node = DataNode("n", plugins=Plugins())
    told = r"'acme' of acme-store gives no backend of that name: its lotdb_get_backend\('acme'\) gives None"
    with pytest.raises(PluginError, match=told):
        node.write_data([1.0], backend="acme")
    told = r"'store' comes from acme-store, whose entry point is called 'acme'; .* so add one called 'store'"
    with pytest.raises(PluginError, match=told):
        node.write_data([1.0], backend="store")
    assert not node.has_data()


def test_the_answer_does_not_depend_on_what_was_loaded_before(install):
    install("acme-two", "backend", "one", backend_called("one").replace("== 'one'", 'in ("one", "two")'))
    plugins = Plugins()
    assert plugins.backend("one").name == "one"
    with pytest.raises(MissingPluginError, match="no backend named 'two'"):
        plugins.backend("two")


def test_a_plugin_that_answers_to_any_name_takes_no_other_backends_place(install):
    install(
        "acme-greedy", "backend", "greedy", backend_called("greedy").replace("if name == 'greedy' else", "or")
    )
    plugins = Plugins()
    assert plugins.backend("greedy").name == "greedy"
    assert plugins.backend("blob").__module__ == "lotdb_backend_blob.backend"
    with pytest.raises(MissingPluginError, match="did you mean 'blob'"):
        plugins.backend("blobb")


def test_a_class_that_calls_itself_otherwise_is_told_so(install):
    install("acme-store", "backend", "acme", backend_called("acme", own="store"))
    with pytest.raises(
        PluginError, match="backend 'acme' gave Found, whose name is 'store'; make the two equal"
    ):
        Plugins().backend("acme")


def test_an_entry_point_without_the_hook_is_told_so(install):
    install("acme-store", "backend", "acme", node_type_called("acme"))
    with pytest.raises(
        PluginError, match="gives no backend of that name: it has no hook function lotdb_get_ba"
    ):
        Plugins().backend("acme")


def test_a_node_type_and_its_entry_point_that_disagree_are_told_so(install, tmp_path):
    install("acme-node", "node", "acme", node_type_called("acme.kind"))
    root = BaseNode(plugins=Plugins())
    with pytest.raises(
        PluginError, match=r"plugin 'acme' of acme-node gives no node type of that name: its lot"
    ):
        root.get_node("a", node_type="acme")
    with pytest.raises(PluginError, match=r"node type 'acme.kind' comes from acme-node, whose entry point is "
                       r"called 'acme'"):  # fmt: skip
        root.get_node("a", node_type="acme.kind")
    assert len(root) == 0


def test_a_node_class_that_calls_itself_otherwise_is_told_so(install):
    source = node_type_called("acme.kind").replace(
        "node_type_name = 'acme.kind'", "node_type_name = 'acme.run'"
    )
    install("acme-node", "node", "acme.kind", source)
    with pytest.raises(PluginError, match=r"whose node_type_name is 'acme.run'; make the two equal"):
        BaseNode(plugins=Plugins()).get_node("a", node_type="acme.kind")


def test_plugins_that_leave_one_out_on_purpose_call_it_missing(install):
    install("acme-node", "node", "acme.kind", node_type_called("acme.kind"))

    class Without(Plugins):
        def node_type(self, name):
            return None

    with pytest.raises(MissingPluginError, match=r"no node type named 'acme.kind'"):
        BaseNode(plugins=Without()).get_node("a", node_type="acme.kind")


# -- one name, two distributions -------------------------------------------------------------------


def test_two_backends_of_one_name_are_both_told_and_none_is_used(install, tmp_path):
    install("acme-one", "backend", "acme", backend_called("acme"))
    install("acme-two", "backend", "acme", backend_called("acme"), version="2.0")
    plugins = Plugins()
    told = "backend 'acme' is brought by acme-one 1.0 and acme-two 2.0, and none of them is used; uninstall"
    with LOTDB(tmp_path / "db", plugins=plugins) as db, db.connection() as root:
        node = root.get_data_node("a")
        with pytest.raises(PluginError, match=told):
            node.write_data([1.0], backend="acme")
        node.write_data([1.0])  # the rest goes on
    rows = [row for row in plugins.listing() if row.name == "acme"]
    assert [(row.distribution, row.state) for row in rows] == [("acme-one", "failed"), ("acme-two", "failed")]
    assert all(told in row.reason for row in rows)


def test_two_ingesters_of_one_name_are_told_and_left_out(install, tmp_path):
    source = """
        from lotdb import Ingested, hookimpl

        @hookimpl
        def lotdb_ingest_file(source):
            return Ingested("acme") if source.format == "acme" else None
    """
    install("acme-one", "ingester", "acme", source)
    install("acme-two", "ingester", "acme", source)
    (tmp_path / "a.txt").write_text("hello")
    plugins = Plugins()
    with pytest.warns(RuntimeWarning, match="ingester 'acme' is brought by acme-one 1.0 and acme-two 1.0"):
        assert DataNode("n", plugins=plugins).attach_file(tmp_path / "a.txt").read() == "hello"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is told once
        assert DataNode("n", plugins=plugins).attach_file(tmp_path / "a.txt").read() == "hello"
    assert "lotdb.ingester:acme" not in {name for name, _ in plugins.ingesters("lotdb_ingest_file")}


def test_two_node_types_of_one_name_are_both_told_and_the_tree_is_read(install, tmp_path):
    install("acme-one", "node", "acme.kind", node_type_called("acme.kind"))
    with LOTDB(tmp_path / "db", plugins=Plugins()) as db, db.connection() as root:
        root.get_node("a", node_type="acme.kind").attrs["x"] = 1
    install("acme-two", "node", "acme.kind", node_type_called("acme.kind"))
    with LOTDB(tmp_path / "db", plugins=Plugins(), read_only=True) as db, db.connection() as root:
        assert root["a"].attrs["x"] == 1
        with pytest.raises(WrongNodeTypeError, match=r"is brought by acme-one 1.0 and acme-two 1.0"):
            root["a"].duration_s()


# -- plugins that fail ----------------------------------------------------------------------------


def test_a_plugin_that_fails_is_told_with_its_distribution_where_it_is_needed(install, tmp_path):
    install("acme-bad", "backend", "bad", FAILING)
    install("acme-worse", "node", "acme.kind", FAILING)
    plugins = Plugins()
    with LOTDB(tmp_path / "db", plugins=plugins) as db, db.connection() as root:
        with pytest.warns(RuntimeWarning, match=r"'acme.kind' of acme-worse is installed but failed to load"):
            root.get_data_node("a").write_data(np.arange(3))
        with pytest.raises(PluginError, match="'bad' of acme-bad is installed but failed to load"):
            root["a"].write_data([1.0], backend="bad")
        with pytest.raises(PluginError, match=r"'acme.kind' of acme-worse is installed but failed to load"):
            root.get_node("b", node_type="acme.kind")
        assert root["a"].read_data().tolist() == [0, 1, 2]


def test_a_node_plugin_that_fails_is_told_once_and_not_imported_again(install, tmp_path):
    count = tmp_path / "count"
    install("acme-bad", "node", "bad", f"with open({str(count)!r}, 'a') as f:\n    f.write('.')\n{FAILING}")
    root = BaseNode(plugins=Plugins())

    def change():
        for number in range(5):
            root.get_node(f"n{number}").attrs["x"] = number
            root._tree.plugins._forget()  # as registering another plugin does

    with pytest.warns(RuntimeWarning) as told:
        change()
    assert len(told) == 1
    assert count.read_text() == "."


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("raise_", "ZeroDivisionError"),
        ([object()], "not a lotdb.ValueType"),
        (5, "TypeError"),
        (
            [ValueType("acme.list", list, tuple, list)],
            "'acme.list' is for list, which attributes hold already",
        ),
    ],
)
def test_value_types_that_are_none_are_told_and_the_others_are_used(given, said):
    class Bad:
        @hookimpl
        def lotdb_get_value_types(self):
            if given == "raise_":
                raise ZeroDivisionError
            return given

    class Good:
        @hookimpl
        def lotdb_get_value_types(self):
            return [
                ValueType("acme.span", slice, lambda value: (value.start, value.stop), lambda s: slice(*s))
            ]

    plugins = Plugins()
    plugins.register(Good(), name="good")
    plugins.register(Bad(), name="bad")
    root = BaseNode(plugins=plugins)
    with pytest.warns(RuntimeWarning, match=rf"lotdb_get_value_types of plugin 'bad' failed: .*{said}"):
        root.attrs["x"] = slice(1, 2)
    assert root.attrs["x"] == slice(1, 2)
    assert row_of(plugins, "bad").state == "failed"
    assert row_of(plugins, "good").state == "loaded"
