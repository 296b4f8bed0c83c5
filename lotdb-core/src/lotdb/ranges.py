"""Which rows a read takes: seconds to samples, windows, blocks and slices.

All of it is arithmetic on numbers; nothing here knows a node, a payload or a disk.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import Literal, SupportsFloat, SupportsIndex, TypeAlias, TypeGuard

from lotdb.errors import InvalidOptionError, InvalidRangeError, shown

__all__ = [
    "Number",
    "Unit",
    "block_edges",
    "check_rate",
    "check_unit",
    "is_real",
    "is_whole",
    "sample_index",
    "sample_window",
    "slice_rows",
]

Number: TypeAlias = SupportsFloat | SupportsIndex
"""The type of numbers, for type checkers: Python's, numpy's, Decimal and Fraction, but no text."""

Unit = Literal["samples", "seconds"]
"""The unit of a window or a block size."""

_UNITS = ("samples", "seconds")
_TOLERANCE = 1e-3  # in samples: far above the noise of a float, far below what a time could mean
_EXACT = 1 << 53  # integers below it are floats without loss
_NOISE = 2.0**-50  # relative error of a time and a product, with some room; counts from 1e12 samples on


def check_rate(rate: object) -> float | None:
    """The sample rate as a float.

    Parameters
    ----------
    rate
        Samples per second (Hz): a positive finite number of any real type, or None for data without a rate.

    Returns
    -------
    float or None
        The rate in Hz.

    Raises
    ------
    InvalidRangeError
        If *rate* is not a finite number above zero.
    """
    if rate is None:
        return None
    value = _real(rate, "the sample rate")
    if value <= 0:
        raise InvalidRangeError(f"the sample rate must be above 0 Hz, not {shown(rate)}")
    return value


def sample_index(seconds: object, rate: object) -> int:
    r"""The first sample at or after a time.

    Sample *n* is at ``n / rate`` seconds, so this is ``ceil(seconds * rate)``, but without float noise:
    ``0.07 * 100`` is ``7.000000000000001``, and means sample 7, not 8. A product within a thousandth of a
    sample of an integer counts as that integer. Beyond 10\ :sup:`12` samples, doubles are coarser, and the
    tolerance grows with their spacing.

    The result depends only on the time and the rate, and never falls as the time grows. So consecutive
    windows contain each sample exactly once.

    Parameters
    ----------
    seconds
        Time in seconds from the first sample, not negative.
    rate
        Samples per second (Hz).

    Returns
    -------
    int
        The index of the sample; it may lie past the end of the data.

    Raises
    ------
    InvalidRangeError
        If the time is not a finite number from zero on, or the rate is invalid or None.

    Examples
    --------
    >>> sample_index(0.07, 100), sample_index(0.0701, 100)
    (7, 8)
    """
    hertz = check_rate(rate)
    if hertz is None:
        raise InvalidRangeError(
            "the payload has no sample rate; pass samplerate_hz= when writing or read in samples"
        )
    time = _real(seconds, "a time in seconds")
    if time < 0:
        raise InvalidRangeError(f"a time in seconds must not be negative: {shown(seconds)}")
    exact = time * hertz
    if exact == math.inf:
        raise InvalidRangeError(f"{time!r} s at {hertz!r} Hz is more samples than can be counted")
    nearest = round(exact)
    # Both bounds grow slower than `exact` itself, which is what keeps the result from ever falling.
    if abs(exact - nearest) <= max(_TOLERANCE, exact * _NOISE):
        return nearest
    return math.ceil(exact)


def sample_window(
    start: object, stop: object, *, rows: int, unit: Unit = "samples", rate: object = None
) -> tuple[int, int]:
    """The rows of a window, as (first, last) with *last* excluded.

    Parameters
    ----------
    start, stop
        The window, *stop* excluded; None for the first row and the end. In samples, negative numbers count
        from the end, as in numpy; in seconds they are an error. The window ends at the last row.
    rows
        Number of rows of the data.
    unit
        ``"samples"`` or ``"seconds"``.
    rate
        Samples per second (Hz); needed for seconds.

    Returns
    -------
    tuple of int
        First row and the row after the last, ``0 <= first <= last <= rows``.

    Raises
    ------
    InvalidRangeError
        If a bound is invalid in that unit, or *start* is after *stop*.
    InvalidOptionError
        If there is no such unit.

    Examples
    --------
    >>> sample_window(-5, None, rows=100)
    (95, 100)
    >>> sample_window(0.5, 20, rows=100, unit="seconds", rate=10)
    (5, 100)
    """
    # Most windows have this form; for them, nothing more is called.
    if (
        type(unit) is str
        and unit == "samples"
        and type(start) is int
        and type(stop) is int
        and 0 <= start <= stop <= rows
    ):
        return start, stop
    check_unit(unit)

    def row(bound: object, what: str) -> int:
        if unit == "seconds":
            return sample_index(bound, rate)
        number = _whole(bound, what)
        return number + rows if number < 0 else number

    first = 0 if start is None else row(start, "start")
    last = max(first, rows) if stop is None else row(stop, "stop")
    if first > last and start is not None and stop is not None:
        raise InvalidRangeError(
            f"the window starts after it stops: start={shown(start)}, stop={shown(stop)} "
            f"({unit}, of {rows} rows)"
        )
    return min(max(first, 0), rows), min(max(last, 0), rows)


def block_edges(
    first: int, last: int, *, size: object, unit: Unit = "samples", rate: object = None
) -> Iterator[tuple[int, int]]:
    """The rows from *first* to *last* in consecutive blocks; the last block may be shorter.

    In seconds, the *k*-th block ends at sample ``first + sample_index(k * size, rate)``. The edges are
    multiplied, not added up, so errors do not add up either. If a block is not a whole number of samples, the
    lengths of blocks differ by one.

    Parameters
    ----------
    first, last
        The rows to divide, *last* excluded.
    size
        Length of a block: a whole number of samples, or seconds that make at least one sample.
    unit
        ``"samples"`` or ``"seconds"``.
    rate
        Samples per second (Hz); needed for seconds.

    Returns
    -------
    iterator of tuple of int
        First row and the row after the last, of each block. No block is empty.

    Raises
    ------
    InvalidRangeError
        If the size is invalid. The call itself raises it, not the iteration.
    InvalidOptionError
        If there is no such unit.

    Examples
    --------
    >>> list(block_edges(0, 10, size=4))
    [(0, 4), (4, 8), (8, 10)]
    """
    check_unit(unit)
    if unit == "seconds":
        return _blocks_of_seconds(first, last, *_check_seconds(size, rate))
    length = _whole(size, "the block size")
    if length <= 0:
        raise InvalidRangeError(f"the block size must be at least 1 sample, not {shown(size)}")
    return ((edge, min(edge + length, last)) for edge in range(first, last, length))


def slice_rows(index: slice, rows: int) -> tuple[int, int, slice]:
    """The rows to read for ``data[index]``, and the slice of these rows that it is.

    Parameters
    ----------
    index
        A slice with any step, also a negative one.
    rows
        Number of rows of the data.

    Returns
    -------
    first, last : int
        The shortest run of rows that covers the slice, *last* excluded.
    within : slice
        ``data[first:last][within]`` equals ``data[index]``.

    Raises
    ------
    InvalidRangeError
        If the slice is not made of integers, or its step is zero.

    Examples
    --------
    >>> slice_rows(slice(None, None, -3), 10)
    (0, 10, slice(None, None, -3))
    """
    try:
        chosen = range(*index.indices(rows))
    except (TypeError, ValueError) as error:
        raise InvalidRangeError(f"{shown(index)} is no slice of rows: {error}") from None
    if not chosen:
        return 0, 0, slice(None)
    # The run begins and ends on chosen rows, so the step alone finds all the others.
    low, high = sorted((chosen[0], chosen[-1]))
    return low, high + 1, slice(None, None, chosen.step)


def _blocks_of_seconds(first: int, last: int, size: float, rate: float) -> Iterator[tuple[int, int]]:
    start = first
    for block in count(1):
        if start >= last:
            return
        stop = min(first + sample_index(block * size, rate), last)
        # A size short of one sample by less than the tolerance makes an empty block now and then.
        if stop > start:
            yield start, stop
        start = stop


def _check_seconds(size: object, rate: object) -> tuple[float, float]:
    sample_index(size, rate)  # raises for an invalid time, or a missing rate
    seconds, hertz = _real(size, "the block size"), _real(rate, "the sample rate")
    if seconds * hertz < 1 - _TOLERANCE:
        raise InvalidRangeError(f"a block of {seconds!r} s is less than one sample at {hertz!r} Hz")
    return seconds, hertz


def is_real(value: object) -> TypeGuard[float]:
    """Whether *value* is a real number, of Python or of numpy, whose scalars have joined Python's tower."""
    if type(value) in (int, float):
        return True
    from numbers import Real

    return isinstance(value, Real) and not _is_no_number(value)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether *value* is a whole number, of Python or of numpy.

    >>> is_whole(3), is_whole(3.0), is_whole(True)
    (True, False, False)
    """
    if type(value) is int:
        return True
    from numbers import Integral

    return isinstance(value, Integral) and not _is_no_number(value)


def _is_no_number(value: object) -> bool:
    """Whether Python or numpy counts it as an integer, and it is none: a time span has a unit of its own."""
    if isinstance(value, bool):
        return True
    if "numpy" not in sys.modules:  # it takes long to load, and has made the number if it is one of numpy's
        return False
    from numpy import timedelta64

    return isinstance(value, timedelta64)


def _is_decimal(value: object) -> bool:
    """Whether it is a Decimal, which stands outside Python's tower of numbers."""
    from decimal import Decimal  # which few programs use

    return isinstance(value, Decimal)


