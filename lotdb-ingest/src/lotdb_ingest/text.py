"""Text files."""

from __future__ import annotations

from lotdb import Ingested, IngestError, SourceFile
from lotdb.hookspecs import hookimpl


@hookimpl
def lotdb_ingest_file(source: SourceFile) -> Ingested | None:
    """The text of a ``.txt`` file; UTF-8 with or without a byte order mark unless ``encoding=`` says else."""
    if source.format not in ("txt", "text"):
        return None
    source.check_options("encoding")
    encoding = source.options.get("encoding", "utf-8-sig")
    if not isinstance(encoding, str):
        raise IngestError(f"encoding is {encoding!r}; use the name of an encoding, such as 'latin-1'")
    try:
        text = source.file.read().decode(encoding)
    except LookupError as error:
        raise IngestError(str(error)) from error
    except UnicodeDecodeError as error:
        raise IngestError(f"it is not {encoding} text: {error}; pass encoding=") from error
    return Ingested(data=text, format="txt", content_type="text/plain", metadata={"encoding": encoding})
