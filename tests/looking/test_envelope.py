"""The envelope is exact, whatever the blocks are that it is made from."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lotdb.looking.envelope import Envelope

DTYPES = ["i1", "u1", "i2", "i8", "u8", "f4", "f8"]


@st.composite
def signals(draw):
    """An array, with extremes, NaN and infinity too, a number of columns, and cuts into blocks."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    values = draw(arrays(dtype, st.integers(1, 60)))
    columns = draw(st.integers(1, len(values)))
    cuts = draw(st.lists(st.integers(0, len(values)), max_size=5))
    return values, columns, sorted({0, len(values), *cuts})


def bounds(part, least):
    """The least or the greatest of *part*, without NaN; None if there is nothing else."""
    there = [each for each in part.tolist() if each == each]
    return None if not there else min(there) if least else max(there)


@given(signals())
def test_it_is_that_of_brute_force(signal):
    values, columns, cuts = signal
    envelope = Envelope(len(values), columns)
    for first, last in pairwise(cuts):
        envelope.add(first, [values[first:last], values[first:last][::-1].copy()])
    edges = [column * len(values) // columns for column in range(columns + 1)]
    assert envelope.edges.tolist() == edges
    parts = [values[first:last] for first, last in pairwise(edges)]
    for found, least in ((envelope.low[0], True), (envelope.high[0], False)):
        assert found.dtype == values.dtype
        expected = [bounds(part, least) for part in parts]
        assert [None if each != each else each for each in found.tolist()] == expected


def test_a_peak_of_one_sample_is_seen_among_many():
    values = np.zeros(1_000_000, "f4")
    values[123_456], values[123_457] = 1, np.nan
    envelope = Envelope(len(values), 100)
    envelope.add(0, [values])
    assert np.flatnonzero(envelope.high[0]).tolist() == [12]
    assert not np.isnan(envelope.high[0]).any()


def test_a_column_of_nan_alone_is_nan():
    values = np.ones(100)
    values[20:31] = np.nan
    envelope = Envelope(100, 10)
    envelope.add(0, [values])
    assert np.flatnonzero(np.isnan(envelope.low[0])).tolist() == [2]
