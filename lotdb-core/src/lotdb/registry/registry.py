"""Loading plugins, each when it is first needed."""

from __future__ import annotations

import functools
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lotdb.errors import (
    FileSystemError,
    InvalidOptionError,
    LotdbError,
    MissingPluginError,
    PluginError,
    nearest,
    refusing,
    shown,
    system_error,
)
from lotdb.interfaces.installed import BACKEND, INGESTER, NODE, STORAGE, distribution_of, look_up
from lotdb.interfaces.options import check_flag, is_several
from lotdb.interfaces.storage import Storage
from lotdb.storages.one_file import FileStorageKind

if TYPE_CHECKING:
    import pluggy

    from lotdb.interfaces.backend import Backend
    from lotdb.registry.listing import PluginInfo, State
    from lotdb.registry.offered import ValueTypeTable
    from lotdb.tree.handle import Handle
    from lotdb.values.valuetype import ValueType

__all__ = ["OFF_VARIABLE", "Plugins", "check_plugins", "installed", "plugins"]

OFF_VARIABLE = "LOTDB_PLUGINS_OFF"
"""The environment variable with the names of plugins that are switched off, with commas between them."""

# The hooks that tell of something. Of the others each gives something.
_EVENTS = frozenset(
    (
        "lotdb_committed",
        "lotdb_node_created",
        "lotdb_node_deleted",
        "lotdb_node_moved",
        "lotdb_payload_written",
    )
)
# Those that :meth:`Plugins.emit` calls, within the change that they tell of. What is told after a commit is
# told to each listener whatever the others do, and so has no wrappers.
_WRAPPABLE = _EVENTS - {"lotdb_committed"}

# The types that the core has itself, and that check nothing.
_UNCHECKED = frozenset(("", "data"))

_KINDS = {BACKEND: "backend", INGESTER: "ingester", NODE: "node", STORAGE: "storage"}
_ASKED = {BACKEND: "lotdb_get_backend", NODE: "lotdb_get_node_type", STORAGE: "lotdb_get_storage"}
# What messages call that which these hooks give.
_CALLED = {BACKEND: "backend", NODE: "node type", STORAGE: "storage"}

_OUR_BACKENDS = {"blob": "lotdb-backend-blob", "zarr": "lotdb-backend-zarr"}

# Filled by the modules that define them, which stand above this one.
BUILT_IN_NODE_TYPES: dict[str, type[Handle]] = {}


