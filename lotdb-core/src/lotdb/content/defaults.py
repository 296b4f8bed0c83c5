"""The defaults that a data node keeps for its payloads: sample rate, backend and name."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Literal

from lotdb.errors import InvalidKeyError, InvalidOptionError, InvalidRangeError, shown
from lotdb.interfaces.options import is_several
from lotdb.keys import check_name
from lotdb.ranges import check_rate
from lotdb.tree.tree import Tree

__all__ = [
    "BACKEND",
    "DATA_ATTRIBUTE",
    "POLICY",
    "SAMPLERATE",
    "Default",
    "check_kept",
    "check_policy",
    "check_unset",
]

# They are stored among the attributes of the node, so that they are copied with them. Only configure_data
# sets them, and a data node does not show them among its attributes.
SAMPLERATE = "_samplerate_hz"
BACKEND = "_backend"
DATA_ATTRIBUTE = "_data_attribute"
POLICY = frozenset((SAMPLERATE, BACKEND, DATA_ATTRIBUTE))

Default = Literal["samplerate_hz", "backend", "data_attribute"]


def check_policy(tree: Tree, samplerate_hz: Any, backend: Any, data_attribute: Any) -> dict[str, Any]:
    """The given ones of the three defaults, checked, by the name under which they are stored.

    Raises
    ------
    InvalidRangeError, MissingPluginError, InvalidOptionError, InvalidKeyError
        If the rate, the backend or the name is invalid.
    """
    policy: dict[str, Any] = {}
    if samplerate_hz is not None:
        policy[SAMPLERATE] = check_rate(samplerate_hz)
    if backend is not None:
        policy[BACKEND] = str.__str__(check_backend(tree, backend))  # plain, as all that is stored
    if data_attribute is not None:
        policy[DATA_ATTRIBUTE] = check_name(data_attribute, "payload")
    return policy


def check_unset(unset: Any, policy: Collection[str]) -> list[str]:
    """The names under which the defaults *unset* are stored; *policy* must not set one of them."""
    names = [unset] if isinstance(unset, str) else list(unset) if is_several(unset) else [unset]
    for name in names:
        if not isinstance(name, str) or f"_{name}" not in POLICY:
            raise InvalidOptionError(
                f"unset is {shown(unset)}; use 'samplerate_hz', 'backend' or 'data_attribute', or several"
            )
        if f"_{name}" in policy:
            raise InvalidOptionError(f"{name} is set and unset at the same time; give one of the two")
    return [f"_{name}" for name in names]


def check_kept(place: Callable[[], str], name: str, value: Any) -> Any:
    """*value*, the default that is stored as *name*. Earlier releases stored any attribute of that name.

    Raises
    ------
    InvalidRangeError, InvalidOptionError, InvalidKeyError
        If it cannot be a default.
    """
    try:
        if name == SAMPLERATE:
            return check_rate(value)
        if name == DATA_ATTRIBUTE:
            return check_name(value, "payload")
        if not isinstance(value, str):
            raise InvalidOptionError(f"backend is {shown(value)}")
        return value
    except (InvalidRangeError, InvalidOptionError, InvalidKeyError) as error:
        raise type(error)(
            f"{place()} keeps a default that cannot be: {error}; give it at the call, or set it with "
            f"configure_data, or take it away with configure_data(unset={name[1:]!r})"
        ) from error


def check_backend(tree: Tree, name: Any) -> str:
    """*name*, if a backend of that name can be used in *tree*."""
    if not isinstance(name, str):
        raise InvalidOptionError(f"backend is {shown(name)}; use the name of a backend, such as 'blob'")
    tree.check_backend(name)
    return str(name)  # which may be of a class of its own, and is stored
