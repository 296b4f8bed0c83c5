"""Large objects are read by several requests at once, each for a limited part."""

import threading
import zlib

import numpy as np
import pytest

from lotdb import LOTDB, DamagedError, ObjectStore, UnavailableError
from lotdb.interfaces import object_store

pytest.importorskip("obstore", reason="the extra lotdb-backend-blob[s3] is not installed")

CONTENT = np.random.default_rng(0).integers(0, 256, 1_000_003).astype("u1")


@pytest.fixture
def store(s3_bucket, monkeypatch):
    monkeypatch.setattr(object_store, "_STREAM_BYTES", 200_000)
    monkeypatch.setattr(object_store, "_RANGE_BYTES", 100_000)
    store = ObjectStore(f"{s3_bucket}/x", extra="lotdb-backend-blob[s3]")
    store.put("a", [CONTENT], len(CONTENT))
    return store


@pytest.fixture
def asked(store, monkeypatch):
    """The ranges that are asked for; how many are under way at once stands under "most"."""
    ranges, lock, under_way = [], threading.Lock(), {"now": 0, "most": 0}
    get_range = store.get_range

    def watched(key, start, size):
        with lock:
            ranges.append((start, size))
            under_way["now"] += 1
            under_way["most"] = max(under_way.values())
        try:
            return get_range(key, start, size)
        finally:
            with lock:
                under_way["now"] -= 1

    monkeypatch.setattr(store, "get_range", watched)
    return ranges, under_way


@pytest.mark.sampled(4)
@pytest.mark.parametrize("start", [0, 1, 128, 99_999, 100_000, 123_456])
@pytest.mark.parametrize("left", [0, 1, 54_321])
def test_all_bytes_arrive_where_they_belong(store, asked, start, left):
    out = np.zeros(len(CONTENT) - start - left, "u1")
    summed = store.read_into("a", start, out, is_rest=left == 0)
    wanted = CONTENT[start : len(CONTENT) - left]
    assert np.array_equal(out, wanted)
    assert summed == zlib.crc32(wanted)
    ranges, under_way = asked
    assert sum(size for _, size in ranges) == len(wanted)
    assert max(size for _, size in ranges) <= 100_000
    assert all(first % 100_000 == 0 for first, _ in sorted(ranges)[1:])  # as the pieces that stores keep
    assert under_way["most"] <= object_store._RANGES_AT_ONCE


def test_what_is_not_there_ends_it_and_no_more_is_asked_for(store, asked):
    ranges, _ = asked
    with pytest.raises(DamagedError, match="missing"):
        store.read_into("b", 0, np.zeros(5_000_000, "u1"))
    assert len(ranges) <= object_store._RANGES_AT_ONCE
    with pytest.raises(DamagedError, match="too early"):
        store.read_into("a", 0, np.zeros(len(CONTENT) + 300_000, "u1"))


def test_a_server_that_is_gone_is_one_error(store, monkeypatch):
    gone = ObjectStore(store.url, extra="lotdb-backend-blob[s3]")

    def fail(key, start, size):
        raise UnavailableError(None, "cannot read the object", store.where(key))

    monkeypatch.setattr(gone, "get_range", fail)
    with pytest.raises(UnavailableError, match=store.url):
        gone.read_into("a", 0, np.zeros(5_000_000, "u1"))


def test_a_whole_shard_is_one_request(s3_bucket, tmp_path, monkeypatch):
    rows = np.arange(40_000.0).reshape(-1, 2)
    with LOTDB(tmp_path / "db", payloads=s3_bucket, default_backend="zarr") as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(rows, chunks=1000, shards=4000)
        counted = []
        for name in ("start_of", "end_of", "get_range"):
            method = getattr(ObjectStore, name)

            def count(self, *about, method=method, name=name):
                counted.append(name)
                return method(self, *about)

            monkeypatch.setattr(ObjectStore, name, count)
        with LOTDB(tmp_path / "db", read_only=True) as reader, reader.connection() as root:
            assert np.array_equal(root["a"].read_data(), rows)
        assert counted == ["start_of"] * 5  # 20 000 rows
        with LOTDB(tmp_path / "db", read_only=True) as reader, reader.connection() as root:
            assert np.array_equal(root["a"].read_data(3000, 9000), rows[3000:9000])
        assert counted[5:].count("start_of") == 1  # the one in the middle
