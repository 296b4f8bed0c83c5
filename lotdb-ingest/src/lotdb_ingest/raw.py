"""Files of no known format: their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lotdb import Blocks, Ingested, Payload, SourceFile, TargetFile
from lotdb.hookspecs import hookimpl
from lotdb_ingest import text
from lotdb_ingest.kept_as_bytes import MEANT, hint
from lotdb_ingest.npy.format import write_elements

PIECE = 4 << 20


@hookimpl(trylast=True)
def lotdb_ingest_file(source: SourceFile) -> Ingested | None:
    """The bytes of any file that no other ingester reads."""
    source.check_options()
    data: Any = source.file.read() if source.size <= PIECE else _blocks(source)
    about = {} if (said := hint(source)) is None else {"hint": said}
    format = source.format or "raw"
    return Ingested(data, format=format, content_type="application/octet-stream", metadata=about)


@hookimpl
def lotdb_get_ingest_formats() -> list[str]:
    """The names for plain bytes. A file is kept under another name only if nobody has named a format."""
    return sorted(MEANT)


@hookimpl
def lotdb_get_export_formats() -> list[str]:
    """The format that arrays and texts can be written in; bytes are written in any."""
    return ["raw"]


@hookimpl(trylast=True)
def lotdb_export_file(target: TargetFile, payload: Payload) -> bool | None:
    """Write bytes, whatever the format is called.

    The format ``"raw"`` also writes other payloads: a text as it came in, and an array as the bytes of its
    elements in C order, without its dtype and shape.
    """
    if payload.kind == "bytes":
        target.check_options()
        for block in payload.iter_blocks(PIECE):
            target.file.write(block)
        return True
    if target.format != "raw" or payload.kind == "table":
        return None
    target.check_options()
    if payload.kind == "text":
        text.write(target, payload)
        return True
    write_elements(target.file, payload)
    return True


def _blocks(source: SourceFile) -> Blocks:
    def pieces() -> Iterator[np.ndarray[Any, Any]]:
        source.file.seek(0)
        while piece := source.file.read(PIECE):
            yield np.frombuffer(piece, np.uint8)

    return Blocks(pieces(), np.dtype(np.uint8), rows=source.size, kind="bytes")
