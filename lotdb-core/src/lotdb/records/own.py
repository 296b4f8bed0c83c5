"""What a node holds itself: its own, the tuple of names and the stored value of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lotdb.records import Entry, Own
from lotdb.values.plain import SHORT

# A bucket is rewritten whole when one of its leaves changes, so leaves are kept small. Beyond this many
# bytes (as estimated) a leaf gets a Box; a bucket is then a few KiB as a rule.
BOX_BYTES = 512

EMPTY_OWN: Own = ((),)

# The tuples of names that leaves hold, each by itself; and those of them that are names of attributes alone,
# checked as such.
_known_names: dict[tuple[str, ...], tuple[str, ...]] = {}
_checked_names: dict[tuple[str, ...], tuple[str, ...]] = {}

# From so many names on, a dict tells the position of each. It is kept for the names that were used lately.
_MANY_NAMES = 32
_positions: dict[int, tuple[tuple[str, ...], dict[str, int]]] = {}


def _same_names(names: tuple[str, ...]) -> tuple[str, ...]:
    # Leaves with the same attributes hold the very same tuple, which a pickle writes once a bucket.
    known = _known_names.get(names)
    if known is None:
        if len(_known_names) >= 4096:
            _known_names.clear()
            _checked_names.clear()
        known = _known_names[names] = names
    return known


def simple_leaf(type_name: str, named: Mapping[str, Any]) -> Entry | None:
    """The entry of a leaf with the attributes *named*; None if they need a check or an encoding.

    Numbers and short texts are stored as they are. Names need no check if :func:`note_checked` got the same
    ones for another leaf.
    """
    names = _checked_names.get(tuple(named))
    if names is None:
        return None
    size = 0
    for value in named.values():
        kind = type(value)
        if kind is str:
            size += 4 * len(value) + 7
        elif kind is float or (kind is int and -SHORT < value < SHORT) or kind is bool:
            size += 13
        else:
            return None
    return (type_name, names, *named.values()) if size <= BOX_BYTES else None


def note_checked(own: Own) -> None:
    """Tell :func:`simple_leaf` that the names of *own* were checked, and are names of attributes."""
    _checked_names[own[0]] = own[0]


def may_grow(before: Own, own: Own) -> bool:
    """Whether *own* may take more bytes than *before*, of which it was made; told by what was changed."""
    if before[0] is not own[0]:
        return True
    for was, value in zip(before, own, strict=True):
        if was is value:
            continue
        kind = type(value)
        if kind is not type(was):
            return True
        if kind is str:
            if len(value) > len(was) or not value.isascii():
                return True
        elif kind is int:
            if value.bit_length() > was.bit_length():
                return True
        elif kind is not float and kind is not bool:
            return True
    return False


def position(names: tuple[str, ...], name: str) -> int:
    """The place of *name* in *names*, or -1."""
    if len(names) < _MANY_NAMES:
        return names.index(name) if name in names else -1
    known = _positions.get(id(names))
    if known is None:
        if len(_positions) >= 256:
            _positions.clear()
        # The names are kept with it, so that no other tuple gets their identity. A stranger may have written
        # what is no text; it is no name.
        places = {each: at for at, each in enumerate(names) if type(each) is str}
        known = _positions[id(names)] = (names, places)
    return known[1].get(name, -1)


def get_value(own: Own, name: str, default: Any = None) -> Any:
    """The stored value of attribute *name*, or *default*."""
    at = position(own[0], name)
    return default if at < 0 else own[at + 1]


def with_values(own: Own, values: dict[str, Any]) -> Own:
    """*own* with the stored *values* set; new names come last."""
    names = own[0]
    if not names:
        return (_same_names(tuple(values)), *values.values())
    changed = list(own)
    for name, value in values.items():
        at = position(names, name)
        if at < 0:
            if len(values) == 1:  # one attribute more, as a new node gets them
                return (_same_names((*names, name)), *own[1:], value)
            break
        changed[at + 1] = value
    else:  # as it mostly is: the names stay as they are
        return tuple(changed)
    merged = dict(zip(names, own[1:], strict=True))
    merged.update(values)
    return (_same_names(tuple(merged)), *merged.values())


def without_value(own: Own, name: str) -> Own:
    """*own* without attribute *name*, which must be there."""
    at = own[0].index(name)
    return (_same_names(own[0][:at] + own[0][at + 1 :]), *own[1 : at + 1], *own[at + 2 :])
