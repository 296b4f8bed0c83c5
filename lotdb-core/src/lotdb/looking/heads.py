"""The first rows of a payload as texts in columns."""

from __future__ import annotations

from itertools import islice
from math import prod
from typing import Any

import numpy as np

from lotdb.looking.looked_at import LookedPayload
from lotdb.looking.wording import plain, short

__all__ = ["MAX_COLUMNS", "Head", "head_of"]

MAX_COLUMNS = 12
_CELL_WIDTH = 24

#: Names of the columns, and the texts of the rows.
Head = tuple[list[str], list[list[str]]]


def head_of(payload: LookedPayload, first: int, last: int) -> Head:
    """The rows *first* to *last* of *payload*, with an index and at most ``MAX_COLUMNS`` columns."""
    rows = payload[first:last]
    if rows.dtype.names:
        names = list(islice(rows.dtype.names, MAX_COLUMNS))
        columns = [[_cell(each) for each in rows[name]] for name in names]
        cut = len(rows.dtype.names) > MAX_COLUMNS
    else:
        flat = rows.reshape(len(rows), prod(rows.shape[1:]))[:, :MAX_COLUMNS]
        names = [payload.name] if rows.ndim == 1 else [str(each) for each in range(flat.shape[1])]
        columns = [[_cell(each) for each in column] for column in flat.T]
        cut = prod(rows.shape[1:]) > MAX_COLUMNS
    if cut:
        names, columns = [*names, "…"], [*columns, ["…"] * len(rows)]
    texts = [list(cells) for cells in zip(*columns, strict=True)] if columns else []
    heading = ["", *(short(plain(str(name)), _CELL_WIDTH) for name in names)]
    return heading, [[str(first + place), *cells] for place, cells in enumerate(texts)]


def _cell(value: Any) -> str:
    if value is np.ma.masked:
        return ""
    if isinstance(value, np.floating):
        return f"{value:.6g}"
    if isinstance(value, np.bytes_):
        return short(plain(value.decode("ascii", "backslashreplace")), _CELL_WIDTH)
    return short(plain(str(value)[: _CELL_WIDTH + 1]), _CELL_WIDTH)
