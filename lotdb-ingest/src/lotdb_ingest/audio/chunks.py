"""The chunks that wav, RF64, Wave64, AIFF and CAF files consist of.

Sources: the RIFF, EBU Tech 3306 (RF64), Sony Wave64, AIFF 1.3 and Apple Core Audio Format specifications.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

from lotdb import IngestError

__all__ = ["Chunk", "behind", "chunks", "order_of"]

#: More than any file has; each costs a read.
MOST = 1 << 16
#: Place of the first chunk, form of a chunk's head, padding, and bytes of the head that its length includes.
LAYOUTS = {
    "wav": (12, "<4sI", 2, 0),
    "rf64": (12, "<4sI", 2, 0),
    "w64": (40, "<16sQ", 8, 24),
    "aiff": (12, ">4sI", 2, 0),
    "caf": (8, ">4sq", 1, 0),
}
#: The chunks that are the sound itself.
SOUND = (b"data", b"SSND")


class Chunk(NamedTuple):
    """A part of a file: its name, where its content begins, and how many bytes it announces."""

    name: bytes
    place: int
    length: int
    #: Where the next one begins.
    end: int

    @property
    def text(self) -> str:
        """The name, to be shown."""
        return self.name.decode("latin-1")

    def read(self, file: IO[bytes], most: int | None = None) -> bytes:
        """The content, or its first *most* bytes."""
        file.seek(self.place)
        return file.read(self.length if most is None else min(most, self.length))


def order_of(file: IO[bytes], start: int) -> str:
    """The order of bytes of a RIFF file, as struct names it."""
    file.seek(start)
    return ">" if file.read(4) == b"RIFX" else "<"


def chunks(format: str, file: IO[bytes], start: int, size: int) -> Iterator[Chunk]:
    """The chunks of a file that begins at *start* and ends at *size*, up to bytes that are no chunk.

    The length of wav's ``data`` in an RF64 file is that of its ``ds64``.
    """
    first, head, pad, more = LAYOUTS[format]
    if head[0] == "<" and format == "wav":
        head = order_of(file, start) + head[1:]
    bytes_, place, sizes = struct.calcsize(head), start + first, {}
    for _ in range(MOST):
        if place + bytes_ > size:
            return
        file.seek(place)
        name, length = struct.unpack(head, file.read(bytes_))
        length -= more
        if format == "w64":
            name = name[:4]  # the other twelve bytes are the same for most chunks
        if name == b"ds64":
            sizes = _ds64(file, place + bytes_)
        if format in ("wav", "rf64") and length == 0xFFFFFFFF and name in sizes:
            length = sizes[name]
        if not _is_name(name):
            return
        place += bytes_
        end = place + max(length, 0)
        end += -(end - start) % pad
        if length < 0 or (name not in SOUND and end > size + pad):
            yield Chunk(name, place, length, place)
            return
        if (
            pad == 2
            and length % 2
            and _goes_on(file, end - 1, size, head)
            and not _goes_on(file, end, size, head)
        ):
            end -= 1  # some programs do not pad
        yield Chunk(name, place, length, end)
        place = end
    raise IngestError(f"it has more than {MOST} chunks, which no sound file has; write it again")


def behind(found: Sequence[Chunk], file: IO[bytes], size: int, sound: Chunk) -> int:
    """The number of bytes after *sound*, up to the end of the file, that are neither chunks nor a tag.

    The chunks *found* are all that the file has.
    """
    place = min(sound.end, size)
    for chunk in found:
        if chunk.place > sound.place:
            if (chunk.end == chunk.place and chunk.length) or chunk.end > size + 1:
                break
            place = min(chunk.end, size)
    file.seek(place)
    rest = file.read(128)
    if (len(rest) == 128 and rest[:3] == b"TAG") or rest[:3] == b"ID3" or rest[:8] == b"APETAGEX":
        return 0
    return 0 if len(rest) == 1 and rest == b"\0" else size - place


def _goes_on(file: IO[bytes], place: int, size: int, head: str) -> bool:
    """Whether a chunk begins at *place* that ends within the file, or the file ends there."""
    if place >= size:
        return place == size
    file.seek(place)
    content = file.read(struct.calcsize(head))
    if len(content) < struct.calcsize(head):
        return False
    name, length = struct.unpack(head, content)
    return _is_name(name) and 0 <= length <= size - place


def _is_name(name: bytes) -> bool:
    """Whether its four letters can be printed."""
    letters = name[:4]
    return letters.isascii() and letters.decode("ascii").isprintable()


def _ds64(file: IO[bytes], place: int) -> dict[bytes, int]:
    file.seek(place)
    _, data, _, count = struct.unpack("<QQQI", file.read(28).ljust(28, b"\0"))
    sizes = {b"data": data}
    for _ in range(min(count, 1000)):
        entry = file.read(12)
        if len(entry) == 12:
            sizes[entry[:4]] = int.from_bytes(entry[4:], "little")
    return sizes
