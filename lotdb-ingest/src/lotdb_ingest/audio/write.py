"""Writing audio files, without loss where the format allows it."""

from __future__ import annotations

import contextlib
import io
import os
from typing import IO, Any

import numpy as np
import soundfile

from lotdb import ExportError, InvalidOptionError, Payload, TargetFile
from lotdb_ingest.audio.chunk_write import set_frames, set_mask, set_rate, write_chunks
from lotdb_ingest.audio.comments import write_flac, write_ogg
from lotdb_ingest.audio.id3 import write_id3
from lotdb_ingest.audio.read import BITS, BLOCK_BYTES, dtype_of
from lotdb_ingest.audio.read_back import check_written

__all__ = ["write"]

#: What libsndfile 1.2 writes as these it does not read as the same again.
BROKEN = frozenset({"ALAC_20", "ALAC_32", "DWVW_16", "DWVW_24"})
#: These have 32 bits for their length.
BLOCKS = frozenset(
    {"GSM610", "IMA_ADPCM", "MS_ADPCM", "G721_32", "NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32"}
)
SHORT = ("WAV", "AIFF", "AU")
SHORT_BYTES = (4 << 30) - (1 << 20)
#: These take what is louder than full scale, 1, as some of what they decode is; how much, was measured.
#: Others take full scale.
LOUDEST = {"MPEG_LAYER_III": 100.0, "OPUS": 100.0, "VORBIS": 100.0}
#: These say their rate in floating point, in headers that we write to.
FRACTIONAL = ("AIFF", "CAF")


