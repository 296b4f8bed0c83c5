"""Plugins: found by entry points or registered, loaded when needed, missed with a clear message."""

import subprocess
import sys
import textwrap
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from tests.services import forked

from lotdb import (
    LOTDB,
    Backend,
    BaseNode,
    DamagedError,
    DataNode,
    InvalidOptionError,
    LotdbError,
    MissingPluginError,
    PluginError,
    Plugins,
    hookimpl,
)

# -- plugins that are installed, in a world of their own ------------------------------------------


def install(folder, name, points, **modules):
    """Put a distribution on *folder*: its entry points by group, and its modules' sources."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"[{group}]\n" + "".join(f"{line}\n" for line in found) for group, found in points.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(textwrap.dedent(source))


def run(folder, code, *, hide=(), fresh=False):
    """What *code* prints with *folder* on its path; *fresh* if it matters what is imported."""
    hiding = f"""
import sys
sys.path.insert(0, {str(folder)!r})
hidden = {tuple(hide)!r}
import importlib_metadata
distributions = importlib_metadata.distributions
def visible(**how):
    for each in distributions(**how):
        if not hidden or not any(p.value.startswith(hidden) for p in each.entry_points):
            yield each
importlib_metadata.distributions = visible
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(hidden):
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
if hidden:
    sys.meta_path.insert(0, Hidden())
"""
    command = ["-W", "error", "-c", hiding + textwrap.dedent(code)]
    how = {"capture_output": True, "text": True, "timeout": 60, "cwd": folder}
    is_fresh = fresh or hide
    found = subprocess.run([sys.executable, *command], **how) if is_fresh else forked.run(command, **how)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


GOOD = """
    from lotdb import hookimpl
    from lotdb.segments.memory import MemoryBackend

    class GoodBackend(MemoryBackend):
        name = "good"

    @hookimpl
    def lotdb_get_backend(name):
        return GoodBackend if name == "good" else None
"""
TYPO = """
    from lotdb import hookimpl

    @hookimpl
    def lotdb_get_bakend(name):
        return None
"""
FAILING = "import a_library_that_is_not_there\n"
TRY = """
    from lotdb import DataNode, LotdbError, Plugins
    def attempt(backend, plugins=None):
        node = DataNode("node", plugins=plugins or Plugins())
        try:
            node.write_data([1.0], backend=backend)
        except LotdbError as error:
            cause = type(error.__cause__).__name__
            print(type(error).__name__, "|", error, "|", cause)
        else:
            print("written to", node.get_data().backend)
