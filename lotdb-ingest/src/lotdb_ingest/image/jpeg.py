"""The segments of a JPEG that Pillow does not interpret: comments, IPTC, and those of other programs.

Sources: ITU-T T.81, B.2.4 (segments); IPTC is within Photoshop's APP13.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from lotdb_ingest.image.about import LARGE

__all__ = ["about_jpeg", "segments"]

#: What begins a segment that Pillow reads, or that says how the pixels are coded.
KNOWN = {
    "APP0": (b"JFIF\0",),
    "APP1": (b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"),
    "APP2": (b"ICC_PROFILE\0", b"MPF\0"),
    "APP14": (b"Adobe",),
}
COMMENT = 0xFE
MOST_BYTES = 65533


def about_jpeg(image: Any) -> dict[str, Any]:
    """All comments if there are several, the other segments by their name, and which ones are not kept."""
    comments = [data for name, data in image.applist if name == "COM"]
    kept: dict[str, list[bytes]] = {}
    left: set[str] = set()
    together = 0
    for name, data in image.applist:
        if name == "COM" or any(data.startswith(signature) for signature in KNOWN.get(name, ())):
            continue
        together += len(data)
        if together > LARGE:
            left.add(f"JPEG segment {name}")
            together -= len(data)
            continue
        kept.setdefault(name, []).append(data)
    found: dict[str, Any] = {"segments": kept} if kept else {}
    if len(comments) > 1:
        found["comments"] = comments
    if left:
        found["not_kept"] = sorted(left)
    if image.info.get("jfif_unit") == 0 and image.info.get("jfif_density", (1, 1)) not in ((1, 1), (0, 0)):
        found["not_kept"] = sorted({*left, "JPEG ratio of width to height of a pixel"})
    return found


def segments(metadata: Mapping[str, Any]) -> bytes:
    """The segments that ``about_jpeg`` has kept, and all comments but the last, which Pillow writes."""
    found = []
    kept = metadata.get("segments")
    for name, values in kept.items() if isinstance(kept, Mapping) else ():
        if isinstance(name, str) and name[:3] == "APP" and name[3:].isdecimal() and int(name[3:]) < 16:
            found += [(0xE0 + int(name[3:]), data) for data in (values if isinstance(values, list) else ())]
    comments = metadata.get("comments")
    found += [(COMMENT, data) for data in (comments[:-1] if isinstance(comments, list) else ())]
    return b"".join(
        b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data
        for marker, data in found
        if isinstance(data, bytes) and len(data) <= MOST_BYTES
    )
