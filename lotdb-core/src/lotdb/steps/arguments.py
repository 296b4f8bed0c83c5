"""The settings of a call: what its function takes beside the node, and the texts that tell them apart."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from hashlib import blake2b
from types import FunctionType
from typing import Any

from lotdb.node_api.watching import place_of, plain
from lotdb.public import BaseNode, InvalidStepError, LotdbError
from lotdb.values import values
from lotdb.values.plain import exact_text

__all__ = ["Parameters", "setting_text"]

#: What ``at`` and ``map`` take themselves, so that no setting can have these names.
RESERVED = ("key", "on_code_change", "on_error", "progress", "workers", "workers_store")

# Of a longer text, the digest is kept.
_SHOWN = 100
_PLAIN = frozenset((str, int, float, bool, type(None)))


class Parameters:
    """What the function of a step can be called with.

    Raises
    ------
    InvalidStepError
        If it takes no node, or its settings have no names.
    """

    def __init__(self, function: FunctionType, name: str) -> None:
        self._step = name
        parameters = list(inspect.signature(function).parameters.values())
        kinds = inspect.Parameter
        if not parameters or parameters[0].kind not in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD):
            raise InvalidStepError(
                f"step {name!r} takes no node; the first argument of its function is a node"
            ).of(name, "")
        self.node = parameters[0].name
        self._defaults: dict[str, Any] = {}
        self._is_open = False
        for each in parameters[1:]:
            if each.kind is kinds.VAR_KEYWORD:
                self._is_open = True
                continue
            if each.kind in (kinds.VAR_POSITIONAL, kinds.POSITIONAL_ONLY):
                raise InvalidStepError(
                    f"step {name!r} takes {each}; settings are given by their names, so make it a keyword"
                ).of(name, "")
            if each.name in RESERVED:
                raise InvalidStepError(
                    f"step {name!r} has a setting {each.name!r}, which at() or map() takes; name it otherwise"
                ).of(name, "")
            self._defaults[each.name] = each.default
        self._all_have_defaults = kinds.empty not in self._defaults.values()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the settings."""
        return tuple(self._defaults)

    def bind(self, given: Mapping[str, Any], node: BaseNode) -> dict[str, Any]:
        """All settings of a call at *node*, those with defaults too.

        Raises
        ------
        InvalidStepError
            If one is unknown, or missing.
        """
        bound = {**self._defaults, **given}
        if (len(bound) > len(self._defaults) and not self._is_open) or not self._all_have_defaults:
            there = ", ".join(self._defaults) or "none"
            for name, value in bound.items():
                if name not in self._defaults and not self._is_open:
                    raise self._refused(f"has no setting {name!r} (its settings: {there})", node)
                if value is inspect.Parameter.empty:
                    raise self._refused(f"needs the setting {name!r}", node)
        return bound

    def _refused(self, what: str, node: BaseNode) -> InvalidStepError:
        path = node._path()
        return InvalidStepError(f"step {self._step!r} at {path!r} {what}").of(self._step, path)


def setting_text(name: str, value: Any, node: BaseNode, step: str) -> str:
    """A text that tells the value of a setting from all others; short values are readable.

    Raises
    ------
    InvalidStepError
        If the value is none that attributes can hold, and no node of the same tree.
    """
    if type(value) in _PLAIN:
        text = exact_text(value)
        return text if len(text) <= _SHOWN else _digest(text)
    if isinstance(value, BaseNode):
        other = plain(value)
        if other._tree is not node._tree:
            raise InvalidStepError(
                f"setting {name!r} of step {step!r} at {node._path()!r} is of another tree or connection"
            ).of(step, node._path())
        up, keys = place_of(other, node)
        return f"node {'/'.join(('..',) * up + keys) or '.'}"
    try:
        encoded = values.encode(value, extra=node._tree.plugins, what=lambda: "a setting")
    except LotdbError as error:
        raise InvalidStepError(
            f"setting {name!r} of step {step!r} at {node._path()!r} cannot be kept: {error}"
        ).of(step, node._path()) from error
    text = exact_text(_ordered(encoded))
    return text if len(text) <= _SHOWN else _digest(text)


def _digest(text: str) -> str:
    return "#" + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _ordered(encoded: Any) -> Any:
    """*encoded* with sets and mappings in an order that does not depend on how they were made."""
    if type(encoded) is not tuple or not encoded:
        return encoded
    tag, *parts = encoded
    parts = [_ordered(part) for part in parts]
    if tag in ("s", "f"):
        parts.sort(key=exact_text)
    elif tag == "d":
        pairs = sorted(zip(parts[::2], parts[1::2], strict=True), key=exact_text)
        parts = [part for pair in pairs for part in pair]
    return (tag, *parts)
