"""The frames of an mp3 file, all of them: libsndfile goes on behind what it does not understand.

Unless a header counts the frames, it guesses how many there are by the length of the first one, and leaves
out what is beyond. Sources: ISO/IEC 11172-3 and 13818-3 (frames), ID3v2.4, and the Xing header.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from lotdb import IngestError

__all__ = ["Mp3", "check_mp3"]

#: Thousands of bits a second, by whether it is version 1, and by layer.
BIT_RATES = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = (44100, 48000, 32000)
#: By which they are divided, by the bits of the version: 2.5, 2 and 1.
DIVISORS = {0: 4, 2: 2, 3: 1}
#: How far behind the last frame another one is looked for: tags at the end have none.
NEAR = 1 << 16


@dataclass(frozen=True)
class _Frame:
    """What four bytes say, if they are the head of a frame."""

    head: bytes
    #: What all frames have in common: version, layer, samples a second.
    kind: tuple[int, int, int]
    length: int


@dataclass(frozen=True)
class Mp3:
    """What libsndfile has to be told of an mp3 file, so that it reads all of it."""

    rows: int | None = None
    #: A frame that counts those behind it, and where it belongs.
    count: bytes = b""
    start: int = 0

    @contextlib.contextmanager
    def counted(self, file: IO[bytes]) -> Iterator[IO[bytes]]:
        """A temporary copy of *file* with the count in its place."""
        with tempfile.TemporaryFile() as copy:
            file.seek(0)
            copy.write(file.read(self.start) + self.count)
            shutil.copyfileobj(file, copy)
            copy.flush()
            yield copy


def check_mp3(file: IO[bytes], size: int) -> Mp3:
    """What the *file* of *size* bytes is.

    Raises
    ------
    IngestError
        If it has other frames than it says, or is interrupted.
    """
    start = _next_frame(file, _behind_tag(file), None)
    if start is None:
        raise IngestError(f"there is no frame in the first {NEAR} bytes of its sound")
    place, frames = start, 0
    while frame := _frame(file, place):
        end = place + frame.length
        if end > size:
            raise IngestError(f"its frame at byte {place} is announced up to byte {end}, the file has {size}")
        place, frames, last = end, frames + 1, frame
    following = _next_frame(file, place, last.kind)
    if following is not None:
        raise IngestError(f"its sound is interrupted at byte {place}, and goes on at byte {following}")
    announced = _announced(file, start)
    # The frame that announces them is counted by some programs, and not by others.
    if announced is not None and announced not in (frames, frames - 1):
        raise IngestError(f"its header announces {announced} frames, {frames - 1} are present")
    if announced is not None:
        return Mp3()
    if last.kind[1] != 3:
        return Mp3(rows=frames * (384 if last.kind[1] == 1 else 1152))
    return Mp3(count=_count(file, start, frames), start=start)


def _count(file: IO[bytes], start: int, frames: int) -> bytes:
    """A frame with Xing's header, like the first one but for its bit rate, which leaves room for it.

    With it, libsndfile leaves out the 529 samples by which any decoder is late.
    """
    file.seek(start)
    head = bytearray(file.read(4))
    head[1] |= 1  # no checksum
    head[2] = head[2] & 0x0D | 0xE0
    frame = _parsed(bytes(head))
    assert frame is not None
    is_mono, is_first = head[3] >> 6 == 3, frame.kind[0] == 3
    # Behind what a decoder needs to know of two granules, or of one.
    place = 4 + ({True: 17, False: 32} if is_first else {True: 9, False: 17})[is_mono]
    about = b"Xing" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    return (bytes(head) + bytes(place - 4) + about).ljust(frame.length, b"\0")


def _behind_tag(file: IO[bytes]) -> int:
    file.seek(0)
    head = file.read(10)
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    # Four bytes of seven bits each, and the footer that a flag announces.
    return 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]) + (10 if head[5] & 0x10 else 0)


def _frame(file: IO[bytes], place: int) -> _Frame | None:
    file.seek(place)
    return _parsed(file.read(4))


def _parsed(head: bytes) -> _Frame | None:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bits, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version not in DIVISORS or layer == 4 or bits in (0, 15) or rate == 3:
        return None
    is_first = version == 3
    a_second = RATES[rate] // DIVISORS[version]
    thousands = BIT_RATES[is_first, layer][bits - 1]
    if layer == 1:
        length = (12_000 * thousands // a_second + padding) * 4
    else:
        length = (144_000 if is_first or layer == 2 else 72_000) * thousands // a_second + padding
    return _Frame(head, (version, layer, a_second), length)


def _next_frame(file: IO[bytes], place: int, kind: tuple[int, int, int] | None) -> int | None:
    """Where the next frame of *kind* begins that another one of its kind follows."""
    file.seek(place)
    near = file.read(NEAR)
    found = near.find(b"\xff")
    while found >= 0:
        frame = _parsed(near[found : found + 4])
        if frame and kind in (None, frame.kind):
            after = _frame(file, place + found + frame.length)
            if after and after.kind == frame.kind:
                return place + found
        found = near.find(b"\xff", found + 1)
    return None


def _announced(file: IO[bytes], start: int) -> int | None:
    """How many frames there are by the header of Xing, which is within the first one."""
    file.seek(start)
    head = file.read(200)
    for mark in (b"Xing", b"Info"):
        place = head.find(mark)
        if place >= 0 and len(head) >= place + 12 and head[place + 7] & 1:
            return int.from_bytes(head[place + 8 : place + 12], "big")
    return None
