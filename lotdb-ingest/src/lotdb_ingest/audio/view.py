"""A file as libsndfile sees it: parts of another file and bytes of ours, without copying."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import IO

__all__ = ["Piece", "View", "patched"]

#: Where it begins in the file and how long it is; or bytes that stand in its place.
Piece = tuple[int, int] | bytes


class View(io.RawIOBase):
    """The *pieces* of *file*, one after another, as a file to read."""

    def __init__(self, file: IO[bytes], pieces: Sequence[Piece]) -> None:
        self._file = file
        self._place = 0
        self._pieces: list[tuple[int, int, Piece]] = []  # where each begins and ends here
        end = 0
        for piece in pieces:
            begin, end = end, end + (len(piece) if isinstance(piece, bytes) else piece[1])
            self._pieces.append((begin, end, piece))
        self._size = end

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The current position."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Set the position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Fill *buffer* from all pieces that it reaches."""
        done = 0
        for begin, end, piece in self._pieces:
            if not begin <= self._place < end or done == len(buffer):
                continue
            skip, length = self._place - begin, min(len(buffer) - done, end - self._place)
            if isinstance(piece, bytes):
                part = piece[skip : skip + length]
            else:
                self._file.seek(piece[0] + skip)
                part = self._file.read(length)
            buffer[done : done + len(part)] = part
            done += len(part)
            self._place += len(part)
            if len(part) < length:
                break
        return done


def patched(start: int, size: int, patches: dict[int, bytes]) -> list[Piece]:
    """The pieces of a file of *size* bytes from *start* on, with other bytes at the places of *patches*.

    >>> patched(0, 10, {4: b"ab"})
    [(0, 4), b'ab', (6, 4)]
    """
    pieces: list[Piece] = []
    for place, content in sorted(patches.items()):
        pieces += [(start, place - start), content]
        start = place + len(content)
    return [*pieces, (start, size - start)]
