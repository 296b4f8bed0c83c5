"""Without what is not public in zarr, the backend takes the public way: slower, and right."""

import numpy as np
import pytest
import zarr
from tests.zarr.through_zarr import ThroughZarr
from zarr.codecs import BloscCodec, GzipCodec
from zarr.storage import MemoryStore

from lotdb import LOTDB, DamagedError, PluginError
from lotdb.testing.backend_alone import AloneTests
from lotdb.testing.backend_first import FirstTests
from lotdb.testing.backend_payloads import PayloadTests
from lotdb_backend_zarr import compat, zarrs_pipeline

NAMES = ["NDBuffer", "run"]


class Opened:
    @pytest.fixture(autouse=True, params=NAMES)
    def _missing(self, request, monkeypatch):
        monkeypatch.setattr(compat, request.param, None)

    @pytest.fixture
    def backend_class(self):
        return ThroughZarr


class TestThroughZarrAtFirst(Opened, FirstTests):
    """What all else stands on, with every array left to zarr, and each of the names taken away in turn."""


@pytest.mark.slow
class TestThroughZarr(Opened, AloneTests, PayloadTests):
    """All of it."""


def test_the_names_are_all_that_is_listed_here():
    assert sorted(compat.__all__) == sorted([*NAMES, "own_pipeline", "set_pipeline"])
    assert all(getattr(compat, name) is not None for name in NAMES), "this release of zarr has them all"


@pytest.mark.parametrize("name", [None, *NAMES])
def test_a_store_that_is_no_folder_is_written_read_and_cleared(tmp_path, monkeypatch, name):
    store = MemoryStore()
    if name:
        monkeypatch.setattr(compat, name, None)
    with LOTDB(tmp_path, default_backend="zarr", backends={"zarr": {"store": store}}) as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(np.arange(20.0), samplerate_hz=4)
        root = db.open_connection()
        assert list(root["a"].read_seconds(1, 2)) == [4, 5, 6, 7]
        root.get_data_node("b").write_data(np.zeros(500_000))
        arrays = len(list(zarr.open_group(store, mode="r").array_keys()))
        db.abort()
        assert arrays == 2
        assert len(list(zarr.open_group(store, mode="r").array_keys())) == 1


def test_what_is_left_to_zarr_is_written_whole_by_whatever_pipeline_is_set(tmp_path):
    pytest.importorskip("zarrs")
    two = {"compressors": [BloscCodec(), GzipCodec()]}
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        with LOTDB(tmp_path, default_backend="zarr") as db, db.connection() as root:
            root.get_data_node("no").write_data(np.zeros(1000, "?"), **two)
            root.get_data_node("zero").write_data(np.zeros((2_000_000, 2), "i2"), **two)
        with LOTDB(tmp_path) as db, db.connection() as root:
            assert not root["no"].read_data().any()
            assert not root["zero"].read_data(5, 20).any()
            assert zarr.config.get("codec_pipeline.path") == "zarrs.ZarrsCodecPipeline"


def test_without_a_pipeline_to_set_zarrs_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(compat, "set_pipeline", lambda array, pipeline: False)
    with LOTDB(tmp_path, default_backend="zarr") as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(np.arange(400_000.0))
        with db.connection() as root:
            assert root["a"].read_data().sum() == np.arange(400_000.0).sum()
            store = zarr.storage.LocalStore(tmp_path / "lotdb.fs.zarr")
            assert zarrs_pipeline.open_with_zarrs(store, _only(tmp_path)) is None


def _only(folder):
    return next(path.name for path in folder.glob("lotdb.fs.zarr/seg-*"))


@pytest.mark.parametrize("error", [AttributeError, ImportError, TypeError])
def test_what_a_release_lacks_is_told_with_its_version_and_is_no_damage(tmp_path, monkeypatch, error):
    rows = np.arange(3000.0).reshape(-1, 3)
    with LOTDB(tmp_path, default_backend="zarr") as db, db.connection() as root:
        root.get_data_node("direct").write_data(rows)
        root.get_data_node("left to zarr").write_data(rows, compressors=[BloscCodec(), GzipCodec()])

    def lack(*args, **more):
        raise error("this release has no such thing")

    monkeypatch.setattr(zarr, "open_array", lack)
    monkeypatch.setattr("lotdb_backend_zarr.chunk_codecs.blosc.decompress", lack, raising=True)
    told = rf"'zarr' \(lotdb-backend-zarr .* with .*zarr {zarr.__version__}\) failed to read .*no such thing"
    with LOTDB(tmp_path) as db, db.connection() as root:
        for node in ("direct", "left to zarr"):
            with pytest.raises(PluginError, match=told) as raised:
                root[node].read_data()
            assert not isinstance(raised.value, DamagedError)
            with pytest.raises(PluginError, match=told):
                list(root[node].read_data(1, 2))
        with pytest.raises(PluginError, match=told):
            db.verify()
    monkeypatch.undo()
    with LOTDB(tmp_path) as db:
        assert db.verify() == []
