"""The times of rows: computed from their numbers and the rate, never added up."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["START_NAMES", "TIME_TYPES", "TimeAxis", "as_start", "fitting", "start_of"]

Array = np.ndarray[Any, Any]

#: Under these names metadata or attributes say when the first row was recorded; the first one counts.
START_NAMES = ("start_time", "recorded_at")

#: The types of the times of rows with a start.
TIME_TYPES = (np.dtype("M8[ns]"), np.dtype("M8[us]"))

# What nanoseconds from 1970 on can tell, with room for a recording.
_FIRST_YEAR, _LAST_YEAR = 1700, 2240


@dataclass(frozen=True)
class TimeAxis:
    """When row *k* was recorded: at *k* / *rate* seconds, counted from *start* if that is known.

    Parameters
    ----------
    rate
        Rows a second (Hz).
    start
        The time of row 0, in nanoseconds or microseconds; None for times that are seconds from row 0 on.
    """

    rate: float
    start: np.datetime64 | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64 of seconds, or the datetimes of the start."""
        return np.dtype(float) if self.start is None else self.start.dtype

    @property
    def attrs(self) -> dict[str, Any]:
        """The unit, where the dtype does not say it."""
        return {"units": "s"} if self.start is None else {}

    def at(self, rows: Array) -> Array:
        """The times of *rows*, numbers of rows.

        >>> TimeAxis(10.0).at(np.arange(4))
        array([0. , 0.1, 0.2, 0.3])
        """
        if self.start is None:
            seconds: Array = rows / self.rate
            return seconds
        # In whole seconds and the rest, so that no digit of a nanosecond is lost in a long recording.
        whole = np.floor(rows / self.rate)
        rest = rows - whole * self.rate
        unit, _ = np.datetime_data(self.start.dtype)
        a_second = 1_000_000_000 if unit == "ns" else 1_000_000
        ticks = whole.astype("i8") * a_second + np.rint(rest / self.rate * a_second).astype("i8")
        times: Array = self.start + ticks.astype(f"m8[{unit}]")
        return times

    def rows_at(self, times: Any) -> Array:
        """The places of *times* among the rows, with fractions."""
        if self.start is None:
            return np.asarray(times, float) * self.rate
        unit, _ = np.datetime_data(self.start.dtype)
        a_second = 1_000_000_000 if unit == "ns" else 1_000_000
        # In whole seconds and the rest: the time between two moments may be more than such integers count.
        seconds, ticks = np.divmod(np.asarray(times, f"M8[{unit}]").astype("i8"), a_second)
        start_seconds, start_ticks = divmod(int(self.start.astype("i8")), a_second)
        places: Array = ((seconds - start_seconds) + (ticks - start_ticks) / a_second) * self.rate
        return places


def start_of(*mappings: Mapping[str, Any]) -> np.datetime64 | None:
    """When the first row was recorded, as the first of *mappings* says that knows."""
    for mapping in mappings:
        for name in START_NAMES:
            if name in mapping and (start := as_start(mapping[name])) is not None:
                return start
    return None


def fitting(start: np.datetime64 | None, seconds: float) -> np.datetime64 | None:
    """*start* in a unit that also tells what is *seconds* later; None if there is none."""
    if start is None:
        return None
    last = max(int(start.astype("M8[s]").astype("i8")) + seconds, seconds)
    unit, _ = np.datetime_data(start.dtype)
    if unit == "ns" and last > 2**63 / 1e9 - 1:
        start = start.astype("M8[us]")
    return start if last < 2**63 / 1e6 - 1 else None


def as_start(value: Any) -> np.datetime64 | None:
    """*value* as a moment in UTC without a zone, as numpy has them; None if it is no moment."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, dt.datetime) and (offset := value.utcoffset()) is not None:
        # By numpy, which goes on where the calendar of datetime ends.
        value = np.datetime64(value.replace(tzinfo=None)) - np.timedelta64(offset)
    if not isinstance(value, np.datetime64 | dt.datetime) or np.isnat(np.datetime64(value)):
        return None
    moment = np.datetime64(value)
    year = int(moment.astype("M8[Y]").astype(int)) + 1970
    unit = "ns" if _FIRST_YEAR <= year <= _LAST_YEAR else "us"
    start: np.datetime64 = moment.astype(f"M8[{unit}]")
    return start
