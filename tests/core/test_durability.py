"""What a backend has written is on the disk when a commit returns, whether it thinks of that or not."""

import os
import warnings

import numpy as np
import pytest

from lotdb import LOTDB, Backend, DamagedError, Plugins, hookimpl
from lotdb.testing.bench import synced_inodes


class Careless(Backend):
    """Each array in a folder of its own, and nothing is synced."""

    name = "careless"

    def path(self, locator):
        return self.context.folder / "arrays" / locator / "rows"

    def write(self, locator, array, options):
        self.path(locator).parent.mkdir(parents=True)
        self.path(locator).write_bytes(array.tobytes())

    def read_into(self, locator, first_row, out):
        data = self.path(locator).read_bytes()[first_row * out[:1].nbytes :]
        if len(data) < out.nbytes:
            raise DamagedError(f"{self.path(locator)} is too short")
        out.reshape(-1).view(np.uint8)[...] = np.frombuffer(data, np.uint8)[: out.nbytes]

    def delete(self, locator):
        self.path(locator).unlink(missing_ok=True)

    def files(self, locator):
        path = self.path(locator)
        return [(str(path), path.stat().st_size)] if path.exists() else []


class Silent(Careless):
    """It does not say which files it has written."""

    def files(self, locator):
        return ()


class Thoughtful(Careless):
    syncs = True


class Plugin:
    def __init__(self, cls):
        self.cls = cls

    @hookimpl
    def lotdb_get_backend(self, name):
        return self.cls if name == "careless" else None


def database(folder, cls, **how):
    plugins = Plugins()
    plugins.register(Plugin(cls))
    return LOTDB(folder, plugins=plugins, default_backend="careless", **how)


def inode(path):
    status = path.stat()
    return status.st_dev, status.st_ino


def write(folder, cls, monkeypatch, array, **how):
    """What was synced, and the files that a backend has written, with the folders that lead to them."""
    with database(folder, cls, **how) as db, synced_inodes(monkeypatch) as synced:
        with db.connection() as root:
            root.get_data_node("a").write_data(array)
        with db.connection() as root:
            np.testing.assert_array_equal(root["a"].read_data(), array)
    top = folder / "lotdb.fs.careless"
    return synced, [folder, top, *top.rglob("*")]


@pytest.mark.parametrize("cls", [Careless, Silent])
@pytest.mark.parametrize("rows", [10, 300_000])
def test_what_a_backend_does_not_sync_the_core_does(tmp_path, monkeypatch, cls, rows):
    synced, paths = write(tmp_path / "db", cls, monkeypatch, np.arange(float(rows)))
    assert len(paths) == 5
    assert {path for path in paths if inode(path) not in synced} == set()


def test_blocks_are_synced_as_well(tmp_path, monkeypatch):
    with database(tmp_path / "db", Careless) as db, db.connection() as root:
        node = root.get_data_node("a")
        for _ in range(3):
            node.append_data(np.zeros(1_200_000))
        with synced_inodes(monkeypatch) as synced:
            node.compact_data()
        (file,) = (path for segment in node.get_data().segments() for path, _ in segment.files)
    assert inode(tmp_path / file) in synced


def test_a_backend_that_syncs_is_not_synced_again(tmp_path, monkeypatch):
    synced, paths = write(tmp_path / "db", Thoughtful, monkeypatch, np.arange(300_000.0))
    assert not {path for path in paths if path.is_file() and inode(path) in synced}


def test_nothing_is_synced_where_nobody_asked_for_it(tmp_path, monkeypatch):
    synced, _ = write(tmp_path / "db", Careless, monkeypatch, np.arange(300_000.0), durability="process")
    assert not synced


def test_a_sync_that_fails_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    real = os.fsync

    def fsync(file):
        if os.readlink(f"/proc/self/fd/{file}").endswith("/rows"):
            raise OSError(5, "Input/output error")
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    with database(tmp_path / "db", Careless) as db, db.connection() as root:
        with pytest.raises(OSError, match="Input/output error") as caught:
            root.get_data_node("a").write_data(np.arange(300_000.0))
        assert caught.value.errno == 5
    assert not list((tmp_path / "db").rglob("rows"))


def test_codecs_that_go_through_zarr_are_synced_as_any(tmp_path, monkeypatch):
    codecs = pytest.importorskip("zarr.codecs.numcodecs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compressors = [codecs.LZ4()]
        with LOTDB(tmp_path / "db") as db, synced_inodes(monkeypatch) as synced, db.connection() as root:
            root.get_data_node("a").write_data(
                np.arange(300_000.0), backend="zarr", compressors=compressors, chunks=50_000, shards=100_000
            )
    top = tmp_path / "db" / "lotdb.fs.zarr"
    paths = [tmp_path / "db", top, *top.rglob("*")]
    assert len(paths) == 8
    assert {path for path in paths if inode(path) not in synced} == set()


def test_a_store_elsewhere_is_found_after_a_power_cut(tmp_path, monkeypatch):
    store = tmp_path / "far" / "away" / "store"
    with (
        LOTDB(tmp_path / "db", backends={"zarr": {"store": store}}) as db,
        synced_inodes(monkeypatch) as synced,
        db.connection() as root,
    ):
        root.get_data_node("a").write_data(np.arange(9.0), backend="zarr")
    paths = [tmp_path, tmp_path / "far", tmp_path / "far" / "away", *store.rglob("*")]
    assert {path for path in paths if inode(path) not in synced} == set()
