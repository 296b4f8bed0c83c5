import math
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotdb.errors import InvalidOptionError, InvalidRangeError
from lotdb.ranges import block_edges, check_rate, sample_index, sample_window, slice_rows

RATES = st.one_of(
    st.sampled_from([1.0, 0.1, 100.0, 8000.0, 22050.0, 44100.0, 48000.0, 1e6, 1 / 3, 0.07]),
    st.floats(1e-3, 1e7),
)
TIMES = st.one_of(st.floats(0, 1e6), st.integers(0, 10_000).map(lambda n: n * 0.01))

# -- rates ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rate", [100, 100.0, np.int16(100), np.float32(100), np.longdouble(100), Fraction(100), Decimal(100)]
)
def test_a_rate_may_be_of_any_real_type(rate):
    checked = check_rate(rate)
    assert checked == 100
    assert type(checked) is float


def test_no_rate_stays_none():
    assert check_rate(None) is None


@pytest.mark.parametrize("rate", [True, np.True_, "100", 1j, b"1", [100], np.array([1.0])])
def test_a_rate_that_is_no_number_is_refused(rate):
    with pytest.raises(InvalidRangeError, match="must be a number"):
        check_rate(rate)


@pytest.mark.parametrize(
    "rate", [math.nan, math.inf, -math.inf, 10**400, Decimal("Infinity"), Decimal("sNaN"), np.float32("nan")]
)
def test_a_rate_that_is_not_finite_is_refused(rate):
    with pytest.raises(InvalidRangeError, match="finite"):
        check_rate(rate)


def test_an_integer_too_long_to_print_is_refused_all_the_same():
    with pytest.raises(InvalidRangeError, match="finite, not an integer of"):
        check_rate(10**10_000)


@pytest.mark.parametrize("rate", [0, -1, -0.0, Fraction(-1, 3), Fraction(1, 10**400)])
def test_a_rate_not_above_zero_is_refused_by_value(rate):
    with pytest.raises(InvalidRangeError, match="above 0 Hz, not"):
        check_rate(rate)


# -- seconds to samples ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "rate", "sample"),
    [
        (0, 100, 0),
        (0.07, 100, 7),
        (0.29, 100, 29),
        (0.57, 100, 57),
        (1.1, 10, 11),
        (0.0701, 100, 8),
        (0.0699, 100, 7),
        (0.5, 1, 1),
        (Fraction(1, 3), 3, 1),
        (Decimal("0.07"), 100, 7),
        (np.float32(0.07), 100, 7),
        (1e9, 1e6, 10**15),
    ],
)
def test_a_time_is_the_first_sample_at_or_after_it(seconds, rate, sample):
    assert sample_index(seconds, rate) == sample


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1, -1e-9, "1", None, True, 1j])
def test_what_is_no_time_is_refused(seconds):
    with pytest.raises(InvalidRangeError):
        sample_index(seconds, 100)


def test_a_time_beyond_all_counting_is_refused():
    with pytest.raises(InvalidRangeError, match="can be counted"):
        sample_index(1e308, 1e6)


@given(st.integers(0, 10**13), RATES)
def test_the_time_of_a_sample_is_that_sample(index, rate):
    assert sample_index(index / rate, rate) == index


@given(TIMES, RATES)
def test_the_sample_stands_at_or_after_the_time(time, rate):
    index, exact = sample_index(time, rate), Fraction(time) * Fraction(rate)
    assert exact - Fraction(1, 500) - exact / 2**49 <= index < exact + 1


@given(TIMES, TIMES, RATES)
def test_a_later_time_is_never_an_earlier_sample(one, other, rate):
    early, late = sorted((one, other))
    assert sample_index(early, rate) <= sample_index(late, rate)


@given(st.floats(1e8, 1e18), RATES)
def test_neighbouring_floats_keep_their_order_where_floats_are_coarse(time, rate):
    assert sample_index(time, rate) <= sample_index(math.nextafter(time, math.inf), rate)


# -- windows --------------------------------------------------------------------------------------


