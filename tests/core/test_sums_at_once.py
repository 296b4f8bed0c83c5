"""Checksums of what several threads read, by whatever computes them."""

import builtins
import threading
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotdb import LOTDB, DamagedError, extras
from lotdb.interfaces import at_once, checksums
from lotdb.storage.sealing import is_intact, seal, seal_object, unsealed


@pytest.fixture(params=["isal", "zlib"])
def library(request, monkeypatch):
    extras.fastest_crc32.cache_clear()
    if request.param == "isal":
        pytest.importorskip("isal")
    else:
        real = builtins.__import__
        monkeypatch.setattr(extras, "import_extra", lambda *about: real("isal_that_is_not_installed"))
    yield request.param
    extras.fastest_crc32.cache_clear()


def test_each_library_gives_the_same_sums(library):
    data = np.random.default_rng(2).integers(0, 256, 300_000).astype("u1")
    for size in (0, 1, 100, 32_767, 32_768, 32_769, 300_000):
        part = np.ascontiguousarray(data[:size])
        assert checksums.checksum(part) == zlib.crc32(part.tobytes())
        assert checksums.checksum(part, 12345) == zlib.crc32(part.tobytes(), 12345)
    assert (extras.fastest_crc32() is zlib.crc32) == (library == "zlib")


@pytest.mark.parametrize("size", [10, 32_758, 32_768, 300_000])
def test_a_record_has_the_same_checksums_whatever_library_gives_them(library, size):
    oid, tid = bytes(8), b"a moment"
    record = np.random.default_rng(size).bytes(size)
    sealed = seal(record, oid, tid)
    assert is_intact(sealed)
    assert sealed[-4:] == zlib.crc32(sealed[:-4]).to_bytes(4, "little")
    assert unsealed(sealed) == record
    altered = bytes([record[0] ^ 1]) + sealed[1:]
    assert not is_intact(altered)
    assert seal_object(record, oid)[:-4] == sealed[:size] + seal_object(b"", oid)[:-4]
    assert is_intact(seal_object(record, oid))


@given(st.integers(1, 400), st.integers(0, 300), st.integers(1, 50), st.sampled_from([64, 1000, 1 << 20]))
def test_blocks_end_between_chunks_and_sum_up_to_the_whole(rows, first, chunk_rows, block_bytes):
    data = np.random.default_rng(rows).integers(0, 256, (first + rows, 7)).astype("u1")
    out = np.zeros((rows, 7), "u1")
    asked = []

    def read(row, block):
        asked.append((first + row, first + row + len(block)))
        block[:] = data[first + row : first + row + len(block)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checksums, "BLOCK_BYTES", block_bytes)
        whole = checksums.read_summed_at_once(read, out, first, chunk_rows)
    assert whole == zlib.crc32(data[first:].tobytes())
    assert np.array_equal(out, data[first:])
    edges = sorted(edge for window in asked for edge in window)[1:-1]
    assert all(edge % chunk_rows == 0 for edge in edges)


def test_what_only_the_thread_of_the_user_can_read_is_read_by_it(monkeypatch):
    monkeypatch.setattr(at_once, "_processors", lambda: 4)
    data = np.random.default_rng(3).integers(0, 256, 12_000_000).astype("u1")
    out, mine, tried = np.empty_like(data), threading.get_ident(), []

    def read(row, block):
        if threading.get_ident() != mine:
            tried.append(row)
            raise RuntimeError("not in this thread")
        block[:] = data[row : row + len(block)]

    assert checksums.read_summed_at_once(read, out, 0, 1) == zlib.crc32(data)
    assert np.array_equal(out, data)


def test_an_error_in_any_thread_is_raised(monkeypatch):
    monkeypatch.setattr(at_once, "_processors", lambda: 4)
    threads = threading.active_count()

    def read(row, block):
        if row > 6_000_000:
            raise DamagedError("too short")

    with pytest.raises(DamagedError, match="too short"):
        checksums.read_summed_at_once(read, np.empty(12_000_000, "u1"), 0, 1)
    assert threading.active_count() == threads


@pytest.mark.sampled(2)
@pytest.mark.parametrize("backend", ["blob", "zarr"])
@pytest.mark.usefixtures("library")
def test_a_large_array_is_written_read_and_checked(tmp_path, backend):
    rows = np.random.default_rng(4).integers(-99, 99, 4_000_000).astype("i4").cumsum(dtype="i4")
    with LOTDB(tmp_path, new=True) as db:
        root = db.open_connection()
        payload = root.get_data_node("a", backend=backend).write_data(rows)
        db.commit()
        assert np.array_equal(payload.read(), rows)
        assert np.array_equal(payload[17:3_900_001], rows[17:3_900_001])
        assert db.verify() == []
        [segment] = payload.segments()
        path = max(segment.files, key=lambda each: each[1])[0]
        with open(path, "r+b") as file:
            file.seek(3_000_000)
            byte = file.read(1)
            file.seek(3_000_000)
            file.write(bytes([byte[0] ^ 4]))
        with pytest.raises(DamagedError):
            payload.read()