"""


@pytest.mark.slow
def test_import_lotdb_imports_no_plugin_and_looks_for_none(tmp_path):
    seen = run(
        tmp_path,
        """
        before = set(sys.modules)
        import lotdb
        lotdb.BaseNode("a")
        print(sorted(name for name in set(sys.modules) - before
                     if name.startswith(("lotdb_", "zarr", "soundfile", "PIL"))))
        """,
        fresh=True,
    )
    assert seen == "[]"


def test_writing_to_one_backend_imports_no_other(tmp_path):
    seen = run(
        tmp_path,
        """
        import lotdb
        with lotdb.LOTDB("db") as db, db.connection() as root:
            root.get_data_node("a").write_data([1.0])
        print(sorted({name.partition(".")[0] for name in sys.modules} & {"zarr", "soundfile", "PIL",
              "lotdb_backend_zarr", "lotdb_ingest", "lotdb_backend_blob"}))
        """,
        fresh=True,
    )
    assert seen == "['lotdb_backend_blob']"


def without_any():
    """The plugins of somebody who installed none."""
    plugins = Plugins()
    plugins._points.update(dict.fromkeys(("lotdb.backend", "lotdb.ingester", "lotdb.node"), ()))
    return plugins


@pytest.mark.parametrize("name", ["zarr", "blob"])
def test_a_missing_backend_is_told_with_the_command(name):
    node = DataNode("node", plugins=without_any())
    command = (
        rf"no backend named '{name}' \(installed: none\); install it with: pip install lotdb-backend-{name}$"
    )
    with pytest.raises(MissingPluginError, match=command):
        node.write_data([1.0], backend=name)
    with pytest.raises(LookupError):
        node.write_data([1.0], backend=name)
    assert not node.has_data()


def test_a_missing_backend_of_a_strangers_is_told_with_what_is_installed():
    node = DataNode("node", plugins=Plugins())
    with pytest.raises(MissingPluginError, match=r"no backend named 'nowhere' \(installed: blob, zarr\)"):
        node.write_data([1.0], backend="nowhere")


def test_a_misspelt_backend_is_told_with_the_right_name():
    with pytest.raises(MissingPluginError, match=r"no backend named 'blobb'.*did you mean 'blob'"):
        Plugins().backend("blobb")
    with pytest.raises(MissingPluginError, match=r"no storage named 'SQLite'.*did you mean 'sqlite'"):
        Plugins().storage("SQLite")


@pytest.mark.parametrize("name", ["../x", "a b", "x; rm -rf ~", "", "BLOB", "é"])
def test_no_odd_name_becomes_part_of_a_command(name):
    with pytest.raises(MissingPluginError) as info:
        Plugins().backend(name)
    assert f"lotdb-backend-{name}" not in str(info.value)
    assert repr(name) in str(info.value)


def test_an_installed_backend_is_found_by_its_entry_point(tmp_path):
    install(tmp_path, "lotdb-backend-good", {"lotdb.backend": ["good = good_plugin"]}, good_plugin=GOOD)
    assert run(tmp_path, TRY + "    attempt('good')") == "written to good"


def test_a_backend_that_fails_to_import_is_not_called_missing(tmp_path):
    install(tmp_path, "lotdb-backend-bad", {"lotdb.backend": ["bad = bad_plugin"]}, bad_plugin=FAILING)
    kind, message, cause = run(
        tmp_path,
        TRY
        + """
    with __import__("lotdb").LOTDB("db", plugins=Plugins()) as db, db.connection() as root:
        try:
            root.get_data_node("a").write_data([1.0], backend="bad")
        except LotdbError as error:
            print(type(error).__name__, "|", error, "|", type(error.__cause__).__name__)
    """,
    ).split(" | ")
    assert kind == "PluginError"
    assert "'bad' of lotdb-backend-bad is installed but failed to load from bad_plugin" in message
    assert "a_library_that_is_not_there" in message
    assert "pip install" not in message
    assert cause == "ModuleNotFoundError"


def test_a_backend_whose_class_fails_to_import_is_not_called_missing(tmp_path):
    lazy = """
        from lotdb import hookimpl

        @hookimpl
        def lotdb_get_backend(name):
            import a_library_that_is_not_there
    """
    install(tmp_path, "lotdb-backend-lazy", {"lotdb.backend": ["lazy = lazy_plugin"]}, lazy_plugin=lazy)
    kind, message, cause = run(
        tmp_path,
        """
        from lotdb import Plugins, LotdbError
        try:
            Plugins().backend("lazy")
        except LotdbError as error:
            print(type(error).__name__, "|", error, "|", type(error.__cause__).__name__)
        """,
    ).split(" | ")
    assert kind == "PluginError"
    assert "installed but failed" in message
    assert cause == "ModuleNotFoundError"


def test_two_entry_points_may_name_one_module(tmp_path):
    both = """
        from lotdb import hookimpl
        from lotdb.segments.memory import MemoryBackend

        class One(MemoryBackend):
            name = "one"

        class Two(MemoryBackend):
            name = "two"

        @hookimpl
        def lotdb_get_backend(name):
            return {"one": One, "two": Two}.get(name)
    """
    install(tmp_path, "two", {"lotdb.backend": ["one = both_plugin", "two = both_plugin"]}, both_plugin=both)
    code = TRY + "    plugins = Plugins(); attempt('one', plugins); attempt('two', plugins)"
    assert run(tmp_path, code).splitlines() == ["written to one", "written to two"]


def test_one_name_may_stand_in_two_groups(tmp_path):
    ingester = """
        from lotdb import Ingested, hookimpl

        @hookimpl
        def lotdb_ingest_file(source):
            return Ingested(data=[1.0, 2.0], format="good") if source.format == "good" else None
    """
    install(
        tmp_path,
        "good",
        {"lotdb.backend": ["good = good_plugin"], "lotdb.ingester": ["good = good_ingester"]},
        good_plugin=GOOD,
        good_ingester=ingester,
    )
    code = """
        plugins = Plugins(); attempt("good", plugins)
        node = DataNode("n", plugins=plugins)
        open("x.good", "w").close()
        print(node.attach_file("x.good").read().tolist())
    """
    assert run(tmp_path, textwrap.dedent(TRY) + textwrap.dedent(code)).splitlines() == [
        "written to good",
        "[1.0, 2.0]",
    ]


def test_a_hook_that_does_not_exist_is_refused_each_time(tmp_path):
    install(tmp_path, "typo", {"lotdb.backend": ["typo = typo_plugin"]}, typo_plugin=TYPO)
    code = """
        from lotdb import Plugins, LotdbError
        plugins = Plugins()
        for _ in range(2):
            try:
                plugins.backend("typo")
            except LotdbError as error:
                print(type(error).__name__, "lotdb_get_bakend" in str(error))
    """
    assert run(tmp_path, code).splitlines() == ["PluginError True"] * 2


def test_a_plugin_with_an_unknown_hook_does_not_spoil_the_others(tmp_path):
    install(tmp_path, "typo", {"lotdb.backend": ["typo = typo_plugin"]}, typo_plugin=TYPO)
    install(tmp_path, "good", {"lotdb.backend": ["good = good_plugin"]}, good_plugin=GOOD)
    code = """
        from lotdb import DataNode, LotdbError, Plugins
        plugins = Plugins()
        try:
            plugins.backend("typo")
        except LotdbError as error:
            print(type(error).__name__)
        print(plugins.backend("good").__name__)
    """
    assert run(tmp_path, code).splitlines() == ["PluginError", "GoodBackend"]


@pytest.mark.parametrize("source", [FAILING, "import sys; sys.exit(3)"], ids=["raises", "exits"])
def test_a_broken_ingester_does_not_keep_the_others_from_reading(tmp_path, source):
    install(tmp_path, "bad", {"lotdb.ingester": ["a_bad = bad_plugin"]}, bad_plugin=source)
    code = """
        import warnings
        from lotdb import DataNode, Plugins
        open("a.txt", "w").write("hello")
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            print(DataNode("n", plugins=Plugins()).attach_file("a.txt").read())
        print([str(w.message) for w in told if "failed to load" in str(w.message)] != [])
    """
    assert run(tmp_path, code).splitlines() == ["hello", "True"]


def test_a_broken_node_plugin_does_not_keep_a_tree_from_being_read(tmp_path):
    install(tmp_path, "rec", {"lotdb.node": ["recording = rec_plugin"]}, rec_plugin=RECORDING)
    run(
        tmp_path,
        """
        from lotdb import LOTDB
        with LOTDB("db") as db, db.connection() as root:
            root.get_node("rec", node_type="recording").set_attribute("x", 1)
            root.get_node("plain")
        """,
    )
    (tmp_path / "rec_plugin.py").write_text(FAILING)
    code = """
        import warnings
        warnings.simplefilter("ignore")
        from lotdb import LOTDB
        with LOTDB("db", read_only=True) as db, db.connection() as root:
            print(list(root))
            print(root["plain"].path)
        with LOTDB("db") as db, db.connection() as root:
            root["plain"].rename("other")
            root.delete_node("rec")
    """
    assert run(tmp_path, code).splitlines() == ["['plain', 'rec']", "plain"]


RECORDING = """
    from lotdb import BaseNode, hookimpl

    class Recording(BaseNode):
        pass

    @hookimpl
    def lotdb_get_node_type(name):
        return Recording if name == "recording" else None
