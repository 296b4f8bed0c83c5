"""Small arrays lie in records of the tree: what that saves, and that nothing is lost by it."""

import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lotdb import (
    LOTDB,
    DamagedError,
    DatabaseFormatError,
    InvalidOptionError,
    LotdbError,
    StaleNodeError,
    convert,
    restore,
    salvage,
)
from lotdb.records import Rows
from lotdb.segments.stage import GATHERED, MERGED_BYTES, RECORDED_BYTES, _keep_gathering

SMALL = np.arange(6000.0)  # 48 kB
BLOCK = np.arange(9600, dtype="i4").reshape(4800, 2)  # a tenth of a second of stereo, 38.4 kB


def files(folder):
    return list(folder.rglob("*.blob"))


def rows_in(node, name="data"):
    """The records that hold rows of a payload."""
    locators = [segment.locator for segment in node.get_data(name)._record.segments]
    return [each for each in locators if isinstance(each, Rows)]


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def synced(monkeypatch):
    """What was synced, one entry a call."""
    calls, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append(descriptor) or fsync(descriptor))
    return calls


# -- what it saves -----------------------------------------------------------------------------------


def test_a_commit_of_a_small_array_syncs_once_and_makes_no_file(tmp_path, synced):
    with LOTDB(tmp_path / "db") as db:
        root = db.open_connection()
        root.get_data_node("base/a").write_data(SMALL)
        db.commit()
        for number in range(3):
            del synced[:]
            node = root["base"].branch(f"variant{number}")["a"]
            node.write_data(SMALL * number)
            node.attrs.update(rate=0.1, seed=number, loss=1.5)
            db.commit()
            assert len(synced) == 1
        assert files(tmp_path) == []
        assert [root[f"variant{number}/a"].read_data()[1] for number in range(3)] == [0, 1, 2]


def test_an_append_syncs_once_but_for_those_that_gather_what_came_before(tmp_path, synced):
    with LOTDB(tmp_path / "db") as db:
        node = db.open_connection().get_data_node("a")
        counts = []
        for _ in range(GATHERED + 3):
            del synced[:]
            node.append_data(BLOCK)
            db.commit()
            counts.append(len(synced))
        assert counts.count(1) == GATHERED + 2
        assert np.array_equal(node.read_data(), np.concatenate([BLOCK] * (GATHERED + 3)))


@pytest.mark.slow
def test_600_appends_take_little_more_than_twice_their_size_beside_a_reader(tmp_path):
    with LOTDB(tmp_path / "db", durability="process") as db:
        node = db.open_connection().get_data_node("a", samplerate_hz=48_000)
        with LOTDB(tmp_path / "db", read_only=True) as reader:
            for number in range(600):
                node.append_data(np.full((4800, 4), number, "i2"))
                db.commit()
                if number % 200 == 199:
                    with reader.connection() as root:
                        seen = root["a"].read_data()[::4800, 3]
                        assert seen.tolist() == list(range(number + 1))
            assert size_of(tmp_path / "db") < 2.2 * 600 * 4800 * 8
        assert len(node.get_data().segments()) < 2 * GATHERED
        db.close_connection()
        db.pack()
        assert size_of(tmp_path / "db") < 1.1 * 600 * 4800 * 8
        assert db.verify() == []


def test_what_is_loaded_at_once_goes_to_files(tmp_path, db):
    root = db.open_connection()
    for number in range(40):
        root.get_data_node(f"n{number}").write_data(SMALL + number)
    db.commit()
    inside = sum(bool(rows_in(root[f"n{number}"])) for number in range(40))
    assert 0 < inside * SMALL.nbytes <= RECORDED_BYTES
    assert len(files(tmp_path)) == 1
    assert all(root[f"n{number}"].read_data()[0] == number for number in range(40))


def test_many_rows_appended_in_one_transaction_are_few_segments(db):
    node = db.open_connection().get_data_node("a")
    for number in range(600):
        node.append_data(np.full(60, number))
    assert len(node.get_data().segments()) <= 2
    db.commit()
    assert np.array_equal(node.read_data(), np.repeat(np.arange(600), 60))


