"""Attribute values <-> plain tagged data, the only form in which they are stored.

None, bool, int, float, str and bytes are stored as they are. Every other value becomes a tuple ``(tag, ...)``
made of such values and further tuples, so what is stored names no class, and loading it runs no code::

    ("l", item, ...)    list              ("t", item, ...)    tuple
    ("s", item, ...)    set               ("f", item, ...)    frozenset
    ("d", k, v, ...)    dict              ("x", name, v)      a type that a plugin adds, of version 1
                                          ("xv", name, version, v)   the same, of a later version

    ("c", real, imag)   complex           ("b", bytes)        bytearray
    ("D", text)         Decimal           ("F", n, d)         Fraction
    ("u", bytes)        UUID              ("r", a, b, step)   range
    ("pa", text)        Path              ("pp" or "pw", text)   PurePosixPath or PureWindowsPath

    ("dt", year, ..., microsecond, fold, zone)   datetime     ("da", year, month, day)             date
    ("ti", hour, ..., microsecond, fold, zone)   time         ("td", days, seconds, microseconds)  timedelta
    ("tz", microseconds, name or None)           timezone     ("zi", key)                          ZoneInfo

    ("n", dtype, bytes)           numpy scalar       ("ns", text)     numpy.str_
    ("na", dtype, shape, bytes)   numpy.ndarray      ("nb", bytes)    numpy.bytes_
    ("nd", dtype)                 numpy.dtype

The tag ``"p"`` belongs to payloads, which are no values.
"""

from __future__ import annotations

from collections.abc import Callable

from lotdb.values.plain import (
    MAX_DEPTH,
    MAX_VALUE_BYTES,
    PLAIN,
    SHORT,
    Encoded,
    ValueTypes,
    encoded_size,
    flaw_of,
    is_larger,
    is_same,
    tag_of,
)

__all__ = [
    "MAX_DEPTH",
    "MAX_VALUE_BYTES",
    "PLAIN",
    "Encoded",
    "ValueTypes",
    "decode",
    "encode",
    "encoded_size",
    "is_larger",
    "is_same",
]


def encode(
    value: object,
    *,
    name: str = "",
    extra: ValueTypes | None = None,
    what: Callable[[], str] | None = None,
) -> Encoded:
    """The value as it is stored.

    Parameters
    ----------
    value
        The value of an attribute.
    name
        Name of the attribute, for messages.
    extra
        The types that plugins add.
    what
        What messages call the value, if it is none of an attribute.

    Returns
    -------
    Encoded
        The value itself or a tuple; it shares nothing that could change with *value*.

    Raises
    ------
    UnsupportedValueError
        If the value, or something inside it, is of a type that attributes cannot hold. Subclasses of the
        types they can hold are refused too, since they would come back as something else.
    ValueTooLargeError
        If it would take more than ``MAX_VALUE_BYTES``, or nests deeper than ``MAX_DEPTH``, as a container
        within itself does.
    PluginError
        If a plugin's encoder fails, or loses something: see :class:`ValueType`.

    Examples
    --------
    >>> encode([1, 2.5], name="gains")
    ('l', 1, 2.5)
    """
    # Most values are plain and short; they are decided here without a detour.
    kind = type(value)
    if kind is float or (kind is str and len(value) < 1024) or (kind is int and -SHORT < value < SHORT):  # type: ignore[arg-type, operator]
        return value  # type: ignore[return-value]
    if kind in PLAIN and encoded_size(value) <= MAX_VALUE_BYTES:  # type: ignore[arg-type]
        return value  # type: ignore[return-value]
    # What this takes is loaded when it is first needed: mostly it is not, and it takes a while.
    from lotdb.values.encoder import Encoder

    return Encoder(what or (lambda: f"attribute {name!r}"), extra).item(value)


def decode(encoded: object, *, extra: ValueTypes | None = None) -> object:
    """The value that was encoded; mutable ones are fresh at every call.

    Nothing that is stored can make this fail: what cannot be read, the whole or a part inside, comes as
    :class:`Undecodable`.

    Parameters
    ----------
    encoded
        What :func:`encode` gave.
    extra
        The types that plugins add.

    Returns
    -------
    object
        The value.

    Examples
    --------
    >>> decode(("l", 1, 2.5))
    [1, 2.5]
    >>> decode(("x", "acme.ipv4", 1)).missing_plugin
    True
    """
    if type(encoded) in PLAIN:
        return encoded
    if flaw := flaw_of(encoded):
        from lotdb.values.undecodable import Undecodable

        return Undecodable(tag_of(encoded), encoded, flaw)
    from lotdb.values.decoder import Decoder

    return Decoder(extra).item(encoded)
