"""Attribute values of lotdb 1.x as values of this version."""

from __future__ import annotations

import pathlib
from typing import Any

from lotdb.errors import DamagedError, UnsupportedValueError
from lotdb.upgrading.old import OldDatabase, is_node
from lotdb.upgrading.pickles import Array, Ref, Unknown, is_uuid, uuid_of

__all__ = ["path_of", "plain"]

_DEEPEST = 200


def plain(old: OldDatabase, value: Any, depth: int = 0) -> Any:
    """*value* without references and stand-ins.

    Raises
    ------
    UnsupportedValueError
        A part of it is of a class that is not carried, which the message names.
    DamagedError
        A record of it cannot be read.
    """
    if depth > _DEEPEST:
        raise UnsupportedValueError(f"it is nested deeper than {_DEEPEST} levels, or within itself")
    kind = type(value)
    if kind is dict:
        return {plain(old, key, depth + 1): plain(old, part, depth + 1) for key, part in value.items()}
    if kind in (list, tuple, set, frozenset):
        return kind(plain(old, part, depth + 1) for part in value)
    if kind is Ref:
        return _referred(old, value, depth)
    if kind is Array:
        try:
            return value.value()
        except ValueError as error:
            raise UnsupportedValueError(f"an array cannot be an attribute: {error}") from None
    if is_uuid(value):
        return uuid_of(value)
    if isinstance(value, Unknown):
        raise UnsupportedValueError(f"it is of the class {value.named}, which was not run")
    if isinstance(value, type) and issubclass(value, Unknown):
        raise UnsupportedValueError(f"it is the class or function {value.named}, which was not run")
    if isinstance(value, bytes) and kind is not bytes:  # what zodbpickle has for bytes of its own
        return bytes(value)
    return value


def _referred(old: OldDatabase, ref: Ref, depth: int) -> Any:
    name, state = old.record(ref)
    short = name.rpartition(".")[2]
    if name == "lotdb.paths.PathFileObj":
        return path_of(old, state)
    if name.startswith("persistent."):
        if short in ("PersistentMapping", "PersistentDict") and isinstance(state, dict):
            return plain(old, state.get("data", state.get("_container", {})), depth + 1)
        if short == "PersistentList" and isinstance(state, dict):
            return plain(old, state.get("data", []), depth + 1)
    if name.startswith("BTrees."):
        if short == "Length":
            return plain(old, state, depth + 1)
        if short.endswith(("BTree", "Bucket")):
            return {plain(old, key, depth + 1): plain(old, part, depth + 1) for key, part in old.items(ref)}
        if short.endswith(("TreeSet", "Set")):
            return {plain(old, key, depth + 1) for key in old.keys(ref)}
    if is_node(state):
        raise UnsupportedValueError("it is a node, which cannot be an attribute")
    if name == "lotdb.tree.BaseNodeUnconnected" and isinstance(state, dict):
        return plain(old, state.get("parents", []), depth + 1)
    raise UnsupportedValueError(f"it is of the class {name}, which was not run")


def path_of(old: OldDatabase, state: Any) -> pathlib.PurePath:
    """The path of a ``PathFileObj``, in the style in which it was given."""
    try:
        parts = [*plain(old, state["root_path_list"]), *([state["_file"]] if state["_file"] else [])]
        is_absolute, drive = state["_is_absolute"], state["_drive"]
        if state["_path_style"] == "windows":
            return pathlib.PureWindowsPath(drive + ("\\" if is_absolute else ""), *parts)
        return pathlib.PurePosixPath("/" if is_absolute else "", *parts)
    except (KeyError, TypeError) as error:
        raise DamagedError(f"it is no whole path: {error!r}") from error
