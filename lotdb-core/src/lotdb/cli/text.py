"""Text that may be printed: values of a database as people, and as programs, read them."""

from __future__ import annotations

import math
import sys
from typing import Any

__all__ = ["as_json", "dump", "emit", "plain", "plain_lines", "short", "size_text", "value_text"]

# An integer of more bits may have more than 4300 digits, which Python does not write.
_PRINTED_BITS = 14_000

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def plain(text: str) -> str:
    """*text* on one line, without what commands a terminal, or looks like something else than it is."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def plain_lines(text: str) -> str:
    """As :func:`plain`, but line breaks and tabs stay."""
    return "\n".join(
        "\t".join(plain(part) for part in line.removesuffix("\r").split("\t")) for line in text.split("\n")
    )


def short(text: str, width: int) -> str:
    """*text*, cut to *width* characters."""
    return text if len(text) <= width else f"{text[: max(width - 1, 0)]}…"


def size_text(size: int) -> str:
    """A number of bytes for people, such as ``1.5 MiB``."""
    scaled, unit = float(size), 0
    while scaled >= 1024 and unit < len(_UNITS) - 1:
        scaled, unit = scaled / 1024, unit + 1
    return f"{size} B" if unit == 0 else f"{scaled:.1f} {_UNITS[unit]}"


def value_text(value: Any) -> str:
    """The value of an attribute for people, on one line."""
    try:
        return plain(value if isinstance(value, str) else repr(value))
    except ValueError:  # Python writes no integer of more than 4300 digits
        found = as_json(value)
        return plain(found if isinstance(found, str) else repr(found))


def as_json(value: Any) -> Any:
    """The value of an attribute, or rows of a payload, in what JSON has.

    Times are texts in ISO 8601, bytes texts in base 64, complex numbers pairs; NaN and infinity, which JSON
    does not have, are texts, and so are integers of more than 4000 digits, in hexadecimal. What has no form
    of its own is shown as Python shows it.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value) if value.bit_length() <= _PRINTED_BITS else hex(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, complex):
        return [as_json(value.real), as_json(value.imag)]
    if isinstance(value, bytes | bytearray):
        from base64 import b64encode

        return b64encode(value).decode("ascii")
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: as_json(each) for key, each in value.items()}
        return [[as_json(key), as_json(each)] for key, each in value.items()]
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(each) for each in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        if value.dtype.kind in "mM":
            return as_json(value.astype(str).tolist())
        return as_json(value.tolist())
    return (
        str(value)
        if type(value).__module__ in ("decimal", "fractions", "uuid", "pathlib", "numpy.dtypes")
        else repr(value)
    )


def dump(document: Any) -> str:
    """A document of JSON on one line, in ASCII: it cannot command a terminal."""
    import json  # which showing the help does not need

    return json.dumps(document, allow_nan=False)


def emit(line: str) -> None:
    """Print a line that is safe to print."""
    # A file system's names may hold what no encoding has.
    sys.stdout.write(line.encode(sys.stdout.encoding or "utf-8", "backslashreplace").decode(
        sys.stdout.encoding or "utf-8", "replace") + "\n")  # fmt: skip