def write(target: TargetFile, payload: Payload, containers: tuple[str, ...]) -> None:
    """Write the samples of *payload* to *target*."""
    if payload.ndim not in (1, 2) or (payload.ndim == 2 and payload.shape[1] == 0):
        raise ExportError(f"shape {payload.shape} is not that of sound: rows, or rows and channels")
    metadata = payload.metadata
    container = containers[0]
    if container == "WAV" and payload.nbytes > SHORT_BYTES:
        container = "RF64"
    rate = _rate(target, payload, container)
    subtype = _subtype(target, payload, container, metadata)
    bits = BITS.get(subtype)
    _check_dtype(payload, subtype, target.format)
    if container in SHORT and payload.size * (bits or payload.dtype.itemsize * 8) // 8 > SHORT_BYTES:
        raise ExportError(f"{target.format} cannot say how long a sound of 4 GiB is; choose caf, w64 or rf64")
    if len(payload) == 0 and (container in ("FLAC", "MP3") or subtype == "OPUS"):
        raise ExportError(f"{target.format} cannot hold a sound of no samples; choose wav")
    mask = metadata.get("channel_mask")
    if container == "WAV" and isinstance(mask, int) and soundfile.check_format("WAVEX", subtype):
        container = "WAVEX"
    endian = metadata.get("endian", "FILE") if metadata.get("container") == container else "FILE"
    if not soundfile.check_format(container, subtype, endian):
        endian = "FILE"
    channels = 1 if payload.ndim == 1 else payload.shape[1]
    form = (whole_rate := _whole(rate)), channels, subtype, endian, container
    _check_rate(target.format, form)
    descriptor = os.dup(target.file.fileno())
    try:
        with soundfile.SoundFile(descriptor, "w", *form, closefd=False) as audio:
            rows = max(1, BLOCK_BYTES // max(1, channels * payload.dtype.itemsize))
            for block in payload.iter_blocks(rows):
                audio.write(_as_libsndfile_takes_it(block, subtype, bits))
    except soundfile.LibsndfileError as error:
        raise ExportError(
            f"libsndfile cannot write {subtype} of {channels} channels at {whole_rate} Hz as {target.format} "
            f"({error.error_string.strip().rstrip('.') or 'it does not say why'}); "
            "choose another format, such as wav"
        ) from error
    finally:
        os.close(descriptor)
    _finish(target.file, payload, container, subtype, rate)
    check_written(target, payload, container, subtype)


def _finish(file: IO[bytes], payload: Payload, container: str, subtype: str, rate: float) -> None:
    """Write what libsndfile does not: exact rates and lengths, and the notes that came with the sound."""
    metadata = payload.metadata
    if container in FRACTIONAL and rate != _whole(rate):
        set_rate(file, container, rate)
    if (container == "AIFF" and BITS.get(subtype) == 8) or (
        # libsndfile counts the byte that pads an odd number of bytes, and what fills up a block, as samples.
        container in ("WAV", "WAVEX", "W64") and subtype in BLOCKS
    ):
        set_frames(file, container, len(payload))
    mask = metadata.get("channel_mask")
    if container in ("WAVEX", "RF64"):
        # Without one, it is not ours to say; libsndfile makes one up.
        set_mask(file, container, mask if isinstance(mask, int) and 0 <= mask < 1 << 32 else 0)
    if container == "FLAC":
        write_flac(file, metadata)
    elif container == "OGG":
        write_ogg(file, metadata, subtype.lower())
    elif container == "MP3":
        write_id3(file, metadata)
    else:
        write_chunks(file, container, metadata)


def _rate(target: TargetFile, payload: Payload, container: str) -> float:
    rate = target.options.get("samplerate_hz", payload.samplerate_hz)
    if rate is None:
        raise ExportError("it has no sample rate; pass samplerate_hz=")
    is_number = isinstance(rate, int | float | np.number) and not isinstance(rate, bool | np.timedelta64)
    if not (is_number and 0 < rate < 1 << 31):
        raise InvalidOptionError(f"samplerate_hz is {rate!r}; use a positive number")
    if rate != int(rate) and container not in FRACTIONAL:
        raise ExportError(
            f"its sample rate is {float(rate)!r} Hz; {target.format} holds whole numbers only, "
            "choose caf or aiff, or pass samplerate_hz="
        )
    return float(rate)


def _whole(rate: float) -> int:
    """The rate as the whole number that libsndfile takes."""
    return max(1, round(rate))


def _check_rate(format: str, form: tuple[int, int, str, str, str]) -> None:
    """Raise ``ExportError`` unless a few samples are read back at the rate they are written at."""
    rate, channels, subtype, *_ = form
    file = io.BytesIO()
    found = None
    # FLAC takes any rate up to 655350 Hz to begin with, and fails when samples come.
    with contextlib.suppress(soundfile.LibsndfileError):
        with soundfile.SoundFile(file, "w", *form) as audio:
            audio.write(np.zeros((1, channels), "int16"))
        file.seek(0)
        with soundfile.SoundFile(file) as audio:
            found = audio.samplerate
    if found == rate:
        return
    if found is None and _can(form):
        what = "cannot hold"
    elif found is None:
        return  # it is not the rate, and what it is libsndfile says when the samples are written
    else:
        what = f"holds {found} Hz in place of"
    raise ExportError(
        f"{format} {what} a sample rate of {rate} Hz in {subtype}; choose another format, such as wav, "
        "or resample it"
    )


def _can(form: tuple[int, int, str, str, str]) -> bool:
    """Whether a sound of this form can be written at another rate."""
    try:
        with soundfile.SoundFile(io.BytesIO(), "w", 8000, *form[1:]) as audio:
            audio.write(np.zeros((1, form[1]), "int16"))
    except soundfile.LibsndfileError:
        return False
    return True


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
    # libsndfile says that it writes mp3 into wav, and does not.
    only = {"OGG": "VORBIS"}.get(container, own if own != "MPEG_LAYER_III" or container == "MP3" else None)
    if own in known and dtype_of(own) == payload.dtype and own == only:
        return own
    by_dtype = {
        "uint8": "PCM_U8",
        "int8": "PCM_S8",
        "int16": "PCM_16",
        # Fewer bits than the samples take are the upper ones, so that the samples are as wide as before.
        "int32": "PCM_24" if BITS.get(own, metadata.get("bits", 32)) <= 24 else "PCM_32",
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


def _check_loudness(block: np.ndarray[Any, Any], subtype: str) -> None:
    """Raise ``ExportError`` for samples that the codec does not take."""
    most = LOUDEST.get(subtype, 1.0)
    if not (np.abs(block) <= most).all():  # nor is NaN
        raise ExportError(
            f"{subtype} takes samples from -{most:g} to {most:g}, and it has others, or NaN; scale or clip "
            "them first, or choose another format, such as wav"
        )


def _as_libsndfile_takes_it(
    block: np.ndarray[Any, Any], subtype: str, bits: int | None
) -> np.ndarray[Any, Any]:
    block = block.astype(block.dtype.newbyteorder("="), copy=False)
    if bits is None:
        if block.dtype.kind == "f" and subtype not in ("FLOAT", "DOUBLE"):
            _check_loudness(block, subtype)
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
