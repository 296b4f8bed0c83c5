"""Reading through zarrs, where it is installed, and without it: the same rows and the same errors."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from lotdb import LOTDB, DamagedError, DataNode
from lotdb_backend_zarr import zarrs_pipeline
from lotdb_backend_zarr.open_files import LOOKED_AT_S

ROWS = np.arange(1_000_000, dtype="f4").reshape(-1, 2)


@pytest.fixture(params=["zarrs", "plain"])
def node(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DataNode]:
    if request.param == "plain":
        monkeypatch.setattr(zarrs_pipeline, "_zarrs", lambda: None)
    else:
        pytest.importorskip("zarrs")
    with LOTDB(tmp_path, default_backend="zarr") as db, db.connection() as root:
        yield root.get_data_node("a")


def only_file(node: DataNode, name: str) -> Path:
    [segment] = node.get_data().segments()
    return next(Path(path) for path, _ in segment.files if path.endswith(name))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("options", [{}, {"chunks": 1000}, {"chunks": (5000, 1), "shards": (10_000, 1)}])
def test_windows_are_the_rows_that_were_written(node: DataNode, options: dict[str, Any]) -> None:
    node.write_data(ROWS, **options)
    payload = node.get_data()
    for window in (slice(0, 10), slice(9_990, 20_010), slice(499_000, 500_000), slice(None)):
        assert np.array_equal(payload[window], ROWS[window])


@pytest.mark.sampled(4)
@pytest.mark.parametrize("dtype", [">f4", ">i2", "bool", "complex64", "M8[ns]", "U3", "i1,f8"])
def test_every_dtype_comes_back(node: DataNode, dtype: str) -> None:
    array = np.ones(200_000, "i1").astype(dtype)
    node.write_data(array)
    got = node.read_data()
    assert got.dtype == array.dtype
    assert got.tobytes() == array.tobytes()


def test_rows_that_are_all_nan_are_there(node: DataNode) -> None:
    node.write_data(np.full(1_000_000, np.nan))
    assert np.isnan(node.read_data(5, 10)).all()
    assert only_file(node, "c.0").stat().st_size > 0


def test_a_missing_file_is_told_from_the_fill_value_in_a_window_too(node: DataNode) -> None:
    node.write_data(ROWS)
    node.read_data(0, 10)  # it is open by now
    only_file(node, "c.0.0").unlink()
    time.sleep(2 * LOOKED_AT_S)
    with pytest.raises(DamagedError, match=r"payload 'data' of node 'a'.*c.0.0.*missing"):
        node.read_data(5, 10)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("place", [0.01, 0.2, 0.5, 0.8])
def test_an_altered_chunk_is_noticed_in_a_window_too(node: DataNode, place: float) -> None:
    rows = np.random.default_rng(1).normal(size=(200_000, 2))
    node.write_data(rows)
    path = only_file(node, "c.0.0")
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)
    payload, damaged = node.get_data(), 0
    for start in range(0, 200_000, 1000):
        try:
            assert np.array_equal(payload[start : start + 10], rows[start : start + 10])
        except DamagedError:
            damaged += 1
    assert 0 < damaged < 200  # the chunk that was altered, and no other


def test_the_settings_of_the_process_stay_as_they_are(node: DataNode) -> None:
    before = zarr.config.get("codec_pipeline.path")
    node.write_data(ROWS)
    node.read_data()
    assert zarr.config.get("codec_pipeline.path") == before
