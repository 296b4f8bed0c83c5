"""What xarray and pandas hold comes back from a node as it was, or is refused by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from lotdb import (
    BaseNode,
    InvalidDataError,
    InvalidOptionError,
    LotdbError,
    PayloadExistsError,
    UnsupportedValueError,
)

xarray = pytest.importorskip("xarray")
pandas = pytest.importorskip("pandas")

DTYPES = st.one_of(
    nps.boolean_dtypes(), nps.integer_dtypes(endianness="?"), nps.floating_dtypes(endianness="?"),
    nps.complex_number_dtypes(), nps.unicode_string_dtypes(min_len=1, max_len=4),
    nps.byte_string_dtypes(min_len=1, max_len=4),
    st.sampled_from([np.dtype(f"{kind}8[{unit}]") for kind in "mM" for unit in ("s", "ms", "us", "ns")]),
)  # fmt: skip


def arrays(**how):
    return DTYPES.flatmap(lambda dtype: nps.arrays(dtype, nps.array_shapes(min_dims=0, max_dims=3), **how))


@pytest.fixture
def node():
    return BaseNode("m").get_data_node("node")


def there_and_back(node, array):
    node.write_xarray(array)
    return node.payloads[array.name or "data"].to_xarray()


@given(arrays(), st.none() | st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=4))
def test_any_array_comes_back(values, name):
    node = BaseNode("m").get_data_node("node")
    attrs = {"unit": "g", "dims": "mine", "start_time": 3, "n": [1, 2]}
    array = xarray.DataArray(values, name=name, attrs=attrs)
    back = there_and_back(node, array).load()
    xarray.testing.assert_identical(back, array)
    assert back.dtype == array.dtype


COORDINATES = {
    "texts": (("channel",), np.array(["a", "bc"])),
    "irregular": (("time",), np.array([0.0, 0.1, 0.25])),
    "seconds": (("time",), np.arange(3) / 48_000),
    "seconds, unevenly written": (("time",), np.array([0.0, 0.1, 0.2])),
    "from another start": (("time",), 5 + np.arange(3) / 100),
    "a step": (("time",), np.array([0.0, 0.02, 0.04])),
    "datetimes": (("time",), np.datetime64("2024-01-01", "ns") + np.arange(3) * np.timedelta64(4, "ms")),
    "dates": (("time",), np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "M8[ns]")),
    "not all times": (("time",), np.array(["2024-01-01", "NaT", "2024-01-03"], "M8[ns]")),
    "scalar": ((), np.float64(7)),
    "two axes": (("time", "channel"), np.arange(6).reshape(3, 2)),
}


@pytest.mark.parametrize("kind", COORDINATES)
def test_coordinates_come_back(node, kind):
    dims, values = COORDINATES[kind]
    name = {("channel",): "channel", ("time",): "time"}.get(dims, "extra")
    coordinate = xarray.Variable(dims, values, {"about": "it"} if kind == "seconds" else {})
    array = xarray.DataArray(
        np.arange(6.0).reshape(3, 2), {name: coordinate}, ("time", "channel"), name="imu", attrs={"u": 1}
    )
    xarray.testing.assert_identical(there_and_back(node, array).load(), array)


@pytest.mark.parametrize("rows", [3, 100_000])
def test_regular_times_become_a_rate_and_a_start(node, rows):
    times = np.datetime64("2024-01-01T10", "ns") + np.arange(rows) * np.timedelta64(2, "ms")
    node.write_xarray(xarray.DataArray(np.zeros(rows), {"time": times}, "time", name="a"))
    assert node.payloads["a"].samplerate_hz == 500
    assert list(node.payloads) == ["a"]
    back = node.payloads["a"].to_xarray()
    assert (back.time.values == times).all()
    node.write_xarray(back.rename("b"))
    assert node.payloads["b"].samplerate_hz == 500
    assert (node.payloads["b"].to_xarray().time.values == times).all()


def test_what_is_not_time_is_no_rate(node):
    array = xarray.DataArray(np.zeros(3), {"x": [0.0, 0.5, 1.0]}, "x", name="a")
    xarray.testing.assert_identical(there_and_back(node, array).load(), array)
    assert node.payloads["a"].samplerate_hz is None


def test_encodings_that_say_what_values_mean_come_back(node):
    array = xarray.DataArray([1.0, 2.0], name="a")
    kept = {"dtype": np.dtype("i2"), "scale_factor": 0.1, "_FillValue": -1}
    array.encoding = {**kept, "chunks": (5,), "zlib": True}
    assert there_and_back(node, array).encoding == kept


def test_rewriting_an_array_leaves_no_coordinate_behind(node):
    node.write_xarray(xarray.DataArray([1, 2], {"x": ["a", "b"]}, "x", name="q"))
    assert set(node.payloads) == {"q", "q.x"}
    node.write_xarray(xarray.DataArray([1, 2], dims="x", name="q"))
    assert set(node.payloads) == {"q"}


def test_a_payload_of_its_own_is_no_coordinate_to_replace(node):
    array = xarray.DataArray([1, 2], {"x": ["a", "b"]}, "x", name="q")
    node.write_data([5.0], data_attribute="q.x")
    with pytest.raises(PayloadExistsError, match=r"'q\.x'"):
        node.write_xarray(array)
    node.delete_data("q.x")
    node.write_xarray(array)
    node.write_xarray(array)
    node.write_data([5.0], data_attribute="q.x")
    node.write_xarray(xarray.DataArray([1, 2], dims="x", name="q"))
    assert node.payloads["q.x"].read().tolist() == [5.0]


def test_labels_end_where_rows_are_appended(node):
    node.write_xarray(xarray.DataArray([1, 2], {"x": ["a", "b"]}, "x", name="q"))
    node.append_data([3], data_attribute="q")
    assert not node.payloads["q"].to_xarray().coords
    assert node.to_datatree()["q"].values.tolist() == [1, 2, 3]


def dataset():
    return xarray.Dataset(
        {
            "imu": (("time", "channel"), np.arange(8.0).reshape(4, 2), {"unit": "g"}),
            "label": (("time",), np.array(["a", "b", "a", "b"])),
            "gain": ((), 2.5),
        },
        {"time": np.arange(4) / 100, "channel": ["x", "y"], "lat": (("channel",), [1.5, 2.5]), "site": 7},
        {"study": "s1"},
    )


def test_a_dataset_comes_back(place):
    place.node().write_xarray(dataset())
    node = place.written()
    xarray.testing.assert_identical(node.to_datatree().to_dataset().load(), dataset())
    back = node.payloads["imu"].to_xarray().load()
    xarray.testing.assert_identical(back, dataset().imu)
    assert node.payloads["imu"].samplerate_hz == 100


def test_coordinates_stay_with_their_array_beside_others(node):
    node.write_data(np.zeros(9), samplerate_hz=5, data_attribute="other")
    stored = xarray.Dataset(
        {"q": ("time", np.zeros(4))}, {"time": np.arange(4) / 100, "number": ("time", np.arange(4))}
    )
    node.write_xarray(stored)
    back = node.to_datatree().to_dataset()
    assert back["q"].dims == back["number"].dims == ("time_q",)
    assert back["time_q"].values.tolist() == stored["time"].values.tolist()
    assert back["other"].dims == ("time_other",)


def test_a_tree_comes_back(place):
    tree = xarray.DataTree.from_dict(
        {
            "/": xarray.Dataset(coords={"time": np.arange(4) / 10}, attrs={"a": 1}),
            "/left": xarray.Dataset({"imu": ("time", [1, 2, 3, 4])}),
            "/left/deep": dataset().drop_vars(["imu", "label", "time"]),
            "/right": dataset().rename(time="t"),
            "/empty": xarray.Dataset(),
        },
        name="node",
    )
    place.node().write_xarray(tree)
    xarray.testing.assert_identical(place.written().to_datatree().load(), tree)


def test_lazy_data_are_written_in_blocks(db, monkeypatch):
    array_module = pytest.importorskip("dask.array")
    sizes = []

    def block(block_info=None):
        (low, high), _ = block_info[None]["array-location"]
        sizes.append(high - low)
        return np.full((high - low, 4), low, "f8")

    lazy = array_module.map_blocks(block, chunks=((250_000,) * 8, (4,)), dtype="f8", meta=np.empty((0, 0)))
    root = db.open_connection()
    root.write_xarray(xarray.DataArray(lazy, dims=("time", "c"), name="a"))
    assert sizes.count(250_000) == 8
    payload = root.payloads["a"]
    assert (payload.shape, len(payload.segments())) == ((2_000_000, 4), 1)
    assert payload[::250_000, 0].tolist() == list(range(0, 2_000_000, 250_000))


def test_what_was_read_from_a_node_can_be_written_to_another(place):
    place.node().write_xarray(dataset())
    node = place.written()
    target = node.get_data_node("target")
    target.write_xarray(node.to_datatree().to_dataset())
    xarray.testing.assert_identical(target.to_datatree().to_dataset().load(), dataset())


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (xarray.DataArray(np.array([1, "x"], object), name="a"), "DataArray 'a' holds objects"),
        (xarray.Dataset({"a": ("x", [1, 2]), "b": ("x", np.array(["x", None], object))}), "variable 'b'"),
        (xarray.DataArray([1, 2], dims="x", attrs={"f": len}), "'f'"),
        (xarray.DataArray([1, 2], dims="x", attrs={3: 4}), "name 3"),
        (xarray.DataArray([[1]], dims=("x", 5)), "name 5"),
        (xarray.Dataset({7: ("x", [1])}), "name 7"),
        (xarray.Dataset({"e\u0301": ("x", [1]), "\u00e9": ("x", [2])}), "two variables"),
        (xarray.Dataset({"a": ("x", [1])}, attrs={"a": 5}), "attribute and a variable 'a'"),
        (
            xarray.DataArray(
                [1, 2, 3, 4], dims="x",
                coords=xarray.Coordinates.from_pandas_multiindex(
                    pandas.MultiIndex.from_product([[1, 2], ["a", "b"]], names=["n", "t"]), "x"
                ),
            ),
            "MultiIndex",
        ),
        (xarray.Dataset({"a": ("x", pandas.Categorical(["u", "v"]))}), "variable 'a'"),
        ([1, 2], "list is no DataArray"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_is_named_and_nothing_is_written(node, data, named):
    with pytest.raises((InvalidDataError, UnsupportedValueError), match=named):
        node.write_xarray(data)
    assert not node.attrs


def test_a_refusal_in_a_group_below_writes_nothing(db):
    root = db.open_connection()
    tree = xarray.DataTree.from_dict(
        {
            "/a": xarray.Dataset({"x": ("t", [1])}),
            "/b": xarray.Dataset({"x": ("t", np.array([None], object))}),
        }
    )
    with pytest.raises(InvalidDataError, match="group 'b'"):
        root.write_xarray(tree)
    assert list(root) == []


def test_what_exists_is_replaced_or_refused(node):
    array = xarray.DataArray([1, 2], dims="x", name="a")
    node.write_xarray(array)
    node.write_xarray(array + 1)
    assert node.payloads["a"].read().tolist() == [2, 3]
    with pytest.raises(PayloadExistsError, match="'a'"):
        node.write_xarray(array, if_exists="error")
    with pytest.raises(InvalidOptionError, match="append"):
        node.write_xarray(array, if_exists="append")
    node.attrs["b"] = 1
    with pytest.raises(PayloadExistsError, match="'b'"):
        node.write_xarray(array.rename("b"))
    with pytest.raises(InvalidOptionError, match="data_attribute"):
        node.write_xarray(array.to_dataset(), data_attribute="q")
    node.write_xarray(array, data_attribute="q")
    assert node.payloads["q"].to_xarray().name == "a"


@pytest.mark.parametrize("labelled", [xarray.DataArray([1.0], dims="time"), dataset()])
def test_write_data_names_what_keeps_the_labels(node, labelled):
    with pytest.raises(InvalidDataError, match="write_xarray"):
        node.write_data(labelled)


# -- pandas ---------------------------------------------------------------------------------------

FRAMES = {
    "plain": pandas.DataFrame({"a": [1, 2], "b": [0.5, np.nan], "c": np.array([True, False])}),
    "an index": pandas.DataFrame({"a": [1, 2]}, index=pandas.Index(["x", "y"], name="who")),
    "an index without a name": pandas.DataFrame({"a": [1, 2]}, index=[5, 7]),
    "another range": pandas.DataFrame({"a": [1, 2]}, index=pandas.Index([3, 5])),
    "levels": pandas.DataFrame(
        {"a": [1, 2]}, index=pandas.MultiIndex.from_tuples([(1, "x"), (2, "y")], names=["n", None])
    ),
    "days": pandas.DataFrame({"a": [1, 2]}, index=pandas.date_range("2024-01-01", periods=2, name="day")),
    "categories": pandas.DataFrame(
        {"a": pandas.Categorical(["lo", None, "hi"], categories=["lo", "mid", "hi"], ordered=True)}
    ),
    "categories of numbers": pandas.DataFrame({"a": pandas.Categorical([3, 1, 3])}),
    "nullable": pandas.DataFrame(
        {
            "i": pandas.array([1, None], dtype="Int16"),
            "b": pandas.array([True, None], dtype="boolean"),
            "f": pandas.array([0.5, None], dtype="Float32"),
            "full": pandas.array([1, 2], dtype="Int64"),
            "s": pandas.array(["x", None], dtype="string"),
        }
    ),
    "zones": pandas.DataFrame(
        {"t": pandas.to_datetime(["2024-03-31T00:30", None]).tz_localize("UTC").tz_convert("Europe/Berlin")}
    ),
    "times": pandas.DataFrame(
        {"t": pandas.to_datetime(["2024-01-01", None]), "d": pandas.to_timedelta([1, 2])}
    ),
    "objects": pandas.DataFrame(
        {
            "s": pandas.Series(["x", None], dtype=object),
            "n": pandas.Series([1, 2], dtype=object),
            "nan": pandas.Series(["x", np.nan], dtype=object),
        }
    ),
    "no rows": pandas.DataFrame({"a": np.zeros(0)}),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_comes_back(node, kind):
    frame = FRAMES[kind]
    frame.attrs = {"unit": "g"}
    payload = node.write_frame(frame)
    back = payload.to_pandas()
    pandas.testing.assert_frame_equal(back, frame, check_freq=True)
    assert [type(each) for each in back.dtypes] == [type(each) for each in frame.dtypes]
    assert back.attrs == {"unit": "g"}
    frame.attrs = {}


@pytest.mark.parametrize(
    ("frame", "named"),
    [
        (pandas.DataFrame({"p": pandas.period_range("2024", periods=2, freq="D")}), "'p'"),
        (pandas.DataFrame({"o": [object(), 1]}), "'o'"),
        (pandas.DataFrame({"o": pandas.Series(["x", None, np.nan], dtype=object)}), "'o'.*one kind"),
        (pandas.DataFrame({"i": pandas.interval_range(0, 2)}), "'i'"),
        (pandas.DataFrame([[1, 2]], columns=["a", "a"]), "same name"),
        (pandas.DataFrame([[1, 2]]), "0"),
        (pandas.DataFrame({"a": [1]}).rename_axis(columns="c"), "'c'"),
        (pandas.DataFrame({"a": [1]}, index=pandas.Index([3], name="a")), "both called 'a'"),
        (pandas.DataFrame({("a", "b"): [1]}), "levels"),
        ([1], "list is no DataFrame"),
    ],
)
def test_a_frame_that_cannot_be_carried_is_refused_by_name(node, frame, named):
    with pytest.raises(InvalidDataError, match=named):
        node.write_frame(frame)
    assert not node.attrs


def test_arrays_are_series_and_frames_by_their_times(node):
    rows = np.arange(20.0).reshape(10, 2)
    frame = node.write_data(rows, samplerate_hz=4).to_pandas()
    assert frame.index.tolist() == (np.arange(10) / 4).tolist()
    assert frame.to_numpy().tolist() == rows.tolist()
    series = node.write_data(rows[:, 0].astype(">f8")).to_pandas()
    assert (series.name, series.tolist()) == ("data", rows[:, 0].tolist())
    started = node.write_data(rows, samplerate_hz=4, metadata={"start_time": np.datetime64("2024-01-01")})
    assert started.to_pandas().index[1] == pandas.Timestamp("2024-01-01T00:00:00.25")
    structured = np.zeros(3, [("a", "i4"), ("b", "f8")])
    assert node.write_data(structured).to_pandas().columns.tolist() == ["a", "b"]
    for odd in (np.zeros((1, 1, 1)), np.array(1), "text", b"bytes"):
        with pytest.raises(InvalidDataError, match="payload"):
            node.write_data(odd).to_pandas()


def test_numpy_takes_a_payload(node):
    payload = node.write_data(np.arange(5, dtype="i2"))
    assert np.asarray(payload).tolist() == [0, 1, 2, 3, 4]
    assert np.asarray(payload, dtype=float).dtype == float
    assert np.array(payload, copy=True).dtype == np.dtype("i2")
    with pytest.raises((ValueError, LotdbError), match="copy"):
        np.asarray(payload, copy=False)
