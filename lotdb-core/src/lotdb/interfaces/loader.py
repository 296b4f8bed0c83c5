"""What the rooms below ``registry`` need of it, as a protocol; ``lotdb.Plugins`` implements it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from lotdb.errors import MissingPluginError, PluginError
from lotdb.values.plain import ValueTypes

if TYPE_CHECKING:
    from pathlib import Path

    from lotdb.interfaces.backend import Backend

__all__ = ["Database", "Loader"]


class Database(Protocol):
    """An open database, as listeners are given it; see :class:`lotdb.LOTDB`."""

    name: str

    @property
    def path(self) -> Path | None:
        """Its folder; None if it has none, as one on a server whose payloads lie in a store."""

    @property
    def id(self) -> str:
        """The id that is stored in it, of 32 hexadecimal digits."""

    @property
    def last_commit(self) -> str:
        """The id of its last commit, of 16 hexadecimal digits."""

    def connection(self) -> AbstractContextManager[Any]:
        """A new connection, which commits when the block ends."""


class Loader(ValueTypes, Protocol):
    """The plugins, each loaded when it is first asked for; see :class:`lotdb.Plugins`."""

    #: Events without listeners.
    unheard: frozenset[str]
    #: Types of nodes whose class checks no writes, as far as is known.
    unchecked: set[str]

    def backend(self, name: str) -> type[Backend]:
        """The backend class called *name*."""

    def check_backend(self, name: str) -> None:
        """Raise ``MissingPluginError`` if no backend called *name* is installed."""

    def export_formats(self) -> list[str]:
        """The names of the formats that plugins say they write, in order."""

    def ingest_formats(self) -> dict[str, set[str]]:
        """The names of the formats that each plugin says it reads, by the plugin's name."""

    def node_type(self, name: str) -> type[Any] | None:
        """The class for nodes of type *name*, or None if it is not installed."""

    def missing_node_type(self, name: str) -> MissingPluginError | PluginError:
        """The error that says why there is no class for nodes of type *name*."""

    def ingesters(self, hook: str) -> list[tuple[str, Callable[..., Any]]]:
        """Name and function of each plugin that implements *hook* of ``IngesterSpec``."""

    def switched_off(self, group: str) -> list[str]:
        """The names of the plugins of *group* that are installed and switched off."""

    def emit(self, event: str, **about: Any) -> None:
        """Tell every plugin that listens to hook *event*."""
