"""Reading audio files in blocks, each sample in its own width."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import soundfile

from lotdb import Blocks, Ingested, IngestError, SourceFile
from lotdb_ingest import marks
from lotdb_ingest.audio_headers import aiff_frames, check_length
from lotdb_ingest.audio_mp3 import Mp3, check_mp3
from lotdb_ingest.text import as_utf_8

__all__ = ["BITS", "dtype_of", "read"]

BLOCK_BYTES = 4 << 20

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


def read(source: SourceFile, content: str | None, containers: tuple[str, ...]) -> Ingested:
    """The samples of *source*, whose content looks like format *content*."""
    if content is None:
        known = marks.told(source.head)
        raise IngestError(f"it does not begin as a file of format {source.format} does{known}")
    if {"opus": "ogg"}.get(content, content).upper() not in containers:
        raise IngestError(
            f"its content is {content}; pass format='auto' to take it for what it is, or rename it"
        )
    mp3 = Mp3()
    if content == "mp3":
        mp3 = check_mp3(source.file, source.size)
    else:
        check_length(content, source.file, source.size)
    with _opened(source.file, mp3) as audio:
        dtype = dtype_of(audio.subtype)
        shape = (audio.channels,) if audio.channels > 1 else ()
        metadata = {
            "container": audio.format,
            "subtype": audio.subtype,
            "endian": audio.endian,
            "channels": audio.channels,
            **({"bits": BITS[audio.subtype]} if audio.subtype in BITS else {}),
            **({"tags": tags} if (tags := _tags(audio)) else {}),
        }
        rows = audio.frames if mp3.rows is None else mp3.rows
        rate = audio.samplerate
    if content == "aiff":
        rows = _rows_of_aiff(source, rows, dtype)
    blocks = _blocks(source, mp3, dtype, rows)
    return Ingested(
        Blocks(blocks, dtype, shape, rows=rows),
        format=content,
        samplerate_hz=float(rate),
        content_type=CONTENT_TYPES[content],
        metadata=metadata,
    )


def _tags(audio: soundfile.SoundFile) -> dict[str, str]:
    tags: dict[str, str] = audio.copy_metadata()
    # libsndfile writes UTF-8 where an mp3 says Latin-1, and so do others.
    return {name: as_utf_8(text) for name, text in tags.items()} if audio.format == "MP3" else tags


def _rows_of_aiff(source: SourceFile, found: int, dtype: np.dtype[Any]) -> int:
    announced = aiff_frames(source.file)
    if announced is not None and announced > found:
        raise IngestError(f"its header announces {announced} rows of sound, {found} are present")
    # libsndfile takes the byte that pads an odd number of bytes for a sample.
    return announced if dtype.itemsize == 1 and announced == found - 1 else found


def dtype_of(subtype: str) -> np.dtype[Any]:
    """The dtype of samples that are encoded as *subtype*."""
    if subtype == "PCM_U8":
        return np.dtype(np.uint8)
    if subtype in BITS:
        bits = BITS[subtype]
        return np.dtype(np.int8 if bits <= 8 else np.int16 if bits <= 16 else np.int32)
    return np.dtype(np.float64 if subtype == "DOUBLE" else np.float32)


@contextlib.contextmanager
def _opened(file: IO[bytes], mp3: Mp3) -> Iterator[soundfile.SoundFile]:
    """*file* as libsndfile reads it."""
    if mp3.count:
        with mp3.counted(file) as copy, _opened(copy, Mp3()) as audio:
            yield audio
        return
    file.seek(0)
    descriptor: int | None = None
    place = 0
    try:
        # libsndfile reads a descriptor several times as fast as a Python object, and can be interrupted.
        descriptor = os.dup(file.fileno())
        # The two share their place in the file, and the Python object has to find it where it was.
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, 0, os.SEEK_SET)
    except (AttributeError, io.UnsupportedOperation):
        pass  # it is in memory
    try:
        with soundfile.SoundFile(file if descriptor is None else descriptor, closefd=False) as audio:
            yield audio
    except soundfile.LibsndfileError as error:
        raise IngestError(f"libsndfile cannot read it: {error.error_string}") from error
    finally:
        if descriptor is not None:
            os.lseek(descriptor, place, os.SEEK_SET)
            os.close(descriptor)


def _blocks(source: SourceFile, mp3: Mp3, dtype: np.dtype[Any], rows: int) -> Iterator[np.ndarray[Any, Any]]:
    with _opened(source.file, mp3) as audio:
        bits = BITS.get(audio.subtype)
        # libsndfile gives integers in the upper bits of 16 or 32; shifted down they are what was stored.
        given = "int16" if bits is not None and bits <= 16 else "int32" if bits else str(dtype)
        shift = (16 if given == "int16" else 32) - bits if bits else 0
        digest = _Md5(source.head, bits)
        frames = max(1, BLOCK_BYTES // (audio.channels * np.dtype(given).itemsize))
        done = 0
        while done < rows:
            try:
                block = audio.read(min(frames, rows - done), dtype=given)
            except soundfile.LibsndfileError as error:
                raise IngestError(
                    f"libsndfile cannot read on behind row {done} of {rows}: {error.error_string}"
                ) from error
            done += len(block)
            if len(block) == 0:
                break
            if shift:
                block >>= shift
            if audio.subtype == "PCM_U8":
                block += 128
            block = block.astype(dtype, copy=False)
            digest.add(block)
            yield block
        digest.check()


class _Md5:
    """The digest of the samples that a FLAC file has of itself: libFLAC's errors do not reach us."""

    def __init__(self, head: bytes, bits: int | None) -> None:
        self._expected = head[26:42] if head[:4] == b"fLaC" else b""
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
            raise IngestError("its samples do not match the MD5 digest in its header: it is damaged")