class Plugins:
    """The installed plugins, each loaded when it is first needed.

    A new ``Plugins()`` shares nothing that another one loaded or registered; tests pass a new one.

    What is registered comes before what is installed: an installed backend, node type or attribute type of
    the same name is not used then, and an installed ingester is asked later. It holds from then on, also in
    databases that are open: for each change, each file, each value and each node that is looked up. Nothing
    is told of earlier changes, and a node object keeps its class.

    Parameters
    ----------
    off
        Names of installed plugins to do without, besides those that the environment variable
        ``LOTDB_PLUGINS_OFF`` names. A name that is not installed is no error.

    Raises
    ------
    InvalidOptionError
        If *off* is no list of names.
    """

    def __init__(self, *, off: Iterable[str] = ()) -> None:
        self._off = _switched_off(off)
        # For the threads of all databases that share it. It is not held while a plugin's code runs.
        self._lock = threading.RLock()
        self._made_manager: pluggy.PluginManager | None = None
        self._registered: set[str] = set()
        self._ingesters: dict[str, list[tuple[str, Callable[..., Any]]]] = {}  # by hook, once all are loaded
        self._loaded: dict[tuple[str, str], object] = {}  # by the group and the name of the entry point
        self._failures: dict[tuple[str, str], str] = {}
        self._backends: dict[str, type[Backend]] = {}
        self._storages: dict[str, type[Storage]] = {}
        self._node_types: dict[str, type[Handle] | None] = {}
        self._value_types: ValueTypeTable | None = None
        self._listeners: dict[str, list[Any]] | None = None
        #: Events that nobody listens to, as far as is known: :meth:`emit` need not be called for them.
        self.unheard: frozenset[str] = frozenset()
        #: Types of nodes whose class checks no writes, as far as is known.
        self.unchecked: set[str] = set(_UNCHECKED)
        self._points: dict[str, tuple[Any, ...]] = {}

    @property
    def _manager(self) -> pluggy.PluginManager:
        """What knows the plugins that are loaded; made for the first, which most programs do not load."""
        with self._lock:
            if self._made_manager is None:
                self._made_manager = self._new_manager()
            return self._made_manager

    def _new_manager(self) -> pluggy.PluginManager:
        import pluggy

        import lotdb.hookspecs as hookspecs

        manager = pluggy.PluginManager("lotdb")
        specs = hookspecs.BackendSpec, hookspecs.IngesterSpec, hookspecs.NodeSpec, hookspecs.StorageSpec
        for spec in specs:
            manager.add_hookspecs(spec)
        return manager

    def register(self, plugin: object, name: str | None = None) -> None:
        """Add *plugin*, a module or object with hook functions that no entry point names.

        Raises
        ------
        PluginError
            If one of its hook functions could not be called as it is meant: no such hook, other arguments
            than the hook's, a wrapper where there are none. Or if it, or another of that name, is registered.
        """
        if name is not None and (not isinstance(name, str) or not name):
            raise InvalidOptionError(f"name is {shown(name)}; use a text")
        name = name or self._name_for(plugin)
        try:
            self._register(plugin, name)
        except Exception as error:
            raise PluginError(f"plugin {name!r} cannot be registered: {error}") from error
        self._registered.add(name)
        self._forget()

    def _name_for(self, plugin: object) -> str:
        kind = type(plugin)
        name = getattr(plugin, "__name__", None) or f"{kind.__module__}.{kind.__qualname__}"
        taken = sum(each.partition(" #")[0] == name for each in self._registered)
        return f"{name} #{taken + 1}" if taken else str(name)

    def _register(self, plugin: object, name: str) -> None:
        from lotdb.registry.hooks import fault_of  # wanted only if there are plugins

        if fault := fault_of(plugin, self._manager, _WRAPPABLE):
            raise ValueError(fault)
        with self._lock:
            known = self._manager.get_name(plugin)
            if known in self._registered:
                raise ValueError(f"it is registered already, as {known!r}")
            if self._manager.has_plugin(name):
                raise ValueError("another plugin of that name is registered already")
            if known is not None:  # it is installed, and happens to be loaded
                self._manager.unregister(plugin)
            self._manager.register(plugin, name=name)
            self._ingesters = {}

    # -- backends ----------------------------------------------------------------------------------

    def backend(self, name: str) -> type[Backend]:
        """The backend class called *name*.

        Raises
        ------
        MissingPluginError
            If none of that name is installed, and the message says what to install; or if it is switched off.
        PluginError
            If it fails to import, knows itself by another name, or two distributions bring one of that name.
        """
        found = self._backends.get(name) if isinstance(name, str) else None
        if found is None:
            from lotdb.interfaces.backend import Backend  # which needs numpy, as each backend does
            from lotdb.segments.memory import MemoryBackend

            found = self._find(BACKEND, name)
            if found is None and name == MemoryBackend.name:
                found = MemoryBackend
            if found is None:
                raise self._missing(BACKEND, name)
            if not (isinstance(found, type) and issubclass(found, Backend)):
                raise PluginError(
                    f"the plugin for backend {name!r} gave {found!r}, not a subclass of lotdb.Backend"
                )
            if (own := getattr(found, "name", name)) != name:
                raise PluginError(
                    f"the plugin for backend {name!r} gave {found.__name__}, whose name is {own!r}; make the "
                    "two equal"
                )
            _check_methods("backend", name, found)
            self._backends[name] = found
        return found

    def check_backend(self, name: str) -> None:
        """Raise ``MissingPluginError`` if no backend called *name* is installed; load nothing."""
        if name not in self._backends and (name in self._off or not self._entry_points(BACKEND, name)):
            self.backend(name)

    def check_backend_settings(self, name: str, config: Mapping[str, Any]) -> None:
        """Raise ``InvalidOptionError`` for a setting that backend *name* has not, if its plugin can say so.

        The class is not loaded: it may take long to import, and looks itself when it is opened. So it does if
        a registered plugin may have another backend of that name.
        """
        asked = self._implementations("lotdb_get_backend")
        if not config or any(each.plugin_name in self._registered for each in asked):
            return
        try:
            known = self._find(BACKEND, name, "lotdb_get_backend_settings")
        except PluginError:
            return  # which is told when the backend is first used: what it does not hold can be read
        if known is not None:
            from lotdb.interfaces.backend import check_settings

            check_settings(name, known, config)

    def check_settings(self, configs: Any) -> None:
        """Raise unless *configs* are settings that backends have, or None.

        Raises
        ------
        InvalidOptionError
            If they are no mapping of names to mappings, or a backend has no such setting.
        MissingPluginError
            If a backend is not installed.
        """
        if configs is None:
            return
        if not isinstance(configs, Mapping) or not all(
            isinstance(name, str) and isinstance(each, Mapping) for name, each in configs.items()
        ):
            raise InvalidOptionError(
                f"backends is {shown(configs)}; use a mapping of names to mappings of settings"
            )
        for name, config in configs.items():
            self.check_backend(name)
            self.check_backend_settings(name, config)

    # -- storages ----------------------------------------------------------------------------------

    def storage(self, name: str) -> type[Storage]:
        """The storage class called *name*.

        Raises
        ------
        MissingPluginError
            If none of that name is installed, or if it is switched off.
        PluginError
            If it fails to import, knows itself by another name, or two distributions bring one of that name.
        """
        found = self._storages.get(name) if isinstance(name, str) else None
        if found is None:
            # What is installed is not searched for the usual one: that takes longer than opening it.
            is_usual = name == FileStorageKind.name and not self._implementations(_ASKED[STORAGE])
            found = FileStorageKind if is_usual else self._find(STORAGE, name)
            if found is None:
                raise self._missing(STORAGE, name)
            if not (isinstance(found, type) and issubclass(found, Storage)):
                raise PluginError(
                    f"the plugin for storage {name!r} gave {found!r}, not a subclass of lotdb.Storage"
                )
            if found.name != name:
                raise PluginError(
                    f"the plugin for storage {name!r} gave {found.__name__}, whose name is {found.name!r}; "
                    "make the two equal"
                )
            _check_methods("storage", name, found)
            self._storages[name] = found
        return found

    # -- node types and attribute types ------------------------------------------------------------

    def node_type(self, name: str) -> type[Any] | None:
        """The class for nodes of type *name*, or None if it is not installed or switched off.

        Raises
        ------
        PluginError
            If it fails to import, knows itself by another name, or two distributions bring one of that name.
        """
        if name not in self._node_types:
            found: Any = self._find(NODE, name)
            if found is None:
                found = BUILT_IN_NODE_TYPES.get(name)
            own = getattr(found, "node_type_name", "")
            # A class without a name of its own has that of the built-in class that it extends.
            if own not in ("", name, *BUILT_IN_NODE_TYPES):
                raise PluginError(
                    f"the plugin for node type {name!r} gave {found.__name__}, whose node_type_name is "
                    f"{own!r}; make the two equal"
                )
            self._node_types[name] = found
        return self._node_types[name]

    def missing_node_type(self, name: str) -> MissingPluginError | PluginError:
        """The error that says why there is no class for nodes of type *name*, and what to do about it."""
        return self._missing(NODE, name)

    def by_type(self, type_: type) -> ValueType | None:
        """The attribute type whose values are exactly of *type_*.

        Raises
        ------
        PluginError
            If two plugins bring one.
        """
        return self._all_value_types().by_type(type_)

    def by_name(self, name: str) -> ValueType | None:
        """The attribute type called *name*.

        Raises
        ------
        PluginError
            If two plugins bring one.
        """
        return self._all_value_types().by_name(name)

    def _all_value_types(self) -> ValueTypeTable:
        found = self._value_types
        if found is None:
            from lotdb.registry.offered import ValueTypeTable  # wanted for values of such types alone

            self._load_all(NODE)
            found = ValueTypeTable()
            for implementation in self._implementations("lotdb_get_value_types"):
                registered = implementation.plugin_name in self._registered
                try:
                    found.add(implementation.function(), self._described(implementation), registered)
                except Exception as error:
                    # One broken plugin must not keep the others, nor the user's data, out of reach.
                    reason = f"lotdb_get_value_types of {self._described(implementation)} failed: {error!r}"
                    self._note_failure(implementation, reason, NODE)
                    warnings.warn(reason, RuntimeWarning, stacklevel=4)
            self._value_types = found
        return found

    # -- ingesters ---------------------------------------------------------------------------------

    def ingesters(self, hook: str) -> list[tuple[str, Callable[..., Any]]]:
        """Name and function of each plugin that implements *hook* of ``IngesterSpec``, in calling order."""
        found = self._ingesters.get(hook)
        if found is None:
            self._load_all(INGESTER)
            known = self._ingesters  # another one, once another thread has registered a plugin
            # Asked one by one, it is known which of them failed.
            found = known[hook] = [(each.plugin_name, _by_name(each)) for each in self._implementations(hook)]
        return found

    def export_formats(self) -> list[str]:
        """The names of the formats that plugins say they write, in order."""
        return sorted(set().union(*self._formats("lotdb_get_export_formats").values()))

    def ingest_formats(self) -> dict[str, set[str]]:
        """The names of the formats that each plugin says it reads, by the plugin's name.

        Plugins that do not say so are not in it.
        """
        return self._formats("lotdb_get_ingest_formats")

    def _formats(self, hook: str) -> dict[str, set[str]]:
        found = {}
        for name, function in self.ingesters(hook):
            try:
                if (said := function()) is not None:
                    found[name] = {str(each).lower() for each in said}
            except Exception as error:  # without this plugin's formats, all others can be named
                warnings.warn(f"{hook} of {name} failed: {error!r}", RuntimeWarning, stacklevel=3)
        return found

    # -- events ------------------------------------------------------------------------------------

    def emit(self, event: str, **about: Any) -> None:
        """Call every plugin that implements the hook *event*, within its wrappers if there are any.

        It is called within a change. What one of them raises refuses the change, and comes out as it is, with
        a note that names the plugin.
        """
        heard = self._heard(event)
        if heard and any(each.wrapper or each.hookwrapper for each in heard):
            self._emit_wrapped(event, heard, about)
            return
        for implementation in heard:
            try:
                _by_name(implementation)(**about)
            except Exception as error:
                refusing(error, f"{event} of plugin {implementation.plugin_name!r}")
                raise

    def hears(self, event: str) -> bool:
        """Whether any plugin implements the hook *event*."""
        return bool(self._heard(event))

    def tell(self, event: str, **about: Any) -> list[tuple[str, BaseException]]:
        """Call every plugin that implements the hook *event*, after the fact; who failed, and how."""
        failed: list[tuple[str, BaseException]] = []
        for implementation in self._heard(event):
            try:
                _by_name(implementation)(**about)
            except BaseException as error:  # none may keep those behind it from hearing
                failed.append((implementation.plugin_name, error))
        return failed

    def _heard(self, event: str) -> list[Any]:
        """The implementations of the hook *event*, in calling order."""
        listeners = self._listeners
        if listeners is None:
            # Listeners are heard from the first change on, so that opening and reading loads nothing.
            self._load_all(NODE)
            listeners = {name: self._implementations(name) for name in _EVENTS}
            self.unheard = frozenset(name for name, those in listeners.items() if not those)
            self._listeners = listeners
        return listeners[event]

    def _emit_wrapped(self, event: str, heard: list[Any], about: dict[str, Any]) -> None:
        """Let pluggy do it, which knows how wrappers go."""
        try:
            getattr(self._manager.hook, event)(**about)
        except Exception as error:
            refusing(error, f"{event} of plugin {_culprit(error, heard)}")
            raise

    # -- all of them -------------------------------------------------------------------------------

    def listing(self, *, load: bool = False) -> list[PluginInfo]:
        """All plugins, installed or registered, as a list that prints as a table: :func:`lotdb.plugins`."""
        from lotdb.registry.listing import PluginInfo, PluginTable  # which few programs need

        if check_flag("load", load):
            self._try_all()
        rows = PluginTable()
        for group, kind in _KINDS.items():
            for point in sorted(self._entry_points(group), key=lambda point: point.name):
                state, reason = self._state(group, point)
                if group == NODE and (group, point.name) in self._loaded:
                    kind = self._kinds(self._loaded[group, point.name])
                rows.append(PluginInfo(kind, point.name, *distribution_of(point), state, reason))
        for name in sorted(self._registered):
            reason = self._failures.get(("", name), "")
            kinds = self._kinds(self._manager.get_plugin(name))
            rows.append(PluginInfo(kinds, name, "", "", "failed" if reason else "loaded", reason))
        return rows

    def _try_all(self) -> None:
        for group in _KINDS:
            self._load_all(group)
        for point in self._usable(BACKEND):
            try:
                self.backend(point.name)
            except LotdbError as error:
                self._failures.setdefault((BACKEND, point.name), str(error))
        for point in self._usable(STORAGE):
            try:
                self.storage(point.name)
            except LotdbError as error:
                self._failures.setdefault((STORAGE, point.name), str(error))
        self._all_value_types()

    def _state(self, group: str, point: Any) -> tuple[State, str]:
        if how := self._off.get(point.name):
            return "switched off", f"by {how}"
        if len(twice := self._entry_points(group, point.name)) > 1:
            return "failed", _brought_twice(_KINDS[group], twice)
        if reason := self._failures.get((group, point.name)):
            return "failed", reason
        return ("loaded" if (group, point.name) in self._loaded else "not loaded yet"), ""

    def _kinds(self, plugin: Any) -> str:
        hooks = {caller.name for caller in self._manager.get_hookcallers(plugin) or ()}
        kinds = {
            "backend": {"lotdb_get_backend"},
            "storage": {"lotdb_get_storage"},
            "ingester": {
                "lotdb_ingest_file",
                "lotdb_identify_file",
                "lotdb_export_file",
                "lotdb_export_node",
                "lotdb_ingest_tree",
                "lotdb_ingest_folder",
                "lotdb_get_export_formats",
                "lotdb_get_ingest_formats",
            },
            "node type": {"lotdb_get_node_type"},
            "value types": {"lotdb_get_value_types"},
            "listener": _EVENTS,
        }
        return ", ".join(kind for kind, those in kinds.items() if hooks & those)

    def switched_off(self, group: str) -> list[str]:
        """The names of the plugins of *group*, such as ``"lotdb.ingester"``, that are installed, and off."""
        return sorted({point.name for point in self._entry_points(group)} & self._off.keys())

    # -- loading -----------------------------------------------------------------------------------

    def _entry_points(self, group: str, name: str | None = None) -> tuple[Any, ...]:
        if group not in self._points:
            self._points[group] = look_up(group)
        return tuple(point for point in self._points[group] if name is None or point.name == name)

    def _usable(self, group: str) -> Iterator[Any]:
        return (point for point in self._entry_points(group) if point.name not in self._off)

    def _load_all(self, group: str) -> None:
        for point in self._usable(group):
            key = group, point.name
            if key in self._loaded or key in self._failures:
                continue
            try:
                self._load(group, point.name)
            except PluginError as error:
                # One broken plugin must not keep the others, nor the user's data, out of reach.
                warnings.warn(str(error), RuntimeWarning, stacklevel=4)

    def _load(self, group: str, name: str) -> object:
        """The plugin of that name, which is installed."""
        if (plugin := self._loaded.get((group, name))) is not None:
            return plugin
        points = self._entry_points(group, name)
        try:
            if len(points) > 1:
                raise PluginError(_brought_twice(_CALLED.get(group, "ingester"), points))
            plugin = self._load_one(group, points[0])
        except PluginError as error:
            self._failures[group, name] = str(error)
            raise
        self._failures.pop((group, name), None)
        self._loaded[group, name] = plugin
        return plugin

    def _load_one(self, group: str, point: Any) -> object:
        try:
            plugin: object = point.load()
            with self._lock:
                # One module may stand behind several entry points; pluggy takes it once. And pluggy skips a
                # name that it knows without a word, so the group is part of the name.
                if not self._manager.is_registered(plugin):
                    self._register(plugin, f"{group}:{point.name}")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a module may even call sys.exit()
            if failure := system_error(error):
                raise FileSystemError.of(
                    failure, f"plugin {point.name!r} of {_distribution(point)} cannot be loaded"
                ) from error
            reason = str(error) if type(error) is ValueError else repr(error)
            raise PluginError(
                f"plugin {point.name!r} of {_distribution(point)} is installed but failed to load from "
                f"{point.value}: {reason}"
            ) from error
        return plugin

    def _forget(self) -> None:
        self._backends.clear()
        self._storages.clear()
        self._node_types.clear()
        self._value_types = None
        self._listeners = None
        self.unheard = frozenset()
        self.unchecked = set(_UNCHECKED)

    # -- asking ------------------------------------------------------------------------------------

    def _implementations(self, hook: str) -> list[Any]:
        """The implementations of *hook* in plugins that are loaded, in calling order."""
        if self._made_manager is None:  # no plugin is loaded
            return []
        # pluggy calls from the last to the first. An installed plugin may be loaded before one is registered,
        # or after it: that must not decide which of them is asked first.
        found: list[Any] = getattr(self._manager.hook, hook).get_hookimpls()
        found.reverse()
        found.sort(key=lambda each: (each.trylast - each.tryfirst, each.plugin_name not in self._registered))
        return found

    def _find(self, group: str, name: Any, hook: str = "") -> Any:
        """What the plugin of that name gives, a registered or else the installed one; None if there is none.

        An installed plugin is asked for the name of its entry point, and for no other. Else what there is
        would depend on what happens to be loaded.
        """
        hook = hook or _ASKED[group]
        implementations = self._implementations(hook)
        for each in implementations:
            if each.plugin_name in self._registered and (found := self._ask(group, name, each)) is not None:
                return found
        if not self._entry_points(group, name) or name in self._off:
            return None
        plugin = self._load(group, name)
        for each in self._implementations(hook):
            if each.plugin is plugin and (found := self._ask(group, name, each)) is not None:
                return found
        return None

    def _ask(self, group: str, name: Any, implementation: Any) -> Any:
        try:
            return _by_name(implementation)(name=name)
        except Exception as error:
            what = f"{_CALLED[group]} {name!r}"
            if failure := system_error(error):
                raise FileSystemError.of(failure, f"{what} cannot be loaded") from error
            who = self._described(implementation)
            reason = f"the plugin for {what}, {who}, is installed but failed: {error!r}"
            self._note_failure(implementation, reason, group, name)
            raise PluginError(reason) from error

    def _missing(self, group: str, name: Any) -> MissingPluginError | PluginError:
        """The error for a backend or a node type that nobody gives."""
        what = _CALLED[group]
        points = self._entry_points(group)
        built_in = BUILT_IN_NODE_TYPES if group == NODE else ()
        there = sorted({*built_in, *(point.name for point in points if point.name not in self._off)})
        asked = f"no {what} named {shown(name)} (installed: {', '.join(there) or 'none'})"
        # No package is made up here: somebody else might publish one under the name of a typing error.
        if not isinstance(name, str):
            return MissingPluginError(f"{asked}; use the name of one")
        if any(point.name == name for point in points) and self._find(group, name) is None:
            return self._not_given(group, name)
        if (giver := self._giver_of_another_name(group, name)) is not None:
            return PluginError(
                f"{what} {name!r} comes from {_distribution(giver)}, whose entry point is called "
                f"{giver.name!r}; an entry point has the name of its {what}, so add one called {name!r}"
            )
        if group == BACKEND and name in _OUR_BACKENDS:
            return MissingPluginError(f"{asked}; install it with: pip install {_OUR_BACKENDS[name]}")
        known = {*there, *_OUR_BACKENDS} if group == BACKEND else {*there}
        # A plugin's "acme.data" is not the built-in "data".
        advice = nearest(name, known - {name}, cutoff=0.7) or "; install the package that provides it"
        return MissingPluginError(f"{asked}{advice}")

    def _not_given(self, group: str, name: str) -> MissingPluginError | PluginError:
        """The error for what an entry point announces and nobody gives."""
        what, hook = _CALLED[group], _ASKED[group]
        if how := self._off.get(name):
            return MissingPluginError(
                f"{what} {name!r} is switched off by {how}; take its name out there to use it"
            )
        (point,) = self._entry_points(group, name)
        plugin = self._loaded.get((group, name))
        if any(each.plugin is plugin for each in self._implementations(hook)):
            said = f"its {hook}({name!r}) gives None; it must know the {what} by the name of the entry point"
        else:
            said = f"it has no hook function {hook}"
        return PluginError(f"plugin {name!r} of {_distribution(point)} gives no {what} of that name: {said}")

    def _giver_of_another_name(self, group: str, name: str) -> Any:
        """The entry point of another name whose plugin gives *name*, and means it."""
        for point in self._usable(group):
            if point.name == name:
                continue
            try:
                plugin = self._load(group, point.name)
                for each in self._implementations(_ASKED[group]):
                    found = self._ask(group, name, each) if each.plugin is plugin else None
                    # One that gives the same class for whatever name is no help.
                    if name == getattr(found, "node_type_name" if group == NODE else "name", None):
                        return point
            except LotdbError:
                continue
        return None

    def _described(self, implementation: Any) -> str:
        """What messages call the plugin of an implementation."""
        for (group, name), plugin in self._loaded.items():
            if plugin is implementation.plugin and implementation.plugin_name not in self._registered:
                return " ".join(distribution_of(self._entry_points(group, name)[0]))
        return f"plugin {implementation.plugin_name!r}"

    def _note_failure(self, implementation: Any, reason: str, group: str, name: Any = None) -> None:
        """Have the listing say that the plugin of an implementation failed, as what *group* is for.

        One module may be several plugins: the others, of other groups or not called *name*, work on.
        """
        if implementation.plugin_name in self._registered:
            self._failures["", implementation.plugin_name] = reason
            return
        for key, loaded in self._loaded.items():
            if loaded is implementation.plugin and key[0] == group and name in (None, key[1]):
                self._failures[key] = reason


