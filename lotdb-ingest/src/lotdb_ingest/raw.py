"""Files of no known format: their bytes."""

from __future__ import annotations

from lotdb import Ingested, SourceFile
from lotdb.hookspecs import hookimpl


@hookimpl(trylast=True)
def lotdb_ingest_file(source: SourceFile) -> Ingested | None:
    """The bytes of any file that no other ingester took."""
    source.check_options()
    data = source.file.read()
    return Ingested(data=data, format=source.format or "raw", content_type="application/octet-stream")
