"""Open a file, ask the ingesters for its contents, and check what they return."""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lotdb.errors import (
    FileNotReadError,
    IngestError,
    InvalidOptionError,
    MissingPluginError,
    lacking,
    shown,
    text_of,
)
from lotdb.extras import package_of
from lotdb.interfaces.ingester import Ingested, IngestedNode
from lotdb.interfaces.installed import INGESTER
from lotdb.interfaces.loader import Loader
from lotdb.interfaces.options import MAX_BYTES, Options, check_limit
from lotdb.interfaces.row_blocks import Blocks, check_blocks, checked
from lotdb.interfaces.sources import ARGUMENTS, SourceFile, open_regular, state_of
from lotdb.keys import check_key, check_name, node_text
from lotdb.ranges import check_rate
from lotdb.storage.folder import check_path
from lotdb.tree.node import class_of
from lotdb.values import values

__all__ = [
    "BESIDE",
    "SHA256",
    "TIME",
    "Answered",
    "Part",
    "about_beside",
    "about_source",
    "ask",
    "check_named",
    "measured",
    "notes_of",
    "open_source",
    "parts_of",
]

# Names of the notes by which LOTDB recognizes a file.
SIZE, TIME, INODE = "_source_size_bytes", "_source_modified_ns", "_source_inode"
SHA256 = "_source_sha256"
# The other files that the ingester opened, by their paths below the folder of the file: such notes, or None
# if the file was missing.
BESIDE = "_source_beside"

SETTLED_NS = 2_000_000_000

# A tree with more levels most likely contains itself.
MAX_LEVELS = 1000


@dataclass(frozen=True)
class Part:
    """A node that an ingester returned: its path below the first node, and its contents."""

    path: tuple[str, ...]
    payloads: dict[str, Ingested]
    attributes: dict[str, Any]
    node_type: str | None


@dataclass(frozen=True)
class Answered:
    """What the ingester *plugin* returned for a file: its nodes, each after its parent."""

    plugin: str
    parts: list[Part]
    #: Raises ``InvalidOptionError`` for an option that the ingester has not used so far.
    check_options: Callable[[], None]
    #: Counts that many more bytes; raises ``IngestError`` if the file exceeds its limit then.
    count: Callable[[int], None]


@contextlib.contextmanager
def open_source(
    path: str | os.PathLike[str],
    *,
    format: str | None,
    options: Mapping[str, Any],
    max_bytes: int = MAX_BYTES,
) -> Iterator[SourceFile]:
    """The file at *path*, open for an ingester.

    Raises
    ------
    IngestError
        If it cannot be opened, is no regular file, or has changed by the end.
    """
    path, format = _check(path, format)
    max_bytes = check_limit("max_bytes", max_bytes)
    file, about = open_regular(path)
    with file:
        if about.st_size > max_bytes:
            raise IngestError(
                f"cannot ingest {str(path)!r}: it has {about.st_size} bytes, the limit is {max_bytes}; "
                "pass max_bytes= to raise it"
            )
        source = SourceFile(path, file, about.st_size, format, Options(options), max_bytes)
        source.__dict__["_before"] = state_of(file)
        with contextlib.closing(source._together):
            try:
                yield source
            except IngestError as error:
                # A file that changes meanwhile may cause any other error, so this is said instead.
                _check_unchanged(source, cause=error)
                raise
            _check_unchanged(source)


def about_source(source: SourceFile) -> dict[str, Any]:
    """The notes about the file of a payload, by name."""
    with _named(source):
        about = os.fstat(source.file.fileno())
        return {
            "_source_filename": source.path.name,
            "_source_modified": datetime.datetime.fromtimestamp(about.st_mtime, datetime.UTC),
            **notes_of(about),
            SHA256: source.sha256,
            **about_beside(source),
        }


def about_beside(source: SourceFile) -> dict[str, Any]:
    """The notes about the other files that the ingester has opened so far."""
    beside: dict[str, Any] = {}
    for name, other in sorted(source._together.beside.items()):
        beside[name] = None
        if other is not None:
            with _named(source):
                beside[name] = {**notes_of(os.fstat(other.file.fileno())), SHA256: other.sha256}
    return {BESIDE: beside} if beside else {}


def notes_of(about: os.stat_result) -> dict[str, Any]:
    """The size, time and inode of a file, which show later whether it has changed.

    File systems round times, to up to two seconds. A file that was just written could be written again and
    keep its time. So the time of such a file is not noted.
    """
    notes = {SIZE: about.st_size}
    if about.st_ino and time.time_ns() - about.st_mtime_ns > SETTLED_NS:
        notes |= {TIME: about.st_mtime_ns, INODE: about.st_ino}
    return notes