def _check_methods(what: str, name: str, found: type[Any]) -> None:
    """Raise ``PluginError`` if *found* lacks a method that each of its kind has."""
    if lacking := ", ".join(sorted(getattr(found, "__abstractmethods__", ()))):
        raise PluginError(f"the plugin for {what} {name!r} gave {found.__name__}, which lacks {lacking}")


def _by_name(implementation: Any) -> Callable[..., Any]:
    """The hook function of a plugin, which takes those arguments that it names."""
    if len(implementation.argnames) == 1:  # as those of ingesters do, all of which are asked for each file
        function, (name,) = implementation.function, implementation.argnames
        return lambda **about: function(about[name])
    return lambda **about: implementation.function(*(about[name] for name in implementation.argnames))


def _culprit(error: BaseException, implementations: list[Any]) -> str:
    """Which of the plugins has raised *error*, told by the innermost of its functions in the traceback."""
    found = [each.plugin_name for each in implementations]
    step = error.__traceback__
    while step is not None:
        running = step.tb_frame.f_code
        found = [
            each.plugin_name
            for each in implementations
            if getattr(each.function, "__code__", None) is running
        ] or found
        step = step.tb_next
    return " or ".join(map(repr, dict.fromkeys(found)))


def _switched_off(names: Iterable[str]) -> dict[str, str]:
    """How each plugin is switched off that is, by its name."""
    if isinstance(names, str) or not is_several(names):
        raise InvalidOptionError(f"plugins to switch off are {shown(names)}; use a list of names")
    off = dict.fromkeys((name.strip() for name in os.environ.get(OFF_VARIABLE, "").split(",")), OFF_VARIABLE)
    off.pop("", None)
    for name in names:
        if not isinstance(name, str):
            raise InvalidOptionError(f"a plugin to switch off is {shown(name)}; use the name of one")
        off[name] = "plugins_off="
    return off