"""


# -- a database without its plugins ---------------------------------------------------------------


@pytest.fixture
def without_blob(tmp_path):
    """A database with payloads in blobs, and the plugins of somebody who has no blob backend."""
    files = {"blob": {"record_bytes": 0}}
    with LOTDB(tmp_path / "db", durability="process", backends=files) as db, db.connection() as root:
        node = root.get_data_node("a/x", samplerate_hz=100)
        node.write_data(np.arange(1000.0), metadata={"unit": "g"})
        root["a"].set_attribute("label", "hello")
        root.get_node("b")
    return tmp_path / "db", without_any()


def test_a_database_whose_backend_is_missing_opens_and_shows_its_metadata(without_blob):
    path, plugins = without_blob
    with LOTDB(path, plugins=plugins) as db, db.connection() as root:
        assert root["a"].get_attribute("label") == "hello"
        payload = root["a/x"].get_data()
        assert (payload.shape, payload.dtype, payload.samplerate_hz) == ((1000,), np.dtype("f8"), 100)
        assert payload.metadata == {"unit": "g"}
        assert payload.backend == "blob"


def test_reading_a_payload_whose_backend_is_missing_says_what_to_install(without_blob):
    path, plugins = without_blob
    with LOTDB(path, plugins=plugins) as db, db.connection() as root:
        with pytest.raises(
            MissingPluginError, match=r"no backend named 'blob' \(installed: none\).*lotdb-backend-blob"
        ):
            root["a/x"].read_data()
        with pytest.raises(MissingPluginError):
            root["a/x"].append_data(np.zeros(3))
        with pytest.raises(MissingPluginError):
            root["b"].add_tree(DataNode("new", plugins=plugins)).write_data([1.0])
        assert root["a/x"].get_data().shape == (1000,)


def test_a_payload_whose_backend_is_missing_can_be_moved_copied_and_deleted(without_blob):
    path, plugins = without_blob
    with LOTDB(path, plugins=plugins) as db:
        with db.connection() as root:
            root["a"].branch("c")
            root["a/x"].move(root["b"])
            root["c/x"].set_attribute("note", "forked")
            root.get_node("d").merge_tree(root["c"])
            root["c/x"].delete_data()
        db.pack()
    with LOTDB(path) as db, db.connection() as root:
        assert root["b/x"].read_data().tolist() == list(range(1000))
        assert root["d/x"].read_data().tolist() == list(range(1000))
        assert not root["c/x"].has_data()
        assert db.verify() == []


def test_verify_without_the_backend_warns_of_what_could_not_be_read(without_blob):
    path, plugins = without_blob
    with (
        LOTDB(path, plugins=plugins) as db,
        pytest.warns(
            RuntimeWarning, match="'data' of 'a/x' was not verified.*pip install lotdb-backend-blob"
        ),
    ):
        assert db.verify() == []


@pytest.mark.slow
def test_the_message_is_the_same_where_the_package_is_really_absent(without_blob, tmp_path):
    seen = run(
        tmp_path,
        """
        import lotdb
        with lotdb.LOTDB("db") as db, db.connection() as root:
            try:
                root["a/x"].read_data()
            except lotdb.LotdbError as error:
                print(type(error).__name__, "|", error)
        """,
        hide=["lotdb_backend_blob"],
    )
    assert seen.startswith("MissingPluginError | ")
    assert seen.endswith("pip install lotdb-backend-blob")


# -- plugins that are registered ------------------------------------------------------------------


class NpyBackend(Backend):
    """The example of the Backend's docstring."""

    name = "npy"

    def path(self, locator):
        return self.context.folder / f"{locator}.npy"

    def write(self, locator, array, options):
        self.context.folder.mkdir(exist_ok=True)
        with open(self.path(locator), "xb") as file:
            np.save(file, array)

    def read_into(self, locator, first_row, out):
        rows = np.load(self.path(locator), mmap_mode="r")
        out[...] = rows[first_row : first_row + len(out)]

    def delete(self, locator):
        self.path(locator).unlink(missing_ok=True)

    def locators(self):
        for path in self.context.folder.glob("*.npy"):
            yield path.stem, path.stat().st_mtime

    def describe(self, locator):
        return str(self.path(locator))


