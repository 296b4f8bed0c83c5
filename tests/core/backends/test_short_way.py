"""From its second window on, a payload is read the short way; what it gives and refuses stays the same."""

import gc
import os
import threading
import tracemalloc
import weakref
from pathlib import Path

import numpy as np
import pytest
from tests.core.backends.raw_backend import RawBackend, fresh, opened

from lotdb import ClosedError, DamagedError, StaleNodeError, WrongThreadError
from lotdb.segments.blocks import BLOCK_BYTES
from lotdb_backend_blob import backend as blob_backend
from lotdb_backend_blob import npy_reading

IN_FILES = {"blob": {"record_bytes": 0}}
DTYPES = ["int16", ">f8", "M8[ms]", [("a", "i2"), ("b", "f4")]]


def array_of(rows, dtype="int16", shape=(), seed=0):
    raw = np.random.default_rng(seed).integers(0, 100, (rows, *shape))
    if isinstance(dtype, list):
        made = np.zeros((rows, *shape), dtype)
        made["a"], made["b"] = raw, raw / 2
        return made
    return raw.astype(dtype)


def check_windows(read, array, count=15):
    random = np.random.default_rng(len(array))
    edges = np.sort(random.integers(0, len(array) + 1, (count, 2)), axis=1).tolist()
    for first, last in [*edges, (0, len(array)), (0, 1), (len(array) - 1, len(array)), (5, 5)]:
        got = read(first, last)
        assert got.dtype == array.dtype
        np.testing.assert_array_equal(got, array[first:last])


def alter(path, place):
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.seek(int(place * (os.path.getsize(path) - 1)))
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0x10]))


def ways(node):
    return node._tree.stage.windows


@pytest.mark.sampled(1)
@pytest.mark.crossed
@pytest.mark.parametrize("backend", ["blob", "zarr", RawBackend])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_any_window_is_what_numpy_gives(tmp_path, backend, dtype):
    small, large = array_of(300, dtype), array_of(30_000, dtype, (2,), seed=1)
    with opened(tmp_path, backend) as db, db.connection() as root:
        root.get_data_node("small").write_data(small)
        root.get_data_node("large").write_data(large)
        db.commit(root)
        for _ in range(2):
            for name, array in (("small", small), ("large", large)):
                payload = root[name].get_data()
                check_windows(lambda first, last, payload=payload: payload[first:last], array)
                check_windows(root[name].read_data, array)
                check_windows(payload.for_threads().read, array)
                assert (payload[-7:] == array[-7:]).all()
                with pytest.raises(LookupError):
                    payload[len(array)]
        assert ways(root)


@pytest.mark.crossed
@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_what_is_written_later_is_read(tmp_path, backend):
    first, second = array_of(50_000), array_of(40_000, seed=1)
    with opened(tmp_path, backend) as db, db.connection() as root:
        node = root.get_data_node("a")
        node.write_data(first)
        db.commit(root)
        old = node.get_data()
        check_windows(old.read, first)
        check_windows(node.read_data, first)
        node.append_data(second)  # not committed yet
        both = np.concatenate([first, second])
        check_windows(node.read_data, both)
        db.commit(root)
        check_windows(node.read_data, both)
        with opened(tmp_path, backend, read_only=True) as other, other.connection() as there:
            check_windows(there["a"].read_data, both)
            node.write_data(second, if_exists="replace")
            db.commit(root)
            check_windows(there["a"].read_data, both)  # its moment
        check_windows(node.read_data, second)
        check_windows(old.read, first)
        node.append_data(first)
        node.compact_data()
        db.commit(root)
        check_windows(node.read_data, np.concatenate([second, first]))
        db.pack()
        check_windows(root["a"].read_data, np.concatenate([second, first]))


@pytest.mark.crossed
@pytest.mark.parametrize("backend", ["blob", "zarr"])
@pytest.mark.parametrize("rows", [2_000, 200_000])
def test_what_was_undone_is_told(tmp_path, backend, rows):
    array = array_of(rows, shape=(2,))
    in_files = IN_FILES if backend == "blob" else {}
    with opened(tmp_path, backend, backends=in_files) as db, db.connection() as root:
        root.get_data_node("kept").write_data(array)
        db.commit(root)
        root.get_data_node("a").write_data(array)
        payload, kept = root["a"].get_data(), root["kept"].get_data()
        for _ in range(3):
            check_windows(payload.read, array, 5)
            check_windows(kept.read, array, 5)
        db.abort(root)
        with pytest.raises(StaleNodeError):
            payload[10:20]
        check_windows(kept.read, array, 5)


