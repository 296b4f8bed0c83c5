"""The commits that ``history`` lists: their order, times and notes, and those that changed a node."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    DamagedError,
    InvalidKeyError,
    InvalidOptionError,
    MomentNotFoundError,
)


def commit(db, number, path="a"):
    with db.connection(note=f"number {number}") as root:
        root.get_node_path(path).attrs["number"] = number
    return db.last_commit


def test_commits_come_the_newest_first_with_time_note_and_size(db, folder):
    before = datetime.now(UTC) - timedelta(microseconds=1)
    size = (folder / "lotdb.fs").stat().st_size
    ids = [commit(db, number) for number in range(3)]
    found = list(db.history(limit=3))
    assert [each.id for each in found] == ids[::-1]
    assert [each.note for each in found] == ["number 2", "number 1", "number 0"]
    assert before < found[2].time <= found[1].time <= found[0].time <= datetime.now(UTC)
    assert sum(each.bytes for each in found) == (folder / "lotdb.fs").stat().st_size - size
    assert [each.note for each in db.history()][3:] == [""]  # by which the database was made


def test_notes_are_given_in_each_way_to_commit(db):
    root = db.open_connection()
    root.attrs["x"] = 1
    db.commit(note="é\n\x00")
    db.run(lambda root: root.attrs.update(x=2), note="run")
    with db.connection(note="not this") as root:
        root.attrs["x"] = 3
        db.commit(root, note="inner")
        root.attrs["x"] = 4
    assert [each.note for each in db.history(limit=4)] == ["not this", "inner", "run", "é\n\x00"]


def test_a_commit_of_nothing_is_none(db):
    before = db.last_commit
    with db.connection(note="nothing"):
        pass
    db.open_connection()
    db.commit(note="nothing")
    assert db.last_commit == before
    assert next(db.history()).id == before


@pytest.mark.parametrize("note", [None, b"text", 5, "x" * 60_001, "\udc80"])
def test_a_note_that_cannot_be_is_refused_at_the_call(db, note):
    db.open_connection().attrs["x"] = 1
    with pytest.raises(InvalidOptionError, match="note"):
        db.commit(note=note)
    with pytest.raises(InvalidOptionError, match="note"), db.connection(note=note):
        raise AssertionError("the block began")
    with pytest.raises(InvalidOptionError, match="note"):
        db.run(lambda root: None, note=note)
    db.commit(note="x" * 60_000)
    assert len(next(db.history()).note) == 60_000


def test_since_and_until_are_the_first_and_the_last(db):
    ids = [commit(db, number) for number in range(6)]
    times = {each.id: each.time for each in db.history()}
    db.tags["two"] = ids[2]
    tag = db.last_commit
    for since in (ids[2], "two", times[ids[2]], next(each for each in db.history() if each.id == ids[2])):
        assert [each.id for each in db.history(since=since)] == [tag, *ids[:1:-1]]
    for until in (ids[2], "two", times[ids[2]]):
        assert [each.id for each in db.history(limit=2, until=until)] == [ids[2], ids[1]]
    assert [each.id for each in db.history(since=ids[1], until=ids[3])] == ids[3:0:-1]
    assert list(db.history(since=datetime.now(UTC) + timedelta(hours=1))) == []
    assert list(db.history(until=times[ids[0]] - timedelta(days=1))) == []
    assert list(db.history(limit=0)) == []


@pytest.mark.parametrize(
    "options",
    [{"limit": -1}, {"limit": 1.5}, {"limit": True}, {"since": 5}, {"until": datetime(2026, 1, 1)}],
)
def test_arguments_that_name_nothing_are_refused_at_the_call(db, options):
    with pytest.raises(InvalidOptionError):
        db.history(**options)
    with pytest.raises(InvalidOptionError):
        db.history(path="a", **options)


def test_unknown_moments_and_paths_are_refused_at_the_call(db):
    with pytest.raises(MomentNotFoundError, match=r"nowhere.*; a time is an aware datetime"):
        db.history(since="nowhere")
    with pytest.raises(MomentNotFoundError, match="0000000000000007"):
        db.history(until="0000000000000007")
    with pytest.raises(InvalidKeyError):
        db.history(path="a//b")


def test_a_history_is_read_as_it_is_asked_for(db):
    for number in range(300):
        commit(db, number)
    read = []
    storage = db._storage.opened
    look = storage._ending_at
    storage._ending_at = lambda *args: read.append(1) or look(*args)
    found = db.history()
    assert next(found).note == "number 299"
    assert len(read) == 1
    last = [f"number {number}" for number in range(299, 294, -1)]
    assert [each.note for each in db.history(limit=5)] == last
    assert len(read) == 6


def test_an_altered_header_is_damage_where_it_is(folder):
    with LOTDB(folder, durability="process") as db:
        for number in range(5):
            commit(db, number)
        sizes = [each.bytes for each in db.history(limit=5)]
    data_file = folder / "lotdb.fs"
    content = bytearray(data_file.read_bytes())
    content[content.rindex(b"number 2")] ^= 1
    data_file.write_bytes(content)
    assert len(sizes) == 5
    with LOTDB(folder, read_only=True) as db:
        found = db.history()
        assert [next(found).note, next(found).note] == ["number 4", "number 3"]
        with pytest.raises(DamagedError, match="checksum"):
            next(found)


def test_the_history_of_a_node_has_what_changed_it_or_what_is_below(db):
    made = commit(db, 0, "a/b/c")
    commit(db, 1, "x")
    below = commit(db, 2, "a/b/c")
    with db.connection() as root:
        root.get_data_node("a/b/d").write_data(np.arange(3))
    payload = db.last_commit
    with db.connection() as root:
        root["a/b"].branch("copy")  # it changes what is above, and not the node
    with db.connection() as root:
        root["a/copy/c"].attrs["number"] = 9
    with db.connection() as root:
        root["a"].rename("z")
    moved = db.last_commit
    with db.connection() as root:
        root["z/b/c"].attrs["number"] = 10
    with db.connection() as root:
        root["z"].rename("a")
    back = db.last_commit
    with db.connection() as root:
        root["a/b/c"].delete_tree()
    gone = db.last_commit
    assert [each.id for each in db.history(path="a/b")] == [gone, back, moved, payload, below, made]
    assert [each.id for each in db.history(path=["a", "b", "c"])] == [gone, back, moved, below, made]
    assert [each.id for each in db.history(path="a/b", limit=2, until=moved)] == [moved, payload]
    assert list(db.history(path="nowhere/at/all")) == []
    assert len(list(db.history(path=""))) == len(list(db.history()))


def test_large_nodes_have_a_history(db):
    with db.connection() as root:
        for number in range(500):
            root.get_node("wide").get_node(f"n{number:03}").attrs["x"] = number
    made = db.last_commit
    with db.connection() as root:
        root["wide/n123"].attrs["x"] = -1
        root["wide/n456"].attrs["text"] = "long" * 300
    one = db.last_commit
    with db.connection() as root:
        for number in range(400):
            root["wide"].delete_node(f"n{number:03}")
    fewer = db.last_commit
    assert [each.id for each in db.history(path="wide/n123")] == [fewer, one, made]
    assert [each.id for each in db.history(path="wide/n456")] == [one, made]
    assert [each.id for each in db.history(path="wide/n457")] == [made]
    assert [each.id for each in db.history(path="wide")] == [fewer, one, made]


def test_times_that_stand_still_or_go_back_keep_the_order(db, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)
    ids = [commit(db, number) for number in range(5)]
    found = list(db.history(limit=5))
    assert [each.id for each in found] == ids[::-1]
    assert all(one.time >= other.time for one, other in pairwise(found))
    with db.at(found[0].time) as root:
        assert root["a"].attrs["number"] == 4


@pytest.mark.parametrize("hours", [-14, 0, 14])
def test_times_at_the_ends_of_the_calendar_are_before_and_after_all(db, hours):
    zone = timezone(timedelta(hours=hours))
    last = commit(db, 1)
    first, end = datetime.min.replace(tzinfo=zone), datetime.max.replace(tzinfo=zone)
    assert [each.id for each in db.history(since=first, until=end, limit=1)] == [last]
    assert not [*db.history(since=end), *db.history(until=first)]
    with db.at(end) as root:
        assert root["a"].attrs["number"] == 1
    with pytest.raises(MomentNotFoundError), db.at(first):
        pass
