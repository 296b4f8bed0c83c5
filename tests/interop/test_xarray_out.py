"""Payloads and nodes in xarray."""

import datetime as dt

import numpy as np
import pytest

from lotdb import BaseNode, ClosedError, DataWriter, InvalidOptionError
from lotdb.interop.time_axis import TimeAxis

xarray = pytest.importorskip("xarray")

SIGNAL = np.arange(300_000, dtype="f4").reshape(-1, 3)


@pytest.fixture
def node():
    return BaseNode("m").get_data_node("a/b")


@pytest.fixture
def rows_read(monkeypatch):
    from lotdb.segments.reader import Reader

    counts = []
    read_into = Reader.read_into

    def counted(self, layout, segments, first, out):
        counts.append(len(out))
        return read_into(self, layout, segments, first, out)

    monkeypatch.setattr(Reader, "read_into", counted)
    return counts


def test_a_payload_with_a_rate_has_times_and_attributes(place):
    node = place.node()
    node.attrs["label"] = "walk"
    node.write_data(SIGNAL, samplerate_hz=3, metadata={"unit": "g"}, data_attribute="imu")
    array = place.written().get_data("imu").to_xarray()
    assert (array.name, array.dims, array.dtype) == ("imu", ("time", "channel"), SIGNAL.dtype)
    assert array.attrs == {"label": "walk", "unit": "g"}
    assert array.time.values.tobytes() == (np.arange(100_000) / 3).tobytes()
    assert array.values.tobytes() == SIGNAL.tobytes()


@pytest.mark.parametrize("rate", [1000, 48_000, 44_100, 1 / 3, 0.7, 2048.5, 1e9])
@pytest.mark.parametrize("rows", [100, 100_000])  # with pandas' index, and computed
def test_times_are_index_over_rate(node, rate, rows):
    array = node.write_data(np.zeros(rows, "i1"), samplerate_hz=rate).to_xarray()
    assert array.time.values.tobytes() == (np.arange(rows) / rate).tobytes()
    assert array.time[rows - 3 :].values.tobytes() == (np.arange(rows - 3, rows) / rate).tobytes()
    assert array[7::13].time.values.tobytes() == (np.arange(7, rows, 13) / rate).tobytes()


