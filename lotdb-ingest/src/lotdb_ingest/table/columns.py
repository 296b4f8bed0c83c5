"""The columns of a table of texts: finding out what each holds, and converting its cells."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from lotdb import IngestError

__all__ = ["Cells", "Column"]

Cells = Sequence[str]
Array = np.ndarray[Any, Any]
DType = np.dtype[Any]

# Of all cells of a block at once, each followed by a line break, which is quicker than one by one.
_INT = r"(?:0|-?[1-9][0-9]*+)"
_FRACTION = r"[+-]?(?:(?:0|[1-9][0-9]*+)\.[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?"
_POWER = r"[+-]?(?:0|[1-9][0-9]*+)[eE][+-]?[0-9]++"
_INTS = re.compile(rf"(?:{_INT}?\n)*+")
_FLOATS = re.compile(rf"(?:(?:{_FRACTION}|{_POWER}|{_INT})?\n)*+")

_BOOLS = ({"true": True, "false": False}, {"True": True, "False": False}, {"TRUE": True, "FALSE": False})

# What columns hold whose type the user gives, for each cell without white space around it.
_GIVEN = {
    "bool": re.compile(r"true|false|0|1", re.IGNORECASE),
    "date": re.compile(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.([0-9]{1,9}))?)?)?|NaT"
    ),
    "float": re.compile(
        r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?|[+-]?(?:nan|inf|infinity)",
        re.IGNORECASE,
    ),
    "int": re.compile(r"[+-]?[0-9]+"),
}
_MEANT = {
    "bool": "true, false, 1 or 0",
    "date": "a date such as 2024-02-29, or a time such as 2024-02-29T12:00:00.5, without a time zone",
    "float": "a number",
    "int": "an integer of 64 bits",
}

_I8, _U8 = np.iinfo(np.int64), np.iinfo(np.uint64)
_SMALLEST = float(np.finfo(np.float64).smallest_normal)
_SWAP = str.maketrans(".,", ",.")


class Column:
    """What the cells of a column hold, seen block by block; and then their values.

    Parameters
    ----------
    name
        For messages.
    given
        What the user says it holds: ``"text"``, ``"U20"``, ``"int"``, ``"float"``, ``"bool"`` or ``"date"``.
    decimal
        The decimal sign.
    """

    def __init__(self, name: str, given: str | None = None, *, decimal: str = ".") -> None:
        self.name = name
        self.width = 1
        if given and given[0] == "U":
            given, self.width = "text", int(given[1:])
        self._given = given
        self._comma = decimal == ","
        self._empty = True
        self._bools = list(_BOOLS)
        self._ints = self._floats = True
        self._lowest = self._highest = 0
        self._digits = -1  # of the fraction of a second; -1 if there are only dates
        self._dtype: DType | None = None

    # -- finding out -------------------------------------------------------------------------------

    def see(self, cells: Cells, first: int) -> None:
        """Take *cells* into account, which begin at row *first*."""
        self.width = max(self.width, max(map(len, cells)))
        if self._given == "text":
            return
        if self._given is not None:
            self._see_given(cells, first)
            return
        if not (self._ints or self._floats or self._bools):
            return
        if self._empty and not any(cells):
            return
        self._empty = False
        if self._bools:
            words = set(cells) - {""}
            self._bools = [known for known in self._bools if words <= known.keys()]
        if self._ints or self._floats:
            self._see_numbers(cells)

    def _see_numbers(self, cells: Cells) -> None:
        joined = "\n".join(cells) + "\n"
        if joined.count("\n") != len(cells):
            self._ints = self._floats = False
            return
        # Without a look at the rest of a column of texts, which is what most of the others are.
        if self._ints and _INTS.fullmatch(joined):
            self._see_ints([cell for cell in cells if len(cell) > 15], "-" in joined)
            return
        self._ints = False
        if not self._floats:
            return
        if not self._comma and len(cells[0]) > 15 and _are_printed(cells, joined):
            return
        if self._comma:
            joined = joined.translate(_SWAP)
            cells = joined.split("\n")[:-1]
        self._floats = bool(_FLOATS.fullmatch(joined)) and _all_exact(cells, "e" in joined or "E" in joined)

    def _see_ints(self, long: list[str], negative: bool) -> None:
        if negative:
            self._lowest = min(self._lowest, -1)
        for cell in long:
            value = _integer(cell)
            self._lowest, self._highest = min(self._lowest, value), max(self._highest, value)
        self._floats = self._floats and self._lowest >= -(2**53) and self._highest <= 2**53

    def _see_given(self, cells: Cells, first: int) -> None:
        given = str(self._given)
        match = _GIVEN[given].fullmatch
        for row, cell in enumerate(cells, first):
            if not cell:
                continue
            self._empty = False
            found = match(self._plain(cell))
            if found is None:
                raise self._wrong(row, cell)
            if given == "int":
                self._see_ints([cell] if len(cell) > 15 else [], "-" in cell)
                self._check_range(row, cell)
            elif given == "date" and found[1]:
                self._digits = max(self._digits, len(found[4] or ""))

    def _check_range(self, row: int, cell: str) -> None:
        if self._lowest < _I8.min or self._highest > (_I8.max if self._lowest < 0 else _U8.max):
            raise self._wrong(row, cell)

    @property
    def dtype(self) -> DType:
        """What the column holds, now that all of its cells are seen."""
        if self._dtype is None:
            self._dtype = np.dtype(self._decided())
        return self._dtype

    def _decided(self) -> str:
        if self._given == "text":
            return f"U{self.width}"
        if self._given == "date":
            return f"M8[{self._unit()}]"
        if self._given in ("bool", "float"):
            return {"bool": "?", "float": "f8"}[self._given]
        if self._given is None and self._empty:
            return "f8"
        if self._given is None and self._bools:
            return "?"
        if self._ints and self._lowest >= _I8.min and self._highest <= _I8.max:
            return "i8"
        if self._ints and self._lowest >= 0 and self._highest <= _U8.max:
            return "u8"
        if self._floats and not self._ints:
            return "f8"
        return f"U{self.width}"

    def _unit(self) -> str:
        units = {-1: "D", 0: "s"}
        return units.get(self._digits) or ("ms", "us", "ns")[(self._digits - 1) // 3]

    # -- converting --------------------------------------------------------------------------------

    def convert(self, cells: Cells, first: int) -> tuple[Array, Array | None]:
        """The values of *cells*, which begin at row *first*, and which are missing, if any are."""
        missing = None
        if "" in cells:
            missing = np.fromiter((not cell for cell in cells), bool, len(cells))
            fill = {"U": "", "M": "NaT", "b": "false"}.get(self.dtype.kind, "0")
            cells = [cell or fill for cell in cells]
        try:
            return self._values(cells), missing
        except (ValueError, OverflowError):
            for row, cell in enumerate(cells, first):
                self._try(row, cell)
            raise

    def _try(self, row: int, cell: str) -> None:
        try:
            self._values([cell])
        except (ValueError, OverflowError) as error:
            raise self._wrong(row, cell) from error

    def _values(self, cells: Cells) -> Array:
        kind = self.dtype.kind
        if kind == "b":
            return np.fromiter((cell.strip().lower() in ("true", "1") for cell in cells), bool, len(cells))
        if kind == "f" and self._comma:
            cells = [cell.replace(",", ".") for cell in cells]
        if kind == "M":
            cells = [cell.strip() for cell in cells]
            if self.dtype == "M8[ns]":
                _check_years(cells)
        values: Array = np.array(cells, self.dtype)
        if kind == "f" and np.isinf(values).any():
            _check_infinite(cells, values)
        return values

    def _plain(self, cell: str) -> str:
        cell = cell.strip()
        return cell.translate(_SWAP) if self._comma and self._given == "float" else cell

    def _wrong(self, row: int, cell: str) -> IngestError:
        shown = cell if len(cell) <= 60 else f"{cell[:57]}..."
        return IngestError(
            f"row {row}, column {self.name!r}: {shown!r} is not {_MEANT.get(self._given or '', self.dtype)}"
        )


def _integer(cell: str) -> int:
    digits = cell.strip().lstrip("+-0")
    # Python refuses to read thousands of digits; that it is too large is all that matters then.
    value = int(digits or "0") if len(digits) <= 20 else 1 << 65
    return -value if "-" in cell else value


def _all_exact(cells: Cells, powers: bool) -> bool:
    """Whether float64 holds each of *cells*, which are decimal numbers or nothing, digit for digit."""
    # Fifteen digits always fit, except in numbers that are very large or very small.
    long = [cell for cell in cells if len(cell) > 15 or (powers and ("e" in cell or "E" in cell))]
    if not long:
        return True
    return all(_is_exact(cell, float(cell)) for cell in long)


def _are_printed(cells: Cells, joined: str) -> bool:
    """Whether *cells* are float64 as Python or numpy.savetxt print them, which is checked faster."""
    if "n" in joined:  # nan and inf
        return False
    mantissa, power, _ = cells[0].partition("e")
    digits = len(mantissa.partition(".")[2])
    printed = f"%.{digits}e".__mod__ if power and digits < 40 else repr
    try:
        return all(map(operator.eq, map(printed, map(float, cells)), cells))
    except ValueError:
        return False


def _is_exact(cell: str, value: float) -> bool:
    if cell == repr(value):
        return True
    mantissa = cell.lower().partition("e")[0]
    digits = mantissa.replace(".", "").lstrip("+-0").rstrip("0")
    if not digits:
        return True
    if value in (np.inf, -np.inf):
        return False
    if mantissa == cell and "." not in cell:
        return abs(int(cell)) <= 2**53 if len(cell) <= 17 else False
    if len(digits) <= 15 and abs(value) >= _SMALLEST:
        return True
    back = f"{value:.{len(digits) - 1}e}".partition("e")[0]
    return back.replace(".", "").lstrip("-") == digits


def _check_infinite(cells: Cells, values: Array) -> None:
    for at in np.flatnonzero(np.isinf(values)).tolist():
        if "inf" not in cells[at].lower():
            raise ValueError("beyond the range of float64")


def _check_years(cells: Cells) -> None:
    # Numpy wraps around without a word.
    for cell in cells:
        if cell != "NaT" and not 1678 <= int(cell[:4]) <= 2261:
            raise ValueError("beyond the range of nanoseconds")
