"""Reading an exported sound back, if its codec might have changed the samples."""

from __future__ import annotations

import numpy as np

from lotdb import Blocks, ExportError, IngestError, Payload, SourceFile, TargetFile
from lotdb_ingest.audio.read import BITS, read

__all__ = ["check_written"]


def check_written(target: TargetFile, payload: Payload, container: str, subtype: str) -> None:
    """Raise ``ExportError`` unless a codec that is to keep every sample has kept those of *payload*.

    libsndfile 1.2.2 writes noise of 24 bits in two channels as ALAC in a way that neither it nor ffmpeg reads
    as the same again. Plain integers and floating point are copied bit by bit, and are not read back.
    """
    if subtype not in BITS or (subtype.startswith("PCM_") and container != "FLAC"):
        return
    target.file.flush()
    size = target.file.seek(0, 2)
    source = SourceFile(target.path, target.file, size, target.format, max_bytes=size)
    try:
        row = _first_other_row(source, payload, container)
    except IngestError as error:
        raise ExportError(
            f"libsndfile does not keep it as {subtype} in {target.format}: what it writes is not read back "
            f"({error}); {_remedy(container, subtype)}"
        ) from error
    if row is not None:
        raise ExportError(
            f"libsndfile does not keep it as {subtype} in {target.format}: row {row} is read back otherwise "
            f"than it was written; {_remedy(container, subtype)}"
        )


def _first_other_row(source: SourceFile, payload: Payload, container: str) -> int | None:
    found = read(source, container.lower(), (container,))[""].data
    if not isinstance(found, Blocks) or found.rows != len(payload):
        return min(len(payload), getattr(found, "rows", 0) or 0)
    done = 0
    for block in found.blocks:
        written = np.asarray(payload[done : done + len(block)])
        # One channel comes back without an axis for the channels, also where it went in with one.
        differs = np.not_equal(block.reshape(len(block), -1), written.reshape(len(block), -1)).any(axis=1)
        if differs.any():
            return done + int(differs.argmax())
        done += len(block)
    return None if done == len(payload) else done


def _remedy(container: str, subtype: str) -> str:
    if container == "FLAC":
        return "choose another format, such as wav"
    return f"choose another subtype, such as subtype='PCM_{min(32, -(-BITS[subtype] // 8) * 8)}'"
