"""The notes in a sound file: texts, events, and everything else as bytes.

``tags`` are texts by name, a list where there are several of a name. ``chunks`` are pairs of a name and
bytes, which are written again to a file of the same kind. ``not_kept`` names what was left behind.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["KNOWN", "Notes", "chunk_items", "decoded", "encoded", "tag_items"]

#: Names under which tags are kept whatever the format calls them, as libsndfile names them.
KNOWN = (
    "title",
    "copyright",
    "software",
    "artist",
    "comment",
    "date",
    "album",
    "license",
    "tracknumber",
    "genre",
)
#: Attributes have a MiB in all; pictures and the like would take it.
MOST_BYTES = 256 << 10
MOST_LETTERS = 64
EVENT = np.dtype([("onset_s", "f8"), ("duration_s", "f8")])


@dataclass
class Notes:
    """What was found, to be kept with the payload."""

    tags: dict[str, Any] = field(default_factory=dict)
    #: Of the tags that are not UTF-8.
    encodings: dict[str, str] = field(default_factory=dict)
    chunks: list[list[Any]] = field(default_factory=list)
    #: Further metadata by name.
    about: dict[str, Any] = field(default_factory=dict)
    #: Rows (or seconds, as floats) at which something begins, and for how many; and what.
    events: list[tuple[float, float, str]] = field(default_factory=list)
    not_kept: set[str] = field(default_factory=set)
    _left: int = MOST_BYTES

    def has_room(self, what: str, length: int) -> bool:
        """Whether *length* bytes more can be kept; what cannot is named."""
        if length > self._left:
            self.not_kept.add(f"{what} of {length} bytes")
            return False
        self._left -= length
        return True

    def add_chunk(self, what: str, name: str, content: bytes) -> None:
        """Keep the bytes of something that has a name."""
        if self.has_room(f"{what} {name!r}", len(content)):
            self.chunks.append([name, content])

    def add_tag(self, what: str, name: str, content: bytes | str, encoding: str = "utf-8") -> None:
        """Keep a text; the second one of a name makes a list of the two."""
        name = name.lower() if name.lower() in KNOWN else name
        if isinstance(content, bytes):
            content, encoding = decoded(content, encoding)
            if encoding != "utf-8":
                self.encodings[name] = encoding
        if not self.has_room(f"{what} {name!r}", 2 * len(content)):
            return
        there = self.tags.get(name)
        if there is None:
            self.tags[name] = content
        else:
            self.tags[name] = [*there, content] if isinstance(there, list) else [there, content]

    def metadata(self) -> dict[str, Any]:
        """All but the events, as the payload's metadata have it."""
        found = {
            "tags": self.tags,
            "tags_encoding": self.encodings,
            **self.about,
            "chunks": self.chunks,
            "not_kept": sorted(self.not_kept),
        }
        return {name: value for name, value in found.items() if value or value == 0}

    def table(self, rate: float) -> np.ma.MaskedArray[Any, Any]:
        """The events as a table, in seconds, in the order of time."""
        events = sorted(self.events)
        # Wide enough for those of other files that may be appended.
        width = max(MOST_LETTERS, *(len(label) for _, _, label in events))
        dtype = [*EVENT.descr, ("label", f"U{width}")]
        rows = [(onset / rate, duration / rate, label) for onset, duration, label in events]
        return np.ma.MaskedArray(np.array(rows, dtype))


def decoded(content: bytes, encoding: str = "utf-8") -> tuple[str, str]:
    r"""A text and its encoding: UTF-8, or else *encoding*, or one in which each byte is a letter.

    >>> decoded(b"\xb5V"), decoded("µV".encode())
    (('µV', 'cp1252'), ('µV', 'utf-8'))
    """
    for each in ("utf-8", encoding, "cp1252"):
        try:
            return content.decode(each), each
        except (UnicodeError, LookupError):
            pass
    return content.decode("latin-1"), "latin-1"


def encoded(text: str, encoding: Any) -> bytes:
    """A text in its own *encoding* if it still fits into it, or else in UTF-8."""
    try:
        if isinstance(encoding, str):
            return text.encode(encoding)
    except (UnicodeError, LookupError, ValueError):
        pass
    return text.encode("utf-8", "replace")


def tag_items(metadata: dict[str, Any]) -> list[tuple[str, str]]:
    """The tags in *metadata*, each text with its name; entries of another form are skipped."""
    tags = metadata.get("tags")
    items = tags.items() if isinstance(tags, dict) else ()
    return [
        (name, text)
        for name, texts in items
        for text in (texts if isinstance(texts, list) else [texts])
        if isinstance(name, str) and isinstance(text, str)
    ]


def chunk_items(metadata: dict[str, Any]) -> list[tuple[str, bytes]]:
    """The chunks in *metadata*, each name with its bytes; entries of another form are skipped."""
    chunks = metadata.get("chunks")
    return [
        (each[0], each[1])
        for each in (chunks if isinstance(chunks, list) else ())
        if isinstance(each, list | tuple)
        and len(each) == 2
        and isinstance(each[0], str)
        and isinstance(each[1], bytes)
    ]
