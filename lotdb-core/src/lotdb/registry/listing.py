"""The plugins as a table to read."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

__all__ = ["PluginInfo", "PluginTable", "State"]

State: TypeAlias = Literal["loaded", "not loaded yet", "switched off", "failed"]


class PluginInfo(NamedTuple):
    """What is known of one plugin; see :func:`lotdb.plugins`."""

    #: ``"backend"``, ``"ingester"``, ``"node"`` or ``"storage"``; the command ``lotdb plugins`` lists each
    #: ``"command"``, too. A loaded node plugin has those of ``"node type"``, ``"value types"`` and
    #: ``"listener"`` that it is, in place of ``"node"``; one that the program registered, all that it is.
    kind: str
    #: The name of its entry point, or that under which it was registered.
    name: str
    #: The distribution that brought it; "" if the program registered it.
    distribution: str
    #: The distribution's version.
    version: str
    state: State
    #: Why it is not loaded, if it is switched off or failed.
    reason: str = ""


class PluginTable(list[PluginInfo]):
    """A list that prints as a table."""

    def __repr__(self) -> str:
        if not self:
            return "no plugins are installed"
        rows = [PluginInfo._fields, *self]
        widths = [max(len(row[column]) for row in rows) for column in range(len(PluginInfo._fields))]
        lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
        return "\n".join(lines)

    __str__ = __repr__
