"""Whether what is stored in two places, or at two moments, is the same, told without reading what lies below.

References are told apart by the ids of what they refer to. So this holds for two connections to one database,
of which each has objects of its own, and not for two databases.
"""

from __future__ import annotations

from typing import Any

from persistent import Persistent

from lotdb.records import Box, Children

__all__ = ["is_same_place", "is_same_stored"]


def is_same_stored(one: Any, other: Any) -> bool:
    """Whether two stored values are the same: of attributes and payloads, or all that a node holds."""
    if one is other:
        return True
    kind = type(one)
    if kind is not type(other):
        return False
    if kind is tuple:
        return len(one) == len(other) and all(map(is_same_stored, one, other))
    if kind is float:
        return bool(one.hex() == other.hex())  # 0.0 is not -0.0, and NaN is NaN
    if isinstance(one, Persistent):
        return one._p_oid is not None and one._p_oid == other._p_oid
    return bool(one == other)


def is_same_place(one: Any, other: Any) -> bool:
    """Whether two entries have the same type and record, or are the same packed leaf; None is no entry."""
    if one is None or other is None:
        return one is other
    if type(one[1]) in (Box, Children):
        return bool(one[0] == other[0]) and is_same_stored(one[1], other[1])
    return is_same_stored(one, other)