def plugins_with(answer, name="npy"):
    """Plugins whose backend *name* is *answer*, or what it returns if it is a function."""

    class Plugin:
        @hookimpl
        def lotdb_get_backend(self, name):
            return answer if name == asked else None

    asked = name
    plugins = Plugins()
    plugins.register(Plugin(), name="under-test")
    return plugins


def files(folder: Path):
    return sorted(path.name for path in (folder / "lotdb.fs.npy").glob("*"))


def test_a_registered_backend_stores_reads_and_survives_reopening(tmp_path):
    plugins = plugins_with(NpyBackend)
    with LOTDB(tmp_path, plugins=plugins) as db, db.connection() as root:
        node = root.get_data_node("a", backend="npy")
        node.write_data(np.arange(10))
        node.write_data(np.arange(300_000), data_attribute="large")
    assert len(files(tmp_path)) == 2
    with LOTDB(tmp_path, plugins=plugins) as db:
        with db.connection() as root:
            root["a"].append_data(np.arange(10, 13))
            root["a"].branch("b")
        with db.connection() as root:
            assert root["a"].read_data().tolist() == list(range(13))
            assert root["b"].read_data(5, 7, data_attribute="large").tolist() == [5, 6]
        assert db.verify() == []


def test_a_registered_backend_gets_abort_and_garbage_collection_for_nothing(tmp_path):
    with LOTDB(tmp_path, plugins=plugins_with(NpyBackend)) as db:
        root = db.open_connection()
        node = root.get_data_node("a", backend="npy")
        node.write_data(np.arange(300_000))
        db.abort()
        assert files(tmp_path) == []
        node = root.get_data_node("a", backend="npy")
        node.write_data(np.arange(300_000))
        db.commit()
        node.replace_data(np.arange(5))
        db.commit()
        assert len(files(tmp_path)) == 2
        db.close_connection()
        db.pack()
        assert len(files(tmp_path)) == 1
        with db.connection() as root:
            assert root["a"].read_data().tolist() == [0, 1, 2, 3, 4]