def check_unit(unit: object) -> None:
    """Raise ``InvalidOptionError`` unless *unit* is ``"samples"`` or ``"seconds"``."""
    if not isinstance(unit, str) or unit not in _UNITS:
        raise InvalidOptionError(f"unit must be 'samples' or 'seconds', not {shown(unit)}")


def _real(value: object, what: str) -> float:
    if type(value) is float and math.isfinite(value):  # the tests below take ten times as long
        return value
    if type(value) is int and -_EXACT < value < _EXACT:
        return float(value)
    if not is_real(value) and not _is_decimal(value):
        kind = type(value).__name__
        raise InvalidRangeError(f"{what} must be a number, not {shown(value)} of type {kind}")
    try:
        number = float(value)  # type: ignore[arg-type]  # a Real or a Decimal
    except (OverflowError, ValueError):  # an integer beyond all floats; a signalling NaN
        number = math.nan
    if not math.isfinite(number):
        raise InvalidRangeError(f"{what} must be finite, not {_shown_number(value)}")
    return number


def _whole(value: object, what: str) -> int:
    if is_real(value):
        with suppress(OverflowError, ValueError):  # infinity, NaN
            if (number := int(value)) == value:
                return int(number)
    hint = "for a time say that the unit is 'seconds'"
    if isinstance(value, str):  # as in read_data("imu")
        hint = "get_data takes the name of a payload, and other calls take it as data_attribute="
    raise InvalidRangeError(f"{what} must be a whole number of samples, not {shown(value)}; {hint}")


def _shown_number(value: object) -> str:
    # Python refuses to write out integers of more than some thousand digits.
    return f"an integer of {value.bit_length()} bits" if isinstance(value, int) else shown(value)
