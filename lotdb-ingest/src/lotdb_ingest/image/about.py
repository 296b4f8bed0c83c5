"""What an image file says beside the pixels."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from PIL import Image

from lotdb import IngestError
from lotdb_ingest.image.modes import EXIF_DIRECTORIES
from lotdb_ingest.text import as_utf_8

__all__ = [
    "INVERTED",
    "LARGE",
    "ORIENTATION",
    "RESOLUTION",
    "TEXT_TAGS",
    "UNIT",
    "XMP_KEY",
    "about",
    "of_pages",
]

#: Texts in a TIFF, by the number of their tag.
TEXT_TAGS = {
    269: "document_name",
    270: "description",
    271: "make",
    272: "model",
    285: "page_name",
    305: "software",
    306: "date_time",
    315: "artist",
    316: "host_computer",
    33432: "copyright",
}
INVERTED, ORIENTATION, RESOLUTION, UNIT = 262, 274, 282, 296
NO_UNIT, CENTIMETRE = 1, 3
EXIF_MARK = b"Exif\0\0"
#: A text, or bytes, longer than this do not go with the metadata.
LARGE = 1 << 18
#: Under this name a PNG has its XMP among the texts.
XMP_KEY = "XML:com.adobe.xmp"
#: Numbers, and tuples of such, that are kept as Pillow calls them.
NUMBERS = ("gamma", "srgb", "chromaticity")


def about(image: Image.Image, head: bytes) -> dict[str, Any]:
    """What the file, which begins with *head*, says of *image*; complete when its pixels have been read."""
    info = image.info
    # The byte order in which 16 bits were stored is no matter of the pixels.
    found: dict[str, Any] = {"mode": "I;16" if image.mode.startswith("I;16") else image.mode}
    if image.mode in ("P", "PA"):
        found |= _palette(image)
    if "transparency" in info:
        found["transparency"] = _transparency(image, head)
    if info.get("icc_profile", b"") is None:
        raise IngestError("its colour profile is damaged")
    for name in ("exif", "icc_profile", "comment", "xmp"):
        if isinstance(info.get(name), bytes):
            found[name] = info[name]
    if "exif" in found:
        # As it is in a JPEG; PNG and WebP leave out the mark before it, and some programs do not.
        found["exif"] = EXIF_MARK + found["exif"].removeprefix(EXIF_MARK)
    for name in NUMBERS:
        if name in info:
            found[name] = info[name]
    dpi = info.get("dpi", ())
    if image.format == "TIFF":
        found |= _tags(image)
        unit, across, down = (image.tag_v2.get(tag) for tag in (UNIT, RESOLUTION, RESOLUTION + 1))  # type: ignore[attr-defined]
        dpi = dpi if across is not None else ()
        if unit == NO_UNIT and across and down:
            dpi, found["resolution"] = (), (float(across), float(down))
    elif "exif" in found:
        orientation, in_exif = _in_exif(found["exif"])
        dpi = dpi or in_exif
        found |= {"orientation": orientation} if orientation else {}
    if dpi and all(math.isfinite(each) and each > 0 for each in dpi):
        found["dpi"] = tuple(float(each) for each in dpi)
    text = {key: str(value) for key, value in (getattr(image, "text", None) or {}).items() if key != XMP_KEY}
    return {**found, "text": text} if text else found


def of_pages(said: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the pages of a TIFF say together: the first one, and in what the others differ from it.

    If that is more than metadata can hold, it is a text in JSON, with bytes as hexadecimal digits.
    """
    first = said[0]
    others = [
        {name: value for name, value in each.items() if not _same(first.get(name), value)} for each in said
    ]
    if not any(others):
        return first
    text = json.dumps(others, default=bytes.hex)
    return {**first, "pages": text if len(text) > LARGE else others}


def _same(one: Any, another: Any) -> bool:
    return np.array_equal(one, another) if isinstance(another, np.ndarray) else one == another


def _palette(image: Image.Image) -> dict[str, Any]:
    image.load()
    if image.palette is None:
        return {}
    mode = image.palette.mode
    colours = np.array(image.getpalette(mode), np.uint8)
    return {"palette": colours.reshape(-1, len(mode)), "palette_mode": mode}


def _transparency(image: Image.Image, head: bytes) -> Any:
    value = image.info["transparency"]
    if image.format == "PNG" and image.mode == "L" and head[24] in (2, 4):
        return value * 255 // ((1 << head[24]) - 1)  # as Pillow has made the pixels themselves 8 bits wide
    return value


def _tags(image: Any) -> dict[str, Any]:
    """What is in the tags of a TIFF's page, and in no other place."""
    tags, found = image.tag_v2, {}
    found["compression"] = image.info["compression"]
    for tag, name in TEXT_TAGS.items():
        if isinstance(tags.get(tag), str):
            # TIFF says ASCII, programs write UTF-8, and Pillow takes it for Latin-1.
            found[name] = as_utf_8(tags[tag])
    if isinstance(tags.get(ORIENTATION), int):
        found["orientation"] = tags[ORIENTATION]
    if tags.get(INVERTED) == 0:
        found["white_is_zero"] = True  # the numbers are what they are, as they are in the file
    exif = Image.Exif()
    for tag in EXIF_DIRECTORIES:
        if tag in tags:
            exif[tag] = image.getexif().get_ifd(tag)
    if len(exif):
        if "orientation" in found:
            exif[ORIENTATION] = found["orientation"]
        found["exif"] = exif.tobytes()
    return found


def _in_exif(exif: bytes) -> tuple[int, tuple[float, ...]]:
    """Orientation and dots per inch in EXIF's first directory (CIPA DC-008), which is that of a TIFF."""
    tiff = exif.removeprefix(EXIF_MARK)
    order: Literal["little", "big"] = "little" if tiff[:2] == b"II" else "big"

    def number(place: int, length: int) -> int:
        return int.from_bytes(tiff[place : place + length], order)

    start = number(4, 4)
    places = range(start + 2, min(start + 2 + 12 * number(start, 2), len(tiff) - 11), 12)
    found = {number(place, 2): place + 8 for place in places}
    orientation = number(found[ORIENTATION], 2) if ORIENTATION in found else 0
    if not {RESOLUTION, RESOLUTION + 1} <= found.keys():
        return orientation, ()
    inches = 2.54 if UNIT in found and number(found[UNIT], 2) == CENTIMETRE else 1.0
    parts = [number(found[tag], 4) for tag in (RESOLUTION, RESOLUTION + 1)]
    dpi = tuple(number(at, 4) / max(number(at + 4, 4), 1) * inches for at in parts)
    return orientation, dpi
