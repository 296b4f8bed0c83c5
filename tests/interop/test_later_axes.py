"""Regular times along any axis are a rate, and the axes come back in their order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotdb import BaseNode

xarray = pytest.importorskip("xarray")
zarr = pytest.importorskip("zarr")

SECONDS = np.arange(5) / 100
DATES = np.datetime64("2024-01-01T10", "ns") + np.arange(5) * np.timedelta64(10, "ms")


def stored_rate(node, name):
    return node.payloads[name].samplerate_hz


@pytest.mark.crossed
@pytest.mark.parametrize("times", [SECONDS, DATES], ids=["seconds", "datetimes"])
@pytest.mark.parametrize(
    "dims", [("channel", "time"), ("trial", "channel", "time"), ("trial", "time", "channel")]
)
def test_an_array_keeps_rate_and_order(place, dims, times):
    sizes = {"channel": 3, "time": 5, "trial": 2}
    shape = tuple(sizes[dim] for dim in dims)
    array = xarray.DataArray(
        np.arange(float(np.prod(shape))).reshape(shape),
        {"time": times, "channel": ["x", "y", "z"]}, dims, name="imu", attrs={"unit": "g"},
    )  # fmt: skip
    place.node().write_xarray(array)
    node = place.written()
    assert stored_rate(node, "imu") == 100
    payload = node.payloads["imu"]
    assert payload.shape[0] == 5
    assert payload.metadata["dims"][0] == "time"
    xarray.testing.assert_identical(payload.to_xarray().load(), array)
    assert np.array_equal(payload.read_seconds(0.01, 0.03), array.transpose("time", ...)[1:3])
    lazy = payload.to_xarray()
    part = dict(zip(dims, [1, slice(None, None, 2), slice(1, None)], strict=False))
    xarray.testing.assert_identical(lazy.isel(part).load(), array.isel(part))
    xarray.testing.assert_identical(lazy.isel(time=2).load(), array.isel(time=2))
    xarray.testing.assert_identical(lazy.isel(time=[3, 0]).load(), array.isel(time=[3, 0]))


def mixed():
    return xarray.Dataset(
        {
            "imu": (("time", "channel"), np.arange(10.0).reshape(5, 2)),
            "power": (("band", "channel", "time"), np.arange(30).reshape(3, 2, 5)),
            "across": (("late", "time"), np.arange(15.0).reshape(3, 5)),
            "square": (("channel", "late", "time"), np.arange(30).reshape(2, 3, 5)),
            "gain": (("channel",), [1.5, 2.5]),
        },
        {
            "time": ("time", SECONDS, {"about": "it"}),
            "late": DATES[:3],
            "channel": ["x", "y"],
            "drift": (("channel", "time"), np.zeros((2, 5))),
        },
        {"study": 1},
    )


@pytest.mark.sampled(2)
def test_a_dataset_keeps_rate_and_order(place):
    place.node().write_xarray(mixed())
    node = place.written()
    assert [stored_rate(node, name) for name in ("imu", "power", "across", "square")] == [100] * 4
    assert stored_rate(node, "gain") is None
    assert "time" not in node.payloads
    xarray.testing.assert_identical(node.to_datatree().to_dataset().load(), mixed())
    for name in mixed().data_vars:
        xarray.testing.assert_identical(node.payloads[name].to_xarray().load(), mixed()[name])


def test_a_tree_keeps_rate_and_order(place):
    tree = xarray.DataTree.from_dict({"/a": mixed(), "/a/b": mixed()[["power"]]}, name="node")
    place.node().write_xarray(tree)
    node = place.written()
    assert stored_rate(node["a"], "power") == 100
    xarray.testing.assert_identical(node.to_datatree().load(), tree)


@pytest.mark.sampled(2)
def test_a_store_shows_the_order(place):
    from lotdb_backend_zarr import NodeStore

    place.node().write_xarray(mixed())
    store = NodeStore(place.written())
    group = zarr.open_group(store, mode="r")
    assert group["power"].metadata.dimension_names == ("band", "channel", "time")
    assert np.array_equal(group["power"][:], mixed()["power"])
    assert np.array_equal(group["power"][1, :, 2:4], mixed()["power"][1, :, 2:4])
    back = xarray.open_datatree(store, engine="zarr", chunks=None).to_dataset().load()
    for name in mixed().variables:
        assert back[name].dims == mixed()[name].dims
        assert np.array_equal(back[name], mixed()[name])


def test_many_chunks_along_a_later_axis(place, monkeypatch):
    from lotdb_backend_zarr import NodeStore, node_store

    monkeypatch.setattr(node_store, "CHUNK_BYTES", 64)
    array = xarray.DataArray(
        np.arange(300).reshape(3, 100), {"time": np.arange(100) / 10}, ("c", "time"), name="a"
    )
    place.node().write_xarray(array)
    store = NodeStore(place.written())
    stored = zarr.open_group(store, mode="r")["a"]
    assert stored.chunks[1] < 100
    assert np.array_equal(stored[:], array)
    assert np.array_equal(stored[1:, 7:55:3], array[1:, 7:55:3])


def test_dask_cuts_along_the_times(place):
    pytest.importorskip("dask.array")
    array = xarray.DataArray(
        np.arange(12.0).reshape(2, 6), {"time": np.arange(6) / 10}, ("c", "time"), name="a"
    )
    place.node().write_xarray(array.chunk({"time": 2}))
    payload = place.written().payloads["a"]
    assert payload.samplerate_hz == 10
    lazy = payload.to_xarray(chunks={"time": 3})
    assert lazy.chunks == ((2,), (3, 3))
    xarray.testing.assert_identical(lazy.load(), array)
    xarray.testing.assert_identical(payload.to_xarray(chunks={}).load(), array)
    assert np.array_equal(payload.to_dask().compute(), array.T)


def test_lazy_data_along_a_later_axis_are_written_in_blocks(db):
    array_module = pytest.importorskip("dask.array")
    sizes = []

    def block(block_info=None):
        _, (low, high) = block_info[None]["array-location"]
        sizes.append(high - low)
        return np.full((4, high - low), low, "f8")

    lazy = array_module.map_blocks(block, chunks=((4,), (250_000,) * 4), dtype="f8", meta=np.empty((0, 0)))
    root = db.open_connection()
    array = xarray.DataArray(lazy, {"time": np.arange(1_000_000) / 8}, ("c", "time"), name="a")
    root.write_xarray(array)
    assert sizes.count(250_000) == 4
    payload = root.payloads["a"]
    assert (payload.shape, payload.samplerate_hz) == ((1_000_000, 4), 8)
    assert payload[::250_000, 0].tolist() == list(range(0, 1_000_000, 250_000))


def test_a_structured_array_has_its_order():
    rows = np.zeros((2, 3), [("a", "i4"), ("b", "f8", (2,))])
    rows["a"] = np.arange(6).reshape(2, 3)
    node = BaseNode("m").get_data_node("node")
    node.write_xarray(xarray.DataArray(rows, {"time": np.arange(3) / 4}, ("c", "time"), name="s"))
    back = node.payloads["s"].to_xarray()
    assert back["a"].dims == ("c", "time")
    assert back["b"].dims == ("c", "time", "b_0")
    assert np.array_equal(back["a"], rows["a"])
    assert np.array_equal(back["a"][1, 1:], rows["a"][1, 1:])
    assert back["time"].values.tolist() == [0, 0.25, 0.5]


def is_taken(chosen):
    # xarray raises an IndexError of its own for an empty slice that goes back.
    return chosen.step is None or chosen.step > 0 or (chosen.start, chosen.stop) == (None, None)


@pytest.mark.slow
@given(st.permutations(["time", "t2", "x", "y"]), st.integers(1, 4), st.data())
def test_any_order_comes_back(dims, count, data):
    sizes, dims = {"time": 2, "t2": 3, "x": 4, "y": 2}, dims[:count]
    coords = {"time": np.arange(2) / 3, "t2": DATES[:3], "x": [5, 6, 9, 1]}
    array = xarray.DataArray(
        np.arange(np.prod([sizes[dim] for dim in dims])).reshape([sizes[dim] for dim in dims]),
        {dim: each for dim, each in coords.items() if dim in dims}, dims, name="a",
    )  # fmt: skip
    node = BaseNode("m").get_data_node("node")
    node.write_xarray(array)
    rate = {"time": 3, "t2": 100}
    expected = next((rate[dim] for dim in ("time", "t2") if dim in dims), None)
    assert node.payloads["a"].samplerate_hz == expected
    back = node.payloads["a"].to_xarray()
    chosen = {
        dim: data.draw(st.integers(0, size - 1) | st.slices(size).filter(is_taken))
        for dim, size in sizes.items()
        if dim in dims
    }
    xarray.testing.assert_identical(back.isel(chosen).load(), array.isel(chosen))
    xarray.testing.assert_identical(back.load(), array)
    node.write_xarray(back.rename("b"))
    xarray.testing.assert_identical(node.payloads["b"].to_xarray().load(), array.rename("b"))
