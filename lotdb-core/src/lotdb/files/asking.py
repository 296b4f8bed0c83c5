"""Taking in a file: what an ingester is given, what it gives back, and asking for it."""

from __future__ import annotations

import codecs
import contextlib
import datetime
import math
import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from lotdb.errors import (
    FileNotReadError,
    IngestError,
    InvalidOptionError,
    lacking,
    shown,
    text_of,
)
from lotdb.interfaces.ingester import MAX_BYTES, Blocks, Ingested, SourceFile, check_limit
from lotdb.interfaces.loader import Loader
from lotdb.keys import check_name
from lotdb.ranges import check_rate
from lotdb.values import values

__all__ = ["TIME", "about_source", "ask", "notes_of", "open_source"]

# Notes by which a file is known again.
SIZE, TIME, INODE = "_source_size_bytes", "_source_modified_ns", "_source_inode"

SETTLED_NS = 2_000_000_000


@contextlib.contextmanager
def open_source(
    path: str | os.PathLike[str],
    *,
    format: str | None,
    options: Mapping[str, Any],
    max_bytes: int = MAX_BYTES,
) -> Iterator[SourceFile]:
    """The file at *path*, open to be taken in.

    Raises
    ------
    IngestError
        If it cannot be opened, is no regular file, or has changed by the end.
    """
    path, format = _check(path, format)
    max_bytes = check_limit("max_bytes", max_bytes)
    try:
        # Non-blocking, because opening a FIFO would wait for its writer for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        if failure := lacking(error):
            text = f"cannot open {str(path)!r}: {reason}"
            raise FileNotReadError(failure.errno, text, str(path)) from error
        raise IngestError(f"cannot open {str(path)!r}: {reason}") from error
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        os.close(descriptor)
        more = ", but a folder; ingest_tree takes one in" if stat.S_ISDIR(about.st_mode) else ""
        raise IngestError(f"cannot ingest {str(path)!r}: it is not a regular file{more}")
    with open(descriptor, "rb") as file:
        if about.st_size > max_bytes:
            raise IngestError(
                f"cannot ingest {str(path)!r}: it has {about.st_size} bytes, the limit is {max_bytes}; "
                "pass max_bytes= to raise it"
            )
        source = SourceFile(path, file, about.st_size, format, options, max_bytes)
        before = _state(file)
        try:
            yield source
        except IngestError as error:
            # Whatever else is wrong with it may have come of that.
            _check_unchanged(source, before, cause=error)
            raise
        _check_unchanged(source, before)


def about_source(source: SourceFile) -> dict[str, Any]:
    """What is kept of where a payload came from, by the names under which it is kept."""
    with _named(source):
        about = os.fstat(source.file.fileno())
        return {
            "_source_filename": source.path.name,
            "_source_modified": datetime.datetime.fromtimestamp(about.st_mtime, datetime.UTC),
            **notes_of(about),
            "_source_sha256": source.sha256,
        }


def notes_of(about: os.stat_result) -> dict[str, Any]:
    """By what a file is known to be unchanged later, as far as that can be told.

    A file that was written just now may be written again without getting another time: clocks of disks have
    steps, of up to two seconds. So nothing is said of its time.
    """
    notes = {SIZE: about.st_size}
    if about.st_ino and time.time_ns() - about.st_mtime_ns > SETTLED_NS:
        notes |= {TIME: about.st_mtime_ns, INODE: about.st_ino}
    return notes


def ask(source: SourceFile, plugins: Loader) -> dict[str, Ingested]:
    """What the ingester that knows *source* makes of it, by name; one without a name is called ``""``.

    Blocks are read later, as they are asked for.

    Raises
    ------
    IngestError
        If it is known to no ingester, or its ingester failed; the message names the file, the format, the
        plugin and the reason.
    """
    if source.format == "auto":
        source = replace(source, format=identify(source, plugins) or _suffix(source.path))
    for plugin, function in plugins.ingesters("lotdb_ingest_file"):
        source.file.seek(0)
        with _named(source, plugin):
            answer = function(source=source)
        if answer is not None:
            break
    else:
        with _named(source):
            raise IngestError("no installed ingester reads it; install more with: pip install lotdb-ingest")
    with _named(source, plugin):
        several = dict(answer) if isinstance(answer, Mapping) else {"": answer}
        if not several:
            raise IngestError("there is nothing in it")
        return {name: _guarded(ingested, source, plugin, plugins) for name, ingested in several.items()}


def identify(source: SourceFile, plugins: Loader) -> str | None:
    """The name of the format by whose mark *source* begins, or None if no ingester knows it."""
    for plugin, function in plugins.ingesters("lotdb_identify_file"):
        with _named(source, plugin):
            source.file.seek(0)
            format = function(source=source)
        if isinstance(format, str):
            return format.lower()
    return None


_END: Any = object()


def _guarded(ingested: Ingested, source: SourceFile, plugin: str, plugins: Loader) -> Ingested:
    """What an ingester gave, if it is what it should be; whatever is read of it later is checked then."""
    _check_answer(ingested, plugins)
    data = ingested.data
    if isinstance(data, Blocks):
        _check_blocks(data)
        source.check_bytes((data.rows or 0) * _row_bytes(data))
        return replace(ingested, data=replace(data, blocks=_checked_blocks(data, source, plugin)))
    source.check_bytes(getattr(data, "nbytes", 0) or (len(data) if isinstance(data, str | bytes) else 0))
    return ingested


