"""Times of rows that are easily got wrong: units, ends of what a type can tell, and times told as texts."""

import numpy as np
import pytest

from lotdb import InvalidDataError, InvalidRangeError

xarray = pytest.importorskip("xarray")
pandas = pytest.importorskip("pandas")

NOT_A_TIME = np.datetime64("NaT", "s")


def kind(label):
    """An id that is the same in each process."""
    return type(label).__name__ if type(label) is object else str(label)


def written(node, array):
    node.write_xarray(array, data_attribute="it")
    return node.get_data("it")


@pytest.mark.crossed
@pytest.mark.parametrize("unit", ["us", "ns"])
@pytest.mark.parametrize("start", ["2024-01-01T00:00:00.123", "1900-01-01", "2250-01-01", "2262-01-01"])
@pytest.mark.parametrize("step_ms", [7, 1000, 3_600_000])
def test_regular_times_come_back_in_their_unit(db, unit, start, step_ms):
    steps = (np.arange(6) * step_ms).astype("m8[ms]").astype(f"m8[{unit}]")
    times = np.datetime64(start).astype(f"M8[{unit}]") + steps
    array = xarray.DataArray(np.arange(6), dims="time", coords={"time": times}, name="it")
    payload = written(db.open_connection().get_data_node("node"), array)
    back = payload.to_xarray()
    assert payload.samplerate_hz == pytest.approx(1000 / step_ms, rel=1e-5)
    assert back.time.dtype == times.dtype
    assert back.identical(array)


@pytest.mark.parametrize("units", ["ms", "minutes", "h", "samples"])
def test_times_in_other_units_than_seconds_give_no_rate(db, units):
    coords = {"time": ("time", np.arange(4) * 0.5, {"units": units})}
    array = xarray.DataArray(np.arange(4.0), dims="time", coords=coords, name="it")
    payload = written(db.open_connection().get_data_node("node"), array)
    assert payload.samplerate_hz is None
    assert payload.to_xarray().identical(array)


@pytest.mark.parametrize("start", ["2024-01-01", "1701-01-01", "2239-01-01", "9000-01-01"])
def test_a_recording_may_end_after_what_nanoseconds_tell(db, start):
    node = db.open_connection().get_data_node("node")
    rate = 1 / (365 * 86_400)
    node.write_data(np.arange(600), data_attribute="it", samplerate_hz=rate, metadata={"start_time": start})
    expected = np.datetime64(start, "s") + np.arange(600) * np.timedelta64(365 * 86_400, "s")
    times = node.get_data("it").to_xarray().time.values
    assert times.dtype == np.dtype("M8[us]")
    assert abs(times - expected).max() < np.timedelta64(1, "ms")
    assert (node.to_datatree().to_dataset().time.values == times).all()
    assert (node.get_data("it").to_pandas().index == times).all()


def test_a_start_that_no_unit_reaches_the_end_from_stays_an_attribute(db):
    node = db.open_connection().get_data_node("node")
    metadata = {"start_time": "2024-01-01"}
    node.write_data(np.arange(3), data_attribute="it", samplerate_hz=1e-14, metadata=metadata)
    array = node.get_data("it").to_xarray()
    assert array.time.dtype == float
    assert array.attrs["start_time"] == "2024-01-01"


# A short recording has pandas' index, a long one computes its times: both have to find the same rows.
RATE, ROWS = 10.0, 70_000


@pytest.fixture
def long(db):
    node = db.open_connection().get_data_node("node")
    metadata = {"start_time": "2024-05-01T22:00:00"}
    node.write_data(np.arange(ROWS), data_attribute="it", samplerate_hz=RATE, metadata=metadata)
    return node.get_data("it").to_xarray()


@pytest.mark.parametrize(
    "label",
    [
        "2024-05-01", "2024-05-01T23", "2024-05-01T22:05", "2024-05-01T22:00:03", "2024-05",
        slice("2024-05-01T22:10", "2024-05-01T22:11"), slice(None, "2024-05-01"),
        slice("2024-05-01T23", None),
        slice("2024-05-01T22:00:00.1", "2024-05-01T22:00:00.25"), slice("2024-05-02", "2024-05-01"),
        "2024-05-01T22:00:00.300",
        slice(np.datetime64("2024-05-01T22:10"), np.datetime64("2024-05-01T22:11")),
        ["2024-05-01T22:00:01", "2024-05-01T22:00:02.100"],
    ],
    ids=str,
)  # fmt: skip
def test_texts_select_the_same_rows_as_of_a_short_recording(long, label):
    plain = xarray.DataArray(long.values, dims="time", coords={"time": long.time.values})
    expected = plain.sel(time=label)
    found = long.sel(time=label)
    assert found.shape == expected.shape
    assert np.array_equal(found.values, expected.values)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("label", ["x", "2030-01-01", np.nan, NOT_A_TIME, object(), 5], ids=kind)
