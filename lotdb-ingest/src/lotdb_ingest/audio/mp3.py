"""Checking all frames of an mp3 file, because libsndfile silently skips bytes that it does not understand.

If no header counts the frames, libsndfile estimates their number from the length of the first one, and drops
the frames beyond it. Sources: ISO/IEC 11172-3 and 13818-3 (frames), and the headers of Xing and of Fraunhofer
(VBRI).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import IO

from lotdb import IngestError
from lotdb_ingest.audio.tags import behind_tags
from lotdb_ingest.audio.view import Piece, patched

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
#: How far the first frame is looked for.
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
    """An mp3 file in the form in which libsndfile reads all of it."""

    #: What it is to see: the frames alone, with one before them that counts them.
    pieces: list[Piece]
    rows: int | None = None
    #: Rows of all frames, silence of the encoder's included.
    decoded: int = 0


def check_mp3(file: IO[bytes], start: int, size: int) -> Mp3:
    """What the *file* of *size* bytes is, whose sound begins at *start* or a little behind.

    Raises
    ------
    IngestError
        If it has other frames than it says, or is interrupted.
    """
    start = _behind_zeros(file, start, size)
    first = _next_frame(file, start, None)
    if first is None:
        raise IngestError(
            f"there is no frame in the first {NEAR} bytes of its sound: it is damaged, or of a free bit "
            "rate; encode it again, for example with: ffmpeg -i IN -c:a pcm_s16le OUT.wav"
        )
    place, begin, frames, runs = first, first, 0, []
    while True:
        while frame := _frame(file, place):
            end = place + frame.length
            if end > size:
                raise IngestError(
                    f"its frame at byte {place} is announced up to byte {end}, the file has {size}: "
                    "it is cut, take it from its source again"
                )
            place, frames, last = end, frames + 1, frame
        runs.append((begin, place - begin))
        begin = behind_tags(file, place)
        if begin == place:
            break
        goes_on = _frame(file, begin)
        if goes_on is None or goes_on.kind != last.kind:
            break
        place = begin
    following = _next_frame(file, begin, last.kind, size)
    if following is not None:
        raise IngestError(
            f"its sound is interrupted at byte {place}, and goes on at byte {following}: it is damaged; "
            "take it from its source again, or encode it again"
        )
    rows = 384 if last.kind[1] == 1 else 1152 if last.kind[1] == 2 or last.kind[0] == 3 else 576
    return replace(_counted(file, runs, frames, last), decoded=frames * rows)


def _counted(file: IO[bytes], runs: list[tuple[int, int]], frames: int, last: _Frame) -> Mp3:
    """The frames in *runs*, with a frame before them that counts them."""
    first = runs[0][0]
    is_about, announced, place = _announced(file, first)
    # The frame that announces them is counted by some programs, and not by others.
    if announced is not None and announced not in (frames, frames - 1):
        raise IngestError(
            f"its header announces {announced} frames, {frames - 1} are present: it is cut, or several files "
            "one behind the other; take it from its source again, or encode it again"
        )
    if place is not None and announced is not None:
        if announced == frames - 1:
            return Mp3([*runs])
        begin, length = runs[0]
        return Mp3([*patched(begin, begin + length, {place: (frames - 1).to_bytes(4, "big")}), *runs[1:]])
    if last.kind[1] != 3:
        return Mp3([*runs], rows=frames * (384 if last.kind[1] == 1 else 1152))
    count = _count(file, first, frames - is_about)
    if is_about:  # which libsndfile does not understand
        frame = _frame(file, first)
        assert frame is not None
        runs = [(first + frame.length, runs[0][1] - frame.length), *runs[1:]]
    return Mp3([count, *runs])


def _behind_zeros(file: IO[bytes], place: int, size: int) -> int:
    """Where something else than the zeros begins with which some programs fill up a tag."""
    file.seek(place)
    while part := file.read(NEAR):
        rest = part.lstrip(b"\0")
        if rest:
            return place + len(part) - len(rest)
        place += len(part)
    return size


def _count(file: IO[bytes], start: int, frames: int) -> bytes:
    """A frame with Xing's header, like the first frame, but with a bit rate that leaves room for the header.

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


def _next_frame(
    file: IO[bytes], place: int, kind: tuple[int, int, int] | None, most: int = NEAR
) -> int | None:
    """Where the next frame of *kind* begins, within *most* bytes, that another one of its kind follows."""
    for begin in range(place, place + most, NEAR):
        file.seek(begin)
        near = file.read(NEAR + 3)
        found = near.find(b"\xff")
        while 0 <= found < NEAR:
            frame = _parsed(near[found : found + 4])
            if frame and kind in (None, frame.kind):
                after = _frame(file, begin + found + frame.length)
                if after and after.kind == frame.kind:
                    return begin + found
            found = near.find(b"\xff", found + 1)
        if len(near) < NEAR:
            break
    return None


def _announced(file: IO[bytes], start: int) -> tuple[bool, int | None, int | None]:
    """Whether the first frame counts the others, their number, and the place where libsndfile reads it."""
    file.seek(start)
    head = file.read(200)
    for mark in (b"Xing", b"Info"):
        place = head.find(mark)
        if place >= 0 and len(head) >= place + 12:
            if not head[place + 7] & 1:
                return True, None, None
            return True, int.from_bytes(head[place + 8 : place + 12], "big"), start + place + 8
    if head[36:40] == b"VBRI":  # of Fraunhofer's encoder
        return True, int.from_bytes(head[50:54], "big"), None
    return False, None, None
