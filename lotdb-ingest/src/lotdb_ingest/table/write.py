"""Writing tables as text."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lotdb import ExportError, InvalidOptionError, Payload, TargetFile
from lotdb_ingest.table.options import (
    SEPARATOR,
    check_decimal,
    check_flag,
    check_mark,
    check_marks_differ,
    check_names,
    check_quotechar,
)
from lotdb_ingest.text import BYTE_ORDER_MARKS, codec_name

__all__ = ["write"]

BLOCK_BYTES = 4 << 20
OPTIONS = ("delimiter", "quotechar", "encoding", "decimal", "header", "columns", "newline",
           "empty_as_missing")  # fmt: skip

Array = np.ndarray[Any, Any]


def write(target: TargetFile, payload: Payload, delimiters: Mapping[str, str]) -> None:
    """Write *payload* to *target*; *delimiters* are those of the formats."""
    target.check_options(*OPTIONS)
    columns = _columns(target, payload)
    was = payload.metadata
    if delimiters.get(str(was.get("_source_format"))) != delimiters[target.format]:
        was = {}  # what it was in another format says nothing
    how = _Writing.asked({"delimiter": delimiters[target.format], **was, **target.options})
    header = _header(list(columns), target.options, was)
    if was.get("bom") is True and "encoding" not in target.options:
        target.file.write(BYTE_ORDER_MARKS.get(how.encoding, b""))
    text = io.TextIOWrapper(target.file, how.encoding, newline="")
    try:
        text.write(preamble := _preamble(was, how))
        if header:
            text.write(_first(how.lines([[how.quoted(name)] for name in header]), preamble))
            if units := _units(was, list(columns)):
                text.write(how.lines([[how.quoted(unit)] for unit in units]))
        for first, block in _blocks(payload):
            lines = how.lines([how.cells(name, block[at], first) for name, at in columns.items()])
            text.write(lines if header or first > 1 else _first(lines, preamble))
        text.flush()
    except UnicodeEncodeError as error:
        wrong = error.object[error.start : error.end]
        raise ExportError(f"{how.encoding} cannot write {wrong[:20]!r}; pass encoding='utf-8'") from error
    finally:
        # Or else the file would be closed with it.
        with contextlib.suppress(ValueError):
            text.detach()


@dataclass(frozen=True)
class _Writing:
    """How a table is written; see ``lotdb_ingest.table``."""

    delimiter: str
    quotechar: str | None
    encoding: str
    decimal: str
    newline: str
    empty_as_missing: bool

    @classmethod
    def asked(cls, given: Mapping[str, Any]) -> _Writing:
        """What the options say."""
        how = cls(
            delimiter=check_mark("delimiter", given["delimiter"]),
            quotechar=check_quotechar(given.get("quotechar", '"')),
            encoding=str(given.get("encoding", "utf-8")),
            decimal=check_decimal(given.get("decimal", ".")),
            newline=given.get("newline", "\n"),
            empty_as_missing=check_flag("empty_as_missing", given.get("empty_as_missing", False)),
        )
        check_marks_differ(how.delimiter, how.quotechar, how.decimal)
        codec_name(given.get("encoding", "utf-8"))
        if how.newline not in ("\n", "\r\n", "\r"):
            raise InvalidOptionError(f"newline is {how.newline!r}; use '\\n', '\\r\\n' or '\\r'")
        return how

    @cached_property
    def _special(self) -> re.Pattern[str]:
        # A byte order mark at the beginning of the file would be taken for that of the encoding.
        return re.compile(f"[{re.escape(self.delimiter + (self.quotechar or ''))}\r\n\ufeff\0]")

    def lines(self, columns: Sequence[Sequence[str]]) -> str:
        """The rows of *columns*, each of which holds cells that are ready to be written."""
        lines: list[str] = list(map(self.delimiter.join, zip(*columns, strict=True)))
        if len(columns) == 1:
            # A blank line is no row.
            blank = self.quoted("", always=True)
            lines = [line or blank for line in lines]
        return "".join([line + self.newline for line in lines])

    def quoted(self, cell: str, *, always: bool = False) -> str:
        """*cell*, in quotes if it needs them."""
        if not always and not self._special.search(cell):
            return cell
        if self.quotechar is None:
            raise ExportError(f"the cell {cell[:40]!r} needs quotes; pass quotechar='\"'")
        if "\0" in cell:
            raise ExportError(f"the text {cell[:40]!r} has a NUL character; npy can hold it")
        return self.quotechar + cell.replace(self.quotechar, self.quotechar * 2) + self.quotechar

    def cells(self, name: str, values: Array, first: int) -> list[str]:
        """The cells of a column, of which *values* begin at row *first*."""
        missing = np.ma.getmaskarray(values)
        texts = self._texts(name, np.ma.getdata(values), missing, first)
        if missing.any():
            return ["" if gone else text for text, gone in zip(texts, missing.tolist(), strict=True)]
        return texts

    def _texts(self, name: str, values: Array, missing: Array, first: int) -> list[str]:
        kind = values.dtype.kind
        if kind == "f":
            texts = list(map(repr, values.tolist()))
            return texts if self.decimal == "." else [text.replace(".", self.decimal) for text in texts]
        if kind == "M":
            return _times(values)
        if kind != "U":
            return list(map(str, values.tolist()))
        empty = (values == "") & ~missing
        if empty.any() and not self.empty_as_missing:
            raise ExportError(
                f"column {name!r} has an empty text in row {first + int(np.argmax(empty))}, which would come "
                "back as a missing cell; pass empty_as_missing=True if it may, or choose npy"
            )
        return [self.quoted(text) for text in values.tolist()]


def _columns(target: TargetFile, payload: Payload) -> dict[str, Any]:
    """Names of columns, and how a block of rows is indexed by each."""
    dtype = payload.dtype
    if payload.kind not in ("array", "table") or payload.ndim not in (1, 2):
        what = f"data of kind {payload.kind!r} and shape {payload.shape}"
        other = {"text": "txt", "bytes": "raw"}.get(payload.kind, "npy")
        raise ExportError(f"{target.format} holds rows and columns, not {what}; choose {other}")
    if dtype.names is not None and payload.ndim == 1:
        columns: dict[str, Any] = {name: name for name in dtype.names}
        types = {name: dtype[name] for name in dtype.names}
    else:
        at: list[Any] = [(..., i) for i in range(payload.shape[1])] if payload.ndim == 2 else [(...,)]
        columns = {f"column_{number}": index for number, index in enumerate(at, 1)}
        types = dict.fromkeys(columns, dtype)
    if not columns:
        raise ExportError(f"{target.format} needs a column, the data have shape {payload.shape}")
    for name, kind in types.items():
        if kind.kind not in "biufUM" or (kind.kind == "f" and kind.itemsize > 8) or _is_too_fine(kind):
            raise ExportError(f"{target.format} cannot hold column {name!r} of type {kind}; npy can")
    return columns


def _header(names: list[str], options: Mapping[str, Any], was: Mapping[str, Any]) -> list[str]:
    """The names that are written above the columns; none if there is no header."""
    if options.get("columns") is not None:
        given = list(check_names("columns", options["columns"]))
        if len(given) != len(names):
            raise InvalidOptionError(f"columns= has {len(given)} names, the data have {len(names)} columns")
        return given
    header = options.get("header", was.get("header", True))
    if isinstance(header, list | tuple) and "header" not in options:
        return list(map(str, header)) if len(header) == len(names) else names
    return names if check_flag("header", header) else []


def _preamble(was: Mapping[str, Any], how: _Writing) -> str:
    """The lines above the header; one that names the delimiter names the one that is used."""
    lines = str(was.get("preamble", "")).splitlines(keepends=True)
    if lines and SEPARATOR.fullmatch(lines[0]):
        lines[0] = f"sep={how.delimiter}{how.newline}"
    return "".join(lines)


def _first(lines: str, preamble: str) -> str:
    """*lines*, if they can be the first of a file."""
    if not preamble and SEPARATOR.match(lines):
        raise ExportError(
            f"its first line would be {lines[:20]!r}, which is taken for one that names the delimiter; pass "
            "columns= with other names, or choose npy"
        )
    return lines


def _units(was: Mapping[str, Any], names: list[str]) -> list[str]:
    """The row of units that the file had; none if it had none."""
    units = was.get("column_units")
    if not isinstance(units, Mapping) or not all(isinstance(unit, str) for unit in units.values()):
        return []
    return [units.get(name, "") for name in names]


def _blocks(payload: Payload) -> Iterator[tuple[int, Any]]:
    first = 1
    row_bytes = payload.nbytes // max(1, len(payload))
    for block in payload.iter_blocks(max(1, BLOCK_BYTES // max(1, row_bytes))):
        yield first, block
        first += len(block)


def _is_too_fine(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "M" and np.datetime_data(dtype)[0] in ("ps", "fs", "as", "generic")


def _times(values: Array) -> list[str]:
    unit = {"Y": "D", "M": "D", "W": "D", "h": "s", "m": "s"}.get(np.datetime_data(values.dtype)[0])
    if unit is not None:
        values = values.astype(f"M8[{unit}]")
    texts: list[str] = np.datetime_as_string(values).tolist()
    return texts
