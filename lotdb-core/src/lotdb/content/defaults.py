"""The defaults that a data node keeps for its payloads: sample rate, backend and name."""

from __future__ import annotations

from typing import Any

from lotdb.errors import InvalidOptionError
from lotdb.keys import check_name
from lotdb.ranges import check_rate
from lotdb.tree.tree import Tree

__all__ = ["BACKEND", "DATA_ATTRIBUTE", "SAMPLERATE", "check_policy"]

# Plain attributes of the node, so that they are copied, merged and seen like all others.
SAMPLERATE = "_samplerate_hz"
BACKEND = "_backend"
DATA_ATTRIBUTE = "_data_attribute"


def check_policy(tree: Tree, samplerate_hz: Any, backend: Any, data_attribute: Any) -> dict[str, Any]:
    """Those of the three that are given, by the name of the attribute that keeps them.

    Raises
    ------
    InvalidRangeError, MissingPluginError, InvalidOptionError, InvalidKeyError
        For a rate, a backend or a name that cannot be.
    """
    policy: dict[str, Any] = {}
    if samplerate_hz is not None:
        policy[SAMPLERATE] = check_rate(samplerate_hz)
    if backend is not None:
        policy[BACKEND] = check_backend(tree, backend)
    if data_attribute is not None:
        policy[DATA_ATTRIBUTE] = check_name(data_attribute, "payload")
    return policy


def check_backend(tree: Tree, name: Any) -> str:
    """*name*, if a backend of that name can be used in *tree*."""
    if not isinstance(name, str):
        raise InvalidOptionError(f"backend is {name!r}; use the name of a backend, such as 'blob'")
    tree.check_backend(name)
    return name
