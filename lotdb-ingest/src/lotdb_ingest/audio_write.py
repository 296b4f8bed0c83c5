"""Writing audio files, without loss where the format allows it."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np
import soundfile

from lotdb import ExportError, InvalidOptionError, Payload, TargetFile
from lotdb_ingest.audio_headers import mend_aiff_frames
from lotdb_ingest.audio_read import BITS, BLOCK_BYTES, dtype_of

__all__ = ["write"]

TAGS = (
    "title",
    "copyright",
    "software",
    "artist",
    "comment",
    "date",
    "album",
    "license",
    "tracknumber",
    "genre",
)
#: What libsndfile 1.2 writes as these it does not read as the same again.
BROKEN = frozenset({"ALAC_20", "ALAC_32", "DWVW_16", "DWVW_24"})
#: A wav file has 32 bits for its length.
WAV_BYTES = (4 << 30) - 4096


def write(target: TargetFile, payload: Payload, containers: tuple[str, ...]) -> None:
    """Write the samples of *payload* to *target*."""
    if payload.ndim not in (1, 2) or (payload.ndim == 2 and payload.shape[1] == 0):
        raise ExportError(f"shape {payload.shape} is not that of sound: rows, or rows and channels")
    rate = _rate(target, payload)
    container = "RF64" if containers[0] == "WAV" and payload.nbytes > WAV_BYTES else containers[0]
    metadata = payload.metadata
    subtype = _subtype(target, payload, container, metadata)
    bits = BITS.get(subtype)
    _check_dtype(payload, subtype, target.format)
    if len(payload) == 0 and (container in ("FLAC", "MP3") or subtype == "OPUS"):
        raise ExportError(f"{target.format} cannot hold a sound of no samples; choose wav")
    endian = metadata.get("endian", "FILE") if metadata.get("container") == container else "FILE"
    if not soundfile.check_format(container, subtype, endian):
        endian = "FILE"
    channels = 1 if payload.ndim == 1 else payload.shape[1]
    descriptor = os.dup(target.file.fileno())
    try:
        with soundfile.SoundFile(
            descriptor, "w", rate, channels, subtype, endian, container, closefd=False
        ) as audio:
            for tag, text in metadata.get("tags", {}).items():
                if tag in TAGS and isinstance(text, str):
                    with contextlib.suppress(RuntimeError):  # not every container has a place for each
                        setattr(audio, tag, text)
            rows = max(1, BLOCK_BYTES // max(1, channels * payload.dtype.itemsize))
            for block in payload.iter_blocks(rows):
                audio.write(_as_libsndfile_takes_it(block, subtype, bits))
    except soundfile.LibsndfileError as error:
        raise ExportError(f"libsndfile cannot write it: {error.error_string}") from error
    finally:
        os.close(descriptor)
    if container == "AIFF" and bits == 8:
        # libsndfile counts the byte that pads an odd number of bytes as a sample.
        mend_aiff_frames(target.file, len(payload))


def _rate(target: TargetFile, payload: Payload) -> int:
    rate = target.options.get("samplerate_hz", payload.samplerate_hz)
    if rate is None:
        raise ExportError("it has no sample rate; pass samplerate_hz=")
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number) or not 0 < rate < 1 << 31:
        raise InvalidOptionError(f"samplerate_hz is {rate!r}; use a positive number")
    if rate != int(rate):
        raise ExportError(f"its sample rate is {rate:g} Hz; {target.format} holds whole numbers only")
    return int(rate)


def _subtype(target: TargetFile, payload: Payload, container: str, metadata: dict[str, Any]) -> str:
    known = [each for each in soundfile.available_subtypes(container) if each not in BROKEN]
    asked = target.options.get("subtype")
    if asked is not None:
        if not isinstance(asked, str) or asked.upper() not in known:
            raise InvalidOptionError(f"subtype is {asked!r}; {target.format} has: {', '.join(sorted(known))}")
        return asked.upper()
    if target.format == "opus":
        return "OPUS"
    own = str(metadata.get("subtype"))
    if own in known and dtype_of(own) == payload.dtype and (container != "OGG" or own == "VORBIS"):
        return own
    by_dtype = {
        "uint8": "PCM_U8",
        "int8": "PCM_S8",
        "int16": "PCM_16",
        "int32": "PCM_24" if metadata.get("bits", 32) <= 24 else "PCM_32",
        "float32": "FLOAT",
        "float64": "DOUBLE",
    }.get(payload.dtype.newbyteorder("=").name)
    lossy = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}.get(container)
    if lossy and by_dtype:
        return lossy
    if by_dtype in known:
        return str(by_dtype)
    raise ExportError(
        f"{target.format} cannot hold samples of {payload.dtype} without loss; "
        "convert them, or choose another format, such as wav"
    )


def _check_dtype(payload: Payload, subtype: str, format: str) -> None:
    dtype = payload.dtype.newbyteorder("=")
    if subtype in BITS or subtype in ("FLOAT", "DOUBLE"):
        if dtype != dtype_of(subtype):
            raise ExportError(
                f"subtype {subtype} of {format} holds {dtype_of(subtype)}, the samples are {dtype}; "
                "convert them first, or leave out subtype="
            )
    elif dtype.name not in ("int16", "int32", "float32", "float64"):
        raise ExportError(f"samples of {dtype} cannot be compressed as {subtype}; convert them to float32")


def _as_libsndfile_takes_it(
    block: np.ndarray[Any, Any], subtype: str, bits: int | None
) -> np.ndarray[Any, Any]:
    block = block.astype(block.dtype.newbyteorder("="), copy=False)
    if bits is None:
        return block
    if bits not in (8, 16, 32):
        most = 1 << (bits - 1)
        if block.size and (block.min() < -most or block.max() >= most):
            raise ExportError(f"samples beyond {bits} bits do not fit into {subtype}; pass subtype='PCM_32'")
    wide = np.dtype(np.int16 if bits <= 16 else np.int32)
    block = block.astype(wide)
    if subtype == "PCM_U8":
        block -= 128
    block <<= wide.itemsize * 8 - bits
    return block
