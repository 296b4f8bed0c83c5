"""Windows of shards whose files stay open, and of chunks that stay decoded, also if files change."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotdb import LOTDB, BackendContext, DamagedError
from lotdb_backend_zarr import backend as zarr_backend
from lotdb_backend_zarr import open_files
from lotdb_backend_zarr.decoded import Decoded

ROWS = np.random.default_rng(1).integers(-3000, 3000, (200_000, 3)).astype("i2")


@pytest.fixture
def payload(tmp_path):
    with LOTDB(tmp_path / "db", new=True) as db, db.connection() as root:
        root.get_data_node("a", backend="zarr").write_data(ROWS, shards=100_000, chunks=10_000)
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        yield root["a"].get_data()


def shard_of(payload, number: int = 0) -> Path:
    [segment] = payload.segments()
    return next(Path(path) for path, _ in segment.files if path.endswith(f"c.{number}.0"))


def a_moment_later() -> None:
    """An open file is looked at again by then."""
    time.sleep(2 * open_files.LOOKED_AT_S)


@given(data=st.data())
def test_windows_are_the_rows_that_were_written(tmp_path_factory, data):
    rows = data.draw(st.integers(1, 60))
    chunks = data.draw(st.integers(1, 20))
    shards = chunks * data.draw(st.integers(1, 4))
    dtype = data.draw(st.sampled_from(["i2", ">f4", "f8", "S3", "?", [("a", "i2"), ("b", "f8")]]))
    array = np.arange(rows * 2).reshape(rows, 2).astype(dtype)
    folder = tmp_path_factory.mktemp("windows") / "arrays"
    backend = zarr_backend.ZarrBackend(BackendContext(folder, durable=False))
    locator = backend.new_locator()
    options = backend.check_options({"chunks": chunks, "shards": shards}, array.dtype, (2,))
    backend.write(locator, array, options)
    for _ in range(8):
        start = data.draw(st.integers(0, rows - 1))
        stop = data.draw(st.integers(start + 1, rows))
        out = np.empty_like(array[start:stop])
        backend.read_into(locator, start, out)
        assert np.array_equal(out, array[start:stop])
    backend.close()


def test_a_window_of_a_file_that_was_written_to_since_is_checked_anew(payload):
    assert np.array_equal(payload[5:500], ROWS[5:500])
    path = shard_of(payload)
    content = bytearray(path.read_bytes())
    before = path.stat()
    content[3000] ^= 1
    with open(path, "r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    a_moment_later()
    with pytest.raises(DamagedError, match=r"chunk \(0, 0\) of .*c\.0\.0 is damaged"):
        payload[5:500]
    assert np.array_equal(payload[150_000:150_005], ROWS[150_000:150_005])


@pytest.mark.parametrize("what", ["removed", "replaced by a folder", "cut"])
def test_a_window_of_a_file_that_is_gone_since_is_damage(payload, what):
    assert np.array_equal(payload[5:500], ROWS[5:500])
    path = shard_of(payload)
    if what == "cut":
        os.truncate(path, 100)
    else:
        path.unlink()
    if what == "replaced by a folder":
        path.mkdir()
    a_moment_later()
    with pytest.raises(DamagedError, match=r"c\.0\.0"):
        payload[5:500]


def test_a_file_that_was_put_back_is_read(payload):
    path = shard_of(payload)
    assert np.array_equal(payload[5:500], ROWS[5:500])
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    a_moment_later()
    assert np.array_equal(payload[5:500], ROWS[5:500])
    assert np.array_equal(payload.read(), ROWS)


def test_a_second_window_of_a_chunk_decodes_nothing(payload, monkeypatch):
    first = payload[5:500]
    monkeypatch.setattr("lotdb_backend_zarr.chunk_codecs.Blosc.decode", None)
    assert np.array_equal(payload[5:500], first)
    assert np.array_equal(payload[600:9000], ROWS[600:9000])
    first[:] = 0  # the reader's own
    assert np.array_equal(payload[5:500], ROWS[5:500])


def held(decoded, names):
    return [name for name in names if name in decoded._chunks]


def filled(limit=1000):
    decoded = Decoded(limit)
    for number in range(20):
        decoded.put(number, np.full(100, number, "u1"))
    return decoded


def test_what_stays_decoded_has_a_limit():
    decoded = filled()
    assert decoded.size == 1000
    assert held(decoded, range(20)) == list(range(10))
    decoded.put("large", np.zeros(300, "u1"))
    assert decoded.get("large") is None
    decoded.put(9, np.zeros(50, "u1"))  # once more, as by two threads
    assert decoded.size == 950
    decoded.clear()
    assert (decoded.size, decoded.get(9), decoded.get(19)) == (0, None, None)


def test_what_is_asked_for_again_takes_the_place_of_what_was_not():
    decoded = filled()
    assert decoded.get(0) is not None
    decoded.put(15, np.full(100, 15, "u1"))
    decoded.put(16, np.full(100, 16, "u1"))
    assert held(decoded, range(20)) == [0, *range(3, 10), 15, 16]
    assert decoded.size == 1000


def test_the_chunk_that_was_put_last_is_there_and_comes_in_with_the_next_window():
    decoded = filled()
    assert held(decoded, [19]) == []
    assert (decoded.get(19) == 19).all()
    assert held(decoded, range(20)) == [*range(1, 10), 19]
    assert decoded.get(18) is None


def test_windows_are_right_when_more_is_asked_for_than_stays(payload):
    backend = payload._tree.stage.backend_of("zarr")
    backend._decoded = decoded = Decoded(250_000)  # four chunks of ten
    random = np.random.default_rng(0)
    for first in random.integers(0, len(ROWS) - 9000, 300).tolist():
        assert np.array_equal(payload[first : first + 9000], ROWS[first : first + 9000])
        assert np.array_equal(payload[first + 7 : first + 50], ROWS[first + 7 : first + 50])
        assert 0 < decoded.size <= decoded.limit


def test_what_fits_is_there_from_the_third_turn_on_whatever_was_there_before():
    decoded = filled()
    for number in range(1000, 1100):  # once each, as of a recording that is read from its begin to its end
        decoded.put(number, np.zeros(100, "u1"))
    assert held(decoded, range(20)) == list(range(10))
    assert len(decoded._passed) <= 10
    for turn in range(3):
        for number in range(100, 110):
            chunk = decoded.get(number)
            assert (chunk is not None) == (turn == 2)
            if chunk is None:
                decoded.put(number, np.full(100, number, "u1"))
    assert held(decoded, range(20)) == []
    assert decoded.size == 1000


@pytest.mark.parametrize("limit", [0, 250_000])
def test_what_did_not_come_in_is_read_anew_once_its_file_was_written_to(tmp_path, limit):
    with LOTDB(tmp_path / "db", new=True) as db, db.connection() as root:
        root.get_data_node("a", backend="zarr").write_data(ROWS, shards=100_000, chunks=10_000)
    with (
        LOTDB(tmp_path / "db", backends={"zarr": {"cache_bytes": limit}}) as db,
        db.connection() as root,
    ):
        payload = root["a"].get_data()
        for chunk in range(10):
            first = 10_000 * chunk + 5
            assert np.array_equal(payload[first : first + 9], ROWS[first : first + 9])
        path = shard_of(payload)
        content = bytearray(path.read_bytes())
        content[-1000] ^= 1  # of the last chunk, which was read last
        path.write_bytes(content)
        a_moment_later()
        with pytest.raises(DamagedError, match=r"chunk \(9, 0\) of .*c\.0\.0 is damaged"):
            payload[90_005:90_500]


def test_as_much_stays_decoded_as_the_setting_says(tmp_path, monkeypatch):
    with LOTDB(tmp_path / "db", new=True, backends={"zarr": {"cache_bytes": 16 * 600_000}}) as db:
        root = db.open_connection()
        payload = root.get_data_node("a", backend="zarr").write_data(ROWS, shards=100_000, chunks=10_000)
        db.commit()
        for first in range(0, 200_000, 10_000):
            payload[first : first + 5]
        monkeypatch.setattr("lotdb_backend_zarr.chunk_codecs.Blosc.decode", None)
        for first in range(0, 200_000, 10_000):
            assert np.array_equal(payload[first + 10 : first + 50], ROWS[first + 10 : first + 50])


def test_files_stay_open_up_to_a_limit_and_are_closed_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(zarr_backend, "most_open", lambda: 20)
    before = len(open_files.OPEN)
    with LOTDB(tmp_path / "db", new=True, durability="process") as db:
        root = db.open_connection()
        for number in range(40):
            root.get_data_node(str(number), backend="zarr").write_data(ROWS[:100] + number)
            db.commit()
        for _ in range(2):
            for number in range(40):
                assert np.array_equal(root[str(number)].read_data(5, 9), ROWS[5:9] + number)
            assert len(open_files.OPEN) <= max(20, before + open_files._SOME)
    assert len(open_files.OPEN) <= before  # fewer if what another test has left is collected meanwhile


def test_a_share_of_the_files_that_the_process_may_have_stays_open():
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
        assert open_files.most_open() == 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
