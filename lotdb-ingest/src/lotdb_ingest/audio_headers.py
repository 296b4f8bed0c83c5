"""What the header of an audio file announces, against what is there.

libsndfile mends a header that announces more than the file has, without a word. So the few bytes that say how
long the sound is are read here as well. Sources: the RIFF, EBU Tech 3306 (RF64), Sony Wave64, AIFF 1.3, NeXT
``.snd``, Apple Core Audio Format, and RFC 9639 (FLAC) specifications. Ogg and mp3 have modules of their own.
"""

from __future__ import annotations

import struct
from typing import IO

from lotdb import IngestError
from lotdb_ingest.audio_ogg import check_ogg

__all__ = ["aiff_frames", "check_length", "mend_aiff_frames"]

UNKNOWN = 0xFFFFFFFF
W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
# More than a frame of FLAC can hold, and fewer bytes than any has.
FLAC_FRAME_SAMPLES, FLAC_FRAME_BYTES = 65535, 9


def check_length(format: str, file: IO[bytes], size: int) -> None:
    """Raise ``IngestError`` if the file of *size* bytes is shorter than it says."""
    checks = {
        "wav": _check_riff,
        "rf64": _check_riff,
        "w64": _check_w64,
        "aiff": _check_aiff,
        "au": _check_au,
        "caf": _check_caf,
        "flac": _check_flac,
        "ogg": check_ogg,
        "opus": check_ogg,
    }
    if format in checks:
        checks[format](file, size)


def _refuse(announced: int, present: int) -> None:
    if announced > present:
        raise IngestError(f"its header announces {announced} bytes of sound, {max(present, 0)} are present")


def _check_riff(file: IO[bytes], size: int) -> None:
    file.seek(0)
    order = ">" if file.read(4) == b"RIFX" else "<"
    place, in_ds64 = 12, None
    while place + 8 <= size:
        name, length = _chunk(file, place, f"{order}4sI")
        if name == b"ds64":
            file.seek(place + 16)
            in_ds64 = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))[0]
        if name == b"data":
            announced = in_ds64 if length == UNKNOWN and in_ds64 is not None else length
            present = size - place - 8
            if announced == 0 and present >= 8 and not _is_chunk(file, place + 8, size, order):
                raise IngestError(
                    f"its header announces no sound, and {present} bytes are present: it was not finished"
                )
            _refuse(announced, present)
            return
        place += 8 + length + length % 2
    raise IngestError("it has no data chunk")


def _is_chunk(file: IO[bytes], place: int, size: int, order: str) -> bool:
    name, length = _chunk(file, place, f"{order}4sI")
    return name.isascii() and name.decode("ascii").isprintable() and place + 8 + length <= size + 1


def _check_w64(file: IO[bytes], size: int) -> None:
    place = 40
    while place + 24 <= size:
        name, length = _chunk(file, place, "<16sQ")
        if name == W64_DATA:
            _refuse(length - 24, size - place - 24)
            return
        if length < 24:
            break
        place += -(-length // 8) * 8
    raise IngestError("it has no data chunk")


def _check_aiff(file: IO[bytes], size: int) -> None:
    place = 12
    while place + 8 <= size:
        name, length = _chunk(file, place, ">4sI")
        if name == b"SSND":
            _refuse(length, size - place - 8)
            return
        place += 8 + length + length % 2
    raise IngestError("it has no sound data chunk")


def aiff_frames(file: IO[bytes]) -> int | None:
    """The number of sample frames that an AIFF file announces."""
    place = _aiff_frames_place(file)
    if place is None:
        return None
    file.seek(place)
    return int.from_bytes(file.read(4), "big")


def mend_aiff_frames(file: IO[bytes], frames: int) -> None:
    """Have an AIFF file announce *frames* sample frames."""
    place = _aiff_frames_place(file)
    if place is not None:
        file.seek(place)
        file.write(frames.to_bytes(4, "big"))


def _aiff_frames_place(file: IO[bytes]) -> int | None:
    size = file.seek(0, 2)
    place = 12
    while place + 8 <= size:
        name, length = _chunk(file, place, ">4sI")
        if name == b"COMM":
            return place + 10
        place += 8 + length + length % 2
    return None


def _check_au(file: IO[bytes], size: int) -> None:
    file.seek(0)
    order = "<" if file.read(4) == b"dns." else ">"
    offset, length = struct.unpack(f"{order}II", file.read(8).ljust(8, b"\0"))
    if length != UNKNOWN:
        _refuse(length, size - offset)


def _check_caf(file: IO[bytes], size: int) -> None:
    place = 8
    while place + 12 <= size:
        name, length = _chunk(file, place, ">4sq")
        if name == b"data":
            if length >= 0:  # -1 stands for all that is left
                _refuse(length, size - place - 12)
            return
        if length < 0:
            break
        place += 12 + length
    raise IngestError("it has no data chunk")


def _check_flac(file: IO[bytes], size: int) -> None:
    file.seek(0)
    head = file.read(42)
    if len(head) < 42:
        raise IngestError(f"it has {size} bytes, which is no whole FLAC header")
    samples = int.from_bytes(head[21:26], "big") & ((1 << 36) - 1)
    if samples == 0:
        # libsndfile takes it for 2 ** 63 - 1, and fails when it has read the first ones.
        raise IngestError(
            "its header does not say how many samples it has, as if it had been written to a pipe; "
            "encode it anew, to a file"
        )
    most = size // FLAC_FRAME_BYTES * FLAC_FRAME_SAMPLES
    if samples > most:
        raise IngestError(f"its header announces {samples} samples, {size} bytes can hold {most} at most")


def _chunk(file: IO[bytes], place: int, form: str) -> tuple[bytes, int]:
    file.seek(place)
    length = struct.calcsize(form)
    name, size = struct.unpack(form, file.read(length).ljust(length, b"\0"))
    return name, size
