"""Shards that LOTDB writes itself, read by plain zarr."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec

from lotdb import LOTDB, DamagedError

DTYPES = ["u1", "<i2", ">i4", "<f4", ">f8", "c16", "?", "M8[ms]"]


@st.composite
def stored(draw):
    """An array of up to three axes, and options that fit it."""
    ndim = draw(st.integers(1, 3))
    shape = draw(st.tuples(*[st.integers(1, 12)] * ndim))
    chunks = draw(st.tuples(*[st.integers(1, 5)] * ndim))
    shards = tuple(chunk * draw(st.integers(1, 3)) for chunk in chunks)
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    array = np.frombuffer(
        np.random.default_rng(draw(st.integers(0, 9))).bytes(int(np.prod(shape)) * dtype.itemsize), dtype
    )
    if dtype.kind == "b":
        array = array.view("u1") % 2 == 0
    codec = draw(st.sampled_from([None, "default", BloscCodec(), GzipCodec(level=1), [ZstdCodec()]]))
    options = {"chunks": chunks, "shards": shards}
    return array.reshape(shape), options if codec == "default" else {**options, "compressors": codec}


@given(stored())
def test_plain_zarr_reads_what_was_written(tmp_path_factory, example):
    array, options = example
    folder = tmp_path_factory.mktemp("db")
    with LOTDB(folder, durability="process", default_backend="zarr") as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(array, **options)
        with db.connection() as root:
            assert root["a"].read_data().tobytes() == array.tobytes()
            if len(array) > 2:
                assert root["a"].read_data(1, -1).tobytes() == array[1:-1].tobytes()
    (name,) = [path.name for path in (folder / "lotdb.fs.zarr").iterdir() if path.is_dir()]
    plain = zarr.open_group(folder / "lotdb.fs.zarr", mode="r")[name]
    assert plain.shape == array.shape
    assert plain.chunks == options["chunks"]
    assert plain.shards == options["shards"]
    assert plain[...].astype(array.dtype).tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", ["<f4", ">i2", "u1"])
def test_the_metadata_are_what_zarr_itself_writes(tmp_path: Path, dtype: str) -> None:
    with LOTDB(tmp_path, default_backend="zarr") as db, db.connection() as root:
        rows = np.zeros((100, 2), dtype)
        options: dict[str, Any] = {"chunks": 10, "shards": 50, "compressors": [BloscCodec()]}
        root.get_data_node("a").write_data(rows, samplerate_hz=8, metadata={"unit": "V"}, **options)
    (ours,) = tmp_path.glob("lotdb.fs.zarr/seg-*/zarr.json")
    zarr.create_array(
        tmp_path / "plain",
        shape=(100, 2),
        dtype=dtype,
        chunks=(10, 2),
        shards=(50, 2),
        compressors=[BloscCodec(), Crc32cCodec()],
        fill_value=np.nan if dtype == "<f4" else 0,
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=["row_100", "axis_1_2"],
        attributes={"dtype": np.dtype(dtype).str, "samplerate_hz": 8.0, "unit": "V"},
    )
    assert json.loads(ours.read_text()) == json.loads((tmp_path / "plain/zarr.json").read_text())


def test_a_segment_is_a_folder_with_two_files(tmp_path: Path) -> None:
    with LOTDB(tmp_path, default_backend="zarr") as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(12.0).reshape(4, 3))
    (folder,) = [path for path in (tmp_path / "lotdb.fs.zarr").iterdir() if path.is_dir()]
    assert sorted(path.name for path in folder.iterdir()) == ["c.0.0", "zarr.json"]


@pytest.mark.parametrize("dtype", ["u1", ">f4", "c16", "M8[ms]", "U3", [("a", "i4"), ("b", "f8", (2,))]])
def test_arrays_are_written_and_read_without_zarrs_event_loop(
    tmp_path: Path, dtype: Any, monkeypatch
) -> None:
    with LOTDB(tmp_path, default_backend="zarr") as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(np.zeros((5, 2), dtype))

        def refuse(*args: object, **more: object) -> None:
            raise AssertionError("through the event loop")

        with db.connection() as root:
            monkeypatch.setattr("zarr.core.sync.sync", refuse)
            monkeypatch.setattr("zarr.core.array.sync", refuse)
            assert root["a"].read_data(1, 3).tobytes() == np.zeros((2, 2), dtype).tobytes()
            root.get_data_node("b").write_data(
                np.ones((5, 2), "u1") if dtype == "u1" else np.zeros((9, 2), dtype)
            )


@pytest.mark.parametrize(
    ("place", "what"),
    [(30, r"chunk \(0, 0\) of .*c\.0\.0 is damaged"), (-10, r"the index of .*c\.0\.0 is damaged")],
)
def test_damage_is_named_with_its_file(tmp_path: Path, place: int, what: str) -> None:
    with LOTDB(tmp_path, default_backend="zarr") as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(3000.0).reshape(-1, 3))
    (path,) = tmp_path.glob("lotdb.fs.zarr/seg-*/c.0.0")
    stored = bytearray(path.read_bytes())
    stored[place] ^= 1
    path.write_bytes(stored)
    with LOTDB(tmp_path) as db, db.connection() as root:
        with pytest.raises(DamagedError, match=f"payload 'data' of node 'a': .*{what}"):
            root["a"].read_data(0, 10)
        assert root["a"].get_data().shape == (1000, 3)
