"""The same on SQLite and PostgreSQL: what was is there, by its id, a tag or a time, and comes back."""

from datetime import timedelta

import numpy as np
import pytest
from tests.core.moments.pictures import picture
from tests.core.moments.test_model import check_moments, play

from lotdb import LOTDB, ConflictError, MomentGoneError, MomentNotFoundError


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def opening(folder, request):
    pytest.importorskip("relstorage", reason="the extra lotdb-core[sqlite] is not installed")
    if request.param == "sqlite":
        place, about = folder, {"storage": "sqlite"}
    else:
        place, about = request.getfixturevalue("postgresql_url"), {"payloads": str(folder)}

    def opening(**options):
        return LOTDB(place, durability="process", **about, **options)

    return opening


@pytest.fixture
def db(opening):
    with opening() as db:
        yield db


def write(db, number):
    with db.connection(note=f"number {number}") as root:
        root.get_node_path("a/b").attrs["number"] = number
        root.get_data_node("payload").write_data(np.full(10 + number, number))
    return db.last_commit


def test_commits_are_listed_and_looked_at(db):
    ids = [write(db, number) for number in range(130)]
    found = list(db.history())
    assert [each.id for each in found[:130]] == ids[::-1]
    assert [each.note for each in found[:2]] == ["number 129", "number 128"]
    assert all(each.bytes > 100 for each in found[:130])
    assert [each.note for each in found[130:]] == [""]
    for number in (0, 1, 64, 129):
        commit = next(each for each in found if each.id == ids[number])
        for when in (commit, commit.id, commit.time):
            with db.at(when) as root:
                assert root["a/b"].attrs["number"] == number
                assert root["payload"].read_data().tolist() == [number] * (10 + number)
    assert [each.id for each in db.history(path="payload", limit=2)] == [ids[129], ids[128]]
    with pytest.raises(MomentNotFoundError), db.at("0" * 15 + "1"):
        raise AssertionError("there was nothing")


def test_tags_and_packs_keep_moments(db, opening):
    ids = [write(db, number) for number in range(5)]
    db.tags["two"] = ids[2]
    with opening() as other:  # another one that writes
        assert other.tags["two"].id == ids[2]
        other.pack(keep=timedelta(0), grace_s=0)
        for number, each in enumerate(ids):
            if number < 2:
                with pytest.raises(MomentGoneError), db.at(each):
                    raise AssertionError("it is gone")
            else:
                with db.at(each) as root:
                    assert root["payload"].read_data().tolist() == [number] * (10 + number)
        with db.at("two"):
            del other.tags["two"]
            other.pack(grace_s=0)
            with other.at(ids[2]) as root:
                assert root["payload"].read_data().tolist() == [2] * 12
    db.pack(grace_s=0)
    assert len(list(db.history())) == 1
    assert db.verify() == []


def test_what_was_is_restored_and_undone(db):
    script = [
        [("write", "a/b", "x", 9, "blob"), ("set", "a/b/c", "x", 1), ("fill", "d", 150)],
        [("set", "a/b", "y", 2), ("set", "d/e", "x", "long" * 200)],
        [("move", "a/b", "d", "k"), ("append", "d/k", "x", 3)],
        [("delete", "d")],
    ]
    moments = play(db, script)
    check_moments(db, moments)
    with db.connection() as root:
        db.undo(moments[4][0], root)
        assert picture(root) == moments[3][1]
        db.commit(root)
        with pytest.raises(ConflictError):
            db.undo(moments[1][0], root)
        root.restore(moments[2][0])
        assert picture(root) == moments[2][1]
        db.commit(root)
        root["d"].restore(moments[1][0])
        assert picture(root["d"]) == moments[1][1][-1]["d"]
    check_moments(db, moments)
    assert db.verify() == []


def test_what_another_process_changes_first_is_a_conflict(db, opening):
    write(db, 0)
    with db.connection() as root:
        for number in range(3):
            root.get_node_path(f"big/g{number}/n").attrs["x"] = number
    made = db.last_commit
    with db.connection() as root:
        root["big/g0/n"].attrs["x"] = "changed"
    mine = db.open_connection()
    mine["big"].restore(made)
    with opening() as other, other.connection() as root:
        root["big/g2/n"].attrs["x"] = "theirs"
    with pytest.raises(ConflictError):
        db.commit()
    mine["big"].restore(made)
    db.commit()
    assert [mine[f"big/g{number}/n"].attrs["x"] for number in range(3)] == [0, 1, 2]


def test_what_was_gone_at_the_moment_that_is_kept_and_came_back_later_stays(db):
    with db.connection() as root:
        root.get_data_node("a/one").write_data(np.full(50_000, 1))
        for number in range(200):
            root.get_node_path(f"a/many/n{number}").attrs["text"] = "long" * 200
    with db.connection() as root:
        root["a"].delete_tree()
    gone = db.last_commit
    with db.connection() as root:
        db.undo(gone, root)
    with db.connection() as root:
        root.get_node("later")
    for _ in range(2):
        db.pack(keep=gone, grace_s=0)
        assert db.verify() == []
        with db.connection() as root:
            assert root["a/one"].read_data().tolist() == [1] * 50_000
            assert len(root["a/many"]) == 200
