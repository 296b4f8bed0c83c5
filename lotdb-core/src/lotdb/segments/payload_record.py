"""The record that a tree keeps of a payload: all that is known of it but its bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from ZODB.blob import Blob

from lotdb.errors import DamagedError
from lotdb.interfaces.backend import is_locator
from lotdb.records import Box, Rows
from lotdb.segments.layout import Layout, Segment
from lotdb.segments.payload_form import TAG
from lotdb.values import values

__all__ = ["PayloadRecord"]

# What numpy can hold.
_AXES = 64


@dataclass(frozen=True, eq=False)
class PayloadRecord:
    """What the tree keeps of a payload: everything but its bytes.

    Two of them are equal if they are the same object: what was looked up for one is found by it. Whether they
    say the same, :meth:`is_same` tells.
    ``metadata`` is in the plain form of ``values/values.py``; ``shape`` is that of the data as it went in.
    """

    kind: str  # "array", "bytes", "table" or "text"
    layout: Layout
    shape: tuple[int, ...]
    samplerate_hz: float | None = None
    content_type: str = "application/octet-stream"
    metadata: Any = None
    segments: tuple[Segment, ...] = field(default=(), repr=False)

    @property
    def rows(self) -> int:
        """Rows that are stored: the length of the first axis, 1 for an array without axes."""
        return self.shape[0] if self.shape else 1

    def is_same(self, other: PayloadRecord | None) -> bool:
        """Whether *other* says the same, and names the same rows."""
        return other is self or (other is not None and self.encode() == other.encode())

    def with_rows(self, rows: int, segments: tuple[Segment, ...]) -> PayloadRecord:
        """The record of the same payload with *rows* rows, which lie in *segments*."""
        return replace(self, shape=(rows, *self.layout.row_shape), segments=segments)

    def encode(self) -> tuple[Any, ...]:
        """The plain form that is stored in a node."""
        dtype = self.layout.dtype
        return (
            TAG,
            self.kind,
            self.layout.backend,
            values.encode(dtype, name="dtype") if dtype.names or dtype.subdtype else dtype.str,
            self.shape,
            self.samplerate_hz,
            self.content_type,
            self.metadata,
            self.layout.options,
            # Plain tuples, without the end that says nothing. A payload that grows has dozens of them.
            tuple([tuple(segment) if segment[4] else segment[:4] for segment in self.segments]),
        )

    @classmethod
    def decode(cls, stored: tuple[Any, ...]) -> PayloadRecord:
        """The record of which *stored* is the plain form; a stranger may have written it.

        Raises
        ------
        DamagedError
            It makes no sense.
        """
        try:
            _, kind, backend, dtype, shape, rate, content_type, metadata, options, segments = stored
            decoded: Any = values.decode(dtype) if type(dtype) is tuple else np.dtype(dtype)
            segments = tuple(Segment(*part) for part in segments)
            checks = (
                kind in ("array", "bytes", "table", "text"),
                isinstance(decoded, np.dtype) and not decoded.hasobject and decoded.itemsize > 0,
                type(backend) is str and type(content_type) is str and type(options) is tuple,
                type(shape) is tuple and all(map(_is_count, shape)) and len(shape) <= _AXES,
                rate is None or (type(rate) in (int, float) and 0 < rate < math.inf),
                all(map(_is_segment, segments)),
            )
        except (TypeError, ValueError, SyntaxError, AttributeError) as error:
            raise DamagedError(f"its record makes no sense: {error}") from error
        if not all(checks):
            raise DamagedError("its record makes no sense")
        return cls(
            kind, Layout(backend, decoded, shape[1:], options), shape, rate, content_type, metadata, segments
        )


def _is_count(number: Any) -> bool:
    return type(number) is int and 0 <= number < 1 << 63


def _is_segment(segment: Segment) -> bool:
    return (
        _is_locator(segment.locator)
        and all(map(_is_count, segment[1:5]))
        and (segment.sums is None) == (segment.step == 0)
        and (segment.sums is None or isinstance(segment.sums, bytes | Box))
    )


def _is_locator(locator: Any) -> bool:
    """Whether *locator* is a text that is safe as the name of a file, or a persistent object of ours."""
    return is_locator(locator) if isinstance(locator, str) else isinstance(locator, Blob | Rows)