@given(
    st.none() | st.integers(-20, 20),
    st.none() | st.integers(-20, 20),
    st.integers(0, 15),
)
def test_a_window_of_samples_is_a_numpy_slice_or_refused(start, stop, rows):
    data = np.arange(rows)
    try:
        first, last = sample_window(start, stop, rows=rows)
    except InvalidRangeError:
        assert data[start:stop].size == 0
        return
    assert 0 <= first <= last <= rows
    assert data[first:last].tolist() == data[start:stop].tolist()


@pytest.mark.parametrize("number", [3, np.int8(3), np.uint64(3), 3.0, np.float32(3)])
def test_whole_numbers_of_any_type_are_samples(number):
    window = sample_window(number, None, rows=10)
    assert window == (3, 10)
    assert type(window[0]) is int


@pytest.mark.parametrize("number", [3.5, True, np.True_, "3", math.nan, math.inf, Fraction(1, 2), 1j, [3]])
def test_what_is_no_whole_number_is_no_sample(number):
    with pytest.raises(InvalidRangeError, match="stop must be a whole number of samples"):
        sample_window(None, number, rows=10)


def test_the_last_ten_samples_are_only_ten():
    assert sample_window(-10, None, rows=100) == (90, 100)


@pytest.mark.parametrize(("start", "stop"), [(5, 4), (-1, 2), (-1, -5), (50, 40), (50, -1)])
def test_a_window_that_starts_after_it_stops_is_refused_naming_both(start, stop):
    with pytest.raises(InvalidRangeError, match=f"start={start}, stop={stop}"):
        sample_window(start, stop, rows=10)


@pytest.mark.parametrize(("start", "stop"), [(50, None), (50, 60), (10, 11), (10**30, 10**40)])
def test_a_window_past_the_end_is_empty(start, stop):
    assert sample_window(start, stop, rows=10) == (10, 10)


@pytest.mark.parametrize(
    ("start", "stop", "window"),
    [
        (None, None, (0, 50)),
        (0.07, 0.14, (7, 14)),
        (0.1, None, (10, 50)),
        (None, 0.29, (0, 29)),
        (0.4, 99, (40, 50)),
        (7, 8, (50, 50)),
        (7, None, (50, 50)),
        (0.3, 0.1 + 0.2, (30, 30)),
    ],
)
def test_a_window_of_seconds(start, stop, window):
    assert sample_window(start, stop, rows=50, unit="seconds", rate=100) == window


@pytest.mark.parametrize(("start", "stop"), [(-1, None), (None, -0.5), ("1", None), (math.nan, None), (2, 1)])
def test_a_bad_window_of_seconds_is_refused(start, stop):
    with pytest.raises(InvalidRangeError):
        sample_window(start, stop, rows=50, unit="seconds", rate=100)


def test_seconds_without_a_rate_are_refused_with_the_way_out():
    with pytest.raises(InvalidRangeError, match="no sample rate; pass samplerate_hz="):
        sample_window(1, 2, rows=50, unit="seconds")


@pytest.mark.parametrize("unit", ["minutes", "", None, 1, ["samples"]])
def test_an_unknown_unit_is_refused_naming_the_choices(unit):
    with pytest.raises(InvalidOptionError, match="'samples' or 'seconds'"):
        sample_window(None, None, rows=1, unit=unit)
    with pytest.raises(InvalidOptionError, match="'samples' or 'seconds'"):
        block_edges(0, 1, size=1, unit=unit)


@given(st.lists(TIMES, min_size=1, max_size=20), RATES, st.integers(0, 10**6))
def test_consecutive_windows_of_seconds_take_each_sample_once(times, rate, rows):
    edges = [None, *sorted(times), None]
    windows = [sample_window(a, b, rows=rows, unit="seconds", rate=rate) for a, b in pairwise(edges)]
    assert windows[0][0] == 0
    assert windows[-1][1] == rows
    assert all(a[1] == b[0] for a, b in pairwise(windows))


@given(st.sampled_from([100.0, 44100.0, 48000.0]), st.integers(1, 500), st.integers(1, 2000))
def test_windows_whose_edges_are_summed_up_take_each_sample_once(rate, step, windows):
    time, samples = 0.0, 0
    for _ in range(windows):
        first, last = sample_window(time, time + step / rate, rows=10**9, unit="seconds", rate=rate)
        samples += last - first
        assert last - first == step
        time += step / rate
    assert samples == windows * step