def test_a_registered_backends_missing_file_is_damage_that_names_it(tmp_path):
    with LOTDB(tmp_path, plugins=plugins_with(NpyBackend)) as db:
        with db.connection() as root:
            root.get_data_node("a", backend="npy").write_data(np.arange(5))
        (name,) = files(tmp_path)
        (tmp_path / "lotdb.fs.npy" / name).unlink()
        with db.connection() as root, pytest.raises(DamagedError, match=name):
            root["a"].read_data()


def test_options_that_a_backend_does_not_take_are_refused_at_the_call(tmp_path):
    with LOTDB(tmp_path, plugins=plugins_with(NpyBackend)) as db, db.connection() as root:
        node = root.get_data_node("a", backend="npy")
        with pytest.raises(InvalidOptionError, match="backend 'npy' takes no option 'codec'"):
            node.write_data([1.0], codec="zstd")
        with pytest.raises(InvalidOptionError, match="backend 'blob' takes no option 'if_exist'"):
            node.write_data([1.0], backend="blob", if_exist="error")
        assert not node.has_data()


class NoMethods(Backend):
    name = "npy"


class FailsToOpen(NpyBackend):
    def __init__(self, context):
        raise OSError("no such bucket")


class FailsToWrite(NpyBackend):
    def write(self, locator, array, options):
        raise RuntimeError("quota exceeded")


class FailsToName(NpyBackend):
    def new_locator(self):
        raise RuntimeError("out of names")


class FailsToCheckOptions(NpyBackend):
    @classmethod
    def check_options(cls, options, dtype, row_shape):
        raise RuntimeError("cannot check")


class FailsToCheckDtype(NpyBackend):
    @classmethod
    def check_dtype(cls, dtype):
        raise RuntimeError("cannot check")


class ChecksAsAnInstance(NpyBackend):
    def check_dtype(self, dtype):
        pass


class Unrelated:
    def __init__(self, context):
        pass


WRONG = {
    "text": "text", "number": 5, "object": object(), "dict": dict, "unrelated": Unrelated,
    "no methods": NoMethods,
    "fails to open": FailsToOpen, "fails to name": FailsToName, "fails to check options": FailsToCheckOptions,
    "fails to check dtype": FailsToCheckDtype, "checks as an instance": ChecksAsAnInstance,
}  # fmt: skip