@pytest.mark.parametrize("method", [None, "nearest"])
def test_what_is_no_time_is_an_error_that_says_so(long, label, method):
    if label == "2030-01-01" and method == "nearest":
        assert long.sel(time=label, method=method) == ROWS - 1
        return
    with pytest.raises((InvalidRangeError, KeyError)):
        long.sel(time=label, method=method)


@pytest.mark.parametrize("rate", [1e7, 7e5, 1e9, 3.0])
@pytest.mark.parametrize("digits", ["s", "ms", "us"])
def test_a_text_means_all_rows_of_its_period_at_any_rate(db, monkeypatch, rate, digits):
    """Also the rows in the last microsecond, which pandas' own ends of periods leave out."""
    node = db.open_connection().get_data_node("node")
    start = "2019-12-31T23:59:59.999999"
    node.write_data(np.arange(3000), data_attribute="it", samplerate_hz=rate, metadata={"start_time": start})
    short = node.get_data("it").to_xarray()
    monkeypatch.setattr("lotdb.interop.time_index.FEW_ROWS", 0)
    long = node.get_data("it").to_xarray()
    assert type(long.xindexes["time"]) is not type(short.xindexes["time"])
    for row in (15, 1111, 2990):
        text = str(short.time.values[row].astype(f"M8[{digits}]"))
        for label in (slice(None, text), slice(text, None), slice(text, text)):
            assert long.sel(time=label).values.tolist() == short.sel(time=label).values.tolist()


TOO_FAR = [
    np.datetime64("3000-01-01"), np.datetime64("1000-01-01"), "3000", "1500-03-01T00:00:00",
    pandas.Timestamp("3000-01-01").as_unit("s"),
]  # fmt: skip


@pytest.mark.parametrize("label", TOO_FAR, ids=kind)
def test_times_that_nanoseconds_do_not_reach_are_no_others(long, label):
    assert long.time.dtype == np.dtype("M8[ns]")
    for chosen in (slice(label, None), slice(None, label), slice("2020", label)):
        with pytest.raises(InvalidRangeError, match="is no time of datetime64"):
            long.sel(time=chosen)
    with pytest.raises(InvalidRangeError, match="no time of datetime64"):
        long.sel(time=label, method="nearest")


FAR_APART = [("2239-01-01", "1700-06-01", 0), ("1701-01-01", "2250-01-01", -1)]


@pytest.mark.parametrize(("start", "label", "row"), FAR_APART)
def test_the_nearest_row_may_be_further_away_than_nanoseconds_tell(db, monkeypatch, start, label, row):
    monkeypatch.setattr("lotdb.interop.time_index.FEW_ROWS", 0)
    node = db.open_connection().get_data_node("node")
    node.write_data(np.arange(100), data_attribute="it", samplerate_hz=1.0, metadata={"start_time": start})
    found = node.get_data("it").to_xarray()
    assert found.time.dtype == np.dtype("M8[ns]")
    chosen = found.sel(time=np.datetime64(label, "ns"), method="nearest")
    assert chosen.values == range(100)[row]


def test_a_frame_keeps_the_step_of_its_durations_and_its_notes_to_itself(db):
    node = db.open_connection().get_data_node("node")
    frame = pandas.DataFrame({"v": [1, 2, 3]}, index=pandas.timedelta_range("1s", periods=3, freq="2s"))
    node.write_frame(frame, data_attribute="it")
    pandas.testing.assert_frame_equal(node.get_data("it").to_pandas(), frame)
    assert node.get_data("it").to_xarray().attrs == {}
    assert node.to_datatree()["it"].attrs == {}


@pytest.mark.parametrize(
    "data",
    [
        np.array([5], "M8[25s]"),
        np.array([5], "m8[10ms]"),
        np.array([(5,)], [("when", "M8[25s]")]),
    ],
)
def test_times_that_pandas_cannot_hold_are_a_typed_error(db, data):
    payload = db.open_connection().get_data_node("a").write_data(data)
    with pytest.raises(InvalidDataError, match=r"payload 'data' of node 'a' cannot be held by pandas"):
        payload.to_pandas()
    assert payload.read().tolist() == data.tolist()