# -- blocks ---------------------------------------------------------------------------------------


def assert_partition(blocks, first, last):
    assert all(start < stop for start, stop in blocks)
    assert [row for block in blocks for row in range(*block)] == list(range(first, last))


@given(st.integers(0, 500), st.integers(0, 500), st.integers(1, 600))
def test_blocks_of_samples_take_each_row_once(first, rows, size):
    blocks = list(block_edges(first, first + rows, size=size))
    assert_partition(blocks, first, first + rows)
    assert all(stop - start == size for start, stop in blocks[:-1])


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.9991, 600), RATES)
def test_blocks_of_seconds_take_each_row_once(first, rows, samples, rate):
    blocks = list(block_edges(first, first + rows, size=samples / rate, unit="seconds", rate=rate))
    assert_partition(blocks, first, first + rows)
    assert all(abs(stop - start - samples) <= 1.01 for start, stop in blocks[:-1])


@given(st.integers(1, 1000), st.sampled_from([44100, 48000, 8000, 100, 3, 7]))
def test_blocks_of_seconds_that_are_whole_samples_are_all_alike(samples, rate):
    blocks = list(block_edges(0, 200 * samples, size=samples / rate, unit="seconds", rate=rate))
    assert blocks == [(k * samples, (k + 1) * samples) for k in range(200)]


@pytest.mark.parametrize("hours", [1, pytest.param(24, marks=pytest.mark.slow)])
def test_block_edges_do_not_drift_over_a_day(hours):
    rows = 100 * 3600 * hours
    *_, final = block_edges(0, rows, size=0.07, unit="seconds", rate=100)
    assert final == (rows - rows % 7, rows)


def test_no_rows_are_no_blocks():
    assert list(block_edges(5, 5, size=3)) == []
    assert list(block_edges(5, 5, size=3, unit="seconds", rate=1)) == []


@pytest.mark.parametrize("size", [0, -1, 2.5, math.inf, math.nan, "3", None, True])
def test_a_bad_size_in_samples_is_refused_by_the_call(size):
    with pytest.raises(InvalidRangeError, match="block size"):
        block_edges(0, 10, size=size)


@pytest.mark.parametrize("size", [0, -1, math.inf, math.nan, "3", None, True, 0.0099, 1e308])
def test_a_bad_size_in_seconds_is_refused_by_the_call(size):
    with pytest.raises(InvalidRangeError):
        block_edges(0, 10, size=size, unit="seconds", rate=100)


def test_a_block_below_one_sample_is_refused_saying_so():
    with pytest.raises(InvalidRangeError, match="less than one sample"):
        block_edges(0, 10, size=0.001, unit="seconds", rate=100)


def test_blocks_of_seconds_need_a_rate():
    with pytest.raises(InvalidRangeError, match="no sample rate"):
        block_edges(0, 10, size=1, unit="seconds")


# -- slices ---------------------------------------------------------------------------------------

BOUNDS = st.none() | st.integers(-25, 25)


@given(BOUNDS, BOUNDS, st.none() | st.integers(-6, 6).filter(bool), st.integers(0, 20))
def test_a_slice_reads_what_numpy_gives(start, stop, step, rows):
    data = np.arange(rows)
    first, last, within = slice_rows(slice(start, stop, step), rows)
    assert 0 <= first <= last <= rows
    assert data[first:last][within].tolist() == data[start:stop:step].tolist()


def test_a_slice_reads_no_row_beyond_the_chosen_ones():
    assert slice_rows(slice(2, 9, 3), 100)[:2] == (2, 9)
    assert slice_rows(slice(2, 8, 3), 100)[:2] == (2, 6)


@pytest.mark.parametrize("index", [slice(None, None, 0), slice(0.5, 1), slice("a", None)])
def test_what_is_no_slice_of_rows_is_refused(index):
    with pytest.raises(InvalidRangeError, match="no slice of rows"):
        slice_rows(index, 10)