def ask(source: SourceFile, plugins: Loader, *, is_named: bool = False) -> Answered:
    """Ask the ingesters for the contents of *source*; the first one that reads it answers.

    The rows of ``Blocks`` are read later, when they are written. If the user has named the format
    (*is_named*), an ingester that says which formats it reads is asked for no others.

    Raises
    ------
    IngestError
        If no ingester reads the file, or its ingester failed. The message names the file, the format, the
        plugin and the reason.
    """
    claimed = None
    if source.format == "auto":
        claimed, format = identify(source, plugins)
        source, is_named = _as_format(source, format or _suffix(source.path)), False
    plugin, answer = _answer(source, plugins, claimed, is_named)
    with _named(source, plugin):
        meter = _Meter(source)
        parts = []
        for part in parts_of(answer, plugins):
            for name, ingested in part.payloads.items():
                part.payloads[name] = _guarded(ingested, source, plugin, plugins, meter)
            parts.append(part)
        if not any(part.payloads for part in parts):
            raise IngestError("there is nothing in it that would be a payload")

    def check_options() -> None:
        if isinstance(source.options, Options):
            source.options.check(f"format {source.format!r}", ARGUMENTS)

    def count(nbytes: int) -> None:
        with _named(source, plugin):
            meter.add(nbytes)

    return Answered(plugin, parts, check_options, count)


def check_named(format: str | None, plugins: Loader) -> None:
    """Raise ``InvalidOptionError`` if no ingester reads the *format* that the user has named.

    It passes if one of them does not say which formats it reads.
    """
    _check_format(format)
    if not format or format.lower() == "auto":
        return
    said, format = plugins.ingest_formats(), format.lower()
    asked = [plugin for plugin, _ in plugins.ingesters("lotdb_ingest_file")]
    if asked and not any(plugin not in said or format in said[plugin] for plugin in asked):
        raise InvalidOptionError(f"format is {format!r}, {_nobody_reads(format, plugins)}")


def _nobody_reads(format: str, plugins: Loader) -> str:
    """Goes on after a *format* that the user has named."""
    if off := _switched_off(plugins):
        return f"which no ingester reads{off}"
    text = "which no installed ingester reads"
    if known := sorted(set().union(*plugins.ingest_formats().values())):
        text += f" (there are: {', '.join(known)})"
    if package := package_of(format):
        return f"{text}; install one with: pip install {package}"
    return f"{text}; format='raw' keeps the bytes of a file"


def _switched_off(plugins: Loader) -> str:
    names = ", ".join(map(repr, plugins.switched_off(INGESTER)))
    advice = "to use one, take its name out of plugins_off= or LOTDB_PLUGINS_OFF"
    return f", and some are switched off: {names}; {advice}" if names else ""


def _answer(source: SourceFile, plugins: Loader, claimed: str | None, is_named: bool) -> tuple[str, Any]:
    """The name of the plugin that reads *source*, and what it returns."""
    identifying = dict(plugins.ingesters("lotdb_identify_file"))
    said = plugins.ingest_formats() if is_named else {}
    passed: list[str] = []
    for plugin, function in plugins.ingesters("lotdb_ingest_file"):
        if source.format not in said.get(plugin, [source.format]):
            continue
        for other in passed:
            # The other ingester recognized the file by its first bytes, and did not read it. So the file is
            # damaged, and no later ingester may read it as something else.
            if other == claimed or _claims(identifying.get(other), source):
                with _named(source, other):
                    raise IngestError(f"{_declined(other)}; format='raw' keeps its bytes")
        passed.clear()
        source.file.seek(0)
        if isinstance(source.options, Options):
            source.options.asked.clear()
        try:
            try:
                answer = function(source=source)
            except BaseException as error:
                _raise_named(source, plugin, error)
                raise
        except IngestError as error:
            if isinstance(error.__cause__, MissingPluginError):  # its library: that says how to install it
                raise error.__cause__ from None
            raise
        if answer is not None:
            return plugin, answer
        passed.append(plugin)
    with _named(source):
        if claimed or any(_claims(identifying.get(other), source) for other in passed):
            raise IngestError(_declined(claimed or passed[-1]))
        if said:
            raise IngestError(f"that is a format {_nobody_reads(source.format, plugins)}")
        if off := _switched_off(plugins):
            raise IngestError(f"no ingester reads it{off}")
        package = package_of(source.format) or "lotdb-ingest"
        raise IngestError(f"no installed ingester reads it; install more with: pip install {package}")


