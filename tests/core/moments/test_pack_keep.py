"""What ``pack(keep=...)`` keeps, what it gives back, and what is said of what is gone."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from lotdb import InvalidOptionError, LotdbError, MomentGoneError, MomentNotFoundError, ReadOnlyError


def write(db, number, backend="blob"):
    with db.connection(note=str(number)) as root:
        root.get_data_node("a", backend=backend).write_data(np.full(50_000, number))
    return db.last_commit


def seen(db, ids):
    """Which of the commits can still be looked at; what is seen must be right."""
    there = []
    for number, each in enumerate(ids):
        try:
            with db.at(each) as root:
                assert root["a"].read_data().tolist() == [number] * 50_000
                there.append(number)
        except MomentGoneError:
            continue
    return there


@pytest.mark.crossed
@pytest.mark.parametrize("backend", ["blob", "zarr"])
@pytest.mark.parametrize("how", ["commit", "id", "tag", "time"])
def test_what_is_not_older_than_what_is_kept_stays(db, backend, how):
    ids = [write(db, number, backend) for number in range(6)]
    commit = next(each for each in db.history() if each.id == ids[3])
    if how == "tag":
        db.tags["three"] = commit
    keep = {"commit": commit, "id": commit.id, "tag": "three", "time": commit.time}[how]
    assert db.pack(keep=keep) > 3 * 1000
    assert seen(db, ids) == [3, 4, 5]
    assert [each.id for each in db.history()][-3:] == ids[:2:-1]
    assert db.pack(keep=keep) < 2000
    assert db.verify() == []
    if how == "tag":
        del db.tags["three"]
    assert db.pack() > 2 * 1000
    assert seen(db, ids[-1:] if how == "tag" else ids)[-1:] == ([] if how == "tag" else [5])


def test_a_time_span_goes_back_from_now(db):
    ids = [write(db, number) for number in range(3)]
    assert db.pack(keep=timedelta(days=1)) >= 0
    assert db.pack(keep=timedelta.max) >= 0
    assert seen(db, ids) == [0, 1, 2]
    assert db.pack(keep=timedelta(0)) > 0
    assert seen(db, ids) == [2]


def test_the_oldest_tag_is_the_horizon(db):
    ids = [write(db, number) for number in range(5)]
    db.tags["late"] = ids[3]
    db.tags["early"] = ids[1]
    db.pack(keep=timedelta(0))
    assert seen(db, ids) == [1, 2, 3, 4]
    del db.tags["early"]
    db.pack(keep=ids[4])
    assert seen(db, ids) == [3, 4]


def test_what_cannot_be_kept_is_refused_and_nothing_is_packed(db, folder):
    ids = [write(db, number) for number in range(3)]
    db.pack(keep=ids[1])
    size = (folder / "lotdb.fs").stat().st_size
    for keep, error in (
        (ids[0], MomentGoneError),
        ("nothing", MomentNotFoundError),
        (datetime(1990, 1, 1, tzinfo=UTC), LotdbError),
        (timedelta(days=-1), InvalidOptionError),
        (datetime(2026, 1, 1), InvalidOptionError),
        (5, InvalidOptionError),
    ):
        with pytest.raises(error):
            db.pack(keep=keep)
    assert (folder / "lotdb.fs").stat().st_size == size
    assert seen(db, ids) == [1, 2]


def test_what_is_given_back_is_what_the_folder_lost(db, folder):
    def size():
        return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())

    for number in range(4):
        write(db, number, "blob" if number % 2 else "zarr")
    before = size()
    freed = db.pack()
    assert freed == before - size() > 0
    assert db.pack() == 0


def test_stats_say_what_a_pack_would_free(db):
    ids = [write(db, number) for number in range(6)]
    whole, some, none = db.stats(), db.stats(keep=ids[3]), db.stats(keep=timedelta(days=1))
    assert whole.free_payload_bytes > some.free_payload_bytes > none.free_payload_bytes == 0
    assert whole.free_tree_bytes > some.free_tree_bytes > none.free_tree_bytes >= 0
    freed = db.pack(keep=ids[3])
    assert abs(freed - some.free_bytes) < 0.2 * freed
    assert db.stats(keep=ids[3]).free_payload_bytes == 0
    db.tags["three"] = ids[3]
    assert db.stats().free_payload_bytes == 0  # a pack would keep what the tag needs
    del db.tags["three"]
    assert db.stats().free_payload_bytes > 0
    with pytest.raises(MomentGoneError):
        db.stats(keep=ids[0])


def test_a_reader_cannot_pack(folder, db):
    from lotdb import LOTDB

    one = write(db, 1)
    with LOTDB(folder, read_only=True) as reader, pytest.raises(ReadOnlyError):
        reader.pack(keep=one)


def test_what_was_gone_at_the_moment_that_is_kept_and_came_back_later_stays(db):
    """A pack looks at what was there at that moment; a commit after it refers to what was not."""
    with db.connection() as root:
        root.get_data_node("a/one").write_data(np.full(50_000, 1))
        for number in range(200):
            root.get_node_path(f"a/many/n{number}").attrs["text"] = "long" * 200
    made = db.last_commit
    with db.connection() as root:
        root["a"].delete_tree()
    gone = db.last_commit
    with db.connection() as root:
        db.undo(gone, root)
    with db.connection() as root:
        root["a"].rename("b")
        root.get_node("a").restore(made)
    for _ in range(2):
        db.pack(keep=gone)
        assert db.verify() == []
        with db.connection() as root:
            for key in "ab":
                assert root[f"{key}/one"].read_data().tolist() == [1] * 50_000
                assert len(root[f"{key}/many"]) == 200


def test_buckets_that_were_split_again_and_again_since_are_packed(db):
    """Each split has its bucket followed by another one; the pack sees all of that, one after the other."""
    keys = {f"n{number:05}" for number in range(300)}
    with db.connection() as root:
        for key in keys:
            root.get_node(key)
    db.tags["before"] = db.last_commit
    for number in range(4):
        new = {f"n00010_{each:02}_{9 - number}" for each in range(80)}
        with db.connection() as root:
            for key in new:
                root.get_node(key)
        keys |= new
    db.pack()
    assert db.verify() == []
    with db.connection() as root:
        assert set(root) == keys
    with db.at("before") as root:
        assert len(root) == 300
