"""A subtree as a zarr store: what zarr, xarray and dask read of it, and what the bytes are."""

import asyncio
import json

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype

from lotdb import LOTDB, BaseNode, ClosedError, DataWriter, InvalidOptionError, ReadOnlyError
from lotdb_backend_zarr import NodeStore, node_store

SIGNAL = np.arange(300_000, dtype="f4").reshape(-1, 3)

ARRAYS = {
    "signal": SIGNAL,
    "bools": np.array([True, False]),
    "big": np.arange(5, dtype=">i8"),
    "half": np.array([0.5, np.nan], "f2"),
    "complex": np.array([1j, 2], "c8"),
    "texts": np.array(["a", "bcd", "ä"]),
    "bytes_": np.array([b"a", b"bcd"]),
    "times": np.array(["2024-01-01", "NaT"], "M8[ms]"),
    "spans": np.array([5, -3], "m8[us]"),
    "scalar": np.array(2.5),
    "scalar_text": np.array("abc"),
    "empty": np.zeros((0, 3), "i2"),
    "nothing_wide": np.zeros((4, 0)),
    "cube": np.arange(24, dtype="u1").reshape(2, 3, 4),
}  # fmt: skip


@pytest.fixture(params=["memory", "blob", "zarr", "uncommitted", "branch"])
def root(request, tmp_path):
    if request.param == "memory":
        yield fill(BaseNode("root"), None)
        return
    with LOTDB(tmp_path / "db", durability="process") as db:
        found = fill(db.open_connection(), "zarr" if request.param == "zarr" else None)
        if request.param != "uncommitted":
            db.commit()
        if request.param == "branch":
            found["study"].branch("other")
            found["study"].delete_tree()
            found["other"].rename("study")
        yield found


def fill(root, backend):
    root.attrs["version"] = 3
    node = root.get_data_node("study/node", backend=backend)
    for name, array in ARRAYS.items():
        node.write_data(array, data_attribute=name)
    node.write_data(SIGNAL, data_attribute="imu", samplerate_hz=100, metadata={"unit": "g"})
    DataWriter.write_table(node, {"onset": [1.5, 2.5], "label": ["x", "yy"]}, data_attribute="events")
    node.write_data("text", data_attribute="note")
    return root


@pytest.mark.sampled(2)
def test_zarr_reads_every_array(root):
    group = zarr.open_group(NodeStore(root), mode="r")
    assert dict(group.attrs) == {"version": 3}
    node = group["study/node"]
    for name, array in ARRAYS.items():
        found = node[name]
        assert found.shape == array.shape
        assert found.dtype == array.dtype.newbyteorder("=")
        assert np.asarray(found[...]).tolist() == array.tolist() or name in ("half", "times")
        assert np.asarray(found[...], array.dtype).tobytes() == array.tobytes()
    assert node["events/label"][:].tolist() == ["x", "yy"]
    assert node["note"][()] == "text"
    assert node["imu"].metadata.dimension_names == ("time", "channel")
    assert node["imu"].attrs["unit"] == "g"
    assert node["imu"][50_000:50_003].tolist() == SIGNAL[50_000:50_003].tolist()
    assert set(group["study"].group_keys()) == {"node"}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("consolidated", [True, False])
def test_xarray_opens_it_as_it_is(root, consolidated):
    xarray = pytest.importorskip("xarray")
    store = NodeStore(root, consolidated=consolidated)
    tree = xarray.open_datatree(store, engine="zarr", chunks=None, consolidated=consolidated)
    node = tree["study/node"]
    assert node["imu"].dims == ("time", "channel")
    assert node["imu"].time.values.tobytes() == (np.arange(100_000) / 100).tobytes()
    assert node["imu"].isel(time=slice(7, 9)).values.tolist() == SIGNAL[7:9].tolist()
    for name in set(ARRAYS) - {"half", "times"}:
        assert node[name].values.tolist() == ARRAYS[name].tolist()
    assert np.array_equal(node["times"].values, ARRAYS["times"], equal_nan=True)
    assert tree["study/node/events"].onset.values.tolist() == [1.5, 2.5]
    one = xarray.open_zarr(store, group="study/node/events", chunks=None, consolidated=consolidated)
    assert one.label.values.tolist() == ["x", "yy"]


@pytest.mark.sampled(2)
def test_dask_reads_it_in_threads(root):
    array = pytest.importorskip("dask.array")
    lazy = array.from_zarr(NodeStore(root), component="study/node/signal")
    for _ in range(3):
        assert lazy.compute(scheduler="threads", num_workers=6).tobytes() == SIGNAL.tobytes()


