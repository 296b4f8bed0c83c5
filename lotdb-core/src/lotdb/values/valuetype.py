"""A type of attribute values that a plugin adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lotdb.errors import InvalidOptionError, shown

__all__ = ["ValueType"]


@dataclass(frozen=True)
class ValueType:
    """A type of attribute values that a plugin adds.

    The first value that is set in a process is encoded, decoded and compared, and so is the first one that is
    encoded to other types than those before it. An encoder that loses something is refused then, with a
    ``PluginError``, and nothing is written.

    Parameters
    ----------
    name
        Permanent name of the type in databases. Begin it with the name of your package.
    type
        The Python type, without its subclasses.
    encode
        Function from a value of the type to something that an attribute can hold, such as a dict.
    decode
        The inverse function.
    version
        Which form of the encoded values this is, from 1 on. It is stored with each value. Raise it when
        *encode* gives something that an earlier *decode* would not understand.
    older
        Decoders for what earlier versions have encoded, by version.
    equal
        Function that says whether two values of the type are equal. By default it is ``==``, or that all
        their parts are equal, NaN with NaN and arrays by their elements.

    Raises
    ------
    InvalidOptionError
        If one of these is not what it should be.

    Examples
    --------
    >>> from ipaddress import IPv4Address
    >>> address = ValueType("acme.ipv4", IPv4Address, encode=int, decode=IPv4Address)

    Before version 2, texts were stored:

    >>> address = ValueType(
    ...     "acme.ipv4", IPv4Address, encode=int, decode=IPv4Address, version=2, older={1: IPv4Address}
    ... )
    """

    name: str
    type: type[Any]
    encode: Callable[[Any], object]
    decode: Callable[[Any], object]
    version: int = 1
    older: Mapping[int, Callable[[Any], object]] = field(default_factory=dict, hash=False)
    equal: Callable[[Any, Any], object] | None = None

    # Which plugin gave it, for messages. No field, since it is no part of what the type is.
    _giver = ""
    # The forms in which its values have come back whole in this process; likewise.
    _proven: ClassVar[set[object]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "_proven", set())
        if not isinstance(self.name, str) or not self.name:
            raise InvalidOptionError(f"name of a value type is {shown(self.name)}; use a text")
        about = f"value type {self.name!r}"
        if not isinstance(self.type, type):
            raise InvalidOptionError(f"type of {about} is {shown(self.type)}; use a class")
        if not _is_version(self.version):
            raise InvalidOptionError(f"version of {about} is {shown(self.version)}; use 1, 2, 3, ...")
        if not isinstance(self.older, Mapping) or not all(
            _is_version(version) and version < self.version for version in self.older
        ):
            raise InvalidOptionError(
                f"older of {about} is {shown(self.older)}; use a mapping of versions below {self.version} to "
                "their decoders"
            )
        equal = () if self.equal is None else (self.equal,)
        for function in (self.encode, self.decode, *self.older.values(), *equal):
            if not callable(function):
                raise InvalidOptionError(f"{shown(function)} of {about} cannot be called; use a function")

    def _said(self) -> str:
        """What messages call it: its name and, if it is known, the plugin that gave it."""
        return f"value type {self.name!r}" + (f" of {self._giver}" if self._giver else "")

    def _note_giver(self, giver: str) -> None:
        object.__setattr__(self, "_giver", giver)


def _is_version(version: object) -> bool:
    return type(version) is int and version >= 1
