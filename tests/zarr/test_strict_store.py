"""The wrapper that reads finished arrays, against zarr's own tests of stores."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.core.buffer import Buffer, cpu, default_buffer_prototype
from zarr.storage import LocalStore, MemoryStore
from zarr.testing.store import StoreTests

from lotdb import LOTDB, DamagedError, InvalidOptionError
from lotdb_backend_zarr.strict_store import StrictStore, open_store


class TestStrictStore(StoreTests[StrictStore, cpu.Buffer]):
    store_cls = StrictStore
    buffer_cls = cpu.Buffer

    @pytest.fixture
    def store_kwargs(self, tmp_path: Path) -> dict[str, Any]:
        (tmp_path / "group.zarr").mkdir(exist_ok=True)
        return {"store": LocalStore(tmp_path / "group.zarr")}

    @pytest.fixture
    def open_kwargs(self, tmp_path: Path) -> dict[str, Any]:
        (tmp_path / "group.zarr").mkdir(exist_ok=True)
        return {"store": LocalStore(tmp_path / "group.zarr")}

    async def set(self, store: StrictStore, key: str, value: Buffer) -> None:
        path = store._store.root / key  # type: ignore[attr-defined]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value.to_bytes())

    async def get(self, store: StrictStore, key: str) -> Buffer:
        return self.buffer_cls.from_bytes((store._store.root / key).read_bytes())  # type: ignore[attr-defined]

    def test_store_repr(self, store: StrictStore) -> None:
        assert "LocalStore" in repr(store)

    def test_store_supports_writes(self, store: StrictStore) -> None:
        assert store.supports_writes

    def test_store_supports_listing(self, store: StrictStore) -> None:
        assert store.supports_listing

    async def test_read_only_store_raises(self, open_kwargs: dict[str, Any]) -> None:
        store = (await self.store_cls.open(**open_kwargs)).with_read_only(True)
        assert store.read_only
        with pytest.raises(ValueError, match="read-only"):
            await store.set("foo", self.buffer_cls.from_bytes(b"bar"))
        with pytest.raises(ValueError, match="read-only"):
            await store.delete("foo")


def test_an_absent_chunk_is_an_error_and_not_the_fill_value(tmp_path: Path) -> None:
    written = zarr.create_array(tmp_path / "g", name="a", shape=(10,), chunks=(2,), dtype="f4", fill_value=7)
    written[...] = 1.0
    (tmp_path / "g/a/c/3").unlink()
    assert zarr.open_array(tmp_path / "g", path="a", mode="r")[6] == 7  # what zarr itself makes of it
    strict = zarr.open_array(StrictStore(LocalStore(tmp_path / "g")), path="a", mode="r")
    assert strict[5] == 1
    with pytest.raises(DamagedError, match="chunk 'a/c/3' is missing"):
        strict[6]


def test_absent_metadata_is_only_absent(tmp_path: Path) -> None:
    store = StrictStore(LocalStore(tmp_path))
    assert asyncio.run(store.get("a/zarr.json", default_buffer_prototype())) is None


def test_a_store_may_be_given_as_an_object_a_path_or_nothing(tmp_path: Path) -> None:
    memory = MemoryStore()
    assert open_store(memory, tmp_path, read_only=False) is memory
    assert open_store(memory, tmp_path, read_only=True).read_only
    assert open_store(None, tmp_path / "x", read_only=False) == LocalStore(tmp_path / "x")
    assert open_store(tmp_path / "y", tmp_path / "x", read_only=False) == LocalStore(tmp_path / "y")


def test_anything_else_as_a_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError, match="store is 5; use a zarr store, a path or a URL"):
        open_store(5, tmp_path, read_only=False)


def test_a_store_that_the_user_chose_is_not_swept(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "shared")
    zarr.create_array(store, name="precious", shape=(3,), dtype="f4")[...] = 1
    configured: dict[str, Any] = {"default_backend": "zarr", "backends": {"zarr": {"store": store}}}
    with LOTDB(tmp_path / "db", **configured) as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(10))
    shutil.copytree(tmp_path / "db", tmp_path / "copy")
    with LOTDB(tmp_path / "copy", **configured) as db, db.connection() as root:
        root.get_data_node("b").write_data(np.arange(20))
    with LOTDB(tmp_path / "db", **configured) as db:
        db.pack()
    with LOTDB(tmp_path / "copy", **configured) as db:
        assert db.verify() == []
    assert zarr.open_array(store, path="precious")[1] == 1


def test_a_relative_store_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with LOTDB("db", default_backend="zarr", backends={"zarr": {"store": "arrays"}}) as db:
        for place in (tmp_path, tmp_path / "elsewhere"):
            monkeypatch.chdir(place)
            with db.connection() as root:
                root.get_data_node(place.name).write_data(np.arange(10))
        assert db.verify() == []
    assert not list((tmp_path / "elsewhere").iterdir())


def test_group_metadata_that_a_power_cut_left_empty_is_made_anew(tmp_path: Path) -> None:
    with LOTDB(tmp_path, default_backend="zarr") as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(10))
    (tmp_path / "lotdb.fs.zarr/zarr.json").write_bytes(b"")
    with LOTDB(tmp_path, default_backend="zarr") as db:
        with db.connection() as root:
            root.get_data_node("b").write_data(root["a"].read_data())
        assert db.verify() == []


def test_a_second_database_in_the_same_store_is_refused(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "shared")
    configured: dict[str, Any] = {"default_backend": "zarr", "backends": {"zarr": {"store": store}}}
    with LOTDB(tmp_path / "one", **configured) as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(10))
    with (
        LOTDB(tmp_path / "two", **configured) as db,
        pytest.raises(InvalidOptionError, match="belongs to another LOTDB database"),
        db.connection() as root,
    ):
        root.get_data_node("a").write_data(np.arange(10))
    with LOTDB(tmp_path / "one", **configured) as db:
        assert db.verify() == []
