"""The attribute types that plugins offer, by name and by the type of their values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lotdb.errors import PluginError
from lotdb.values.types import is_held
from lotdb.values.valuetype import ValueType

__all__ = ["ValueTypeTable"]


class ValueTypeTable:
    """All that were offered; what two plugins offer is an error when it is asked for.

    Which of two would be used depends on the order in which they are loaded, and one would read what the
    other has written.
    """

    def __init__(self) -> None:
        self._found: dict[object, ValueType] = {}
        self._registered: set[object] = set()
        self._twice: dict[object, str] = {}

    def add(self, offered: Iterable[Any] | None, giver: str, registered: bool) -> None:
        """Take what the plugin *giver* has *offered*: all of it, or nothing if it is not what it should be.

        What the program has *registered* comes before what is installed.
        """
        known = [_checked(each) for each in offered or ()]
        for value_type in known:
            value_type._note_giver(giver)
            for key in (value_type.name, value_type.type):
                self._put(key, value_type, registered)

    def _put(self, key: object, value_type: ValueType, registered: bool) -> None:
        other = self._found.get(key)
        if other is None or (registered and key not in self._registered):
            self._found[key] = value_type
            self._twice.pop(key, None)
        elif other != value_type and registered == (key in self._registered):
            self._twice[key] = (
                f"values of {value_type.type.__qualname__} are the concern of both {other._said()} and "
                f"{value_type._said()}; use one of them, and switch the other plugin off"
            )
        if registered:
            self._registered.add(key)

    def by_type(self, type_: type) -> ValueType | None:
        """The one for values of exactly that type."""
        return self._get(type_)

    def by_name(self, name: str) -> ValueType | None:
        """The one of that name."""
        return self._get(name)

    def _get(self, key: object) -> ValueType | None:
        if reason := self._twice.get(key):
            raise PluginError(reason)
        return self._found.get(key)


def _checked(offered: Any) -> ValueType:
    if not isinstance(offered, ValueType):
        raise TypeError(f"it gave {offered!r}, not a lotdb.ValueType")
    if is_held(offered.type):
        raise TypeError(f"{offered.name!r} is for {offered.type.__qualname__}, which attributes hold already")
    return offered
