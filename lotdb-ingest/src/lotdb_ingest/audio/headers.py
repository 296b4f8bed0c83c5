"""Comparing the header of an audio file with the file.

libsndfile silently repairs a header that announces more than the file has, believes a header that announces
less, and rounds rates. So this module also reads the length and the rate.
Sources: the RIFF, EBU Tech 3306 (RF64), Sony Wave64, AIFF 1.3 and AIFF-C, NeXT ``.snd``, Apple Core Audio
Format, and RFC 9639 (FLAC) specifications. Ogg and mp3 have modules of their own.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import IO, Any

from lotdb import IngestError
from lotdb_ingest.audio.chunks import Chunk, behind, chunks, order_of
from lotdb_ingest.audio.ogg import check_ogg, codec_of

__all__ = ["CONVERT", "Sound", "extended", "from_extended", "rate_place", "sound_of"]

UNKNOWN = 0xFFFFFFFF
# Programs write lengths from here on as long as they do not know the length.
NEVER_FILLED_IN = 0x7F000000
# More than a frame of FLAC can hold, and fewer bytes than any has.
FLAC_FRAME_SAMPLES, FLAC_FRAME_BYTES = 65535, 9
MOST_CHANNELS = 1024
CONVERT = "convert it, for example with: ffmpeg -i IN -c:a pcm_s16le OUT.wav"
MEND = "write it again from its source, to a file"
# sox knows where the sound of these begins, whatever they say of its end; not that of W64 and CAF.
IGNORE_LENGTH = f"{MEND}, or repair its header, for example with: sox --ignore-length IN OUT"

#: Format tags of wav in which each sample has bytes of its own (mmreg.h), and how many; None if the header's
#: bits determine that.
WAV_PLAIN = {1: None, 3: None, 6: 1, 7: 1}
WAV_CODECS = {
    2: "MS ADPCM",
    0x11: "IMA ADPCM",
    0x31: "GSM 6.10",
    0x38: "NMS ADPCM",
    0x40: "G.721",
    0x45: "G.726",
    0x50: "MPEG layer 1 or 2",
    0x55: "mp3",
    0x64: "G.726",
    0x65: "G.722",
    0xFF: "AAC",
    0x160: "WMA 1",
    0x161: "WMA 2",
    0x162: "WMA Pro",
    0x163: "WMA lossless",
    0x1610: "AAC",
    0x2000: "AC-3",
    0x2001: "DTS",
    0x674F: "Ogg Vorbis",
    0xF1AC: "FLAC",
}
AIFF_PLAIN = {
    b"NONE": None,
    b"twos": None,
    b"sowt": None,
    b"raw ": None,
    b"in24": 3,
    b"42ni": 3,
    b"in32": 4,
    b"23ni": 4,
    b"fl32": 4,
    b"FL32": 4,
    b"fl64": 8,
    b"FL64": 8,
    b"alaw": 1,
    b"ALAW": 1,
    b"ulaw": 1,
    b"ULAW": 1,
}
#: Bytes a sample, by the encoding of a ``.snd`` file.
AU_PLAIN = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}


@dataclass
class Sound:
    """What the header says about the sound, after it was compared with the file."""

    #: Where the file begins behind tags, and where it ends.
    start: int
    size: int
    #: Rows a second, if libsndfile might not say them exactly.
    rate: float | None = None
    #: Bits of a sample that mean something, which may be fewer than it takes; 0 if the header does not say.
    bits: int = 0
    #: Number of rows in the file, if it is known without decoding.
    rows: int | None = None
    #: Rows without what fills up the last block, if something announces them; the most that one block holds.
    announced: int | None = None
    block_rows: int = 0
    #: Rows that whole blocks hold, where libsndfile counts a byte of padding as a block; None to trust it.
    most_rows: int | None = None
    #: Where frames of mp3 begin and end within another container.
    mp3: tuple[int, int] | None = None
    #: The order of bytes of its numbers, as struct names it, in a wav file.
    order: str = "<"
    #: Where samples begin that are stored as 16-bit integers, little-endian, and how many there are a row.
    pcm_16: tuple[int, int] | None = None
    #: How its samples are encoded, for messages.
    codec: str = ""
    #: Bytes that libsndfile sees in place of those in the file, by their place.
    patches: dict[int, bytes] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    not_kept: set[str] = field(default_factory=set)
    chunks: list[Chunk] = field(default_factory=list)

    def is_plain(self, length: int, row_bytes: int) -> None:
        """Note that the rows of *row_bytes* bytes take *length* bytes."""
        self.rows, rest = divmod(length, row_bytes)
        if rest:
            self.not_kept.add(f"{rest} bytes of sound behind the last whole row")


def sound_of(format: str, file: IO[bytes], start: int, size: int) -> Sound:
    """What the header of the file says that begins at *start* and ends at *size*.

    Raises
    ------
    IngestError
        If it is shorter or longer than it says, or contradicts itself.
    """
    sound = Sound(start, size)
    if format in ("wav", "rf64", "w64"):
        _riff(sound, format, file)
    elif format == "aiff":
        _aiff(sound, file)
    elif format == "caf":
        _caf(sound, file)
    elif format == "au":
        _au(sound, file)
    elif format == "flac":
        _flac(sound, file)
    else:
        sound.codec = codec_of(file, start)
        check_ogg(file, start, size)
    return sound


def _refuse(announced: int, present: int, mend: str) -> None:
    if announced <= present:
        return
    if announced in (UNKNOWN, UNKNOWN - 24) or announced >> 62 or NEVER_FILLED_IN <= announced <= 0x7FFFFFFF:
        how = f"it was written to a pipe or stream, or not finished, and never said how long it is; {mend}"
    else:
        how = "it is cut, or was not finished; take it from its source again"
    raise IngestError(
        f"its header announces {announced} bytes of sound, {max(present, 0)} are present: {how}"
    )


def _refuse_more(announced: int, more: int, row_bytes: int, mend: str) -> None:
    if more >= max(1, row_bytes):
        what = "no sound" if announced <= 0 else f"{announced} bytes of sound"
        raise IngestError(
            f"its header announces {what}, and {more} more bytes are present that are no chunk: "
            f"it was not finished, or its length does not fit into its header; {mend}"
        )


def _check_form(channels: int, rate: float) -> None:
    if channels == 0:
        raise IngestError(
            "its header says that it has 0 channels; repair its header, or take it from its source"
        )
    if channels > MOST_CHANNELS:
        raise IngestError(
            f"it has {channels} channels, libsndfile reads {MOST_CHANNELS} at most; read it with another "
            "library, and store the array with write_data"
        )
    if not (math.isfinite(rate) and rate > 0):
        raise IngestError(
            f"its header says a sample rate of {rate:g} Hz; repair its header, or read its samples with "
            "another library, and store the array with write_data(..., samplerate_hz=)"
        )


def _found(sound: Sound, format: str, file: IO[bytes], form: bytes, data: bytes) -> tuple[bytes, Chunk]:
    """The content of the chunk that describes the sound, and the chunk that is it; there is one of each."""
    sound.chunks = list(chunks(format, file, sound.start, sound.size))
    names = [chunk.name for chunk in sound.chunks]
    for name in (form, data):
        count = names.count(name)
        shown = {b"SSND": "sound data"}.get(name, name.decode("ascii").strip())
        if count == 0:
            raise IngestError(f"it has no {shown} chunk: it is cut or damaged; take it from its source again")
        if count > 1:
            raise IngestError(
                f"it has {count} {shown} chunks, of which one would be read; make a file of each"
            )
    by_name = {chunk.name: chunk for chunk in sound.chunks}
    if form != b"COMM" and by_name[form].place > by_name[data].place:
        raise IngestError(f"its {form.decode().strip()} chunk is after its sound; write it again")
    return by_name[form].read(file, 4096), by_name[data]


def _riff(sound: Sound, format: str, file: IO[bytes]) -> None:
    if format == "wav":
        sound.order = order_of(file, sound.start)
    order = sound.order
    form, data = _found(sound, format, file, b"fmt ", b"data")
    if len(form) < 16:
        raise IngestError(
            f"its fmt chunk has {len(form)} bytes, fewer than 16; take it from its source again"
        )
    tag, channels, rate, a_second, block, bits = struct.unpack(f"{order}HHIIHH", form[:16])
    sound.bits = bits
    if tag == 0xFFFE and len(form) >= 40:
        valid, mask, tag = struct.unpack(f"{order}HIH", form[18:26])
        if mask:
            sound.about["channel_mask"] = mask
        if 0 < valid < bits:
            sound.about["valid_bits"] = sound.bits = valid
    sound.codec = f"{WAV_CODECS.get(tag, 'format tag')} (0x{tag:04x})"
    _check_form(channels, rate)
    sound.rate = float(rate)
    place = next(chunk.place for chunk in sound.chunks if chunk.name == b"fmt ")
    _patch_rate(sound, place + 4, struct.pack(f"{order}I", 1))
    is_plain = tag in WAV_PLAIN
    if is_plain:
        width = WAV_PLAIN[tag] or -(-bits // 8)
        if width == 0 or block != channels * width or (tag in (6, 7) and bits not in (0, 8)):
            raise IngestError(
                f"its header contradicts itself: {channels} channels of {bits} bits, and rows of {block} "
                f"bytes; {CONVERT}, telling ffmpeg which is right"
            )
        if a_second not in (0, rate * block):
            sound.about["bytes_per_second"] = a_second  # by which the rate is not what it says
    if data.length == UNKNOWN and format == "rf64":
        raise IngestError(
            f"its header announces its length elsewhere, and has no ds64 chunk that says it; {MEND}"
        )
    _check_extent(sound, format, file, data, block if is_plain else 8)
    if is_plain:
        sound.is_plain(data.length, block)
        if format == "wav" and order == "<" and (form[:2], bits) == (b"\1\0", 16):
            sound.pcm_16 = data.place, channels
        return
    fact = next((chunk.read(file, 8) for chunk in sound.chunks if chunk.name == b"fact"), b"")
    if len(fact) >= 4:
        sound.announced = int.from_bytes(
            fact[: 8 if format == "w64" else 4], "little" if order == "<" else "big"
        )
        if format == "rf64" and sound.announced == UNKNOWN:
            ds64 = next((chunk.read(file, 24) for chunk in sound.chunks if chunk.name == b"ds64"), b"")
            sound.announced = int.from_bytes(ds64[16:24], "little")
        if sound.announced >= 1 << 62:  # as libsndfile leaves it in Wave64
            sound.announced = None
    if tag == 0x55:
        sound.mp3, sound.block_rows = (data.place, data.place + data.length), 2 * 1152
    elif tag in (2, 0x11) and len(form) >= 20:
        sound.block_rows = struct.unpack(f"{order}H", form[18:20])[0]
    elif tag in (0x31, 0x38, 0x40):
        sound.block_rows = {0x31: 320, 0x38: 160, 0x40: 120}[tag]
        if tag == 0x31:
            sound.most_rows = data.length // 65 * 320


def _check_extent(sound: Sound, format: str, file: IO[bytes], data: Chunk, row_bytes: int) -> None:
    mend = MEND if format in ("w64", "caf") else IGNORE_LENGTH
    _refuse(data.length, sound.size - data.place, mend)
    if data.length < 0:
        _refuse_more(data.length, sound.size - data.place, 1, mend)
    _refuse_more(data.length, behind(sound.chunks, file, sound.size, data), row_bytes, mend)


def _aiff(sound: Sound, file: IO[bytes]) -> None:
    form, data = _found(sound, "aiff", file, b"COMM", b"SSND")
    if len(form) < 18 or data.length < 8:
        raise IngestError(
            f"its COMM chunk has {len(form)} bytes and its SSND chunk {data.length}, fewer than 18 and 8: "
            f"it was not finished; {MEND}"
        )
    channels, frames, bits = struct.unpack(">HIH", form[:8])
    sound.rate, sound.bits = from_extended(form[8:18]), bits
    file.seek(sound.start + 8)
    kind = form[18:22] if file.read(4) == b"AIFC" and len(form) >= 22 else b"NONE"
    sound.codec = repr(kind.decode("latin-1"))
    _check_form(channels, sound.rate)
    width = (AIFF_PLAIN[kind] or -(-bits // 8)) if kind in AIFF_PLAIN else 0
    row_bytes = channels * width
    _check_extent(sound, "aiff", file, data, row_bytes or 8)
    offset = int.from_bytes(data.read(file, 4), "big")
    length = data.length - 8 - offset
    if length < 0:
        raise IngestError(
            f"its sound begins {offset} bytes within {data.length - 8} bytes; take it from its source"
        )
    if kind in AIFF_PLAIN:
        if width == 0:
            raise IngestError(f"its header contradicts itself: it says samples of 0 bits; {MEND}")
        rows = length // row_bytes
        if frames > rows:
            raise IngestError(
                f"its header announces {frames} rows of sound, {rows} are present: it is cut; "
                "take it from its source again"
            )
        if length - frames * row_bytes >= max(row_bytes, 2):  # the byte that pads may be counted
            raise IngestError(
                f"its header announces {frames} rows of sound, {rows} are present: it was not finished; "
                f"{MEND}"
            )
        sound.rows = frames
    else:
        sound.announced, sound.block_rows = (None, 64) if kind == b"ima4" else (frames, 320)
    _patch_rate(sound, rate_place("aiff", sound.chunks), extended(1.0))


def _caf(sound: Sound, file: IO[bytes]) -> None:
    form, data = _found(sound, "caf", file, b"desc", b"data")
    if len(form) < 32:
        raise IngestError(
            f"its desc chunk has {len(form)} bytes, fewer than 32; take it from its source again"
        )
    rate, kind, _, packet_bytes, packet_rows, channels, bits = struct.unpack(">d4sIIIII", form[:32])
    sound.rate, sound.bits, sound.codec = rate, bits, repr(kind.decode("latin-1"))
    _check_form(channels, rate)
    is_plain = kind in (b"lpcm", b"alaw", b"ulaw")
    if is_plain and (packet_rows != 1 or bits == 0 or packet_bytes != channels * -(-bits // 8)):
        raise IngestError(
            "its header contradicts itself, or is laid out as libsndfile does not read it: "
            f"{channels} channels of {bits} bits, and {packet_bytes} bytes for {packet_rows} rows; {CONVERT}"
        )
    length = data.length
    if length == -1:  # all that is left
        length = sound.size - data.place
        sound.patches[data.place - 8] = length.to_bytes(8, "big")
        sound.about["length_from_file_size"] = True
    if length < 4:
        raise IngestError(f"its header announces {length} bytes of sound, fewer than the 4 before it; {MEND}")
    if data.length != -1:
        _check_extent(sound, "caf", file, data, packet_bytes or 8)
    if is_plain:
        sound.is_plain(length - 4, packet_bytes)
    packets = next((chunk.read(file, 24) for chunk in sound.chunks if chunk.name == b"pakt"), b"")
    if len(packets) == 24 and not is_plain:
        sound.announced, sound.block_rows = int.from_bytes(packets[8:16], "big"), packet_rows
    _patch_rate(sound, rate_place("caf", sound.chunks), struct.pack(">d", 1.0))


def _au(sound: Sound, file: IO[bytes]) -> None:
    file.seek(sound.start)
    head = file.read(24)
    order = "<" if head[:4] == b"dns." else ">"
    if len(head) < 24:
        raise IngestError(f"it has {len(head)} bytes, fewer than its header; take it from its source again")
    offset, length, encoding, rate, channels = struct.unpack(f"{order}IIIII", head[4:])
    sound.rate, sound.codec = float(rate), f"encoding {encoding}"
    _check_form(channels, rate)
    _patch_rate(sound, sound.start + 16, struct.pack(f"{order}I", 1))
    present = sound.size - sound.start - offset
    if offset < 24 or present < 0:
        raise IngestError(
            f"its header of 24 bytes says that its sound begins at byte {offset}, the file has {sound.size}; "
            f"{MEND}"
        )
    row_bytes = AU_PLAIN.get(encoding, 0) * channels
    if length == UNKNOWN:  # all that is left
        length = present
        sound.about["length_from_file_size"] = True
    _refuse(length, present, IGNORE_LENGTH)
    _refuse_more(length, present - length, row_bytes or 8, IGNORE_LENGTH)
    if row_bytes:
        sound.is_plain(length, row_bytes)
    elif encoding in (23, 25, 26):
        sound.block_rows = 120
    if offset > 24:
        file.seek(sound.start + 24)
        sound.about["annotation"] = file.read(min(offset - 24, 1 << 16)).split(b"\0", 1)[0]


def _flac(sound: Sound, file: IO[bytes]) -> None:
    file.seek(sound.start)
    head = file.read(42)
    size = sound.size - sound.start
    if len(head) < 42:
        raise IngestError(
            f"it has {size} bytes, which is no whole FLAC header; take it from its source again"
        )
    if head[4] & 0x7F != 0 or head[5:8] != b"\0\0\x22":
        raise IngestError(
            "its first block is not the one that describes a FLAC file; take it from its source again"
        )
    number = int.from_bytes(head[18:26], "big")
    rate, bits, samples = number >> 44, (number >> 36 & 31) + 1, number & ((1 << 36) - 1)
    _check_form(1, rate)
    if bits not in (8, 16, 24):
        raise IngestError(
            f"it has samples of {bits} bits (a {bits} bit FLAC), libsndfile reads 8, 16 and 24; {CONVERT}, "
            "with pcm_s32le for more than 16 bits"
        )
    if samples == 0:
        # libsndfile takes it for 2 ** 63 - 1, and fails when it has read the first ones.
        raise IngestError(
            "its header does not say how many samples it has, as if it had been written to a pipe; "
            "encode it again, to a file"
        )
    most = size // FLAC_FRAME_BYTES * FLAC_FRAME_SAMPLES
    if samples > most:
        raise IngestError(
            f"its header announces {samples} samples, {size} bytes can hold {most} at most; "
            "take it from its source again"
        )
    sound.rows = samples


# -- rates that are no whole numbers ---------------------------------------------------------------


def rate_place(format: str, found: list[Chunk]) -> int | None:
    """Where an AIFF or CAF file of such chunks says its rate."""
    name, offset = {"aiff": (b"COMM", 8), "caf": (b"desc", 0)}[format]
    return next((chunk.place + offset for chunk in found if chunk.name == name), None)


def _patch_rate(sound: Sound, place: int | None, one: bytes) -> None:
    """Have libsndfile see a rate that it can hold; it refuses others."""
    if place is not None and sound.rate is not None and not 1 <= sound.rate < 1 << 31:
        sound.patches[place] = one


def from_extended(content: bytes) -> float:
    """A number of 80 bits (IEEE 754 extended, big-endian) as a float.

    >>> from_extended(extended(22254.545454545456))
    22254.545454545456
    """
    head, mantissa = struct.unpack(">HQ", content)
    sign, exponent = -1.0 if head >> 15 else 1.0, head & 0x7FFF
    if exponent == 0x7FFF:
        return math.inf * sign
    try:
        return sign * math.ldexp(mantissa, exponent - 16383 - 63)
    except OverflowError:
        return math.inf * sign


def extended(value: float) -> bytes:
    """A positive number as the 80 bits of IEEE 754 extended, big-endian."""
    mantissa, exponent = math.frexp(value)
    return struct.pack(">HQ", exponent - 1 + 16383, int(math.ldexp(mantissa, 64)))
