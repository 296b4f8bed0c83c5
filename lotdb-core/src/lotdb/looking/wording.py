"""Nodes, payloads and values in a few words, on one line."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from lotdb.errors import LotdbError, text_of, written
from lotdb.looking.looked_at import LookedNode, LookedPayload

__all__ = [
    "COUNTED",
    "about_node",
    "count_text",
    "dtype_text",
    "duration_text",
    "error_text",
    "payload_text",
    "plain",
    "short",
    "size_text",
    "value_text",
]

#: Children are counted up to so many: that takes a few hundredths of a second at most.
COUNTED = 100_000
_NAMED_PAYLOADS = 4
_ERROR_WIDTH = 160
_DTYPE_WIDTH = 60
_BYTES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def plain(text: str) -> str:
    """*text* on one line, without what commands a terminal, or looks like something else than it is."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def short(text: str, width: int) -> str:
    """*text*, cut to *width* characters."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def size_text(size: int) -> str:
    """A number of bytes for people.

    >>> size_text(1_572_864)
    '1.5 MiB'
    """
    scaled, unit = float(size), 0
    while scaled >= 1024 and unit < len(_BYTES) - 1:
        scaled, unit = scaled / 1024, unit + 1
    return f"{size} B" if unit == 0 else f"{scaled:.1f} {_BYTES[unit]}"


def duration_text(seconds: float) -> str:
    """A duration for people.

    >>> duration_text(0.25), duration_text(61.5), duration_text(7265)
    ('0.25 s', '1 min 1.5 s', '2 h 1 min 5 s')
    """
    if not 60 <= seconds < 1e9:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{f'{hours} h ' if hours else ''}{minutes} min {round(rest, 3):g} s"


def value_text(value: Any, width: int) -> str:
    """The value of an attribute, on one line of at most *width* characters."""
    if isinstance(value, str):
        return short(plain(value[: width + 1]), width)
    if hasattr(value, "dtype") and getattr(value, "size", 0) > 20:
        return f"array {value.shape} {value.dtype}"
    return short(plain(written(value)[: width + 1]), width)


def payload_text(payload: LookedPayload) -> str:
    """What a payload is: its kind, shape, dtype and rate."""
    rate = f" {payload.samplerate_hz:g} Hz" if payload.samplerate_hz else ""
    return f"{payload.kind} {payload.shape} {dtype_text(payload.dtype)}{rate}"


def dtype_text(dtype: np.dtype[Any]) -> str:
    """A dtype in a few words: of many columns, only how many there are.

    >>> dtype_text(np.dtype([(f"column_{number}", "f8") for number in range(9)]))
    '9 columns'
    """
    text = str(dtype)
    return text if len(text) <= _DTYPE_WIDTH or not dtype.names else f"{len(dtype.names)} columns"


def error_text(error: BaseException) -> str:
    """What to show in place of something that cannot be read."""
    return short(plain(text_of(error)), _ERROR_WIDTH)


def count_text(number: int) -> str:
    """A number of children, counted up to ``COUNTED``."""
    if number > COUNTED:
        return f"over {COUNTED} children"
    return f"{number} child{'' if number == 1 else 'ren'}"


def about_node(node: LookedNode) -> str:
    """The payloads of a node, and the number of its attributes and children."""
    payloads = node.payloads
    parts = list(_payloads(node))
    if len(payloads) > len(parts):
        parts.append(f"… {len(payloads)} payloads")
    if attributes := len(node.attrs) - len(payloads):
        parts.append(f"{attributes} attribute{'s' if attributes > 1 else ''}")
    if children := node._count_children(COUNTED):
        parts.append(count_text(children))
    return ", ".join(parts)


def _payloads(node: LookedNode) -> Iterator[str]:
    for name in islice(node.payloads, _NAMED_PAYLOADS):
        try:
            yield f"{name}: {payload_text(node.payloads[name])}"
        except LotdbError as error:
            yield f"{name}: {error_text(error)}"
