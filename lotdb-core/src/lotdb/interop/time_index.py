"""The index of a time coordinate: nothing of it is in memory, and every time is computed from its row.

xarray's own RangeIndex adds a step to a start, which misses index / rate by some last digits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import xarray
from xarray.core.indexing import IndexSelResult
from xarray.indexes import CoordinateTransform, CoordinateTransformIndex, Index, PandasIndex

from lotdb.errors import InvalidRangeError, shown
from lotdb.extras import import_extra
from lotdb.interop.labels import NodeVariable
from lotdb.interop.time_axis import TimeAxis

__all__ = ["NoSuchTimeError", "TimeIndex", "time_coordinate"]


#: The times of so few rows are computed at once, and have pandas' index, which can do more.
FEW_ROWS = 1 << 16


def time_coordinate(variable: NodeVariable) -> Any:
    """The times of rows as xarray's coordinates, with their index."""
    name, rows = variable.name, range(variable.shape[0])
    assert variable.axis is not None
    if len(rows) <= FEW_ROWS:
        times = xarray.Variable(variable.dims, variable.read(0, len(rows)), dict(variable.attrs))
        return xarray.Coordinates(xarray.Dataset(coords={name: times}).coords)
    index = TimeIndex(_Times(variable.axis, rows, name, variable.dims[0]))
    coordinates = xarray.Coordinates.from_xindex(index)
    coordinates[name].attrs.update(variable.attrs)
    return coordinates


# From so many rows it is known how fine their times are.
_SOME = 1000
_UNITS = {
    "day": "D", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms", "microsecond": "us",
    "nanosecond": "ns",
}  # fmt: skip


class NoSuchTimeError(InvalidRangeError, KeyError):
    """No row has that time; a KeyError as of xarray's other indexes."""


class _Times(CoordinateTransform):
    """From positions to times and back; *rows* are the rows of the payload that the positions are."""

    def __init__(self, axis: TimeAxis, rows: range, name: Any, dim: str) -> None:
        super().__init__([name], {dim: len(rows)}, dtype=axis.dtype)
        self.axis = axis
        self.rows = rows

    def forward(self, dim_positions: dict[str, Any]) -> dict[Any, Any]:
        positions = np.asarray(dim_positions[self.dims[0]])
        rows = self.rows.start + positions * self.rows.step
        return {self.coord_names[0]: self.axis.at(rows)}

    def reverse(self, coord_labels: dict[Any, Any]) -> dict[str, Any]:
        rows = self.axis.rows_at(coord_labels[self.coord_names[0]])
        return {self.dims[0]: (rows - self.rows.start) / self.rows.step}

    def equals(self, other: CoordinateTransform, **kwargs: Any) -> bool:
        return isinstance(other, _Times) and (self.axis, self.rows) == (other.axis, other.rows)


def _moment(label: Any) -> Any:
    """*label*, a text or a datetime, as numpy's datetime in UTC."""
    if isinstance(label, int | float | np.number):
        raise TypeError(f"{label} is a number")
    pandas = import_extra("pandas", "lotdb-core[xarray]", "an index of times")
    moment = pandas.Timestamp(label)
    return (moment.tz_convert(None) if moment.tzinfo is not None else moment).to_datetime64()


def _as_type(times: Any, dtype: np.dtype[Any]) -> Any:
    """*times* as *dtype*; ``OverflowError`` for what that does not reach, and numpy takes for other times."""
    cast = times.astype(dtype)
    if np.any((cast.astype("M8[s]") != times.astype("M8[s]")) & ~np.isnat(times)):
        raise OverflowError(f"{shown(times)} is out of the range of {dtype}")
    return cast


