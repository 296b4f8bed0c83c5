"""Small pieces appended to payloads lie in records until many are merged; of zarr, nothing else does."""

import gc
import os

import numpy as np
import pytest

from lotdb import LOTDB, InvalidOptionError
from lotdb.records import Rows
from lotdb.segments.payload_record import PayloadRecord
from lotdb.segments.stage import GATHERED

BLOCK = np.arange(9600, dtype="i4").reshape(4800, 2)  # a tenth of a second of stereo, 38.4 kB


def in_records(node, name="data"):
    """Which segments of a payload lie in records, as True and False."""
    return [isinstance(segment.locator, Rows) for segment in node.get_data(name)._record.segments]


def arrays(folder):
    """The arrays of zarr that there are."""
    return list(folder.glob("**/seg-*"))


@pytest.fixture
def db(tmp_path):
    with LOTDB(tmp_path / "db", default_backend="zarr") as db:
        yield db


def test_a_commit_of_an_appended_piece_syncs_once_and_makes_no_file(db, tmp_path, monkeypatch):
    node = db.open_connection().get_data_node("a")
    node.append_data(BLOCK)  # there is nothing yet that it would be appended to
    db.commit()
    assert in_records(node) == [False]
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(descriptor) or fsync(descriptor))
    for _ in range(GATHERED - 2):
        node.append_data(BLOCK)
        db.commit()
    assert len(synced) == GATHERED - 2
    assert len(arrays(tmp_path)) == 1
    node.append_data(BLOCK)  # with which all are merged
    db.commit()
    assert in_records(node) == [False]
    assert len(arrays(tmp_path)) == 2
    assert np.array_equal(node.read_data(), np.concatenate([BLOCK] * GATHERED))


def records_in_memory():
    gc.collect()
    return [each for each in gc.get_objects() if type(each) is PayloadRecord]


def made_since(before):
    """The records in memory but those that other tests have left; *before* keeps these, and their ids."""
    ids = set(map(id, before))
    return [each for each in records_in_memory() if id(each) not in ids]


def test_the_earlier_forms_of_what_grows_are_not_kept_in_memory(db):
    before = records_in_memory()
    node = db.open_connection().get_data_node("a")
    node.write_data(BLOCK)
    for number in range(100):
        node.append_data(BLOCK)
        if number % 3:
            db.commit()
    assert len(made_since(before)) <= 2
    assert np.array_equal(node.read_data(), np.concatenate([BLOCK] * 101))


def test_who_looks_on_while_a_payload_grows_keeps_few_of_its_forms(tmp_path, monkeypatch):
    monkeypatch.setattr("lotdb.content.payload.DECODED_SEGMENTS", 200)
    before = records_in_memory()
    with LOTDB(tmp_path / "db") as db, LOTDB(tmp_path / "db", read_only=True) as looking:
        node, seen = db.open_connection().get_data_node("a"), looking.open_connection()
        for number in range(60):
            node.append_data(BLOCK)
            db.commit()
            looking.refresh()
            assert len(seen["a"].read_data(-10, None)) == 10
            assert seen["a"].get_data().shape[0] == (number + 1) * len(BLOCK)
        del node
        assert sum(len(each.segments) for each in made_since(before)) < 400


def test_a_commit_that_merges_appended_pieces_into_a_blob_syncs_its_file_once(tmp_path, monkeypatch):
    with LOTDB(tmp_path / "db", default_backend="blob") as db:
        node = db.open_connection().get_data_node("a")
        for _ in range(GATHERED - 1):
            node.append_data(BLOCK)
            db.commit()
        assert not list((tmp_path / "db").rglob("*.blob"))
        synced, fsync = [], os.fsync
        monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino) or fsync(file))
        node.append_data(BLOCK)
        db.commit()
        (merged,) = (tmp_path / "db").rglob("*.blob")
        assert merged.stat().st_size > GATHERED * BLOCK.nbytes > 1 << 20
        assert synced.count(merged.stat().st_ino) == 1


@pytest.mark.slow
def test_600_appends_take_little_more_than_twice_their_size_beside_a_reader(tmp_path):
    random = np.random.default_rng(1)
    blocks = [random.integers(-(2**31), 2**31, BLOCK.shape, "i4") for _ in range(10)]  # incompressible
    with LOTDB(tmp_path / "db", durability="process", default_backend="zarr") as db:
        node = db.open_connection().get_data_node("a")
        with LOTDB(tmp_path / "db", read_only=True) as reader:
            for number in range(600):
                node.append_data(blocks[number % 10])
                db.commit()
                if number % 200 == 199:
                    with reader.connection() as root:
                        assert len(root["a"].read_data()) == (number + 1) * 4800
        size = sum(path.stat().st_size for path in (tmp_path / "db").rglob("*") if path.is_file())
        assert size < 2.2 * 600 * BLOCK.nbytes
        assert np.array_equal(node.read_data(), np.concatenate(blocks * 60))
        db.close_connection()
        db.pack()
        assert db.verify() == []


