"""Checking that a GIF is complete, and reading what Pillow leaves out.

Source: GIF89a.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import IO, Any

from lotdb import IngestError
from lotdb_ingest.image.about import LARGE

__all__ = ["about_gif", "check_gif"]

#: Labels of extensions.
TEXT, CONTROL, COMMENT, APPLICATION = 0x01, 0xF9, 0xFE, 0xFF
#: Which says how often the frames are shown.
LOOP = "NETSCAPE2.0"


def check_gif(file: IO[bytes], check_size: Callable[[int, int], None]) -> int:
    """The number of frames; ``IngestError`` if the file is cut, or has a frame outside of the screen."""
    width = height = frames = 0
    for kind, head in _blocks(file):
        if kind == b"":
            width, height = struct.unpack_from("<HH", head)
        elif kind == b",":
            left, top, across, down = struct.unpack_from("<HHHH", head)
            right, bottom = left + across, top + down
            if frames and (right > width or bottom > height):
                raise IngestError(f"frame {frames + 1} reaches out of the {width} x {height} pixels before")
            # A first frame that is larger than the screen makes that larger.
            width, height = max(width, right), max(height, bottom)
            frames += 1
    if not frames:
        raise IngestError("there is no image in it")
    check_size(width, height)
    return frames


def about_gif(file: IO[bytes]) -> dict[str, Any]:
    """All comments if there are several, and the extensions that are not kept, of a file that is whole."""
    comments: list[bytes] = []
    lost: set[str] = set()
    for kind, head in _blocks(file):
        if kind != b"!":
            continue
        label, data = head[0], head[1:]
        name = data[:11].decode("latin-1")
        if label == COMMENT:
            comments.append(data)
        elif label == TEXT:
            lost.add("GIF text that is drawn over the image")
        elif label == APPLICATION and name != LOOP:
            lost.add(f"GIF application extension {name}")
        elif label not in (CONTROL, APPLICATION):
            lost.add(f"GIF extension {label}")
    if sum(map(len, comments)) > LARGE:
        lost.add("GIF comments, but for the last one")
        comments = []
    found: dict[str, Any] = {"comments": comments} if len(comments) > 1 else {}
    return {**found, "not_kept": sorted(lost)} if lost else found


def _blocks(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The screen, called ``b""``; then the mark of each block, and what it begins with.

    That is the place and size of a frame, and the label and first data of an extension, all of a comment.
    """
    file.seek(6)
    screen = file.read(7)
    if len(screen) < 7:
        raise _cut(file)
    yield b"", screen
    _skip_colours(file, screen[4])
    while (kind := file.read(1)) != b";":
        if kind == b"!":
            label, data = file.read(1), _data(file)
            if label == bytes([COMMENT]):
                yield kind, label + b"".join(data)
            else:
                yield kind, label + next(data, b"")
            for _ in data:
                pass
        elif kind == b",":
            frame = file.read(10)
            if len(frame) < 10:
                raise _cut(file)
            yield kind, frame
            if frame[8] & 0x80:
                file.seek(-1, 1)  # the byte with the size of codes follows the colours
                _skip_colours(file, frame[8])
                file.read(1)
            for _ in _data(file):
                pass
        elif kind == b"\0":
            continue  # an extra terminator, which some programs write
        elif kind == b"":
            raise _cut(file)
        else:
            raise IngestError(f"byte {file.tell() - 1} begins no block of a GIF")


def _data(file: IO[bytes]) -> Iterator[bytes]:
    while (length := file.read(1)) != b"\0":
        data = file.read(length[0]) if length else b""
        if not length or len(data) < length[0]:
            raise _cut(file)
        yield data


def _cut(file: IO[bytes]) -> IngestError:
    return IngestError(f"it ends at byte {file.seek(0, 2)}, before its last frame does")


def _skip_colours(file: IO[bytes], flags: int) -> None:
    if flags & 0x80:
        file.read(3 << ((flags & 7) + 1))
