"""The tags of a TIFF that neither Pillow nor we have a name for: kept by their numbers, and put back.

GeoTIFF, GDAL's NODATA, IPTC, Photoshop's resources and private tags are among them. Each is kept with its
type, so that it can be written as it was.

Source: TIFF 6.0 (Adobe, 1992), section 2, and the BigTIFF proposal.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import IO, Any

from lotdb_ingest.image.about import TEXT_TAGS
from lotdb_ingest.image.tiff import Page

__all__ = ["OF_YCBCR", "ascii_tag", "other_tags", "packed", "put_tags", "rational"]

#: Types of values, by number: their name, and how one value is packed.
TYPES = {
    1: ("byte", "B"),
    2: ("ascii", ""),
    3: ("short", "H"),
    4: ("long", "I"),
    5: ("rational", "II"),
    6: ("sbyte", "b"),
    7: ("undefined", ""),
    8: ("sshort", "h"),
    9: ("slong", "i"),
    10: ("srational", "ii"),
    11: ("float", "f"),
    12: ("double", "d"),
    16: ("long8", "Q"),
    17: ("slong8", "q"),
}
NUMBERS = {name: (number, code) for number, (name, code) in TYPES.items()}
#: Tags that say how the pixels lie in the file, or that our metadata have names for.
KNOWN = {
    *range(254, 267),
    *range(273, 275),
    *range(277, 285),
    *range(288, 292),
    296,
    317,
    *range(320, 327),
    338,
    339,
    347,
    *range(512, 534),
    700,
    34675,
    32997,
    32998,
    34665,
    34853,
} | {*TEXT_TAGS}
#: What the numbers of YCbCr mean: coefficients, where the colours lie, and which are black and white.
OF_YCBCR = (529, 531, 532)
#: Images within images, which are not stored.
SUB_IMAGES = 330
#: A tag longer than this is named and not kept, and so are all together.
LARGE, LARGE_TOGETHER = 1 << 16, 1 << 18


def other_tags(page: Page, file: IO[bytes], also: Collection[int] = ()) -> tuple[dict[str, Any], list[str]]:
    """Type and values of each tag of *page* that has no name, and of *also*; and what is left behind."""
    kept: dict[str, Any] = {}
    left: list[str] = []
    together = 0
    for tag, entry in sorted(page.entries.items()):
        if (tag in KNOWN and tag not in also) or not entry.count:
            continue
        together += entry.length
        if entry.type not in TYPES or entry.length > LARGE or together > LARGE_TOGETHER:
            left.append(f"TIFF tag {tag}" + (" (images within the image)" if tag == SUB_IMAGES else ""))
            together -= entry.length
            continue
        name, code = TYPES[entry.type]
        data = page.value(file, tag)
        kept[str(tag)] = {"type": name, "value": _value(name, code, data, page.order)}
    return kept, sorted(left)


def _value(name: str, code: str, data: bytes, order: str) -> Any:
    if name == "undefined":
        return data
    if name == "ascii":
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return data
        return text.removesuffix("\0")
    values = struct.unpack(order + code * (len(data) // struct.calcsize("=" + code)), data)
    return list(values)


def put_tags(file: IO[bytes], pages: Sequence[Mapping[int, tuple[int, int, bytes] | None]]) -> None:
    """Give the directories of the little-endian TIFF in *file* further tags.

    Each of *pages* is type, count and bytes by number of a tag; None takes a tag away.

    Each directory that gets tags is written again at the end of the file, and the link to it is changed.
    """
    file.seek(0)
    head = file.read(16)
    big = head[2:4] == b"+\0"
    offset, count, entry_size = ("<Q", "<Q", 20) if big else ("<I", "<H", 12)
    width = struct.calcsize(offset)
    link = 8 if big else 4
    for wanted in pages:
        file.seek(link)
        place = struct.unpack(offset, file.read(width))[0]
        file.seek(place)
        entries = struct.unpack(count, file.read(struct.calcsize(count)))[0]
        raw = file.read(entries * entry_size)
        following = file.read(width)
        if not wanted:
            link = place + struct.calcsize(count) + len(raw)
            continue
        directory = {
            struct.unpack("<H", raw[at : at + 2])[0]: raw[at : at + entry_size]
            for at in range(0, len(raw), entry_size)
        }
        for tag, value in wanted.items():
            if value is None:
                directory.pop(tag, None)
                continue
            type, number, data = value
            if len(data) > width:
                data = struct.pack(offset, _append(file, data))
            directory[tag] = (
                struct.pack("<HH", tag, type) + struct.pack(offset, number) + data.ljust(width, b"\0")
            )
        new = struct.pack(count, len(directory)) + b"".join(directory[tag] for tag in sorted(directory))
        start = _append(file, new + following)
        file.seek(link)
        file.write(struct.pack(offset, start))
        link = start + len(new)


def _append(file: IO[bytes], data: bytes) -> int:
    """Write *data* behind everything, at an even byte; where that is."""
    end = file.seek(0, 2)
    file.write(bytes(end % 2) + data)
    return end + end % 2


def packed(kept: Any) -> dict[int, tuple[int, int, bytes]]:
    """What ``other_tags`` has kept, as it is put back; what makes no sense is left out."""
    found: dict[int, tuple[int, int, bytes]] = {}
    for tag, each in kept.items() if isinstance(kept, Mapping) else ():
        try:
            number, code = NUMBERS[each["type"]]
            value = each["value"]
            if isinstance(value, str):
                value = value.encode() + b"\0"
            if isinstance(value, bytes):
                found[int(tag)] = (number, len(value), value)
            else:
                data = struct.pack("<" + code * (len(value) // len(code)), *value)
                found[int(tag)] = (number, len(value) // len(code), data)
        except (KeyError, TypeError, ValueError, struct.error):
            continue
    return found


def ascii_tag(text: str) -> tuple[int, int, bytes]:
    """A text as a tag holds it."""
    data = text.encode() + b"\0"
    return 2, len(data), data


def rational(*values: float) -> tuple[int, int, bytes]:
    """Numbers as the nearest fractions of 32 bits."""
    most = 2**32 - 1
    parts = [Fraction(value).limit_denominator(max(1, int(most / max(value, 1)))) for value in values]
    data = b"".join(struct.pack("<II", each.numerator, each.denominator) for each in parts)
    return 5, len(values), data
