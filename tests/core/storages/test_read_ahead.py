"""A walk through a relational database asks for many records at once, and gets those of its moment."""

import random

import pytest

from lotdb.storages import read_ahead
from lotdb.storages.read_ahead import ReadAhead

BRANCHES = 300


@pytest.fixture
def filled(opening):
    """A database with many branches, which are records of their own."""
    with opening() as db:
        with db.connection() as root:
            for number in range(BRANCHES):
                root.get_node_path(f"{number:03}/leaf").attrs["number"] = number
        yield db


@pytest.fixture
def asked(monkeypatch):
    """How many records each question was about."""
    from relstorage.adapters.sqlite.mover import Sqlite3ObjectMover

    asked = []
    one, several = Sqlite3ObjectMover.load_current, Sqlite3ObjectMover.load_currents

    def load_current(self, cursor, oid):
        asked.append(1)
        return one(self, cursor, oid)

    def load_currents(self, cursor, oids):
        asked.append(len(oids))
        return several(self, cursor, oids)

    monkeypatch.setattr(Sqlite3ObjectMover, "load_current", load_current)
    monkeypatch.setattr(Sqlite3ObjectMover, "load_currents", load_currents)
    return asked


def numbers(root):
    return [leaf.get_attribute("number") for leaf in root.iterate_tree_leaves()]


def test_a_walk_asks_for_many_records_at_once(filled, opening, asked):
    with opening(read_only=True) as reader, reader.connection() as root:
        assert numbers(root) == [*range(BRANCHES)]
    assert sum(asked) >= BRANCHES
    assert len(asked) < BRANCHES / 5


def test_who_looks_here_and_there_gets_one_at_a_time(filled, opening, asked):
    with opening(read_only=True) as reader, reader.connection() as root:
        for number in random.Random(1).sample(range(0, BRANCHES, 7), 20):
            assert root[f"{number:03}/leaf"].attrs["number"] == number
    assert {*asked} == {1}


def test_what_is_read_ahead_is_of_the_moment_of_the_transaction(filled, opening):
    with opening(read_only=True) as reader:
        root = reader.open_connection()
        walk = (leaf.get_attribute("number") for leaf in root.iterate_tree_leaves())
        assert [next(walk) for _ in range(150)] == [*range(150)]
        with filled.connection() as theirs:
            for number in range(BRANCHES):
                theirs[f"{number:03}/leaf"].attrs["number"] = -number
        assert [next(walk) for _ in range(20)] == [*range(150, 170)]
        reader.refresh()
        assert numbers(root) == [-number for number in range(BRANCHES)]


def test_what_was_changed_and_committed_is_not_what_was_read_ahead(filled):
    root = filled.open_connection()
    walk = root.iterate_tree_leaves()
    for _ in range(100):
        next(walk)
    for number in range(BRANCHES):
        root[f"{number:03}/leaf"].attrs["number"] = number + 1
    filled.commit()
    assert numbers(root) == [number + 1 for number in range(BRANCHES)]


@pytest.mark.parametrize("seed", range(3))
def test_each_record_is_what_is_stored_and_little_is_kept(seed, monkeypatch):
    monkeypatch.setattr(read_ahead, "_KEPT_BYTES", 20_000)
    monkeypatch.setattr(read_ahead, "_KEPT_NAMES", 500)
    chance = random.Random(seed)
    stored = {number.to_bytes(8, "big"): bytes([number % 251]) * 100 for number in range(5_000)}
    missing = set(chance.sample([*stored], 200))

    def read(oids):
        assert len(oids) == len({*oids}) <= 64
        return ((oid, stored[oid], b"tid") for oid in oids if oid not in missing)

    ahead = ReadAhead(read)
    early = 0
    for first in range(0, 5_000, 100):
        row = [number.to_bytes(8, "big") for number in range(first, first + 100)]
        ahead.expect(row)
        for oid in row if chance.random() < 0.7 else chance.sample(row, 10):
            found = ahead.take(oid)
            early += found is not None
            assert found in (None, (stored[oid], b"tid"))
            assert oid not in missing or found is None
        assert ahead._found_bytes == sum(len(record) for record, _ in ahead._found.values())
        assert ahead._found_bytes <= 20_000 + 64 * 100
        assert len(ahead._places) <= 600
    assert early > 2_000
    ahead.forget()
    assert not ahead._found