def test_what_is_written_at_once_is_an_array_of_zarr_whatever_is_appended_beside_it(db, tmp_path):
    root = db.open_connection()
    for name in "ab":
        root.get_data_node(name).write_data(BLOCK)
    db.commit()
    root["a"].append_data(BLOCK[:100])
    root.get_data_node("c").write_data(BLOCK)
    root["b"].append_data(BLOCK[:100])
    root["b"].write_data(BLOCK + 1, data_attribute="other")
    db.commit()
    assert [in_records(root[name]) for name in "abc"] == [[False, True], [False, False], [False]]
    assert in_records(root["b"], "other") == [False]
    root["a"].compact_data()
    db.commit()
    assert in_records(root["a"]) == [False]
    for name in "ab":
        assert np.array_equal(root[name].read_data(), np.concatenate([BLOCK, BLOCK[:100]]))
    assert np.array_equal(root["b"].read_data(data_attribute="other"), BLOCK + 1)
    assert np.array_equal(root["c"].read_data(), BLOCK)


def test_what_is_appended_and_undone_leaves_nothing(db):
    root = db.open_connection()
    root.get_data_node("a").write_data(BLOCK)
    db.commit()
    root["a"].append_data(BLOCK)
    db.abort()
    assert np.array_equal(root["a"].read_data(), BLOCK)
    root["a"].append_data(BLOCK[:7])
    kept = db.savepoint()
    root["a"].append_data(BLOCK)
    kept.rollback()
    db.commit()
    assert np.array_equal(root["a"].read_data(), np.concatenate([BLOCK, BLOCK[:7]]))
    assert db.verify() == []


def test_the_setting_says_how_large_pieces_in_records_may_be(tmp_path):
    for asked in (0, 1000):
        with LOTDB(tmp_path / "db", default_backend="zarr", backends={"zarr": {"record_bytes": asked}}) as db:
            node = db.open_connection().get_data_node(f"asked{asked}")
            node.write_data(BLOCK)
            db.commit()
            node.append_data(BLOCK)
            db.commit()
            assert not any(in_records(node))
            node.append_data(BLOCK[:10])
            db.commit()
            assert in_records(node)[-1:] == [asked > 0]
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        whole = np.concatenate([BLOCK, BLOCK, BLOCK[:10]])
        assert all(np.array_equal(root[f"asked{asked}"].read_data(), whole) for asked in (0, 1000))
    with (
        LOTDB(tmp_path / "db", backends={"zarr": {"record_bytes": "64 kB"}}) as db,
        db.connection() as root,
        pytest.raises(InvalidOptionError, match="record_bytes is"),
    ):
        root["asked0"].append_data(BLOCK)


@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_in_sqlite_appended_pieces_alone_lie_in_records_until_they_are_merged(tmp_path, backend):
    pytest.importorskip("relstorage")
    with LOTDB(tmp_path / "db", storage="sqlite", default_backend=backend) as db:
        node = db.open_connection().get_data_node("a")
        for appended in range(1, 2 * GATHERED):
            node.append_data(BLOCK)
            db.commit()
            assert in_records(node) == expected_in_records(appended), appended
        assert np.array_equal(node.read_data(), np.concatenate([BLOCK] * appended))
        files = sum(len(files) for _, _, files in os.walk(tmp_path / f"db/lotdb.fs.{backend}"))
        assert files <= 8
    with LOTDB(tmp_path / "db") as db:
        node = db.open_connection()["a"]
        assert np.array_equal(node.read_data(GATHERED * 4800 - 10, GATHERED * 4800 + 10)[10:], BLOCK[:10])
        db.pack(grace_s=0)
        assert np.array_equal(node.read_data(), np.concatenate([BLOCK] * appended))
        assert db.verify() == []


def expected_in_records(appended):
    merged, rest = divmod(appended, GATHERED)
    return [False] * merged + [True] * rest if merged else [False] + [True] * (rest - 1)


@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_on_a_server_pieces_are_arrays_of_the_backend(tmp_path, postgresql_url, backend):
    with LOTDB(postgresql_url, payloads=tmp_path / "arrays", default_backend=backend) as db:
        node = db.open_connection().get_data_node("a")
        for _ in range(3):
            node.append_data(BLOCK)
            db.commit()
        assert not any(in_records(node))
        assert np.array_equal(node.read_data(), np.concatenate([BLOCK] * 3))