def _checked_blocks(data: Blocks, source: SourceFile, plugin: str) -> Iterator[np.ndarray[Any, Any]]:
    """The blocks of *data*; whatever goes wrong in them is an ``IngestError`` that says where."""
    rows = 0
    utf_8 = codecs.getincrementaldecoder("utf-8")("surrogatepass")
    with _named(source, plugin):
        iterator = iter(data.blocks)
    while True:
        with _named(source, plugin):
            block = next(iterator, _END)
            if block is _END:
                if data.rows not in (None, rows):
                    raise IngestError(f"it announces {data.rows} rows, {rows} are present")
                utf_8.decode(b"", final=True)
                return
            _check_block(block, data)
            if data.kind == "text":  # or else nobody could read it
                utf_8.decode(block.tobytes())
            rows += len(block)
            if data.rows is not None and rows > data.rows:
                raise IngestError(f"it announces {data.rows} rows, more are present")
            source.check_bytes(rows * _row_bytes(data))
        yield block


def _row_bytes(data: Blocks) -> int:
    return data.dtype.itemsize * math.prod(data.row_shape)


@contextlib.contextmanager
def _named(source: SourceFile, plugin: str | None = None) -> Iterator[None]:
    """Turns whatever is raised into an ``IngestError`` that names the file, the format and the plugin."""
    try:
        yield
    except (KeyboardInterrupt, InvalidOptionError):
        raise
    except BaseException as error:
        # The plugin border: what a file format's library raises becomes one error, SystemExit included.
        reason = text_of(error)
        if not isinstance(error, IngestError):
            reason = f"{type(error).__name__}: {reason}"
            if plugin is not None:
                reason = f"plugin {plugin!r} failed: {reason}; format='raw' keeps the bytes of the file"
        if plugin is not None and _is_empty(source) and "is empty" not in reason:
            reason = f"the file is empty (0 bytes): {reason}"
        if failure := lacking(error):
            raise FileNotReadError(failure.errno, _because(source, reason), str(source.path)) from error
        raise IngestError(_because(source, reason)) from error


def _because(source: SourceFile, reason: str) -> str:
    format = source.format or "a file without a suffix"
    return f"cannot ingest {str(source.path)!r} as {format}: {reason}"


def _is_empty(source: SourceFile) -> bool:
    try:
        return (
            source.size == 0 and not source.file.closed and not source.head
        )  # /proc has files without a size
    except OSError:
        return False


def _state(file: IO[bytes]) -> Any:
    about = os.fstat(file.fileno())
    return about.st_size, about.st_mtime_ns


def _check_unchanged(source: SourceFile, before: Any, cause: Exception | None = None) -> None:
    if not source.file.closed and _state(source.file) != before:
        raise IngestError(_because(source, "it changed while it was read")) from cause


def _check(path: Any, format: Any) -> tuple[Path, str]:
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str) or not os.fspath(path):
        raise IngestError(f"cannot open {shown(path)}: use the path of a file, as text")
    if format is not None and not isinstance(format, str):
        raise InvalidOptionError(f"format is {format!r}; use the name of a format, such as 'npy', or 'auto'")
    path = Path(path)
    return path, (format or _suffix(path)).lower()


def _suffix(path: Path) -> str:
    return path.suffix.removeprefix(".").lower()


def _check_answer(ingested: Any, plugins: Loader) -> None:
    if not isinstance(ingested, Ingested):
        raise TypeError(f"it returned {type(ingested).__name__}, not lotdb.Ingested")
    if not isinstance(ingested.metadata, Mapping) or not isinstance(ingested.attributes, Mapping):
        raise TypeError("it returned metadata or attributes that are no mapping")
    if not isinstance(ingested.format, str) or not isinstance(ingested.content_type, str | None):
        raise TypeError("it returned a format or a content_type that is no text")
    check_rate(ingested.samplerate_hz)
    values.encode(dict(ingested.metadata), name="metadata", extra=plugins)
    for name, value in ingested.attributes.items():
        if check_name(name, "attribute").startswith("_"):
            raise ValueError(f"it returned the attribute {name!r}, and LOTDB uses names that begin with _")
        values.encode(value, name=name, extra=plugins)


def _check_blocks(data: Blocks) -> None:
    rows = () if data.rows is None else (data.rows,)
    if not isinstance(data.dtype, np.dtype) or data.kind not in ("array", "bytes", "text", "table"):
        raise TypeError(f"it returned Blocks of {shown(data.dtype)} and of kind {shown(data.kind)}")
    if not all(isinstance(length, int | np.integer) and length >= 0 for length in (*data.row_shape, *rows)):
        raise ValueError(f"it returned Blocks of {shown(data.rows)} rows of shape {shown(data.row_shape)}")
    if data.kind in ("bytes", "text") and (data.dtype != np.uint8 or data.row_shape):
        raise TypeError(f"it returned Blocks of {data.dtype} {data.row_shape} for {data.kind}; use uint8")


def _check_block(block: Any, data: Blocks) -> None:
    if not isinstance(block, np.ndarray) or block.dtype != data.dtype or block.shape[1:] != data.row_shape:
        raise TypeError(f"it announced blocks of {data.dtype} {data.row_shape}, and gave another")
