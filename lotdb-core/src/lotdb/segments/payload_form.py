"""What the stored form of a payload's record shows without being decoded, for which numpy is needed."""

from __future__ import annotations

from typing import Any

__all__ = ["OWN", "PLACE", "ROWS_FORMAT", "TAG", "is_payload", "is_payload_anywhere"]

TAG = "p"

# Where the stored form has what, for those who look at one thing in very many.
PLACE = {
    name: place + 1
    for place, name in enumerate(
        (
            "kind",
            "backend",
            "dtype",
            "shape",
            "samplerate_hz",
            "content_type",
            "metadata",
            "options",
            "segments",
        )
    )
}

# The name under which the form of LOTDB's own records is noted in a database, and the version that has small
# arrays in records. No backend can have this name.
OWN = "lotdb"
ROWS_FORMAT = 3


def is_payload(stored: Any) -> bool:
    """Whether a stored attribute value is a payload's record."""
    return type(stored) is tuple and stored[0] == TAG


def is_payload_anywhere(stored: Any) -> bool:
    """Whether any part of the state of a record is a payload's record.

    A key, a name and a value of a column may be the same text as the tag, and be the first of as many.
    """
    return (
        type(stored) is tuple
        and len(stored) == len(PLACE) + 1
        and stored[0] == TAG
        and type(stored[-1]) is tuple
        and all(type(segment) is tuple and segment for segment in stored[-1])
    )