def _distribution(point: Any) -> str:
    return distribution_of(point)[0] or "an unknown package"


def _brought_twice(what: str, points: Iterable[Any]) -> str:
    those = " and ".join(sorted(" ".join(distribution_of(point)) for point in points))
    name = next(iter(points)).name
    return f"{what} {name!r} is brought by {those}, and none of them is used; uninstall the other"


def check_plugins(plugins: Any, off: Iterable[str] = ()) -> Plugins:
    """*plugins*, or those that are installed for None, without those that are to be *off*."""
    if plugins is not None and not isinstance(plugins, Plugins):
        raise InvalidOptionError(f"plugins is {shown(plugins)}; use a lotdb.Plugins")
    if off is None or (isinstance(off, tuple | list) and not off):
        return installed() if plugins is None else plugins
    if plugins is not None:
        raise InvalidOptionError("plugins_off is for the installed plugins; use plugins=Plugins(off=[...])")
    return Plugins(off=off)


@functools.cache
def installed() -> Plugins:
    """The plugins of this process, shared by all that ask for no others."""
    return Plugins()


def plugins(*, load: bool = False) -> list[PluginInfo]:
    """All plugins that are installed, as a list that prints as a table.

    Parameters
    ----------
    load
        True to try them first: each is imported, so that those that fail are told. By default nothing is
        imported, and what is not in use yet is ``"not loaded yet"``.

    Returns
    -------
    list of PluginInfo
        Backends, ingesters, node plugins and storages, and what this process has registered in addition.
    """
    return installed().listing(load=load)
