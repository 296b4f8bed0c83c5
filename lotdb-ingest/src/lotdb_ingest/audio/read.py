"""Reading audio files in blocks, each sample in its own width."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np
import soundfile

from lotdb import Blocks, Ingested, IngestError, SourceFile
from lotdb_ingest import signatures
from lotdb_ingest.audio.chunk_notes import chunk_notes
from lotdb_ingest.audio.comments import flac_notes, ogg_notes
from lotdb_ingest.audio.headers import CONVERT, Sound, sound_of
from lotdb_ingest.audio.id3 import tag_notes
from lotdb_ingest.audio.mp3 import check_mp3
from lotdb_ingest.audio.notes import Notes
from lotdb_ingest.audio.tags import behind_tags
from lotdb_ingest.audio.view import Piece, View, patched

__all__ = ["BITS", "dtype_of", "read"]

BLOCK_BYTES = 4 << 20
SHORT_BYTES = 1 << 20
# libsndfile asks for a few bytes at a time.
VIEW_BYTES = 64 << 10

#: Bits of a sample, of the subtypes that store integers without loss.
BITS = {
    "ALAC_16": 16,
    "ALAC_20": 20,
    "ALAC_24": 24,
    "ALAC_32": 32,
    "DWVW_12": 12,
    "DWVW_16": 16,
    "DWVW_24": 24,
    "PCM_16": 16,
    "PCM_24": 24,
    "PCM_32": 32,
    "PCM_S8": 8,
    "PCM_U8": 8,
}
#: The chunks of a wav file that its sound needs.
OF_SOUND = (b"fmt ", b"fact", b"data")
CONTENT_TYPES = {
    "aiff": "audio/aiff",
    "au": "audio/basic",
    "caf": "audio/x-caf",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg; codecs=opus",
    "rf64": "audio/wav",
    "w64": "audio/x-w64",
    "wav": "audio/wav",
}


def read(source: SourceFile, content: str | None, containers: tuple[str, ...]) -> Mapping[str, Ingested]:
    """The samples of *source*, whose content looks like format *content*, and the events in it."""
    if source.size == 0:
        raise IngestError("it is empty: it has 0 bytes")
    if content is None:
        known = signatures.content_or_raw(source.head)
        raise IngestError(f"it does not begin as a file of format {source.format} does{known}")
    if {"opus": "ogg"}.get(content, content).upper() not in containers:
        raise IngestError(f"its content is {content}; pass format='auto' to read it as that, or rename it")
    file = source.in_memory()
    start = behind_tags(file)
    sound, pieces = Sound(start, source.size), None
    if content == "mp3":
        mp3 = check_mp3(file, start, source.size)
        sound.rows = mp3.rows
        # Frames and nothing else are read from the file itself, which is quicker.
        pieces = None if len(mp3.pieces) == 1 and mp3.pieces[0] == (0, source.size) else mp3.pieces
    else:
        sound = sound_of(content, file, start, source.size)
        if sound.mp3:
            sound.most_rows = check_mp3(file, *sound.mp3).decoded
        if sound.patches or start:
            pieces = patched(start, source.size, sound.patches)
        if sound.order == ">":
            pieces = _sound_alone(sound)
    if sound.pcm_16 is not None and sound.rows and pieces is None:
        data, rate, about = _as_stored(file, sound, *sound.pcm_16)
    else:
        digest = _digest(file, start) if content == "flac" else b""
        data, rate, about = _decoded(content, source.file, pieces, sound, digest)
    notes = _notes(content, file, source.size, sound, rate)
    ingested = Ingested(
        data,
        format=content,
        samplerate_hz=rate,
        content_type=CONTENT_TYPES[content],
        metadata={**about, **notes.metadata()},
    )
    if not notes.events:
        return {"": ingested}
    return {"": ingested, "events": Ingested(notes.table(rate), format=content)}


def _as_stored(file: IO[bytes], sound: Sound, place: int, channels: int) -> tuple[Any, float, dict[str, Any]]:
    """The samples of a wav file that are 16-bit integers, with their rate and what libsndfile says of it.

    It would copy them from the file as they are; to open it takes as long as to read 100 kB.
    """
    rows, rate = sound.rows or 0, float(sound.rate or 0)
    about = {"container": "WAV", "subtype": "PCM_16", "endian": "FILE", "channels": channels, "bits": 16}
    shape = (channels,) if channels > 1 else ()
    row_bytes = 2 * channels
    step = max(1, BLOCK_BYTES // row_bytes)

    def block(first: int) -> np.ndarray[Any, Any]:
        file.seek(place + first * row_bytes)
        content = file.read(min(step, rows - first) * row_bytes)
        there = len(content) // row_bytes
        samples = np.frombuffer(content, "<i2", there * channels).astype(np.int16, copy=False)
        return samples.reshape(there, *shape)

    if rows <= step:
        return _whole(block(0), rows), rate, about
    blocks = (block(first) for first in range(0, rows, step))
    return Blocks(blocks, np.dtype(np.int16), shape, rows=rows), rate, about


def _decoded(
    content: str, file: IO[bytes], pieces: list[Piece] | None, sound: Sound, digest: bytes
) -> tuple[Any, float, dict[str, Any]]:
    """The samples as libsndfile decodes them, with their rate and what it says of it."""
    with _opened(file, pieces, sound.codec) as audio:
        subtype, channels = audio.subtype, audio.channels
        dtype = dtype_of(subtype)
        shape = (channels,) if channels > 1 else ()
        about = {"container": audio.format, "subtype": subtype, "endian": audio.endian, "channels": channels}
        if subtype in BITS:
            about["bits"] = min(sound.bits or 32, BITS[subtype])
        rows = _rows(sound, audio.frames, about)
        rate = float(audio.samplerate) if sound.rate is None else sound.rate
        if content == "wav" and 0 < rows * channels * dtype.itemsize <= SHORT_BYTES:
            # What is short is read at once, as one block: opening it again takes longer than that.
            return _whole(next(_samples(audio, b"", dtype, rows), None), rows), rate, about
    blocks = _blocks(file, pieces, sound.codec, digest, dtype, rows)
    return Blocks(blocks, dtype, shape, rows=rows), rate, about


def _whole(samples: np.ndarray[Any, Any] | None, rows: int) -> np.ndarray[Any, Any]:
    """*samples*, if they are all *rows* of the file."""
    if samples is None or len(samples) < rows:
        present = 0 if samples is None else len(samples)
        raise IngestError(f"it announces {rows} rows, {present} are present")
    return samples


def _sound_alone(sound: Sound) -> list[Piece]:
    """A big-endian wav file without its notes: with cue points libsndfile takes it for little-endian."""
    parts = [
        (chunk.place - 8, chunk.end - chunk.place + 8) for chunk in sound.chunks if chunk.name in OF_SOUND
    ]
    length = 4 + sum(length for _, length in parts)
    return [b"RIFX" + length.to_bytes(4, "big") + b"WAVE", *parts]


def _rows(sound: Sound, found: int, about: dict[str, Any]) -> int:
    """How many rows there are, of which libsndfile has *found* some."""
    if sound.rows is not None:
        if sound.rows > found:
            raise IngestError(
                f"its header announces {sound.rows} rows of sound, {found} are present, as libsndfile reads "
                f"it; {CONVERT}"
            )
        return sound.rows  # libsndfile takes the byte that pads an odd number of bytes for a sample
    if not sound.block_rows:
        return found
    if sound.most_rows is not None:
        found = sound.most_rows
    if sound.announced is None or sound.announced <= found - sound.block_rows:
        # Up to a whole block, less one row, is there to fill up the last one.
        about["filler_rows_at_most"] = sound.block_rows - 1
        if sound.announced is not None:
            about["announced_rows"] = sound.announced
        return found
    if sound.announced > found:
        raise IngestError(
            f"its header announces {sound.announced} rows of sound, {found} are present: it is cut; "
            "take it from its source again"
        )
    return sound.announced


def _notes(format: str, file: IO[bytes], size: int, sound: Sound, rate: float) -> Notes:
    """What the file says beside its sound."""
    annotation = sound.about.pop("annotation", b"")
    notes = Notes(about=sound.about, not_kept=sound.not_kept)
    if format in ("wav", "rf64", "w64", "aiff", "caf"):
        chunk_notes(format, file, sound, notes, rate)
    elif format == "flac":
        flac_notes(file, sound.start, notes)
    elif format in ("ogg", "opus"):
        ogg_notes(file, sound.start, notes)
    elif annotation:
        notes.add_tag("au annotation", "comment", annotation, "cp1252")
    tag_notes(file, size, notes, rate)
    return notes


def dtype_of(subtype: str) -> np.dtype[Any]:
    """The dtype of samples that are encoded as *subtype*."""
    if subtype == "PCM_U8":
        return np.dtype(np.uint8)
    if subtype in BITS:
        bits = BITS[subtype]
        return np.dtype(np.int8 if bits <= 8 else np.int16 if bits <= 16 else np.int32)
    return np.dtype(np.float64 if subtype == "DOUBLE" else np.float32)


@contextlib.contextmanager
def _opened(file: IO[bytes], pieces: list[Piece] | None, codec: str) -> Iterator[soundfile.SoundFile]:
    """*file* as libsndfile reads it, or *pieces* of it."""
    file.seek(0)
    seen: Any = file if pieces is None else io.BufferedReader(View(file, pieces), VIEW_BYTES)
    descriptor: int | None = None
    place = 0
    try:
        # libsndfile reads a descriptor several times as fast as a Python object, and can be interrupted.
        descriptor = os.dup(seen.fileno())
        # The two share their place in the file, and the Python object has to find it where it was.
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, 0, os.SEEK_SET)
    except (AttributeError, io.UnsupportedOperation):
        pass  # it is in memory, or a view
    try:
        with soundfile.SoundFile(seen if descriptor is None else descriptor, closefd=False) as audio:
            yield audio
    except soundfile.LibsndfileError as error:
        what = f"its sound, which is encoded as {codec}" if codec else "it"
        raise IngestError(
            f"libsndfile cannot read {what} ({error.error_string.strip().rstrip('.')}); {CONVERT}"
        ) from error
    finally:
        if descriptor is not None:
            os.lseek(descriptor, place, os.SEEK_SET)
            os.close(descriptor)


def _blocks(
    file: IO[bytes], pieces: list[Piece] | None, codec: str, md5: bytes, dtype: np.dtype[Any], rows: int
) -> Iterator[np.ndarray[Any, Any]]:
    with _opened(file, pieces, codec) as audio:
        yield from _samples(audio, md5, dtype, rows)


def _samples(
    audio: soundfile.SoundFile, md5: bytes, dtype: np.dtype[Any], rows: int
) -> Iterator[np.ndarray[Any, Any]]:
    subtype, channels = audio.subtype, audio.channels
    bits = BITS.get(subtype)
    # libsndfile gives integers in the upper bits of 16 or 32; shifted down they are what was stored.
    given = "int16" if bits is not None and bits <= 16 else "int32" if bits else str(dtype)
    shift = (16 if given == "int16" else 32) - bits if bits else 0
    digest = _Md5(md5, bits)
    frames = max(1, BLOCK_BYTES // (channels * np.dtype(given).itemsize))
    done = 0
    while done < rows:
        try:
            count = min(frames, rows - done)
            block = np.empty((count, channels) if channels > 1 else (count,), given)
            block = block[: audio.buffer_read_into(block, given)]  # which read() does, and much besides
        except soundfile.LibsndfileError as error:
            raise IngestError(
                f"libsndfile cannot read on behind row {done} of {rows} "
                f"({error.error_string.strip().rstrip('.')}): it is damaged; "
                "take it from its source again"
            ) from error
        done += len(block)
        if len(block) == 0:
            break
        if shift:
            block >>= shift
        if subtype == "PCM_U8":
            block += 128
        block = block.astype(dtype, copy=False)
        digest.add(block)
        yield block
    digest.check()


def _digest(file: IO[bytes], start: int) -> bytes:
    """The digest of its samples that a FLAC file has."""
    file.seek(start + 26)
    return file.read(16)


class _Md5:
    """The digest of the samples that a FLAC file has of itself: libFLAC's errors do not reach us."""

    def __init__(self, expected: bytes, bits: int | None) -> None:
        self._expected = expected
        self._on = any(self._expected) and bits is not None  # zeros stand for none
        self._bytes = (bits or 0) // 8
        self._digest = hashlib.md5(usedforsecurity=False)

    def add(self, block: np.ndarray[Any, Any]) -> None:
        if self._on:
            little = np.ascontiguousarray(block, block.dtype.newbyteorder("<"))
            samples = little.reshape(-1).view(np.uint8).reshape(little.size, -1)
            self._digest.update(samples[:, : self._bytes].tobytes())

    def check(self) -> None:
        if self._on and self._digest.digest() != self._expected:
            raise IngestError(
                "its samples do not match the MD5 digest in its header: it is damaged; "
                "take it from its source again"
            )