@pytest.mark.crossed
@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_an_altered_byte_is_never_data(tmp_path, backend):
    array = array_of(400_000, "float64")
    with opened(tmp_path, backend) as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(array)
        with db.connection() as root:
            files = [file for segment in root["a"].get_data().segments() for file in segment.files]
            path, _ = max(files, key=lambda file: file[1])
    with opened(tmp_path, backend, read_only=True) as db, db.connection() as root:
        payload = root["a"].get_data()
        freed = payload.for_threads()
        for _ in range(3):
            check = payload[1_000:2_000], freed[1_000:2_000]
            assert all((rows == array[1_000:2_000]).all() for rows in check)
        assert ways(root)
        alter(path, 0.7)  # far from what was read so far
        wrong = 0
        for one in (payload, freed):
            for first in range(0, len(array), 10_000):
                try:
                    assert (one[first : first + 10_000] == array[first : first + 10_000]).all()
                except DamagedError:
                    wrong += 1
        assert wrong >= 2
        with pytest.raises(DamagedError, match="'a'"):
            payload.read()


@pytest.mark.parametrize("dtype", ["float64", [("a", "i2"), ("b", "f4")]], ids=str)
def test_the_first_window_in_a_block_reads_and_checks_just_that_block(tmp_path, dtype):
    array = array_of(60_000, dtype)
    block, backend = 32_768 // array.itemsize, fresh()
    with opened(tmp_path, backend) as db, db.connection() as root:
        root.get_data_node("a").write_data(array)
        db.commit(root)
        payload = root["a"].get_data()
        ((path, _),) = payload.segments()[0].files
        for first in (0, 10):  # from now on there is a short way
            assert (payload[first : first + 5] == array[first : first + 5]).all()
        backend.requests.clear()
        for number in range(1, 9):
            first = number * len(array) // 9
            for _ in range(2):
                assert (payload[first : first + 7] == array[first : first + 7]).all()
        sizes = [rows for _, _, rows in backend.requests]
        assert len(sizes) == 16
        assert {*sizes[1::2]} == {7}
        assert all(block - 8 <= rows <= 2 * block for rows in sizes[::2])
        alter(path, 0.99)
        last = len(array) - 3
        for _ in range(2):
            with pytest.raises(DamagedError, match=Path(path).name):
                payload[last : last + 2]  # in the altered block, at another place
        assert (payload[first : first + 7] == array[first : first + 7]).all()


