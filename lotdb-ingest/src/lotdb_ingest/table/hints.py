"""Hints for a table that was stored as it is written, but may be meant in another way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lotdb_ingest.table.columns import Cells, Column
from lotdb_ingest.table.options import Reading

__all__ = ["DELIMITERS", "hint"]

#: What else may stand between cells.
DELIMITERS = ",;\t|"


def hint(
    columns: Sequence[Column], sample: Sequence[Cells], how: Reading, *, asked: Mapping[str, Any]
) -> str:
    """A hint, for people, what may be meant in another way; an empty text if nothing looks unusual.

    Parameters
    ----------
    columns
        What was found.
    sample
        The cells of the first rows, by column; none if there are no rows.
    how
        How the file was read.
    asked
        The options that the user gave.
    """
    said = []
    if len(columns) == 1 and "delimiter" not in asked:
        said.append(_one_column(sample[0] if sample else (), how))
    texts = [
        (column.name, cells)
        for column, cells in zip(columns, sample, strict=False)
        if column.dtype.kind == "U" and column.name not in how.types
    ]
    said += [_several(column.name, cells, how) for column, cells in zip(columns, sample, strict=False)]
    commas = [name for name, cells in texts if how.decimal == "." and _is_number(cells, ",")]
    if commas:
        said.append(f"{_named(commas)} would hold numbers with decimal=','")
    first = [] if how.units else [(name, cells[1:]) for name, cells in texts if name not in commas]
    plain = [name for name, cells in first if _is_number(cells, how.decimal)]
    units = plain or [name for name, cells in first if _is_number(cells, ",")]
    if units:
        more = "" if plain else ", and decimal=','"
        said.append(
            f"{_named(units)} would hold numbers but for the row below the header: pass units=True if it "
            f"holds units, which are then kept as metadata{more}"
            if how.header
            else f"{_named(units)} would hold numbers but for the first row, which may be the header{more}"
        )
    if texts and len(texts) == len(columns) and not commas and not units:
        row = ", and units=True takes a row of units" if how.header and not how.units else ""
        said.append(f"every column holds text; types= and dates= say otherwise{row}")
    return "; ".join(filter(None, said))


def _several(name: str, cells: Cells, how: Reading) -> str:
    """What to say of a column that may be several."""
    full = [cell for cell in cells if cell]
    for mark in DELIMITERS:
        count = name.count(mark) if mark != how.delimiter else 0
        if count and full and all(cell.count(mark) == count for cell in full):
            return (
                f"column {name!r} may be several: each of its rows has {mark!r}; pass delimiter={mark!r} then"
            )
    return ""


def _one_column(cells: Cells, how: Reading) -> str:
    others = [mark for mark in DELIMITERS if mark != how.delimiter]
    marks = ", ".join(map(repr, [how.delimiter, *others]))
    tried = f"it has one column: {marks} were looked for in its first row"
    full = [cell for cell in cells if cell]
    there = [mark for mark in (*others, " ") if full and all(mark in cell.strip() for cell in full)]
    more = f", and each row has {' and '.join(map(repr, there))}" if there else ""
    return f"{tried}{more}; pass delimiter= if something else stands between cells"


def _is_number(cells: Cells, decimal: str) -> bool:
    """Whether these cells, of a column of texts, would make one of numbers."""
    if not any(cells):
        return False
    column = Column("", decimal=decimal)
    column.see(cells, 1)
    return column.dtype.kind in "iuf"


def _named(names: Sequence[str]) -> str:
    some = ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"column{'s' if len(names) > 1 else ''} {some}"