class TimeIndex(CoordinateTransformIndex):
    """Selects by times: single ones that are there, the nearest ones, and spans with both ends.

    A span is found by halving, so that it has exactly the rows whose times are in it.
    """

    transform: _Times

    @property
    def _name(self) -> Any:
        return self.transform.coord_names[0]

    @property
    def _dim(self) -> str:
        return self.transform.dims[0]

    def _with_rows(self, rows: range) -> TimeIndex:
        return type(self)(_Times(self.transform.axis, rows, self._name, self._dim))

    def isel(self, indexers: Mapping[Any, Any]) -> Index | None:
        chosen = indexers[self._dim]
        if isinstance(chosen, slice):
            return self._with_rows(self.transform.rows[chosen])
        places = np.asarray(chosen)
        if places.ndim != 1:
            return None
        dim = chosen.dims[0] if isinstance(chosen, xarray.Variable) else self._dim
        if places.dtype == bool:
            places = np.flatnonzero(places)
        places = np.where(places < 0, places + len(self.transform.rows), places)
        return self._pandas(places, dim)

    def _pandas(self, places: Any, dim: Any) -> PandasIndex:
        pandas = import_extra("pandas", "lotdb-core[xarray]", "an index of times")
        times = self.transform.forward({self._dim: places})[self._name]
        return PandasIndex(pandas.Index(times, name=self._name), dim, coord_dtype=times.dtype)

    def to_pandas_index(self) -> Any:
        return self._pandas(np.arange(len(self.transform.rows)), self._dim).index

    def sel(self, labels: dict[Any, Any], method: Any = None, tolerance: Any = None) -> IndexSelResult:
        label = labels[self._name]
        if isinstance(label, slice):
            if method is not None:
                raise InvalidRangeError(f"a span of times is selected without method={method!r}")
            return IndexSelResult({self._dim: self._span(label)})
        if isinstance(label, str) and method is None and self._is_coarse(label):
            span = self._span(slice(label, label))
            if span.start == span.stop:
                raise NoSuchTimeError(
                    f"no row has the time {shown(label)}; method='nearest' takes one nearby"
                )
            return IndexSelResult({self._dim: span})
        wanted = self._as_times(getattr(label, "values", label))
        places = self._places(wanted, method, tolerance)
        if isinstance(label, xarray.DataArray):
            return IndexSelResult({self._dim: label.copy(data=places)})
        if isinstance(label, xarray.Variable):
            return IndexSelResult({self._dim: xarray.Variable(label.dims, places)})
        return IndexSelResult({self._dim: places if wanted.ndim else int(places)})

    def _time(self, place: int) -> Any:
        return self.transform.forward({self._dim: np.asarray(place)})[self._name]

    def _span(self, label: slice) -> slice:
        rows = self.transform.rows
        if label.step is not None or rows.step < 0:
            raise InvalidRangeError("a span of times has a start and a stop, and goes forward")
        first = 0 if label.start is None else self._bisect(label.start, after=False)
        last = len(rows) if label.stop is None else self._bisect(label.stop, after=True)
        return slice(first, max(first, last))

    def _bisect(self, time: Any, *, after: bool) -> int:
        """The first place whose time is not below *time*, or above it."""
        if isinstance(time, str) and (period := self._period(time)) is not None:
            # Not end_time, which may end a microsecond before the next period begins.
            try:
                time, after = (period + 1 if after else period).start_time, False
            except (ValueError, OverflowError) as error:  # of pandas 2, which counts nanoseconds there
                raise NoSuchTimeError(f"{shown(time)} is no time of {self.transform.axis.dtype}") from error
        time = self._as_times(time)[()]
        low, high = 0, len(self.transform.rows)
        while low < high:
            middle = (low + high) // 2
            there = self._time(middle)
            if there < time or (after and there == time):
                low = middle + 1
            else:
                high = middle
        return low

    def _as_times(self, label: Any) -> Any:
        """*label* as an array of times of this index' type."""
        try:
            if self.transform.axis.start is None:
                times = np.asarray(label, float)
            else:
                given, dtype = np.asarray(label), self.transform.axis.dtype
                if given.dtype.kind in "M":
                    times = _as_type(given, dtype)
                else:
                    moments = [_as_type(_moment(each), dtype) for each in given.astype(object).flat]
                    times = np.array(moments, dtype).reshape(given.shape)
        except (TypeError, ValueError, OverflowError) as error:
            raise NoSuchTimeError(f"{shown(label)} is no time of {self.transform.axis.dtype}") from error
        if np.any(np.isnan(times) if times.dtype.kind == "f" else np.isnat(times)):
            raise NoSuchTimeError(f"{shown(label)} holds what is no time (NaN or NaT)")
        return times

    def _period(self, text: str) -> Any:
        """The time that *text* means in pandas' indexes, such as a whole day; None for a single moment."""
        pandas = import_extra("pandas", "lotdb-core[xarray]", "an index of times")
        if self.transform.axis.start is None:
            return None
        try:
            if pandas.Timestamp(text).tzinfo is not None:
                return None
            return pandas.Period(text)
        except (ValueError, OverflowError):
            return None

    def _is_coarse(self, text: str) -> bool:
        """Whether *text*, as ``2024-05-01``, means several rows: pandas' rule, which the short ones have."""
        period = self._period(text)
        if period is None:
            return False
        pandas = import_extra("pandas", "lotdb-core[xarray]", "an index of times")
        some = self.transform.forward({self._dim: np.arange(min(len(self.transform.rows), _SOME))})
        finest = pandas.DatetimeIndex(some[self._name]).resolution
        step = pandas.Timedelta(1, _UNITS[finest])
        return bool((period + 1).start_time - period.start_time > step)

    def _places(self, wanted: Any, method: Any, tolerance: Any) -> Any:
        if method not in (None, "nearest"):
            raise InvalidRangeError(f"times are selected exactly or by method='nearest', not {method!r}")
        last = len(self.transform.rows) - 1
        places = np.rint(self.transform.reverse({self._name: wanted})[self._dim])
        places = np.clip(places, 0, max(last, 0)).astype(np.int64)
        times = self.transform.forward({self._dim: places})[self._name]
        if method is None:
            is_there = bool(np.all(times == wanted))
        else:
            is_there = tolerance is None or bool(np.all(abs(times - wanted) <= tolerance))
        if last < 0 or not is_there:
            raise NoSuchTimeError(f"no row has the time {shown(wanted)}; method='nearest' takes one nearby")
        return places

    def equals(self, other: Index, **kwargs: Any) -> bool:
        if isinstance(other, PandasIndex):
            return bool(self.to_pandas_index().equals(other.index))
        return isinstance(other, TimeIndex) and self.transform.equals(other.transform)

    def join(self, other: Index, how: Any = "inner") -> TimeIndex:
        """Of two stretches of one recording: the rows that both have, or either has."""
        mine, theirs = self.transform.rows, other.transform.rows  # type: ignore[attr-defined]
        same = isinstance(other, TimeIndex) and self.transform.axis == other.transform.axis
        if not same or (mine.step, theirs.step) != (1, 1):
            raise xarray.AlignmentError(
                f"times of different rates, starts or steps along {self._dim!r} cannot be aligned; reindex "
                "one by the other's times, or drop the index of one"
            )
        if how == "inner":
            first, last = max(mine.start, theirs.start), min(mine.stop, theirs.stop)
        else:
            first, last = min(mine.start, theirs.start), max(mine.stop, theirs.stop)
        return self._with_rows(range(first, max(first, last)))

    @classmethod
    def concat(cls, indexes: Sequence[Any], dim: Any, positions: Any = None) -> Any:
        """Of stretches that follow each other, one; of others, an index of pandas."""
        first = indexes[0].transform
        rows = [each.transform.rows for each in indexes]
        follow = all(each.step == 1 for each in rows) and all(
            one.stop == other.start for one, other in pairwise(rows)
        )
        if positions is None and follow and all(each.transform.axis == first.axis for each in indexes):
            return indexes[0]._with_rows(range(rows[0].start, rows[-1].stop))
        plain = [each._pandas(np.arange(len(each.transform.rows)), dim) for each in indexes]
        return PandasIndex.concat(plain, dim, positions)

    def reindex_like(self, other: Index) -> dict[Any, Any]:
        mine, theirs = self.transform.rows, other.transform.rows  # type: ignore[attr-defined]
        places = np.arange(theirs.start, theirs.stop) - mine.start
        return {self._dim: np.where((places >= 0) & (places < len(mine)), places, -1)}

    def rename(self, name_dict: Mapping[Any, Any], dims_dict: Mapping[Any, Any]) -> TimeIndex:
        name, dim = name_dict.get(self._name, self._name), dims_dict.get(self._dim, self._dim)
        return type(self)(_Times(self.transform.axis, self.transform.rows, name, dim))

    def _repr_inline_(self, max_width: int) -> str:
        return f"{type(self).__name__} ({self.transform.axis.rate:g} Hz)"
