"""Reading tables: once to find out what the columns hold, and once more for their values, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lotdb import Blocks, Ingested, IngestError, SourceFile
from lotdb_ingest.table.columns import Cells, Column
from lotdb_ingest.table.hints import DELIMITERS, hint
from lotdb_ingest.table.options import Reading
from lotdb_ingest.table.rows import Rows, encoding_of, find_delimiter

__all__ = ["read"]

# Of a block, whichever comes first.
BLOCK_CELLS = 1 << 18
BLOCK_BYTES = 4 << 20

# A table may be this many times as large as its file, if it is larger than the bytes: each row takes as much
# as the longest text, so that one long text makes a small file a large table.
GROWTH = 64
GROWTH_BYTES = 64 << 20

CONTENT_TYPES = {"csv": "text/csv", "tsv": "text/tab-separated-values"}

Array = np.ndarray[Any, Any]


def read(source: SourceFile, delimiter: str) -> Ingested:
    """The table that *source* holds."""
    how = Reading.asked(source, delimiter)
    encoding, mark = encoding_of(source, how.encoding)
    how = find_delimiter(source, how, encoding, len(mark))
    file = _File(source, how, encoding, mark)
    survey = file.surveyed()
    dtype = np.dtype(
        {"names": [column.name for column in survey.columns], "formats": [c.dtype for c in survey.columns]}
    )
    _check_size(source, how, survey, dtype)
    format = "csv" if source.format == "csv" else "tsv"
    return Ingested(
        data=Blocks(blocks=_blocks(file, survey, dtype), dtype=dtype, rows=survey.rows, kind="table"),
        format=format,
        content_type=CONTENT_TYPES[format],
        metadata=survey.written,
    )


@dataclass(frozen=True)
class _Survey:
    """What is known of a table before its values are read: ``written`` says how its file is written."""

    columns: list[Column]
    rows: int
    written: dict[str, Any]


class _File:
    """The rows of *source*, to be read more than once."""

    def __init__(self, source: SourceFile, how: Reading, encoding: str, mark: bytes) -> None:
        self._source = source
        self._how = how
        self._encoding = encoding
        self._mark = mark
        self._units: list[str] = []

    def surveyed(self) -> _Survey:
        """What the columns hold, and how many rows there are."""
        rows = self._rows()
        header, chunks = self._opened(rows, cells=BLOCK_CELLS)
        names = self._names(header)
        self._check_named(names)
        columns = [Column(name, self._how.types.get(name), decimal=self._how.decimal) for name in names]
        count = 0
        sample: list[Cells] = []
        for first, cells in chunks:
            sample = sample or cells
            for column, its in zip(columns, cells, strict=True):
                column.see(its, first)
            count += len(cells[0])
        written = self._written(rows, header, names)
        if said := hint(columns, sample, self._how, asked=self._source.options):
            written["hint"] = said
        return _Survey(columns, count, written)

    def columns(self, row_bytes: int) -> Iterator[tuple[int, list[Cells]]]:
        """The cells of each column, some rows at a time, with the number of the first of these."""
        return self._opened(self._rows(), cells=BLOCK_CELLS, rows_at_most=max(1, BLOCK_BYTES // row_bytes))[1]

    def _rows(self) -> Rows:
        return Rows(self._source, self._how, encoding=self._encoding, start=len(self._mark))

    def _opened(
        self, rows: Rows, *, cells: int, rows_at_most: int = 1 << 16
    ) -> tuple[list[str], Iterator[tuple[int, list[Cells]]]]:
        """The first row, and the cells of those below the header."""
        each = (row for row in rows)
        header = next((row for row in each if row), None)
        if header is None:
            raise IngestError("it is empty: there is no header that names its columns")
        width = len(header)
        if width > self._how.max_columns:
            raise IngestError(
                f"it has {width} columns, the limit is {self._how.max_columns}; pass max_columns= to raise it"
            )
        if self._how.units:
            self._units = self._units_below(each, width)
        data = _with_blanks(each, [] if self._how.header else header, width)
        size = max(1, min(rows_at_most, cells // width))
        return header, self._chunks(rows, data, width, size)

    def _units_below(self, rows: Iterator[list[str]], width: int) -> list[str]:
        units = next((row for row in rows if row or width == 1), None)
        if units is None:
            raise IngestError("units=True means a row of units below the header, and there is no row")
        if len(units or [""]) != width:
            raise IngestError(f"the row of units has {len(units)} cells, the header has {width}")
        return units or [""]

    def _chunks(
        self, rows: Rows, data: Iterator[list[str]], width: int, size: int
    ) -> Iterator[tuple[int, list[Cells]]]:
        first = 1
        chunk: list[list[str]] = []
        rows.characters = 0
        for row in data:
            if len(row) != width:
                raise IngestError(
                    f"row {first + len(chunk)} (line {rows.line}) has {len(row)} cells, "
                    f"{'the header' if self._how.header else 'the first row'} has {width}; pass "
                    "skip_rows= if lines above the header are none of the table, or delimiter= or quotechar= "
                    "for others"
                )
            chunk.append(row)
            if len(chunk) == size or rows.characters > BLOCK_BYTES:
                yield first, self._cells(chunk)
                first, chunk = first + len(chunk), []
                rows.characters = 0
        if chunk:
            yield first, self._cells(chunk)

    def _cells(self, rows: list[list[str]]) -> list[Cells]:
        columns: list[Cells] = list(zip(*rows, strict=True))
        words = self._how.na_values
        if words:
            columns = [["" if cell in words else cell for cell in column] for column in columns]
        return columns

    # -- the header --------------------------------------------------------------------------------

    def _names(self, header: list[str]) -> list[str]:
        how = self._how
        self._check_delimiter(header)
        if how.columns is not None:
            if len(how.columns) != len(header):
                raise IngestError(
                    f"columns= has {len(how.columns)} names, the table has {len(header)} columns"
                )
            header = list(how.columns)
        elif not how.header:
            header = [""] * len(header)
        names: dict[str, int] = {}
        for number, cell in enumerate(header, 1):
            name = cell or f"column_{number}"
            if name in names:
                raise IngestError(
                    f"columns {names[name]} and {number} are both called {name!r}; "
                    "pass columns= with a name for each"
                )
            names[name] = number
        return list(names)

    def _check_delimiter(self, header: list[str]) -> None:
        if len(header) > 1 or "delimiter" in self._source.options:
            return
        there = {other: header[0].count(other) for other in DELIMITERS if other in header[0]}
        if not there:
            return
        best = max(there, key=there.__getitem__)
        several = len(there) > 1
        found = " and ".join(
            f"{other!r} ({count})" if several else repr(other) for other, count in there.items()
        )
        raise IngestError(
            f"there is no {self._how.delimiter!r} in its first row, and there is {found}: pass "
            f"delimiter={best!r}, or delimiter={self._how.delimiter!r} if it is of one column"
        )

    def _check_named(self, names: list[str]) -> None:
        for name in self._how.types:
            if name not in names:
                some = ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")
                raise IngestError(
                    f"types= or dates= names a column {name!r}, which there is not; there are: {some}"
                )

    def _written(self, rows: Rows, header: list[str], names: list[str]) -> dict[str, Any]:
        how = self._how
        written: dict[str, Any] = {
            "delimiter": how.delimiter,
            "encoding": self._encoding,
            "bom": bool(self._mark),
            "newline": rows.newline,
        }
        if not how.header:
            written["header"] = False
        elif header != names:
            written["header"] = header
        if how.decimal != ".":
            written["decimal"] = how.decimal
        if how.quotechar != '"':
            written["quotechar"] = how.quotechar
        if how.units:
            written["column_units"] = dict(zip(names, self._units, strict=True))
        if rows.left_out:
            written["not_kept"] = sorted(rows.left_out)
        if rows.skipped:
            written["preamble"] = "".join(rows.skipped)
        return written


def _with_blanks(rows: Iterator[list[str]], first: list[str], width: int) -> Iterator[list[str]]:
    """*first* and *rows* without the blank ones; in a single column, those between others are empty cells."""
    if first:
        yield first
    blank = 0
    for row in rows:
        if not row:
            blank += 1
            continue
        if width == 1:
            for _ in range(blank):
                yield [""]
        blank = 0
        yield row


def _check_size(source: SourceFile, how: Reading, survey: _Survey, dtype: np.dtype[Any]) -> None:
    size = dtype.itemsize * survey.rows
    texts = [column for column in survey.columns if column.dtype.kind == "U"]
    if not texts:
        return
    widest = max(texts, key=lambda column: column.width)
    if widest.width > how.max_cell:
        raise IngestError(
            f"column {widest.name!r} has a text of {widest.width} characters, the limit is {how.max_cell}; "
            "pass max_cell= to raise it"
        )
    why = (
        f"as a table it would take {size} bytes, since in each of its {survey.rows} rows column "
        f"{widest.name!r} takes as much as its longest text, of {widest.width} characters"
    )
    if size > source.max_bytes:
        raise IngestError(f"{why}; the limit is {source.max_bytes}. Pass max_bytes= to raise it")
    if size > max(GROWTH_BYTES, GROWTH * source.size) and "max_cell" not in source.options:
        raise IngestError(
            f"{why}, and the file has {source.size} bytes. Pass max_cell={widest.width} if it may"
        )


def _blocks(file: _File, survey: _Survey, dtype: np.dtype[Any]) -> Iterator[Array]:
    for first, columns in file.columns(dtype.itemsize):
        rows = np.zeros(len(columns[0]), dtype)
        mask: Array | None = None
        for column, cells in zip(survey.columns, columns, strict=True):
            values, missing = column.convert(cells, first)
            rows[column.name] = values
            if missing is not None:
                if mask is None:
                    mask = np.zeros(len(rows), np.ma.make_mask_descr(dtype))
                mask[column.name] = missing
        yield rows if mask is None else np.ma.MaskedArray(rows, mask=mask)