@pytest.mark.parametrize("answer", WRONG)
def test_a_backend_that_is_none_is_a_plugin_error_that_names_it(tmp_path, answer):
    with LOTDB(tmp_path, plugins=plugins_with(WRONG[answer])) as db:
        root = db.open_connection()
        node = root.get_data_node("a")
        with pytest.raises(PluginError, match="npy"):
            node.write_data([1.0], backend="npy")
        assert not node.has_data()
        db.commit()


def test_a_backend_that_fails_to_write_is_a_plugin_error_and_the_commit_keeps_nothing(tmp_path):
    with LOTDB(tmp_path, plugins=plugins_with(FailsToWrite)) as db:
        root = db.open_connection()
        root.get_data_node("a").write_data([1.0], backend="npy")
        with pytest.raises(PluginError, match=r"backend 'npy' failed to write.*quota exceeded"):
            db.commit()
        assert len(root) == 0


class ReturnsAPath(NpyBackend):
    """Its locators go into a record well enough, and never come out again: they are no plain values."""

    def new_locator(self):
        return PurePosixPath(super().new_locator())


def test_a_locator_that_cannot_be_loaded_again_is_never_committed(tmp_path):
    with (
        LOTDB(tmp_path, plugins=plugins_with(ReturnsAPath)) as db,
        pytest.raises(PluginError, match="npy"),
        db.connection() as root,
    ):
        root.get_data_node("a").write_data([1.0], backend="npy")
    with LOTDB(tmp_path) as db, db.connection() as root:
        assert list(root) == []


class ReadsZeros(NpyBackend):
    def read_into(self, locator, first_row, out):
        out[...] = 0


class FailsToRead(NpyBackend):
    def read_into(self, locator, first_row, out):
        raise RuntimeError("gone fishing")


class FailsToDescribe(FailsToRead):
    def describe(self, locator):
        raise RuntimeError("indescribable")


@pytest.mark.parametrize("answer", [ReadsZeros, FailsToRead, FailsToDescribe])
def test_a_backend_that_does_not_read_is_told_from_data(tmp_path, answer):
    with LOTDB(tmp_path, plugins=plugins_with(answer)) as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(np.arange(1.0, 9.0), backend="npy")
        with db.connection() as root, pytest.raises(LotdbError, match="payload 'data' of node 'a'"):
            root["a"].read_data()


def test_an_unknown_hook_is_refused_by_register():
    class Typo:
        @hookimpl
        def lotdb_get_bakend(self, name):
            return None

    plugins, typo = Plugins(), Typo()
    with pytest.raises(PluginError, match="lotdb_get_bakend"):
        plugins.register(typo)
    with pytest.raises(PluginError, match="lotdb_get_bakend"):
        plugins.register(typo)
    plugins.register(RecordingPlugin())


class RecordingPlugin:
    @hookimpl
    def lotdb_get_node_type(self, name):
        return BaseNode if name == "recording" else None


def test_a_hook_with_an_unknown_argument_is_refused_by_register():
    class Odd:
        @hookimpl
        def lotdb_node_created(self, node, flavour):
            pass

    with pytest.raises(PluginError, match="flavour"):
        Plugins().register(Odd())


def test_the_same_plugin_is_not_registered_twice():
    plugins, plugin = Plugins(), RecordingPlugin()
    plugins.register(plugin)
    with pytest.raises(PluginError, match="cannot be registered"):
        plugins.register(plugin)
    assert plugins.node_type("recording") is BaseNode


def test_two_plugins_of_one_name_are_refused():
    plugins = Plugins()
    plugins.register(RecordingPlugin(), name="rec")
    with pytest.raises(PluginError, match=r"'?rec'? cannot be registered"):
        plugins.register(RecordingPlugin(), name="rec")


def test_a_plugin_without_any_hook_is_refused():
    with pytest.raises(PluginError, match="hook"):
        Plugins().register(object())


def test_fresh_plugins_know_nothing_of_each_other():
    one, two = Plugins(), Plugins()
    one.register(RecordingPlugin())
    assert one.node_type("recording") is BaseNode
    assert two.node_type("recording") is None


def test_a_plugin_registered_late_is_found():
    plugins = Plugins()
    assert plugins.node_type("recording") is None
    plugins.register(RecordingPlugin())
    assert plugins.node_type("recording") is BaseNode