def test_appends_to_payloads_in_turn_copy_no_row_often(db):
    root = db.open_connection()
    for number in range(150):
        for name in "xy":
            root.get_data_node(name).append_data(np.full(100, number))
    db.commit()
    for name in "xy":
        assert np.array_equal(root[name].read_data(), np.repeat(np.arange(150), 100))
    assert size_of(db.path) < 6 * 2 * 150 * 800


@pytest.mark.parametrize(("asked", "files_made"), [(0, 1), (100, 1), (47_999, 1), (48_000, 0), (10**9, 0)])
def test_the_setting_says_how_large_arrays_in_records_may_be(tmp_path, asked, files_made):
    with LOTDB(tmp_path / "db", backends={"blob": {"record_bytes": asked}}) as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(SMALL)
        assert len(files(tmp_path)) == files_made
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        assert np.array_equal(root["a"].read_data(), SMALL)


@pytest.mark.parametrize("asked", [-1, 1.5, True, "64 kB", None])
def test_a_setting_that_is_no_size_is_refused(tmp_path, asked):
    with (
        LOTDB(tmp_path / "db", backends={"blob": {"record_bytes": asked}}) as db,
        pytest.raises(InvalidOptionError, match="record_bytes is"),
        db.connection() as root,
    ):
        root.get_data_node("a").write_data(SMALL)


