"""A window is checked as well as a whole read: by the sums of the blocks that it touches."""

import random
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotdb import DamagedError
from lotdb.records import Box
from lotdb.segments import stage
from lotdb.segments.blocks import BLOCK_BYTES, SUM_BYTES, BlockSums, block_rows
from lotdb.segments.stage import INLINE_BYTES, Stage

raw_backend = runpy.run_path(str(Path(__file__).with_name("raw_backend.py")))
RawBackend: Any = raw_backend["RawBackend"]
fresh, opened = raw_backend["fresh"], raw_backend["opened"]


def segments_of(node):
    return node.get_data()._record.segments


def alter(path, place):
    path = Path(path)
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 0x10
    path.write_bytes(data)


# -- what is altered is noticed ----------------------------------------------------------------------


@pytest.mark.crossed
@pytest.mark.parametrize("backend", ["blob", "zarr", RawBackend])
@pytest.mark.parametrize("rows", [2_000, 20_000, 200_000])  # with others in a file, of many blocks, of a lot
def test_an_altered_window_is_an_error_and_never_data(tmp_path, backend, rows):
    array = np.random.default_rng(0).normal(size=(rows, 2))
    in_files = {"blob": {"record_bytes": 0}} if backend == "blob" else {}
    with opened(tmp_path, backend, backends=in_files) as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(array)
        with db.connection() as root:
            ((path, _),) = max((s.files for s in root["a"].get_data().segments()), key=len)[-1:]
    whole = Path(path).read_bytes()
    for place in (0.1, 0.5, 0.9, 1):
        alter(path, place)
        with opened(tmp_path, backend, read_only=True) as db, db.connection() as root:
            payload, wrong = root["a"].get_data(), 0
            for first in range(0, rows, rows // 20):
                try:
                    got = payload.read(first, first + rows // 40)
                except DamagedError:
                    wrong += 1
                else:
                    assert np.array_equal(got, array[first : first + rows // 40])
            around = slice(max(0, int(place * rows) - 2 * rows // 40), int(place * rows) + rows // 20)
            with pytest.raises(DamagedError, match="payload 'data' of node 'a'"):
                payload[around]
            # Of zarr it may be the index of all chunks.
            assert wrong < 20 or rows == 2_000 or backend == "zarr", "the other blocks are as good as ever"
        Path(path).write_bytes(whole)


def test_the_last_rows_of_a_block_are_checked_with_those_of_the_next(tmp_path):
    array = np.arange(100_000, dtype="i4")
    backend = fresh()
    with opened(tmp_path, backend) as db, db.connection() as root:
        root.get_data_node("a").write_data(array)
    (path,) = (tmp_path / "lotdb.fs.raw").iterdir()
    step = block_rows(4, 0)
    for edge in (step, 2 * step, 100_000 // step * step):
        for row in (edge - 1, edge):
            data = array.copy()
            data[row] += 1
            path.write_bytes(data.tobytes())
            with opened(tmp_path, backend) as db, db.connection() as root:
                for window in ((row, row + 1), (edge - 1, edge + 1), (edge - 10, edge + 10), (0, edge + 1)):
                    with pytest.raises(DamagedError, match="do not match their checksum"):
                        root["a"].read_data(*window)


# -- what is right is read ---------------------------------------------------------------------------


@pytest.mark.sampled(2)
@pytest.mark.parametrize("dtype", ["u1", "V3", "i2", "f8", "S50", "V70001"])
def test_any_windows_of_any_rows_are_read(tmp_path, dtype):
    dtype, backend = np.dtype(dtype), fresh()
    rows = max(7, 300_000 // dtype.itemsize)
    array = np.frombuffer(np.random.default_rng(1).bytes(rows * dtype.itemsize), dtype)
    cuts = sorted(random.Random(dtype.str).sample(range(1, rows), 4))
    with opened(tmp_path, backend) as db:
        with db.connection() as root:
            for part in np.split(array, cuts[:2]):  # one behind the other, in a pack
                root.get_data_node("a").append_data(part)
        with db.connection() as root:
            for part in np.split(array, cuts):
                root.get_data_node("b").append_data(part)
                db.commit(root)
    chosen = random.Random(0)
    with opened(tmp_path, backend) as db, db.connection() as root:
        for _ in range(150):
            first, last = sorted(chosen.sample(range(rows + 1), 2))
            for key in "ab":
                assert root[key].read_data(first, last).tobytes() == array[first:last].tobytes()
        assert db.verify() == []


def test_what_grows_in_a_pack_has_the_sums_of_all_its_rows(tmp_path):
    array = np.random.default_rng(2).integers(0, 9, 90_000).astype("i4")
    with opened(tmp_path, fresh()) as db:
        with db.connection() as root:
            for part in np.array_split(array, 37):
                root.get_data_node("a").append_data(part)
            root.get_data_node("at_once").write_data(array)
        with db.connection() as root:
            (one,), (other,) = segments_of(root["a"]), segments_of(root["at_once"])
            assert (one.step, one.sums) == (other.step, other.sums)
            assert len(one.sums) == SUM_BYTES * -(-90_000 // one.step)
        assert db.verify() == []


# -- the cost ----------------------------------------------------------------------------------------


def test_a_block_is_read_whole_once_and_then_only_what_is_wanted(tmp_path):
    backend = fresh()
    with opened(tmp_path, backend) as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(1_000_000, dtype="i2"))
    with opened(tmp_path, backend) as db, db.connection() as root:
        step = block_rows(2, 0)
        payload = root["a"].get_data()
        payload.read(step + 10, step + 20)
        payload.read(step + 30, step + 50)
        payload.read(step - 5, step + 5)
        payload.read(0, 7)
        assert [rows for _, _, rows in backend.requests] == [step, 20, 2 * step, 7]


def test_a_large_window_takes_no_second_memory_of_its_size(tmp_path):
    backend = fresh(concurrent_reads=1)
    with opened(tmp_path, backend) as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(4_000_000, dtype="i2"))
    with opened(tmp_path, backend) as db, db.connection() as root:
        step = block_rows(2, 0)
        got = root["a"].read_data(10, 3_000_000)
        assert np.array_equal(got, np.arange(10, 3_000_000).astype("i2"))
        edge = 3_000_000 // step * step
        assert [(first, rows) for _, first, rows in backend.requests] == [
            (0, step),
            (step, edge - step),
            (edge, step),
        ]


def test_many_sums_lie_in_a_record_of_their_own(tmp_path):
    with opened(tmp_path, "blob") as db:
        with db.connection() as root:
            root.get_data_node("small").write_data(np.zeros(8_000, "u1"))
            root.get_data_node("some").write_data(np.zeros(200_000, "u1"))
            root.get_data_node("many").write_data(np.zeros(3_000_000, "u1"))
        with db.connection() as root:
            (small,), (some,), (many,) = (segments_of(root[key]) for key in ("small", "some", "many"))
            assert (small.step, small.sums) == (0, None), "its checksum is that of its one block"
            assert type(some.sums) is bytes
            assert len(some.sums) <= INLINE_BYTES
            assert type(many.sums) is Box
            root["many"].branch("branch")
            root["many"].append_data(np.ones(10, "u1"))
        db.pack()
        with db.connection() as root:
            assert root["branch"].read_data(2_999_000, 2_999_999).sum() == 0
            assert root["many"].read_data(2_999_990, 3_000_005).sum() == 5
        assert db.verify() == []


# -- sums that are not there, or are wrong -----------------------------------------------------------


def test_an_earlier_format_is_read_as_it_was_and_gets_its_sums_when_it_is_rewritten(tmp_path, monkeypatch):
    array = np.random.default_rng(3).integers(0, 99, 1_000_000)
    with opened(tmp_path, "blob") as db:
        with db.connection() as root, monkeypatch.context() as before:
            before.setattr(Stage, "_step", lambda *about: 0)
            root.get_data_node("a").write_data(array)
        with db.connection() as root:
            assert [len(part) for part in root["a"].get_data()._record.encode()[-1]] == [4]
            assert np.array_equal(root["a"].read_data(500, 9000), array[500:9000])
            root["a"].append_data(array[:10])
            assert np.array_equal(root["a"].read_data(999_990, 1_000_005)[10:], array[:5])
        assert db.verify() == []
        with db.connection() as root:
            root["a"].compact_data()
            ((segment),) = segments_of(root["a"])
            assert segment.step
        with db.connection() as root:
            assert np.array_equal(root["a"].read_data(500, 9000), array[500:9000])
        assert db.verify() == []


@pytest.mark.parametrize("size", [100_000, 1_000_000])
@pytest.mark.parametrize("how", ["altered", "too short"])
def test_wrong_sums_are_told(tmp_path, monkeypatch, size, how):
    real = stage.block_sums

    def altered(array, step):
        found = bytearray(real(array, step))
        found[3] ^= 1
        return bytes(found) if how == "altered" else bytes(found[8:])

    with opened(tmp_path, "blob") as db:
        with db.connection() as root, monkeypatch.context() as wrong:
            wrong.setattr(stage, "block_sums", altered)
            root.get_data_node("a").write_data(np.arange(size))
        with db.connection() as root:
            with pytest.raises(DamagedError, match="payload 'data' of node 'a'"):
                root["a"].read_data(5, 10)
            assert np.array_equal(root["a"].read_data(), np.arange(size)), "the rows are as they were"
        (damage,) = db.verify()
        assert (damage.path, damage.name) == ("a", "data")
        assert "checksums" in damage.reason


# -- the sums themselves -----------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 20_000), st.integers(0, 1000))
def test_sums_do_not_depend_on_the_pieces_and_tell_which_block_is_another(row_bytes, rows, seed):
    chosen = random.Random(seed)
    data = np.frombuffer(chosen.randbytes(row_bytes * rows), f"V{row_bytes}")
    step = block_rows(row_bytes, rows)
    assert step * row_bytes <= max(BLOCK_BYTES, row_bytes)

    def sums(array, cuts=()):
        found = BlockSums(row_bytes, step)
        for part in np.split(array, cuts):
            found.add(np.ascontiguousarray(part))
        return np.frombuffer(found.finish(), "<u8")

    whole = sums(data)
    assert len(whole) == -(-rows // step)
    assert np.array_equal(sums(data, sorted(chosen.choices(range(rows + 1), k=5))), whole)
    other = bytearray(data.tobytes())
    place = chosen.randrange(len(other))
    other[place] ^= 1 << chosen.randrange(8)
    differing = np.flatnonzero(sums(np.frombuffer(bytes(other), data.dtype)) != whole)
    assert differing.tolist() == [place // row_bytes // step]


def test_sums_are_those_that_are_stored():
    # Written down, since a database keeps them: no later release may sum otherwise.
    def sums(size, row_bytes=1):
        found = BlockSums(row_bytes, block_rows(row_bytes, 0))
        found.add(np.arange(size, dtype="u4").astype("u1"))
        return found.finish().hex()

    assert sums(11) == EXPECTED[0]
    assert sums(BLOCK_BYTES + 8) == EXPECTED[1]
    assert sums(100_000, 100_000) == EXPECTED[2]


EXPECTED = (
    "a87b1e541e2fa31b",
    "20d8fa7c4363a6f600af2bc6db2a223a",
    "d0cb8584085d7d11",
)


@pytest.mark.sampled(1)
@pytest.mark.crossed
@pytest.mark.parametrize("concurrent_reads", [1, 8])
@pytest.mark.parametrize("row_bytes", [3, 4096, 50_000])
def test_windows_of_any_size_are_right_and_checked_whatever_was_read_before(
    tmp_path, row_bytes, concurrent_reads
):
    rows = 3_000_000 // row_bytes
    array = np.frombuffer(np.random.default_rng(5).bytes(rows * row_bytes), f"V{row_bytes}")
    backend = fresh(concurrent_reads=concurrent_reads)
    with opened(tmp_path, backend) as db, db.connection() as root:
        root.get_data_node("a").write_data(array)
    (path,) = (tmp_path / "lotdb.fs.raw").iterdir()
    whole, chosen = path.read_bytes(), random.Random(0)
    for _ in range(5):
        with opened(tmp_path, backend) as db, db.connection() as root:
            payload, known = root["a"].get_data(), np.zeros(rows, bool)
            (segment,) = segments_of(root["a"])
            for _ in range(4):
                first, last = sorted(chosen.sample(range(rows + 1), 2))
                assert payload.read(first, last).tobytes() == array[first:last].tobytes()
                known[first // segment.step * segment.step : -(-last // segment.step) * segment.step] = True
            unknown = np.flatnonzero(~known)
            if not len(unknown):
                continue
            row = int(chosen.choice(unknown))
            data = bytearray(whole)
            data[row * row_bytes + chosen.randrange(row_bytes)] ^= 1 << chosen.randrange(8)
            path.write_bytes(data)
            for window in ((row, row + 1), (max(0, row - 40), row + 1), (0, row + 1), (row, rows), (0, rows)):
                with pytest.raises(DamagedError):
                    payload.read(*window)
            path.write_bytes(whole)
            assert payload.read(row, rows).tobytes() == array[row:].tobytes()
