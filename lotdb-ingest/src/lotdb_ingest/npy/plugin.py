"""NumPy's ``.npy`` files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lotdb import Blocks, Ingested, IngestError, Payload, SourceFile, TargetFile
from lotdb.hookspecs import hookimpl
from lotdb_ingest import signatures
from lotdb_ingest.npy.format import BLOCK_BYTES, MAGIC, Header, iter_rows, read_header, read_whole, write


@hookimpl
def lotdb_identify_file(source: SourceFile) -> str | None:
    """``"npy"`` for a file that begins as such do."""
    return "npy" if source.head.startswith(MAGIC) else None


@hookimpl
def lotdb_ingest_file(source: SourceFile) -> Ingested | None:
    """The array of a ``.npy`` file, exactly as it was saved; a large one in blocks of rows."""
    if source.format != "npy":
        return None
    source.check_options()
    if not source.head.startswith(MAGIC):
        raise IngestError(f"it does not begin as an .npy file does{signatures.content_or_raw(source.head)}")
    header = read_header(source.file, source.size)
    if not header.shape or header.nbytes <= BLOCK_BYTES:
        data = read_whole(source.file, header)
        return Ingested(data, format="npy", content_type="application/x-npy")
    rows, *row_shape = header.shape
    blocks = Blocks(_blocks(source, header), header.dtype, row_shape=tuple(row_shape), rows=rows)
    return Ingested(blocks, format="npy", content_type="application/x-npy")


def _blocks(source: SourceFile, header: Header) -> Iterator[np.ndarray[Any, Any]]:
    source.file.seek(header.start)
    yield from iter_rows(source.file, header)


@hookimpl
def lotdb_get_ingest_formats() -> list[str]:
    """The formats that :func:`lotdb_ingest_file` reads."""
    return ["npy"]


@hookimpl
def lotdb_get_export_formats() -> list[str]:
    """The formats that :func:`lotdb_export_file` writes."""
    return ["npy"]


@hookimpl
def lotdb_export_file(target: TargetFile, payload: Payload) -> bool | None:
    """Write an array, or a table without missing cells, as ``numpy.save`` would."""
    if target.format != "npy" or payload.kind not in ("array", "table"):
        return None
    target.check_options()
    write(target.file, payload)
    return True