@pytest.mark.parametrize(
    "start",
    [
        dt.datetime(2024, 5, 1, 12),
        dt.datetime(2024, 5, 1, 14, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        np.datetime64("2024-05-01T12"),
        "2024-05-01T12:00:00Z",
    ],
)
@pytest.mark.parametrize("where", ["metadata", "attribute"])
def test_a_start_makes_datetimes(node, start, where):
    if where == "attribute":
        node.attrs["recorded_at"] = start
    payload = node.write_data(
        SIGNAL, samplerate_hz=250, metadata={"start_time": start} if where == "metadata" else None
    )
    array = payload.to_xarray()
    expected = np.datetime64("2024-05-01T12", "ns") + np.arange(100_000) * np.timedelta64(4, "ms")
    assert (array.time.values == expected).all()
    first, last = np.datetime64("2024-05-01T12:00:01"), np.datetime64("2024-05-01T12:00:02")
    assert array.sel(time=slice(first, last)).shape == (251, 3)
    # A text means all of its second.
    assert array.sel(time=slice(str(first), str(last))).shape == (500, 3)


def test_times_of_a_long_recording_lose_no_nanosecond():
    axis = TimeAxis(48_000, np.datetime64("2024-01-01", "ns"))
    rows = np.array([48_000 * 86_400 * 365 + 1, 48_000 * 86_400 * 365 + 47_999])
    exact = [(int(row) * 10**9 + 24_000) // 48_000 for row in rows]  # rounded
    assert (axis.at(rows) - axis.start).astype(int).tolist() == exact


def test_a_start_that_is_no_moment_is_an_attribute(node):
    array = node.write_data(SIGNAL, samplerate_hz=10, metadata={"start_time": "noon"}).to_xarray()
    assert array.attrs["start_time"] == "noon"
    assert array.time.dtype == float


def test_dims_are_those_of_the_metadata_or_the_usual_ones(node):
    def dims(data, **how):
        return node.write_data(data, **how).to_xarray().dims

    assert dims(np.zeros((2, 3))) == ("dim_0", "dim_1")
    assert dims(np.zeros((2, 3)), metadata={"dims": ["y", "x"]}) == ("y", "x")
    assert dims(np.zeros((2, 3, 4)), samplerate_hz=5) == ("time", "channel", "dim_2")
    assert dims(np.zeros((2, 3)), samplerate_hz=5, metadata={"dims": ("t", "ch")}) == ("t", "ch")
    for wrong in (["x"], ["x", "x"], "xy", [1, 2]):
        assert dims(np.zeros((2, 3)), metadata={"dims": wrong}) == ("dim_0", "dim_1")


def test_only_what_is_selected_is_read(db, rows_read):
    payload = db.open_connection().get_data_node("a").write_data(SIGNAL, samplerate_hz=1000)
    array = payload.to_xarray()
    repr(array)
    assert rows_read == []
    window = array.isel(time=slice(50_000, 50_010), channel=1)
    assert rows_read == []
    assert window.values.tolist() == SIGNAL[50_000:50_010, 1].tolist()
    assert sum(rows_read) == 10
    assert array.sel(time=slice(1.0, 1.001)).values.tolist() == SIGNAL[1000:1002].tolist()
    assert array.isel(time=[5, 3, 700]).values.tolist() == SIGNAL[[5, 3, 700]].tolist()
    assert sum(rows_read) < 1000


@pytest.mark.slow
def test_any_index_gives_what_numpy_gives(node):
    array = node.write_data(SIGNAL, samplerate_hz=1000).to_xarray()
    for index in (
        np.s_[5], np.s_[-1], np.s_[::-1], np.s_[10:2:-3, ::2], np.s_[[3, 1, 2]], np.s_[:, [2, 0]],
        np.s_[4:4], np.s_[7, 1],
    ):  # fmt: skip
        assert array[index].values.tolist() == SIGNAL[index].tolist()


def test_a_computed_index_selects_as_pandas_does(node):
    array = node.write_data(np.arange(100_000), samplerate_hz=300).to_xarray()
    plain = array.drop_indexes("time").set_xindex("time")
    for label in (2.0, 0.01, slice(1.0, 2.0), slice(None, 0.5), slice(333.0, None), slice(9.999, 10.0)):
        assert array.sel(time=label).values.tolist() == plain.sel(time=label).values.tolist()
    for label in (1.2345, [0.001, 55.55], 1e9, -5):
        near = {"method": "nearest"}
        assert array.sel(time=label, **near).values.tolist() == plain.sel(time=label, **near).values.tolist()
    with pytest.raises(KeyError, match="nearest"):
        array.sel(time=1.2345)
    with pytest.raises(KeyError, match="nearest"):
        array.sel(time=1.2345, method="nearest", tolerance=1e-6)
    with pytest.raises(ValueError, match="ffill"):
        array.sel(time=1.2345, method="ffill")


def test_stretches_of_a_recording_align(node):
    array = node.write_data(np.arange(200_000), samplerate_hz=300).to_xarray()
    one, other = array[:150_000], array[100_000:]
    assert (one + other).values.tolist() == (2 * np.arange(100_000, 150_000)).tolist()
    assert (one + array[:150_000]).size == 150_000
    both = xarray.align(one, other, join="outer")
    assert [each.sizes["time"] for each in both] == [200_000] * 2
    with pytest.raises(xarray.AlignmentError, match="rates"):
        array + node.write_data(np.arange(200_000), samplerate_hz=301).to_xarray()


def test_assigning_changes_a_copy(node):
    payload = node.write_data(SIGNAL, samplerate_hz=10)
    array = payload.to_xarray()
    array[0, 0] = -1
    assert array.values[0, 0] == -1
    assert payload[0, 0] == 0


@pytest.mark.slow
def test_with_chunks_it_is_a_dask_array(node):
    pytest.importorskip("dask")
    payload = node.write_data(SIGNAL, samplerate_hz=10)
    assert payload.to_xarray().chunks is None
    assert payload.to_xarray(chunks={}).chunks == ((100_000,), (3,))
    assert payload.to_xarray(chunks={"time": 40_000}).chunks == ((40_000, 40_000, 20_000), (3,))
    assert payload.to_xarray(chunks=50_000).values.tolist() == SIGNAL.tolist()
    assert payload.to_xarray().chunk({"time": 1000}).values.tobytes() == SIGNAL.tobytes()
    with pytest.raises(InvalidOptionError, match="chunks"):
        payload.to_xarray(chunks=True)


def test_a_table_is_a_dataset_of_its_columns(place):
    node = place.node()
    node.attrs["label"] = "walk"
    table = {"onset": [1.5, None], "label": ["go", "stop"], "count": [1, 2]}
    DataWriter.write_table(node, table, data_attribute="events", metadata={"source": "x"})
    dataset = place.written().get_data("events").to_xarray()
    assert set(dataset.data_vars) == {"onset", "label", "count"}
    assert np.isnan(dataset.onset[1])
    assert dataset.label.values.tolist() == ["go", "stop"]
    assert dataset.attrs == {"label": "walk", "source": "x"}
    assert dataset.isel(row=1)["count"].item() == 2


def test_a_tree_is_a_datatree(place):
    root = place.root
    root.attrs["study"] = 7
    node = place.node()
    node.write_data(SIGNAL, data_attribute="imu", samplerate_hz=100)
    node.write_data(SIGNAL[:50], data_attribute="slow", samplerate_hz=10)
    node.write_data("text", data_attribute="note")
    node.write_data(b"\x00\x01", data_attribute="raw")
    DataWriter.write_table(node, {"onset": [1.0]}, data_attribute="events")
    node.attrs["label"] = "walk"
    node = place.written()
    tree = root["other"].to_datatree() if place.kind == "branch" else root.to_datatree()
    found = tree["study/node" if place.kind != "branch" else "node"]
    assert found.attrs == {"label": "walk"}
    assert found["imu"].dims == ("time_imu", "channel")
    assert found["slow"].dims == ("time_slow", "channel")
    assert found["imu"].values.tobytes() == SIGNAL.tobytes()
    assert found["time_slow"].values.tolist() == (np.arange(50) / 10).tolist()
    assert found["note"].item() == "text"
    assert found["raw"].values.tolist() == [0, 1]
    assert found["events/onset"].values.tolist() == [1.0]


def test_payloads_on_the_same_axis_share_it(node):
    for name in ("left", "right"):
        node.write_data(SIGNAL, data_attribute=name, samplerate_hz=100)
    dataset = node.to_datatree().to_dataset()
    assert dataset.left.dims == dataset.right.dims == ("time", "channel")
    assert set(dataset.coords) == {"time"}


def test_stretches_are_put_together(node):
    array = node.write_data(np.arange(200_000), samplerate_hz=300).to_xarray()
    whole = xarray.concat([array[:5], array[5:70_000]], "time")
    assert whole.identical(array[:70_000].load())
    apart = xarray.concat([array[:2], array[9:11]], "time")
    assert apart.time.values.tolist() == (np.array([0, 1, 9, 10]) / 300).tolist()


def test_payloads_on_one_of_several_axes_share_that(node):
    for name, rows in (("left", 100), ("right", 100), ("slow", 10)):
        node.write_data(SIGNAL[:rows], data_attribute=name, samplerate_hz=100)
    dataset = node.to_datatree().to_dataset()
    assert [dataset[name].dims[0] for name in ("left", "right", "slow")] == ["time_left"] * 2 + ["time_slow"]


def test_an_axis_that_differs_from_the_one_above_has_its_own_name(node):
    node.write_data(SIGNAL, samplerate_hz=100)
    node.get_data_node("below").write_data(SIGNAL[:10], samplerate_hz=100)
    node.get_data_node("same").write_data(SIGNAL, samplerate_hz=100)
    tree = node.to_datatree()
    assert tree["data"].dims == ("time", "channel")
    assert tree["below/data"].dims == ("time_data", "channel")
    assert tree["same/data"].dims == ("time", "channel")


def test_names_that_groups_and_variables_share_are_told_apart(node):
    node.write_data(SIGNAL[:5], data_attribute="x")
    node.write_data(SIGNAL[:5], data_attribute="left/y")
    node.get_data_node("x").write_data(SIGNAL[:2])
    tree = node.to_datatree()
    assert set(tree.data_vars) == {"x_data", "left%2Fy"}
    assert set(tree.children) == {"x"}


def test_it_is_read_as_long_as_the_connection_is_open(db):
    with db.connection() as root:
        node = root.get_data_node("a")
        node.write_data(SIGNAL)
        array, tree = node.get_data().to_xarray(), root.to_datatree()
    for lazy in (array, tree["a/data"]):
        with pytest.raises(ClosedError, match="closed"):
            _ = lazy.values
