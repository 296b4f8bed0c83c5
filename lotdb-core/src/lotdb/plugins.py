"""Loading plugins, each when it is first needed."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pluggy

import lotdb.hookspecs as hookspecs
from lotdb.errors import (
    FileSystemError,
    InvalidOptionError,
    MissingPluginError,
    PluginError,
    system_error,
)
from lotdb.interfaces.backend import Backend
from lotdb.interfaces.installed import BACKEND, INGESTER, NODE, look_up
from lotdb.segments.memory import MemoryBackend

if TYPE_CHECKING:
    from lotdb.tree.handle import Handle
    from lotdb.values.values import ValueType

__all__ = ["Plugins", "check_plugins", "installed"]

_EVENTS = ("lotdb_node_created", "lotdb_node_moved", "lotdb_node_deleted", "lotdb_payload_written")

_OUR_BACKENDS = {"blob": "lotdb-backend-blob", "zarr": "lotdb-backend-zarr"}

# Filled by the modules that define them, which stand above this one.
BUILT_IN_NODE_TYPES: dict[str, type[Handle]] = {}


class _BuiltIn:
    """What the core itself brings, through the same hooks as everybody."""

    @hookspecs.hookimpl
    def lotdb_get_backend(self, name: str) -> type[Backend] | None:
        return MemoryBackend if name == "memory" else None

    @hookspecs.hookimpl
    def lotdb_get_node_type(self, name: str) -> type[Handle] | None:
        return BUILT_IN_NODE_TYPES.get(name)


class Plugins:
    """The installed plugins, each loaded when it is first needed.

    A new ``Plugins()`` shares nothing that another one loaded or registered; tests pass a new one.
    """

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager("lotdb")
        for spec in (hookspecs.BackendSpec, hookspecs.IngesterSpec, hookspecs.NodeSpec):
            self._manager.add_hookspecs(spec)
        self._manager.register(_BuiltIn(), name="lotdb")
        self._backends: dict[str, type[Backend]] = {}
        self._node_types: dict[str, type[Handle] | None] = {}
        self._value_types: dict[str, ValueType] | None = None
        self._listeners: dict[str, list[Any]] | None = None
        #: Events that nobody listens to, as far as is known: :meth:`emit` need not be called for them.
        self.unheard: frozenset[str] = frozenset()
        self._points: dict[str, tuple[Any, ...]] = {}

    def register(self, plugin: object, name: str | None = None) -> None:
        """Add *plugin*, a module or object with hook functions that no entry point names.

        Raises
        ------
        PluginError
            If it implements a hook that does not exist, or the same plugin is registered already.
        """
        try:
            self._register(plugin, name)
        except Exception as error:
            raise PluginError(f"plugin {name or plugin!r} cannot be registered: {error}") from error
        self._forget()

    def _register(self, plugin: object, name: str | None) -> None:
        registered = self._manager.register(plugin, name=name)
        try:
            self._manager.check_pending()
            if not self._manager.get_hookcallers(plugin):
                raise ValueError("it implements no hook; mark its functions with @lotdb.hookimpl")
        except BaseException:
            # Left registered, it would pass the next time, and fail all that come after it.
            self._manager.unregister(name=registered)
            raise

    # -- backends ----------------------------------------------------------------------------------

    def backend(self, name: str) -> type[Backend]:
        """The backend class called *name*.

        Raises
        ------
        MissingPluginError
            If none of that name is installed; the message says what to install.
        PluginError
            If it is installed and fails to import.
        """
        found = self._backends.get(name)
        if found is None:
            self._load(BACKEND, name)
            found = self._ask("backend", name, self._manager.hook.lotdb_get_backend)
            if found is None:
                raise MissingPluginError(self._missing("backend", BACKEND, name))
            if not (isinstance(found, type) and issubclass(found, Backend)):
                raise PluginError(
                    f"the plugin for backend {name!r} gave {found!r}, not a subclass of lotdb.Backend"
                )
            self._backends[name] = found
        return found

    def check_backend(self, name: str) -> None:
        """Raise ``MissingPluginError`` if no backend called *name* is installed; load nothing."""
        if name not in self._backends and not self._entry_points(BACKEND, name):
            self.backend(name)

    # -- node types and attribute types ------------------------------------------------------------

    def node_type(self, name: str) -> type[Any] | None:
        """The class for nodes of type *name*, or None if it is not installed."""
        if name not in self._node_types:
            self._load(NODE, name)
            found = self._ask("node type", name, self._manager.hook.lotdb_get_node_type)
            self._node_types[name] = found
        return self._node_types[name]

    def missing_node_type(self, name: str) -> MissingPluginError:
        """The error that says what to install for nodes of type *name*."""
        return MissingPluginError(self._missing("node type", NODE, name))

    def by_type(self, type_: type) -> ValueType | None:
        """The registered attribute type whose values are exactly of *type_*."""
        return next((known for known in self._all_value_types().values() if known.type is type_), None)

    def by_name(self, name: str) -> ValueType | None:
        """The registered attribute type called *name*."""
        return self._all_value_types().get(name)

    def _all_value_types(self) -> dict[str, ValueType]:
        if self._value_types is None:
            self._load_all(NODE)
            answers = self._manager.hook.lotdb_get_value_types()
            self._value_types = {known.name: known for answer in answers for known in answer or ()}
        return self._value_types

    # -- ingesters ---------------------------------------------------------------------------------

    def ingesters(self, hook: str) -> list[tuple[str, Callable[..., Any]]]:
        """Name and function of each plugin that implements *hook* of ``IngesterSpec``, in calling order."""
        self._load_all(INGESTER)
        # pluggy calls from the last to the first. Asked one by one, it is known which of them failed.
        implementations = getattr(self._manager.hook, hook).get_hookimpls()[::-1]
        return [(each.plugin_name, _by_name(each)) for each in implementations]

    # -- events ------------------------------------------------------------------------------------

    def emit(self, event: str, **about: Any) -> None:
        """Call every plugin that implements the hook *event*.

        Raises
        ------
        PluginError
            If one of them fails. The change that it was called for has been made; abort the transaction to
            undo it.
        """
        if self._listeners is None:
            # Listeners are heard from the first change on, so that opening and reading loads nothing.
            self._load_all(NODE)
            self._listeners = {
                name: getattr(self._manager.hook, name).get_hookimpls()[::-1] for name in _EVENTS
            }
            self.unheard = frozenset(name for name, those in self._listeners.items() if not those)
        for implementation in self._listeners[event]:
            try:
                _by_name(implementation)(**about)
            except Exception as error:
                if failure := system_error(error):
                    raise FileSystemError.of(
                        failure, f"plugin {implementation.plugin_name!r} failed in {event}"
                    ) from error
                raise PluginError(
                    f"plugin {implementation.plugin_name!r} failed in {event}: {error!r}"
                ) from error

    # -- loading -----------------------------------------------------------------------------------

    def _entry_points(self, group: str, name: str | None = None) -> tuple[Any, ...]:
        if group not in self._points:
            self._points[group] = look_up(group)
        return tuple(point for point in self._points[group] if name is None or point.name == name)

    def _load_all(self, group: str) -> None:
        for entry_point in self._entry_points(group):
            try:
                self._load_one(group, entry_point)
            except PluginError as error:
                # One broken plugin must not keep the others, nor the user's data, out of reach.
                warnings.warn(str(error), RuntimeWarning, stacklevel=4)

    def _load(self, group: str, name: str) -> None:
        for entry_point in self._entry_points(group, name):
            self._load_one(group, entry_point)

    def _load_one(self, group: str, entry_point: Any) -> None:
        # pluggy skips a name it knows without a word, so the group is part of the name.
        registered = f"{group}:{entry_point.name}"
        if self._manager.has_plugin(registered):
            return
        try:
            plugin = entry_point.load()
            # One module may stand behind several entry points; pluggy takes it once.
            if not self._manager.is_registered(plugin):
                self._register(plugin, registered)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a module may even call sys.exit()
            if failure := system_error(error):
                raise FileSystemError.of(
                    failure, f"plugin {entry_point.name!r} of {_distribution(entry_point)} cannot be loaded"
                ) from error
            raise PluginError(
                f"plugin {entry_point.name!r} of {_distribution(entry_point)} is installed but failed to "
                f"load from {entry_point.value}: {error!r}"
            ) from error

    def _forget(self) -> None:
        self._backends.clear()
        self._node_types.clear()
        self._value_types = None
        self._listeners = None
        self.unheard = frozenset()

    def _ask(self, kind: str, name: str, hook: Callable[..., Any]) -> Any:
        try:
            return hook(name=name)
        except Exception as error:
            if failure := system_error(error):
                raise FileSystemError.of(failure, f"{kind} {name!r} cannot be loaded") from error
            raise PluginError(f"the plugin for {kind} {name!r} is installed but failed: {error!r}") from error

    def _missing(self, kind: str, group: str, name: str) -> str:
        installed = sorted({entry_point.name for entry_point in self._entry_points(group)})
        asked = f"no {kind} named {name!r} (installed: {', '.join(installed) or 'none'})"
        if group == BACKEND and name in _OUR_BACKENDS:
            return f"{asked}; install it with: pip install {_OUR_BACKENDS[name]}"
        # No package is made up here: somebody else might publish one under the name of a typing error.
        if not isinstance(name, str):
            return f"{asked}; use the name of one"
        import difflib  # wanted for this message alone

        alike = difflib.get_close_matches(
            name, {*installed, *_OUR_BACKENDS} if group == BACKEND else installed
        )
        if alike:
            return f"{asked}; did you mean {alike[0]!r}?"
        return f"{asked}; install the package that provides it"


def _by_name(implementation: Any) -> Callable[..., Any]:
    """The hook function of a plugin, which takes those arguments that it names."""
    return lambda **about: implementation.function(*(about[name] for name in implementation.argnames))


def check_plugins(plugins: Any) -> Plugins:
    """*plugins*, or those that are installed for None."""
    if plugins is None:
        return installed()
    if not isinstance(plugins, Plugins):
        raise InvalidOptionError(f"plugins is {plugins!r}; use a lotdb.Plugins")
    return plugins


@functools.cache
def installed() -> Plugins:
    """The plugins of this process, shared by all that ask for no others."""
    return Plugins()


def _distribution(entry_point: Any) -> str:
    return entry_point.dist.name if entry_point.dist is not None else "an unknown package"
