"""Taking in a file: what an ingester is given, what it gives back, and asking for it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lotdb.errors import IngestError, InvalidOptionError, InvalidRangeError, LotdbError, shown
from lotdb.ranges import check_rate

if TYPE_CHECKING:
    from lotdb.plugins import Plugins

__all__ = ["Ingested", "SourceFile", "ingest_file"]


@dataclass(frozen=True)
class SourceFile:
    """The file that an ingester is asked about.

    Parameters
    ----------
    path
        As the user gave it; for messages and names. Read from *file*, do not open it again.
    file
        The open file, binary, seekable and at its start.
    size
        Bytes in the file. Compare what a header announces with this before allocating anything.
    format
        What the user asked for with ``format=``, or else the suffix in lower case without its dot.
    options
        Further arguments of the user's, such as ``encoding``.
    """

    path: Path
    file: IO[bytes]
    size: int
    format: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def check_options(self, *known: str) -> None:
        """Raise ``InvalidOptionError`` for an option of the user's that is none of the *known* ones."""
        for option in self.options:
            if option not in known:
                takes = ", ".join(known) or "none"
                raise InvalidOptionError(
                    f"format {self.format!r} takes no option {option!r} (it takes: {takes})"
                )


@dataclass(frozen=True)
class Ingested:
    """What an ingester made of a file.

    Parameters
    ----------
    data
        An array (rows first; channels in columns), a text, or bytes.
    format
        The name of the format that was read, such as ``"npy"``.
    samplerate_hz
        Rows a second, if the file says so.
    content_type
        The media type, such as ``"audio/wav"``.
    metadata
        What else the file says, as values that attributes can hold; kept with the payload.
    attributes
        Attributes for the node, by name; those of the source itself are set by the core.
    """

    data: Any
    format: str
    samplerate_hz: float | None = None
    content_type: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)


def ingest_file(
    path: str | os.PathLike[str], *, format: str | None, options: Mapping[str, Any], plugins: Plugins
) -> Ingested:
    """Have the file at *path* read by the ingester that knows it.

    Raises
    ------
    IngestError
        If it cannot be opened, is no regular file, is known to no ingester, changed while it was read,
        or the ingester failed; the message names the file, the format and the reason.
    """
    path, format = _check(path, format)
    try:
        # Non-blocking, because opening a FIFO would wait for its writer for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        raise IngestError(f"cannot open {str(path)!r}: {error}") from error
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        os.close(descriptor)
        raise IngestError(f"cannot ingest {str(path)!r}: it is not a regular file")
    with open(descriptor, "rb") as file:
        source = SourceFile(path=path, file=file, size=before.st_size, format=format, options=options)
        ingested = _ask(source, plugins)
        after = os.fstat(descriptor)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise IngestError(f"cannot ingest {str(path)!r}: it changed while it was read")
    return ingested


def _check(path: Any, format: Any) -> tuple[Path, str]:
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str) or not os.fspath(path):
        raise IngestError(f"cannot open {shown(path)}: use the path of a file, as text")
    if format is not None and not isinstance(format, str):
        raise InvalidOptionError(f"format is {format!r}; use the name of a format, such as 'npy'")
    path = Path(path)
    return path, (format or path.suffix.removeprefix(".")).lower()


def _ask(source: SourceFile, plugins: Plugins) -> Ingested:
    what = f"cannot ingest {str(source.path)!r} as {source.format or 'a file without a suffix'}"
    try:
        ingested = plugins.ingest(source)
    except IngestError as error:
        raise IngestError(f"{what}: {error}") from error
    except LotdbError:
        raise
    except Exception as error:
        # The plugin border: whatever a file format's library raises becomes one error.
        raise IngestError(f"{what}: {type(error).__name__}: {error}") from error
    if ingested is None:
        raise IngestError(
            f"{what}: no installed ingester takes it; install more with: pip install lotdb-ingest"
        )
    if not isinstance(ingested, Ingested):
        raise IngestError(f"{what}: the ingester returned {type(ingested).__name__}, not lotdb.Ingested")
    try:
        check_rate(ingested.samplerate_hz)
    except InvalidRangeError as error:
        raise IngestError(f"{what}: {error}") from error
    if not isinstance(ingested.metadata, Mapping) or not isinstance(ingested.attributes, Mapping):
        raise IngestError(f"{what}: the ingester returned metadata or attributes that are no mapping")
    return ingested