# -- how segments gather -----------------------------------------------------------------------------


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from([1, 7, 50, 600, 38_400, 500_000, 3_000_000, 8_000_000]), min_size=1, max_size=6),
    st.integers(1, 250),
)
def test_segments_stay_few_and_no_byte_is_written_often(pattern, count):
    sizes, written, total = [], 0, 0
    for number in range(count):
        added = pattern[number % len(pattern)]
        keep = _keep_gathering(sizes, added)
        merged = sum(sizes[keep:]) + added
        assert keep == len(sizes) or merged <= MERGED_BYTES
        sizes[keep:] = [merged]
        written += merged
        total += added
    assert sum(sizes) == total
    large = sum(size >= MERGED_BYTES // 5 for size in sizes)  # which are no slower in pieces
    assert len(sizes) - large < 6 * GATHERED
    assert written <= 7 * total


# -- what holds of all payloads ----------------------------------------------------------------------


@pytest.mark.parametrize("place", [0.0, 0.3, 0.7, 1.0])
def test_an_altered_byte_is_noticed_wherever_it_is(tmp_path, place):
    with LOTDB(tmp_path / "db") as db:
        for key in "ab":  # the last transaction would be taken for one that was not finished
            with db.connection() as root:
                root.get_data_node(key).write_data(SMALL if key == "a" else SMALL[::-1])
    data = bytearray((tmp_path / "db/lotdb.fs").read_bytes())
    start = data.index(SMALL.tobytes())
    data[start + int(place * (SMALL.nbytes - 1))] ^= 4
    (tmp_path / "db/lotdb.fs").write_bytes(data)
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            for first in range(0, 6000, 1000):
                with pytest.raises(DamagedError, match="payload 'data' of node 'a'"):
                    root["a"].read_data(first, first + 10)
            assert np.array_equal(root["b"].read_data(), SMALL[::-1])
        assert [(found.path, found.name) for found in db.verify()] == [("a", "data")]
    assert [(lost.path, lost.name) for lost in salvage(tmp_path / "db", tmp_path / "saved").lost] == [
        ("a", "data")
    ]
    with LOTDB(tmp_path / "saved") as db, db.connection() as root:
        assert np.array_equal(root["b"].read_data(), SMALL[::-1])


def test_what_was_undone_is_told_from_what_is_damaged(db):
    root = db.open_connection()
    node = root.get_data_node("a")
    kept = node.write_data(SMALL)
    point = db.savepoint()
    gone = node.write_data(SMALL + 1, data_attribute="other")
    db.savepoint()
    point.rollback()
    with pytest.raises(StaleNodeError):
        gone.read()
    assert np.array_equal(kept.read(), SMALL)
    db.commit()
    assert np.array_equal(node.read_data(), SMALL)
    gone = node.write_data(SMALL + 2)
    db.abort()
    with pytest.raises(StaleNodeError):
        gone.read()
    assert np.array_equal(node.read_data(), SMALL)


def test_a_write_that_fails_leaves_nothing_to_be_committed(db):
    root = db.open_connection()
    root.get_data_node("a").write_data(SMALL)
    db.commit()
    with pytest.raises(LotdbError):
        root["a"].write_data(SMALL, if_exists="append", backend="zarr")

    def broken(connection):
        connection["a"].write_data(SMALL, data_attribute="b")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        db.run(broken)
    assert list(root["a"].payloads) == ["data"]
    assert not root._tree.has_changes()


def test_reading_many_keeps_the_last_ones_in_memory_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr("lotdb.storage.zodb._CACHE_BYTES", 10 * SMALL.nbytes)
    with LOTDB(tmp_path / "db", durability="process") as db:
        for number in range(100):
            with db.connection() as root:
                root.get_data_node(f"n{number}").write_data(SMALL + number)
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        for _ in range(2):
            for number in range(100):
                assert root[f"n{number}"].read_data(5, 6).tolist() == [5 + number]
        every = [each for number in range(100) for each in rows_in(root[f"n{number}"])]
        assert 0 < sum(each._p_changed is not None for each in every) < 50


@pytest.mark.parametrize("when", ["before", "after"])
def test_any_thread_reads_them_before_and_after_the_commit_and_a_pack(db, when):
    root = db.open_connection()
    node = root.get_data_node("a")
    node.write_data(SMALL[:1000])
    db.commit()
    node.append_data(SMALL[1000:])
    if when == "after":
        db.commit()
        db.abort()
    payload = node.get_data().for_threads()
    found = []

    def read():
        found.append((payload.read().tobytes(), payload.read(990, 1010).tobytes()))

    def in_a_thread():
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()

    in_a_thread()
    db.commit()
    in_a_thread()
    node.write_data(SMALL[::-1])
    db.commit()
    db.pack()
    in_a_thread()
    assert found == [(SMALL.tobytes(), SMALL[990:1010].tobytes())] * 3


def test_any_thread_is_told_what_was_undone(db):
    node = db.open_connection().get_data_node("a")
    payload = node.write_data(SMALL).for_threads()
    db.savepoint()
    saved = node.get_data().for_threads()
    db.abort()
    for each in (payload, saved):
        with pytest.raises(StaleNodeError):
            each.read()


def test_a_branch_shares_them_and_earlier_moments_keep_them(db):
    root = db.open_connection()
    root.get_data_node("a").write_data(SMALL)
    db.commit()
    first = db.last_commit
    size = size_of(db.path)
    root["a"].branch("b")
    db.commit()
    assert size_of(db.path) - size < 2000
    root["a"].write_data(SMALL[::-1])
    db.commit()
    assert np.array_equal(root["b"].read_data(), SMALL)
    with db.at(first) as then:
        assert np.array_equal(then["a"].read_data(), SMALL)
    root["a"].restore(first)
    db.commit()
    assert np.array_equal(root["a"].read_data(), SMALL)
    db.close_connection()
    db.pack()
    with db.connection() as root:
        assert np.array_equal(root["b"].read_data(), SMALL)
        del root["a"]
        del root["b"]
    db.pack()
    assert (db.path / "lotdb.fs").stat().st_size < 2000


def test_sizes_count_them_once(db):
    root = db.open_connection()
    root.get_data_node("a").write_data(SMALL)
    assert [(each.bytes_on_disk, each.files) for each in root["a"].get_data().segments()] == [(0, ())]
    db.commit()
    (stored,) = root["a"].get_data().segments()
    assert (stored.bytes_on_disk, stored.record_bytes, stored.files) == (SMALL.nbytes, SMALL.nbytes, ())
    root["a"].branch("b")
    db.commit()
    found = root["a"].usage()
    assert SMALL.nbytes <= found.shared_bytes < SMALL.nbytes + 2000
    assert root.usage().alone_bytes < SMALL.nbytes + 4000
    stats = db.stats()
    assert SMALL.nbytes < stats.tree_bytes + stats.payload_bytes < SMALL.nbytes + 4000
    del root["a"]
    del root["b"]
    db.commit()
    assert db.stats().free_bytes >= SMALL.nbytes


def test_copies_of_the_database_have_them(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            root.get_data_node("a").append_data(SMALL)
        with db.connection() as root:
            root["a"].append_data(SMALL[::-1])
            root.get_data_node("large").write_data(np.arange(200_000.0))
        db.backup(tmp_path / "copy")
        with db.connection() as root:
            root["a"].append_data(SMALL)
        db.backup(tmp_path / "copy")
    restore(tmp_path / "copy", tmp_path / "again")
    salvage(tmp_path / "copy", tmp_path / "saved")
    convert(tmp_path / "copy", tmp_path / "in sqlite", storage="sqlite")
    convert(tmp_path / "in sqlite", tmp_path / "and back", storage="file")
    for name in ("copy", "again", "saved", "in sqlite", "and back"):
        with LOTDB(tmp_path / name) as db:
            assert db.verify() == []
            with db.connection() as root:
                assert np.array_equal(root["a"].read_data(), np.concatenate([SMALL, SMALL[::-1], SMALL]))
                assert np.array_equal(root["large"].read_data(), np.arange(200_000.0))
                payload = root["a"].get_data().for_threads()
                assert payload.read(5995, 6005).tolist() == [*SMALL[5995:], *SMALL[:-6:-1]]
                root["a"].append_data(SMALL)
            with db.connection() as root:
                assert len(root["a"].read_data()) == 4 * 6000


def test_a_reader_in_a_read_only_database_follows_them(tmp_path):
    with LOTDB(tmp_path / "db") as db, LOTDB(tmp_path / "db", read_only=True) as reader:
        for number in range(3):
            with db.connection() as root:
                root.get_data_node("a").append_data(SMALL + number)
            with reader.connection() as root:
                assert root["a"].read_data()[::6000].tolist() == list(range(number + 1))


# -- databases of other releases ---------------------------------------------------------------------


def noted(db, formats):
    with db.connection() as root:
        connection = root._tree._session.connection
        if formats is None:
            del connection.root()["formats"]
        else:
            connection.root()["formats"] = formats


def test_a_database_that_notes_nothing_gets_the_note_with_the_first_small_array(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        noted(db, None)
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            root.get_data_node("large").write_data(np.arange(200_000.0))
            assert "formats" not in root._tree._session.connection.root()
        with db.connection() as root:
            root.get_data_node("a").write_data(SMALL)
        with db.connection() as root:
            assert root._tree._session.connection.root()["formats"] == {"lotdb": 3}


def test_a_later_form_is_refused_by_its_number(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        noted(db, {"lotdb": 5})
    with pytest.raises(DatabaseFormatError, match=r"records of version 5, and .* up to 4; install a newer"):
        LOTDB(tmp_path / "db")


@pytest.mark.parametrize("state", [None, 7, ("x",), "text"])
def test_a_record_that_holds_no_rows_is_damage(tmp_path, monkeypatch, state):
    monkeypatch.setattr(Rows, "__getstate__", lambda self: state)
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.get_data_node("a").write_data(SMALL)
    monkeypatch.undo()
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root, pytest.raises(DamagedError, match="payload 'data' of node 'a'"):
            root["a"].read_data()
        assert [found.path for found in db.verify()] == ["a"]


def test_a_record_with_fewer_rows_than_are_named_is_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(Rows, "__getstate__", lambda self: self.rows[:-8])
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.get_data_node("a").write_data(SMALL)
    monkeypatch.undo()
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        with pytest.raises(DamagedError, match="47992 bytes, at least 48000"):
            root["a"].read_data()
        assert root["a"].read_data(0, 5999).tolist() == SMALL[:-1].tolist()
