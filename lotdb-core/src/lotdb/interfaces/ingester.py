"""What the core gives to ingesters and exporters, and what an ingester returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from lotdb.errors import FileNotReadError, IngestError, InvalidOptionError, lacking, shown

__all__ = ["MAX_BYTES", "Blocks", "Ingested", "SourceFile", "TargetFile", "check_limit"]

# Limit of the decoded data, unless the caller passes another: a small file can announce more than fits on a
# disk, and a compressed file can hold more.
MAX_BYTES = 16 << 30

HEAD_BYTES = 4096


@dataclass(frozen=True)
class SourceFile:
    """The file that an ingester gets.

    Parameters
    ----------
    path
        The path that the user passed; for messages and names. Read from *file*, do not open the path again.
    file
        The open file, binary, seekable and at its start.
    size
        Bytes in the file. Compare what a header announces with this before allocating anything.
    format
        The user's ``format=``, or else the suffix in lower case without its dot.
    options
        Further arguments of the user, such as ``encoding``.
    max_bytes
        Largest number of bytes allowed for the file, and for its decoded data.
    """

    path: Path
    file: IO[bytes]
    size: int
    format: str
    options: Mapping[str, Any] = field(default_factory=dict)
    max_bytes: int = MAX_BYTES

    @cached_property
    def head(self) -> bytes:
        """The first 4096 bytes, or all bytes of a shorter file; the position in the file stays."""
        position = self.file.tell()
        self.file.seek(0)
        try:
            return self.file.read(HEAD_BYTES)
        finally:
            self.file.seek(position)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 (FIPS 180-4) of the file, as hexadecimal digits; the position in the file stays."""
        position = self.file.tell()
        self.file.seek(0)
        try:
            import hashlib  # which takes longer to import than most of what else is here

            return hashlib.file_digest(self.file, "sha256").hexdigest()  # type: ignore[arg-type]
        except OSError as error:
            if failure := lacking(error):
                about = f"cannot read {str(self.path)!r}: {failure.strerror}"
                raise FileNotReadError(failure.errno, about, str(self.path)) from error
            raise IngestError(f"cannot read {str(self.path)!r}: {error.strerror or error}") from error
        finally:
            self.file.seek(position)

    def check_options(self, *known: str) -> None:
        """Raise ``InvalidOptionError`` for an option of the user that is not in *known*."""
        for option in self.options:
            if option not in known:
                takes = ", ".join(known) or "none"
                raise InvalidOptionError(
                    f"format {self.format!r} takes no option {option!r} (it takes: {takes})"
                )

    def limit(self, option: str, default: int) -> int:
        """The user's limit *option*, or *default*; ``InvalidOptionError`` if it is invalid."""
        return check_limit(option, self.options.get(option, default))

    def check_bytes(self, announced: int) -> None:
        """Raise ``IngestError`` if *announced* bytes of data are more than *max_bytes*."""
        if announced > self.max_bytes:
            raise IngestError(
                f"it announces {announced} bytes of data, the limit is {self.max_bytes}; "
                "pass max_bytes= to raise it"
            )


@dataclass(frozen=True)
class Blocks:
    """Data that are too large for memory: consecutive blocks of rows, produced when they are needed.

    Parameters
    ----------
    blocks
        Arrays of *dtype* and of shape ``(any number of rows, *row_shape)``, a few MB each; for a text,
        its UTF-8 bytes. They are read while the source file is open.
    dtype, row_shape
        The dtype and the shape of a row, which all blocks share.
    rows
        The number of rows, if it is known; any other number is an error.
    kind : {"array", "bytes", "text", "table"}
        Kind of the payload.
    """

    blocks: Iterable[np.ndarray[Any, Any]]
    dtype: np.dtype[Any]
    row_shape: tuple[int, ...] = ()
    rows: int | None = None
    kind: Literal["array", "bytes", "text", "table"] = "array"


@dataclass(frozen=True)
class Ingested:
    """The result of an ingester.

    Parameters
    ----------
    data
        An array (rows first; channels in columns), a text, bytes, or :class:`Blocks` of such.
    format
        The name of the format that was read, such as ``"npy"``.
    samplerate_hz
        Rows per second, if the file names a rate.
    content_type
        The media type, such as ``"audio/wav"``.
    metadata
        Other contents of the file, as values that attributes can hold; stored with the payload.
    attributes
        Attributes for the node, by name; names that begin with "_" are the core's own.
    """

    data: Any
    format: str
    samplerate_hz: float | None = None
    content_type: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TargetFile:
    """The file that an exporter writes.

    Parameters
    ----------
    path
        The path that the user passed; for messages. It appears when the file is complete: write to *file*.
    file
        An open file, binary, readable, seekable and empty.
    format
        What the user asked for with ``format=``, or else the suffix in lower case without its dot.
    options
        Further arguments of the user, such as ``subtype``.
    """

    path: Path
    file: IO[bytes]
    format: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def check_options(self, *known: str) -> None:
        """Raise ``InvalidOptionError`` for an option of the user that is not in *known*."""
        for option in self.options:
            if option not in known:
                takes = ", ".join(known) or "none"
                raise InvalidOptionError(
                    f"writing {self.format!r} takes no option {option!r} (it takes: {takes})"
                )


def check_limit(option: str, value: Any) -> int:
    """*value* as a limit; ``InvalidOptionError`` if it is no whole number from 0 on."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise InvalidOptionError(f"{option} is {shown(value)}; use a whole number, such as {1 << 30}")
    return int(value)


# What a plugin gave is no better than what it raises: these errors are raised at its border, too.
