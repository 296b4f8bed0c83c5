"""Hook functions: those that could not be called as they are meant are refused, the others are called so."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    Backend,
    BaseNode,
    DataNode,
    Ingested,
    InvalidOptionError,
    PluginError,
    Plugins,
    ValueType,
    hookimpl,
    hookspecs,
)
from lotdb.registry import registry


def refusal(plugin, name="acme"):
    """What registering *plugin* says."""
    with pytest.raises(PluginError) as caught:
        Plugins().register(plugin, name)
    message = str(caught.value)
    assert message.startswith(f"plugin {name!r} cannot be registered: ")
    return message


def whole(error):
    """What is told of an error, with its notes."""
    return "\n".join([str(error), *getattr(error, "__notes__", ())])


def with_plugins(*several):
    plugins = Plugins()
    for plugin in several:
        plugins.register(plugin)
    return plugins


# -- wrappers -------------------------------------------------------------------------------------


class Plain:
    def __init__(self, heard):
        self.heard = heard

    @hookimpl
    def lotdb_payload_written(self, node, name):
        self.heard.append(f"plain {node.path} {name}")


class Wrapper(Plain):
    @hookimpl(wrapper=True)
    def lotdb_payload_written(self, node, name):
        self.heard.append(f"before {name}")
        result = yield
        self.heard.append("after")
        return result


class OldWrapper(Plain):
    @hookimpl(hookwrapper=True)
    def lotdb_payload_written(self, node):
        self.heard.append(f"before {node.path}")
        outcome = yield
        outcome.get_result()
        self.heard.append("after")


@pytest.mark.parametrize("kind", [Wrapper, OldWrapper])
@pytest.mark.parametrize("order", ["first", "last", "alone"])
def test_a_wrapper_runs_around_the_listeners(tmp_path, kind, order):
    heard = []
    several = {"first": (kind, Plain), "last": (Plain, kind), "alone": (kind,)}[order]
    plugins = with_plugins(*(each(heard) for each in several))
    with LOTDB(tmp_path, durability="process", plugins=plugins) as db, db.connection() as root:
        root.get_data_node("a").write_data([1.0])
    what = "data" if kind is Wrapper else "a"
    plain = [] if order == "alone" else ["plain a data"]
    assert heard == [f"before {what}", *plain, "after"]


@pytest.mark.parametrize(
    ("event", "change"),
    [
        ("lotdb_node_created", lambda root: root.get_node("new")),
        ("lotdb_node_moved", lambda root: root["a"].rename("b")),
        ("lotdb_node_deleted", lambda root: root["a"].delete_tree()),
        ("lotdb_payload_written", lambda root: root.get_data_node("c").write_data("text")),
    ],
)
def test_every_event_has_wrappers(event, change):
    ran = []

    def around():
        ran.append("before")
        yield
        ran.append("after")

    class Module:
        pass

    around = hookimpl(around, wrapper=True, specname=event)
    Module.around = staticmethod(around)
    plugins = Plugins()
    root = BaseNode(plugins=plugins)
    root.get_node("a")
    root.get_data_node("c")
    plugins.register(Module())
    change(root)
    assert ran == ["before", "after"]


def test_the_error_of_a_wrapped_listener_names_the_listener_and_passes_the_wrapper():
    class Fails:
        @hookimpl
        def lotdb_payload_written(self):
            raise RuntimeError("disk on fire")

    class Watches:
        seen = []  # noqa: RUF012

        @hookimpl(wrapper=True)
        def lotdb_payload_written(self):
            try:
                return (yield)
            except RuntimeError as error:
                self.seen.append(str(error))
                raise

    plugins = Plugins()
    plugins.register(Watches(), name="watch")
    plugins.register(Fails(), name="alarm")
    with pytest.raises(RuntimeError, match="on fire") as caught:
        DataNode("n", plugins=plugins).write_data([1.0])
    assert all(word in whole(caught.value) for word in ("'alarm'", "lotdb_payload_written"))
    assert "'watch'" not in whole(caught.value)
    assert Watches.seen == ["disk on fire"]


def test_the_error_of_a_wrapper_names_the_wrapper():
    class Fails:
        @hookimpl(wrapper=True)
        def lotdb_payload_written(self):
            yield
            raise RuntimeError("too late")

    plugins = Plugins()
    plugins.register(Plain([]), name="plain")
    plugins.register(Fails(), name="around")
    with pytest.raises(RuntimeError, match="too late") as caught:
        DataNode("n", plugins=plugins).write_data([1.0])
    assert all(word in whole(caught.value) for word in ("'around'", "lotdb_payload_written"))
    assert "'plain'" not in whole(caught.value)


def test_an_error_of_the_system_within_a_wrapper_stays_one():
    class Fails:
        @hookimpl
        def lotdb_payload_written(self):
            raise OSError(28, "No space left on device")

    plugins = with_plugins(Wrapper([]))
    plugins.register(Fails(), name="full")
    with pytest.raises(OSError, match="No space left") as caught:
        DataNode("n", plugins=plugins).write_data([1.0])
    assert caught.value.errno == 28
    assert "'full'" in whole(caught.value)


def test_a_wrapper_may_forgive_a_listener():
    class Forgives:
        @hookimpl(wrapper=True)
        def lotdb_payload_written(self):
            try:
                yield
            except RuntimeError:
                return None

    class Fails:
        @hookimpl
        def lotdb_payload_written(self):
            raise RuntimeError

    node = DataNode("n", plugins=with_plugins(Forgives(), Fails()))
    node.write_data([1.0])
    assert node.read_data().tolist() == [1.0]


@pytest.mark.parametrize(
    ("hook", "arguments"),
    [
        ("lotdb_get_backend", "name"),
        ("lotdb_get_node_type", "name"),
        ("lotdb_get_value_types", ""),
        ("lotdb_ingest_file", "source"),
        ("lotdb_identify_file", "source"),
        ("lotdb_export_file", "target, payload"),
    ],
)
@pytest.mark.parametrize("how", ["wrapper", "hookwrapper"])
def test_a_wrapper_of_what_is_asked_one_by_one_is_refused(hook, arguments, how):
    names = {}
    exec(f"def {hook}({arguments}):\n    result = yield\n    return result", names)

    class Module:
        pass

    setattr(Module, hook, staticmethod(hookimpl(names[hook], **{how: True})))
    assert f"its {hook} is a wrapper" in refusal(Module())
    assert "tryfirst=True" in refusal(Module())


# -- what could not be called as it is meant --------------------------------------------------------


class Misspelt:
    @hookimpl
    def lotdb_payload_writen(self, node, name):
        pass


class MisspeltSpecname:
    @hookimpl(specname="lotdb_node_move")
    def moved(self, node):
        pass


class Elsewhere:
    @hookimpl
    def pytest_configure(self):
        pass


class Flavoured:
    @hookimpl
    def lotdb_node_created(self, node, flavour):
        pass


class Misnamed:
    @hookimpl
    def lotdb_payload_written(self, node, payload):
        pass


class Takes:
    @hookimpl
    def lotdb_get_value_types(self, name):
        return []


class Defaults:
    @hookimpl
    def lotdb_payload_written(self, node, name="data"):
        pass


class KeywordOnly:
    @hookimpl
    def lotdb_payload_written(self, *, node):
        pass


class Async:
    @hookimpl
    async def lotdb_node_created(self, node):
        pass


class Generates:
    @hookimpl
    def lotdb_node_created(self, node):
        yield


class GeneratesAnExport:
    @hookimpl
    def lotdb_export_file(self, target, payload):
        target.file.write(b"never")
        yield


class WrapsWithoutYield:
    @hookimpl(wrapper=True)
    def lotdb_node_created(self, node):
        return None


class WrapsTwice:
    @hookimpl(wrapper=True, hookwrapper=True)
    def lotdb_node_created(self, node):
        yield


class FirstAndLast:
    @hookimpl(tryfirst=True, trylast=True)
    def lotdb_node_created(self, node):
        pass


class Unmarked:
    @hookimpl
    def lotdb_node_created(self, node):
        pass

    def lotdb_node_deleted(self, parent, key):
        pass


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Misspelt, "lotdb_payload_writen, and there is no such hook; did you mean lotdb_payload_written?"),
        (MisspeltSpecname, "lotdb_node_move, and there is no such hook; did you mean lotdb_node_moved?"),
        (Elsewhere, "pytest_configure, and there is no such hook; there are lotdb_"),
        (Flavoured, "its lotdb_node_created takes an argument 'flavour', which that hook does not have"),
        (Misnamed, "its lotdb_payload_written takes an argument 'payload', .* it may take 'node', 'name'"),
        (Takes, "its lotdb_get_value_types takes an argument 'name', .* it takes none"),
        (Defaults, "its lotdb_payload_written has a default for 'name', which would be used always"),
        (KeywordOnly, "its lotdb_payload_written takes 'node' by keyword only"),
        (Async, "its lotdb_node_created is an async function"),
        (Generates, r"its lotdb_node_created has a yield in it, .* mark it @hookimpl\(wrapper=True\)"),
        (GeneratesAnExport, "its lotdb_export_file has a yield in it, .* return the result"),
        (WrapsWithoutYield, "its lotdb_node_created is a wrapper without a yield"),
        (WrapsTwice, "its lotdb_node_created is marked wrapper=True and hookwrapper=True"),
        (FirstAndLast, "its lotdb_node_created is marked tryfirst=True and trylast=True"),
        (Unmarked, "its lotdb_node_deleted is not marked as a hook; put @lotdb.hookimpl above it"),
    ],
)
def test_what_could_not_be_called_as_it_is_meant_is_refused(kind, said):
    plugins = Plugins()
    with pytest.raises(PluginError, match=said):
        plugins.register(kind(), name="acme")
    # Nothing is left of it: the next one is registered, and a change is told to that alone.
    heard = []
    plugins.register(Plain(heard), name="acme")
    DataNode("n", plugins=plugins).write_data([1.0])
    assert heard == ["plain  data"]


def test_a_class_in_place_of_an_object_is_refused():
    assert "it is the class Plain, not an object; register Plain()" in refusal(Plain)


def test_a_class_whose_hooks_need_no_object_is_taken():
    heard = []

    class Module:
        @staticmethod
        @hookimpl
        def lotdb_node_created(node):
            heard.append(node.path)

        @staticmethod
        @hookimpl
        def lotdb_node_deleted(key):
            heard.append(key)

    root = BaseNode(plugins=with_plugins(Module))
    root.get_node("a").delete_tree()
    assert heard[-1] == "a"


@pytest.mark.parametrize("name", ["", 5, b"acme"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(InvalidOptionError, match="name is"):
        Plugins().register(Plain([]), name=name)


def test_defaults_of_other_arguments_and_stars_are_left_alone():
    heard = []

    class Odd:
        @hookimpl
        def lotdb_node_created(self, node, heard=heard, *more, loud=True, **rest):
            heard.append((node.path, more, loud, rest))

    BaseNode(plugins=with_plugins(Odd())).get_node("a")
    assert heard == [("a", (), True, {})]


def test_value_types_may_be_generated():
    class Module:
        @hookimpl
        def lotdb_get_value_types(self):
            yield ValueType("acme.fraction", Fractional, lambda value: value.of, Fractional)

    root = BaseNode(plugins=with_plugins(Module()))
    root.attrs["x"] = Fractional(3)
    assert root.attrs["x"] == Fractional(3)


class Fractional:
    def __init__(self, of):
        self.of = of

    def __eq__(self, other):
        return self.of == other.of

    __hash__ = None  # type: ignore[assignment]


def test_an_optional_hook_of_another_version_is_taken():
    class Module(Plain):
        @hookimpl(optionalhook=True)
        def lotdb_of_tomorrow(self, whatever):
            raise AssertionError

    heard = []
    DataNode("n", plugins=with_plugins(Module(heard))).write_data([1.0])
    assert heard == ["plain  data"]


def test_specname_says_which_hook_it_is():
    class Module:
        heard = []  # noqa: RUF012

        @hookimpl(specname="lotdb_payload_written")
        def remember(self, name):
            self.heard.append(name)

    DataNode("n", plugins=with_plugins(Module())).write_data([1.0])
    assert Module.heard == ["data"]


def test_listeners_and_ingesters_are_called_in_the_order_that_they_ask_for(tmp_path):
    heard = []

    def plugin(name, **how):
        class Module:
            @hookimpl(**how)
            def lotdb_node_created(self):
                heard.append(name)

            @hookimpl(**how)
            def lotdb_ingest_file(self, source):
                heard.append(name)
                return Ingested("read", format="npy") if name == "plain" else None

        return Module()

    plugins = with_plugins(plugin("last", trylast=True), plugin("first", tryfirst=True), plugin("plain"))
    node = DataNode("n", plugins=plugins)
    node.get_node("a")
    assert heard == ["first", "plain", "last"]
    heard.clear()
    np.save(tmp_path / "a.npy", np.arange(3))
    assert node.attach_file(tmp_path / "a.npy").read() == "read"  # before the installed one
    assert heard == ["first", "plain"]


def test_a_registered_ingester_comes_before_those_that_are_installed_whenever_they_were_loaded(tmp_path):
    class Module:
        @hookimpl
        def lotdb_ingest_file(self, source):
            return Ingested("mine", format="npy") if source.format == "npy" else None

    np.save(tmp_path / "a.npy", np.arange(3))
    early, late = Plugins(), Plugins()
    assert DataNode("n", plugins=late).attach_file(tmp_path / "a.npy").kind == "array"
    for plugins in (early, late):
        plugins.register(Module())
        assert DataNode("n", plugins=plugins).attach_file(tmp_path / "a.npy").read() == "mine"


# -- late registration -----------------------------------------------------------------------------


class Everything:
    """A plugin of each kind."""

    def __init__(self):
        self.heard = []

    @hookimpl
    def lotdb_node_created(self, node):
        self.heard.append(node.path)

    @hookimpl
    def lotdb_get_node_type(self, name):
        return Late if name == "late" else None

    @hookimpl
    def lotdb_get_value_types(self):
        return [ValueType("acme.late", Fractional, lambda value: value.of, Fractional)]

    @hookimpl
    def lotdb_ingest_file(self, source):
        return Ingested("late", format="late") if source.format == "late" else None


class Late(DataNode):
    __slots__ = ()
    node_type_name = "late"


def test_a_plugin_that_is_registered_late_holds_from_then_on(tmp_path):
    plugin = Everything()
    plugins = with_plugins(plugin)
    with LOTDB(tmp_path / "db", durability="process", plugins=plugins) as db, db.connection() as root:
        root.get_node_path("old", node_type="late").attrs["x"] = Fractional(1)
    plugin.heard.clear()
    (tmp_path / "a.late").write_bytes(b"")

    plugins = Plugins()
    with LOTDB(tmp_path / "db", durability="process", plugins=plugins) as db:
        root = db.open_connection()
        before, unread = root["old"], root["old"].attrs["x"]
        root.get_node("a")  # nobody hears it, neither now nor later
        plugins.register(plugin)
        root.get_node("b")
        assert plugin.heard == ["b"]
        assert type(root["old"]) is Late
        assert type(before) is not Late  # a node object keeps its class
        assert before.attrs["x"] == Fractional(1)
        assert unread.tag == "acme.late"
        assert root.get_data_node("c").attach_file(tmp_path / "a.late").read() == "late"
        db.commit()
        other = db.open_connection("other")
        other.get_node("d")
        assert plugin.heard == ["b", "c", "d"]


def test_what_is_registered_comes_before_what_is_installed_whenever_that_was_loaded(tmp_path):
    class Mine(Backend):
        name = "blob"

        def write(self, locator, array, options): ...
        def read_into(self, locator, first_row, out): ...
        def delete(self, locator): ...

    class Module:
        @hookimpl
        def lotdb_get_backend(self, name):
            return Mine if name == "blob" else None

    early, late = Plugins(), Plugins()
    assert late.backend("blob") is not Mine
    for plugins in (early, late):
        plugins.register(Module())
        assert plugins.backend("blob") is Mine


def test_plugins_without_a_name_are_told_apart():
    plugins = Plugins()
    for _ in range(3):
        plugins.register(Plain([]))
    own = f"{__name__}.Plain"
    assert [row.name for row in plugins.listing() if not row.distribution] == [own, f"{own} #2", f"{own} #3"]


def test_threads_may_be_the_first_to_change_something_at_once():
    for _ in range(3):
        plugins, together = Plugins(), threading.Barrier(4)

        def create(number, plugins=plugins, together=together):
            root = BaseNode(plugins=plugins)
            together.wait(30)
            root.get_node("a")
            plugins.backend("blob")
            plugins.ingesters("lotdb_ingest_file")
            return list(root)

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(create, range(4))) == [["a"]] * 4


def test_events_are_the_hooks_of_node_plugins_that_give_nothing():
    hooks = {name for name in vars(hookspecs.NodeSpec) if name.startswith("lotdb_")}
    assert {name for name in hooks if not name.startswith("lotdb_get_")} == registry._EVENTS