def test_what_xarray_has_written_is_opened_as_it_was():
    xarray = pytest.importorskip("xarray")
    dataset = xarray.Dataset(
        {"imu": (("time", "channel"), np.arange(8.0).reshape(4, 2), {"unit": "g"})},
        {
            "time": np.datetime64("2024-01-01", "ns") + np.arange(4) * np.timedelta64(4, "ms"),
            "channel": ["x", "y"],
            "lat": (("channel",), [1.5, 2.5]),
        },
        {"study": "s1"},
    )
    root = BaseNode("root")
    root.write_xarray(dataset)
    xarray.testing.assert_identical(xarray.open_zarr(NodeStore(root), chunks=None).load(), dataset)


# -- the store ------------------------------------------------------------------------------------


def get(store, key, byte_range=None):
    found = asyncio.run(store.get(key, default_buffer_prototype(), byte_range))
    return None if found is None else found.to_bytes()


def listed(keys):
    async def all_of():
        return [key async for key in keys]

    return sorted(asyncio.run(all_of()))


def test_the_root_has_the_metadata_of_all(root):
    document = json.loads(get(NodeStore(root), "zarr.json"))
    members = document["consolidated_metadata"]["metadata"]
    assert document["consolidated_metadata"]["kind"] == "inline"
    assert members["study/node/signal"] == json.loads(get(NodeStore(root), "study/node/signal/zarr.json"))
    assert members["study"]["node_type"] == "group"
    assert "consolidated_metadata" not in json.loads(get(NodeStore(root, consolidated=False), "zarr.json"))


def test_metadata_of_very_many_are_not_consolidated(monkeypatch):
    monkeypatch.setattr(node_store, "CONSOLIDATED", 3)
    root = BaseNode("root")
    for key in "abc":
        root.get_data_node(key).write_data([1.5])
    assert "consolidated_metadata" not in json.loads(get(NodeStore(root), "zarr.json"))
    assert zarr.open_group(NodeStore(root), mode="r")["b/data"][:].tolist() == [1.5]


def test_every_key_that_is_listed_is_there_and_no_other():
    store = NodeStore(fill(BaseNode("root"), None))
    keys = listed(store.list())
    assert "study/node/signal/c/0/0" in keys
    for key in keys:
        data = get(store, key)
        assert data is not None
        assert asyncio.run(store.exists(key))
        assert asyncio.run(store.getsize(key)) == len(data)
    for key in ("", "study", "nothing/zarr.json", "study/node/signal/c/0/1", "study/node/signal/c/9/0",
                "study/node/signal/c/x/0", "study/node/signal/c/00/0", "study/node/signal/c/0",
                "study/node/empty/c/0/0", "zarr.json/zarr.json", ".zgroup"):  # fmt: skip
        assert get(store, key) is None, key
        assert not asyncio.run(store.exists(key))
    assert listed(store.list_dir("")) == ["study", "zarr.json"]
    assert listed(store.list_dir("study/node/cube/")) == ["c", "zarr.json"]
    assert listed(store.list_dir("study/node/events")) == ["label", "onset", "zarr.json"]
    assert listed(store.list_prefix("study/node/cube/")) == [
        "study/node/cube/c/0/0/0",
        "study/node/cube/zarr.json",
    ]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 500_000), st.integers(0, 500_000), st.integers(0, 1))
def test_ranges_are_parts_of_the_whole(one, other, number):
    store = NodeStore(RANGES)
    key = f"data/c/{number}/0"
    whole = get(store, key)
    low, high = sorted((one, other))
    assert get(store, key, RangeByteRequest(low, high)) == whole[low:high]
    assert get(store, key, OffsetByteRequest(low)) == whole[low:]
    assert get(store, key, SuffixByteRequest(high)) == (whole[-high:] if high else b"")


RANGES = BaseNode("ranges")
RANGES.get_data_node("x")
DataWriter.write_array(RANGES, np.arange(900_000, dtype="f8").reshape(-1, 2))


def test_the_last_chunk_is_filled_up_with_zeros():
    store = NodeStore(RANGES)
    rows = 524_288 // 2
    last = np.frombuffer(get(store, "data/c/1/0"), "f8")
    assert last.size == 2 * rows
    assert last[: 900_000 - 2 * rows].tolist() == list(range(2 * rows, 900_000))
    assert not last[900_000 - 2 * rows :].any()
    assert get(store, "data/c/2/0") is None