def test_a_file_that_was_cut_is_damage(tmp_path):
    array = array_of(400_000)
    with opened(tmp_path, "blob") as db, db.connection() as root:
        root.get_data_node("a").write_data(array)
        db.commit(root)
        payload = root["a"].get_data()
        check_windows(payload.read, array)
        ((path, size),) = payload.segments()[0].files
        os.chmod(path, 0o644)
        os.truncate(path, size // 2)
        assert (payload[10:1_000] == array[10:1_000]).all()
        for _ in range(2):
            with pytest.raises(DamagedError, match=Path(path).name):
                payload[300_000:300_100]


def test_what_reads_the_short_way_still_knows_its_thread_and_its_end(tmp_path):
    array, found = array_of(50_000), []
    with opened(tmp_path, "blob") as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(array)
            db.commit(root)
            payload = root["a"].get_data()
            freed = payload.for_threads()
            check_windows(payload.read, array)

            def read():
                for one in (payload, freed):
                    try:
                        found.append(one[10:20])
                    except WrongThreadError as error:
                        found.append(error)

            thread = threading.Thread(target=read)
            thread.start()
            thread.join()
            assert isinstance(found[0], WrongThreadError)
            assert (found[1] == array[10:20]).all()
            check_windows(freed.read, array)
        for one in (payload, freed):
            with pytest.raises(ClosedError):
                one[10:20]


def test_a_reader_that_fails_is_asked_the_long_way(tmp_path):
    asked = []

    def reader_of(self, locator, dtype, row_shape):
        asked.append(locator)
        if len(asked) == 1:
            raise RuntimeError("no reader")

        def read(first_row, out):
            out[...] = 1
            raise RuntimeError("half read")

        return read

    array = array_of(50_000)
    with opened(tmp_path, fresh(reader_of=reader_of)) as db, db.connection() as root:
        for name in ("a", "b"):
            root.get_data_node(name).write_data(array)
        db.commit(root)
        for name in ("a", "b"):
            check_windows(root[name].read_data, array)
        assert len(asked) == 2


def test_files_in_use_stay_open_and_the_others_go(tmp_path, monkeypatch):
    array = array_of(20_000)
    with opened(tmp_path, "blob", backends=IN_FILES) as db, db.connection() as root:
        for number in range(60):
            root.get_data_node(f"n{number:02}").write_data(array + number)
            db.commit(root)
    monkeypatch.setattr(blob_backend, "OPEN_FILES", len(npy_reading.OPEN) + 20)
    with opened(tmp_path, "blob", read_only=True) as db, db.connection() as root:
        payloads = [root[f"n{number:02}"].get_data() for number in range(60)]
        for round_ in range(3):
            for number, payload in enumerate(payloads):
                for which in (number, 0, 1):
                    rows = payloads[which][100 : 200 + round_]
                    assert (rows == array[100 : 200 + round_] + which).all()
                assert len(npy_reading.OPEN) <= blob_backend.OPEN_FILES + 1
                assert payload[:].shape == array.shape
        files = db._backends("blob")._files
        for which in (0, 1):
            assert payloads[which].segments()[0].files[0][0] in files


@pytest.mark.parametrize("last", [0, 3, 9])
def test_the_block_that_is_looked_at_last_is_checked_as_all_others(tmp_path, last):
    rows = BLOCK_BYTES // 2
    array = array_of(10 * rows)
    with opened(tmp_path, "blob", backends=IN_FILES) as db, db.connection() as root:
        root.get_data_node("a").write_data(array)
        db.commit(root)
        payload = root["a"].get_data()
        for block in {*range(10)} - {last}:
            first = block * rows
            assert (payload[first : first + 50] == array[first : first + 50]).all()
        alter(payload.segments()[0].files[0][0], (last + 0.5) / 10)
        with pytest.raises(DamagedError):
            payload[last * rows : last * rows + 50]


def test_a_node_that_is_read_from_once_goes_without_the_garbage_collector(tmp_path):
    array = array_of(3000)
    with opened(tmp_path, "blob", backends=IN_FILES) as db, db.connection() as root:
        root.get_data_node("a/b").write_data(array)
        db.commit(root)
        gc.disable()
        try:
            for _ in range(3):
                node = root["a/b"]
                assert (node.read_data(5, 50) == array[5:50]).all()
                seen = weakref.ref(node)
                del node
                assert seen() is None
        finally:
            gc.enable()


def test_a_node_in_hand_gives_the_same_payload_until_the_next_write(tmp_path):
    array = array_of(3000)
    with opened(tmp_path, "blob", backends=IN_FILES) as db, db.connection() as root:
        node = root.get_data_node("a")
        node.write_data(array)
        node.write_data(-array, data_attribute="other")
        db.commit(root)
        node.get_data()
        assert node.get_data() is node.get_data()
        assert (node.read_data(5, 50, data_attribute="other") == -array[5:50]).all()
        assert (node.read_data(5, 50) == array[5:50]).all()
        node.write_data(array + 1)
        for _ in range(3):
            assert (node.read_data(5, 50) == array[5:50] + 1).all()
        db.abort(root)
        for _ in range(3):
            assert (node.read_data(5, 50) == array[5:50]).all()


def test_a_window_is_small_beside_what_it_reads(tmp_path):
    array = array_of(20_000)
    with opened(tmp_path, "blob", backends=IN_FILES) as db, db.connection() as root:
        for number in range(300):
            root.get_data_node(f"n{number:03}").write_data(array[:100] + number)
        db.commit(root)
        payloads = [root[f"n{number:03}"].get_data() for number in range(300)]
        tracemalloc.start()
        try:
            for payload in payloads:
                payload[5:50]
            used = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert len(ways(root)) == 300
        assert used < 300 * 2000
