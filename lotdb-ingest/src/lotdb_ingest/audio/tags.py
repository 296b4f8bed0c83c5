"""Finding the end of the tags before, after and within a sound.

Sources: ID3v2.4.0 (structure), APEv2, and ID3v1.
"""

from __future__ import annotations

from typing import IO

__all__ = ["behind_tags"]

#: More consecutive tags than any real file has.
MOST = 1000


def behind_tags(file: IO[bytes], place: int = 0, most: int = MOST) -> int:
    """The place after all consecutive tags that begin at *place*, or after the first *most* of them."""
    for _ in range(most):
        file.seek(place)
        head = file.read(32)
        if head[:3] in (b"ID3", b"3DI") and len(head) >= 10 and not any(byte & 0x80 for byte in head[6:10]):
            # Four bytes of seven bits each, and the footer that a flag announces.
            length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
            place += 10 + (length if head[:3] == b"ID3" else 0)
            place += 10 if head[:3] == b"ID3" and head[5] & 0x10 else 0
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            # Its length counts a footer, and no header; this is the header, or a footer on its own.
            is_header = head[23] & 0x20
            place += 32 + (int.from_bytes(head[12:16], "little") if is_header else 0)
        elif head[:3] == b"TAG" and head[3:4] != b"+":
            place += 128
        else:
            break
    return place