def test_it_only_reads(root):
    store = NodeStore(root)
    assert store.read_only
    assert not store.supports_writes
    assert not store.supports_deletes
    buffer = default_buffer_prototype().buffer.from_bytes(b"x")
    with pytest.raises(ValueError, match="read-only"):
        asyncio.run(store.set("a", buffer))
    with pytest.raises(ValueError, match="read-only"):
        asyncio.run(store.delete("zarr.json"))
    with pytest.raises(ReadOnlyError, match="write_data"):
        store.with_read_only(False)
    assert store.with_read_only(True) is store
    with pytest.raises((ValueError, PermissionError)):
        zarr.open_group(store, mode="a").create_group("new")
    assert zarr.open_group(store, mode="r").attrs["version"] == 3


def test_it_shows_what_was_there_when_it_was_made(tmp_path):
    with LOTDB(tmp_path / "db", durability="process") as db:
        root = db.open_connection()
        node = root.get_data_node("a")
        node.write_data(SIGNAL)
        store = NodeStore(root)
        db.commit()
        node.write_data(SIGNAL[:5])
        db.commit()
        db.pack()
        assert zarr.open_group(store, mode="r")["a/data"][:].tobytes() == SIGNAL.tobytes()
        assert zarr.open_group(NodeStore(root), mode="r")["a/data"].shape == (5, 3)
        array = zarr.open_group(store, mode="r")["a/data"]
    with pytest.raises(ClosedError, match="closed"):
        array[:]


def test_names_that_zarr_has_not_are_written_otherwise():
    root = BaseNode("root")
    for key in ("__init", "...", "zarr.json", "c", "a b", "ü"):
        root.get_data_node(key).write_data([1.5], data_attribute="c")
    root.get_data_node("c").write_data([2.5], data_attribute="left/x")
    group = zarr.open_group(NodeStore(root), mode="r")
    assert set(group.group_keys()) == {"%5F_init", "%2E..", "zarr%2Ejson", "c", "a b", "ü"}
    for key in group.group_keys():
        assert group[f"{key}/c"][:].tolist() == [1.5]
    assert group["c/left%2Fx"][:].tolist() == [2.5]


def test_attributes_become_json():
    root = BaseNode("root")
    root.attrs.update({
        "n": np.float32(1.5), "t": np.datetime64("2024-01-01"), "a": np.arange(3), "c": 1 + 2j,
        "s": {1, 2}, "b": b"\xff", "deep": {"x": (1, None, float("nan"))},
    })  # fmt: skip
    found = dict(zarr.open_group(NodeStore(root), mode="r").attrs)
    assert np.isnan(found["deep"]["x"].pop())
    assert found == {
        "n": 1.5, "t": "2024-01-01", "a": [0, 1, 2], "c": [1.0, 2.0], "s": [1, 2], "b": "/w==",
        "deep": {"x": [1, None]},
    }  # fmt: skip


def test_integers_that_json_does_not_take_are_texts():
    root = BaseNode("root")
    root.attrs["big"] = {"x": [10**5000], 10**5000: -(10**5000)}
    attributes = zarr.open_group(NodeStore(root), mode="r").attrs["big"]
    assert int(attributes["x"][0], 16) == 10**5000
    assert int(attributes[hex(10**5000)], 16) == -(10**5000)


def test_types_that_zarr_has_not_are_bytes():
    root = BaseNode("root")
    values = np.zeros(3, "V5")
    values.view("u1")[:] = range(15)
    DataWriter.write_array(root, values)
    found = zarr.open_group(NodeStore(root), mode="r")["data"]
    assert found[:].tolist() == np.arange(15).reshape(3, 5).tolist()


def test_only_a_node_is_shown():
    with pytest.raises(InvalidOptionError, match="no node"):
        NodeStore("path")
    with pytest.raises(InvalidOptionError, match="consolidated"):
        NodeStore(BaseNode("root"), consolidated="yes")


def test_a_chunk_is_one_read_of_its_rows(tmp_path, monkeypatch):
    from lotdb_backend_blob.backend import BlobBackend

    with LOTDB(tmp_path / "db", durability="process") as db:
        root = db.open_connection()
        DataWriter.write_array(root, np.arange(2_000_000, dtype="f8"))
        db.commit()
        store = NodeStore(root)
        reads = []
        read_into = BlobBackend.read_into
        monkeypatch.setattr(
            BlobBackend,
            "read_into",
            lambda self, locator, first, out: (reads.append(len(out)), read_into(self, locator, first, out)),
        )
        get(store, "data/zarr.json")
        assert reads == []
        get(store, "data/c/1")
        assert reads == [524_288]
