"""Tags: names of moments that are stored in the database, and keep packs off."""

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    ConflictError,
    InvalidKeyError,
    InvalidOptionError,
    MomentGoneError,
    MomentNotFoundError,
    ReadOnlyError,
)


def write(db, number):
    with db.connection() as root:
        root.get_data_node("a").write_data(np.full(3, number))
    return db.last_commit


def test_tags_are_a_mapping_in_the_order_of_their_names(db, folder):
    ids = [write(db, number) for number in range(3)]
    db.tags["b"] = ids[1]
    db.tags["a"] = next(each for each in db.history() if each.id == ids[2])
    db.tags["ä/1"] = "b"
    assert list(db.tags) == ["a", "b", "ä/1"]
    assert {name: each.id for name, each in db.tags.items()} == {"a": ids[2], "b": ids[1], "ä/1": ids[1]}
    assert (len(db.tags), "b" in db.tags, "c" in db.tags, 5 in db.tags) == (3, True, False, False)
    assert db.tags.get("c") is None
    assert "'a', 'b'" in repr(db.tags)
    db.tags["b"] = ids[0]
    del db.tags["a"]
    assert db.tags.pop("ä/1").id == ids[1]
    db.close()
    with LOTDB(folder) as again:
        assert {name: each.id for name, each in again.tags.items()} == {"b": ids[0]}
        with again.at("b") as root:
            assert root["a"].read_data().tolist() == [0, 0, 0]
        assert again.verify() == []


def test_a_tag_is_found_by_any_spelling_of_its_name(db):
    """As nodes, attributes and payloads are: a letter and its accent may be one character, or two."""
    first = write(db, 1)
    write(db, 2)
    apart, together = "re\u0301sultat", "r\u00e9sultat"
    db.tags[apart] = first
    assert list(db.tags) == [together]
    for name in (apart, together):
        assert db.tags[name].id == db.tags.get(name).id == first
        assert name in db.tags
        with db.at(name) as root:
            assert root["a"].read_data()[0] == 1
    del db.tags[apart]
    assert not db.tags
    for strange in ([1], {}, b"x", "", "\ud800"):
        assert strange not in db.tags
        with pytest.raises(MomentNotFoundError):
            db.tags[strange]


def test_what_is_wrong_with_a_tag_is_said(db):
    write(db, 1)
    for name in ("", "a\x00", "x" * 10_000, "\ud800"):
        with pytest.raises(InvalidKeyError):
            db.tags[name] = db.last_commit
    with pytest.raises(InvalidKeyError, match="looks like the id"):
        db.tags["0123456789abcdef"] = db.last_commit
    with pytest.raises((InvalidKeyError, InvalidOptionError)):
        db.tags[5] = db.last_commit
    with pytest.raises(MomentNotFoundError, match="nothing"):
        db.tags["a"] = "nothing"
    with pytest.raises(InvalidOptionError):
        db.tags["a"] = None
    with pytest.raises(MomentNotFoundError, match="'a'"):
        db.tags["a"]
    with pytest.raises(KeyError):
        del db.tags["a"]
    assert list(db.tags) == []


def test_tags_are_set_in_the_transaction_of_a_connection(db):
    one, two = write(db, 1), write(db, 2)
    root = db.open_connection()
    tags = db.tags.through()
    tags["one"] = one
    root["a"].attrs["x"] = 1
    assert list(tags) == ["one"]
    assert list(db.tags) == []
    db.abort()
    assert list(tags) == []
    tags["one"] = one
    point = db.savepoint()
    tags["two"] = two
    point.rollback()
    db.commit(note="both")
    assert (list(db.tags), next(db.history()).note) == (["one"], "both")
    with db.connection() as other:
        del db.tags.through(other)["one"]
        assert list(db.tags.through(other)) == []
        assert list(db.tags) == ["one"]
    assert list(db.tags) == []


def test_different_tags_merge_and_the_same_one_conflicts(db):
    one, two = write(db, 1), write(db, 2)
    db.tags["first"] = one
    db.open_connection("mine")
    db.open_connection("theirs")
    db.tags.through("mine")["m"] = one
    db.tags.through("theirs")["t"] = two
    db.commit("theirs")
    db.commit("mine")
    assert list(db.tags) == ["first", "m", "t"]
    db.abort("theirs")
    db.tags.through("mine")["m"] = two
    db.tags.through("theirs")["m"] = db.last_commit
    db.commit("theirs")
    with pytest.raises(ConflictError):
        db.commit("mine")


def test_a_tag_keeps_packs_off_from_the_moment_on_that_it_is_set(db):
    ids = [write(db, number) for number in range(4)]
    db.open_connection()
    tags = db.tags.through()
    tags["kept"] = ids[1]
    db.pack()  # before the tag is committed
    db.commit()
    db.pack()
    for number in (1, 2, 3):
        with db.at(ids[number]) as root:
            assert root["a"].read_data().tolist() == [number] * 3
    with pytest.raises(MomentGoneError):
        db.tags["gone"] = ids[0]
    db.tags["kept"] = ids[3]
    db.pack()
    with db.at("kept") as root:
        assert root["a"].read_data().tolist() == [3, 3, 3]
    with pytest.raises(MomentGoneError), db.at(ids[1]):
        raise AssertionError("it is gone")
    del db.tags["kept"]
    db.pack()
    with pytest.raises(MomentNotFoundError), db.at("kept"):
        raise AssertionError("there is no such tag")


def test_readers_see_tags_and_cannot_set_them(db, folder):
    one = write(db, 1)
    with LOTDB(folder, read_only=True) as reader:
        db.tags["one"] = one
        assert [each.id for each in reader.tags.values()] == [one]
        with pytest.raises(ReadOnlyError):
            reader.tags["two"] = one
        with pytest.raises(ReadOnlyError):
            del reader.tags["one"]


def test_tags_outlive_packs_and_change_no_node(db):
    write(db, 1)
    with db.connection() as root:
        before = list(root.iterate_tree())
        db.tags["x"] = db.last_commit
        assert list(root.iterate_tree()) == before
    db.pack()
    db.pack()
    assert db.verify() == []
    assert list(db.tags) == ["x"]
    assert db.stats().free_bytes >= 0


def test_several_tags_are_set_at_once_or_not_at_all(db):
    ids = [write(db, number) for number in range(2)]
    for wrong, error in [
        ({"a": ids[0], "b": "nowhere"}, MomentNotFoundError),
        ({"a": ids[0], ids[1]: ids[1]}, InvalidKeyError),
        (5, InvalidOptionError),
        (["ab", "abc"], InvalidOptionError),
    ]:
        with pytest.raises(error):
            db.tags.update(wrong)
        assert list(db.tags) == []
    before = db.last_commit
    db.tags.update({})
    assert db.last_commit == before
    db.tags.update({"a": ids[0]}, b=ids[1])
    assert {name: each.id for name, each in db.tags.items()} == {"a": ids[0], "b": ids[1]}
    assert next(db.history(1)).note == "tag 'a', 'b'"
    db.tags.update([("c", "a")])
    assert db.tags["c"].id == ids[0]