def _declined(plugin: str) -> str:
    return (
        f"it begins as such a file does, and ingester {_short(plugin)!r}, which recognizes it, does not read "
        "it: it is damaged, or of a kind that is not read"
    )


def _claims(identify: Callable[..., Any] | None, source: SourceFile) -> bool:
    """Whether a plugin's *identify* recognizes *source* as the format in which it is being ingested."""
    if identify is None or source.format == "raw":
        return False
    try:
        source.file.seek(0)
        format = identify(source=source)
    except Exception:
        return False  # it cannot recognize the file
    return isinstance(format, str) and format.lower() == source.format


def identify(source: SourceFile, plugins: Loader) -> tuple[str | None, str | None]:
    """The plugin that recognizes *source* by its first bytes, and the format; None for both if none does."""
    for plugin, function in plugins.ingesters("lotdb_identify_file"):
        with _named(source, plugin):
            source.file.seek(0)
            format = function(source=source)
        if isinstance(format, str):
            return plugin, format.lower()
    return None, None


def _as_format(source: SourceFile, format: str) -> SourceFile:
    """A copy of *source* with another format; all else is kept."""
    other = replace(source, format=format)
    other.__dict__.update({name: value for name, value in vars(source).items() if name not in vars(other)})
    return other


def parts_of(answer: Any, plugins: Loader) -> Iterator[Part]:
    """The nodes of *answer*, each after its parent. Each node is checked, but not its payloads."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), answer)]
    while waiting:
        path, given = waiting.pop()
        node = given if isinstance(given, IngestedNode) else IngestedNode(given)
        several = {"": node.payloads} if not isinstance(node.payloads, Mapping) else dict(node.payloads)
        if not isinstance(node.children, Mapping) or not isinstance(node.attributes, Mapping):
            raise TypeError("it returned children or attributes of a node that are no mapping")
        attributes = {check_name(name): value for name, value in node.attributes.items()}
        _check_attributes(attributes, plugins)
        if node.node_type is not None:
            class_of(plugins, node.node_type)
        yield Part(path, several, attributes, node.node_type)
        children = {check_key(key): child for key, child in node.children.items()}
        if len(children) < len(node.children):
            raise ValueError(
                f"it returned two children of {node_text(path, 'the first node')} with the same key"
            )
        if children and len(path) == MAX_LEVELS:
            raise ValueError(f"it returned a tree of more than {MAX_LEVELS} levels")
        waiting += [((*path, key), child) for key, child in reversed(children.items())]


class _Meter:
    """Counts the bytes of data that come from a file, and checks them against its limit."""

    def __init__(self, source: SourceFile) -> None:
        self._source, self._bytes = source, 0

    def add(self, nbytes: int) -> None:
        """Count *nbytes* more; ``IngestError`` if the sum exceeds the limit."""
        self._bytes += nbytes
        self._source.check_bytes(self._bytes)


_END: Any = object()


def _guarded(ingested: Ingested, source: SourceFile, plugin: str, plugins: Loader, meter: _Meter) -> Ingested:
    """*ingested*, checked. Its blocks are checked when they are read."""
    _check_answer(ingested, plugins)
    data = ingested.data
    if isinstance(data, Blocks):
        check_blocks(data, lambda: "it returned")
        meter.add((data.rows or 0) * _row_bytes(data))
        ingested = replace(ingested, data=replace(data, blocks=_checked_blocks(data, source, plugin, meter)))
    else:
        meter.add(measured(data))
    if ingested.samplerate_hz is not None and (kind := _without_rows(data)):
        raise ValueError(f"it returned a rate of {shown(ingested.samplerate_hz)} Hz for {kind}, without rows")
    return ingested


def measured(data: Any) -> int:
    """The bytes that *data* take; 0 if that is known only after they are stored."""
    if isinstance(data, str | bytes | bytearray):
        return len(data)
    return data.nbytes if isinstance(data, np.ndarray | memoryview) else 0


def _without_rows(data: Any) -> str:
    """What to call *data* that cannot have a sample rate; an empty text for data that can."""
    kind = data.kind if isinstance(data, Blocks) else ""
    if isinstance(data, str) or kind == "text":
        return "a text"
    return "bytes" if isinstance(data, bytes | bytearray | memoryview) or kind == "bytes" else ""


def _checked_blocks(
    data: Blocks, source: SourceFile, plugin: str, meter: _Meter
) -> Iterator[np.ndarray[Any, Any]]:
    """The blocks of *data*, each checked; each failure becomes an ``IngestError`` that names the file."""
    rows = 0
    blocks = checked(data, _it)
    while True:
        with _named(source, plugin):
            block = next(blocks, _END)
            if block is _END:
                if data.rows not in (None, rows):
                    raise IngestError(f"it announces {data.rows} rows, {rows} are present")
                return
            rows += len(block)
            if data.rows is not None and rows > data.rows:
                raise IngestError(f"it announces {data.rows} rows, more are present")
            if data.rows is None:
                meter.add(len(block) * _row_bytes(data))
        yield block


def _row_bytes(data: Blocks) -> int:
    return data.dtype.itemsize * math.prod(data.row_shape)


@contextlib.contextmanager
def _named(source: SourceFile, plugin: str | None = None) -> Iterator[None]:
    """Turn every exception into an ``IngestError`` that names the file, the format and the plugin."""
    try:
        yield
    except BaseException as error:
        _raise_named(source, plugin, error)
        raise


def _raise_named(source: SourceFile, plugin: str | None, error: BaseException) -> None:
    """Raise that of *error*, unless it is to be raised as it is."""
    if isinstance(error, KeyboardInterrupt | InvalidOptionError):
        return
    # Libraries of file formats raise any kind of exception, even SystemExit. All become one typed error.
    reason = text_of(error)
    if not isinstance(error, IngestError):
        reason = f"{type(error).__name__}: {reason}"
        if plugin is not None:
            reason = f"plugin {plugin!r} failed: {reason}; format='raw' keeps the bytes of the file"
    elif plugin is not None and repr(_short(plugin)) not in reason:
        reason = f"{reason} (ingester {_short(plugin)!r})"
    if plugin is not None and _is_empty(source) and "is empty" not in reason:
        reason = f"the file is empty (0 bytes): {reason}"
    if failure := lacking(error):
        raise FileNotReadError(failure.errno, _because(source, reason), str(source.path)) from error
    raise IngestError(_because(source, reason)) from error


def _short(plugin: str) -> str:
    """The name of a plugin without the name of its group."""
    return plugin.rpartition(":")[2]


def _because(source: SourceFile, reason: str) -> str:
    format = source.format or "a file without a suffix"
    return f"cannot ingest {str(source.path)!r} as {_plain(format)}: {reason}"


def _is_empty(source: SourceFile) -> bool:
    try:
        return (
            source.size == 0 and not source.file.closed and not source.head
        )  # /proc has files without a size
    except OSError:
        return False


def _check_unchanged(source: SourceFile, cause: Exception | None = None) -> None:
    together = source._together
    moved = together.moved()
    for name, each in [("", source), *together.beside.items()]:
        if each is None or each.file.closed:
            continue
        if state_of(each.file) != each._before or any(each is other for other in moved):
            what = f"{name!r} beside it" if name else "it"
            raise IngestError(_because(source, f"{what} changed while it was read")) from cause


def _plain(format: str) -> str:
    return format if format.isprintable() else shown(format)


def check_source(path: Any) -> None:
    """Raise ``IngestError`` unless *path* can be that of a file."""
    try:
        check_path(path, what="a file")
    except InvalidOptionError as error:
        raise IngestError(str(error)) from error


def _check(path: Any, format: Any) -> tuple[Path, str]:
    check_source(path)
    _check_format(format)
    path = Path(path)
    return path, (format or _suffix(path)).lower()


def _check_format(format: Any) -> None:
    if format is not None and not isinstance(format, str):
        raise InvalidOptionError(
            f"format is {shown(format)}; use the name of a format, such as 'npy', or 'auto'"
        )


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
    if not isinstance(ingested.backend, str | None):
        raise TypeError("it returned a backend that is no text")
    if ingested.backend is not None:
        plugins.check_backend(ingested.backend)
    values.encode(dict(ingested.metadata), extra=plugins, what=lambda: "Ingested.metadata")
    _check_attributes(ingested.attributes, plugins)


def _check_attributes(attributes: Mapping[str, Any], plugins: Loader) -> None:
    for name, value in attributes.items():
        if check_name(name, "attribute").startswith("_"):
            raise ValueError(f"it returned the attribute {name!r}, and LOTDB uses names that begin with _")
        values.encode(value, name=name, extra=plugins)


def _it() -> str:
    return "it"
