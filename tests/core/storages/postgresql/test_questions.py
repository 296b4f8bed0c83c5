"""How often a server is asked, and that what is asked at once holds what separate questions did."""

import contextlib
import gc
import threading

import numpy as np
import pytest
from tests.services.postgresql import PASSWORD

from lotdb import ConflictError

pytest.importorskip("relstorage", reason="the extra lotdb-core[postgresql] is not installed")
psycopg2 = pytest.importorskip("psycopg2", reason="the extra lotdb-core[postgresql] is not installed")

SIZES = {"small": 10, "large": 800_000}  # of two texts; the large ones are not sent in one question


def fill(root, size):
    root.attrs.update({"text": "x" * SIZES[size], "more": "y" * SIZES[size]})


def is_filled(root, size):
    return [len(root.attrs[name]) for name in ("text", "more")] == [SIZES[size]] * 2


@pytest.fixture
def opened(opening):
    with opening() as db:
        yield db


@pytest.fixture
def asked(monkeypatch):
    """What is sent to the server; psycopg2 itself sends nothing else, once a session has begun."""
    from lotdb.storages.postgresql.watch import WatchedConnection, WatchedCursor

    asked = []
    execute, end = WatchedCursor.execute, WatchedConnection.rollback

    def noted(self, query, vars=None):
        asked.append(query)
        return execute(self, query, vars)

    def ended(self):
        asked.append("ROLLBACK")
        return end(self)

    monkeypatch.setattr(WatchedCursor, "execute", noted)
    monkeypatch.setattr(WatchedConnection, "rollback", ended)
    return asked


def test_a_commit_asks_twice_and_the_next_transaction_once(opened, asked):
    root = opened.open_connection()
    counts = []
    for number in range(4):
        node = root.get_data_node(f"{number}")
        node.attrs["number"] = number
        node.write_data(np.arange(6_000.0))
        asked.clear()
        opened.commit()
        counts.append(len(asked))
    assert min(counts) == 3, asked  # but where numbers for new objects are used up


@pytest.mark.slow
def test_what_is_large_is_stored_as_well_and_so_is_what_follows(opened, opening):
    root = opened.open_connection()
    for number, size in enumerate(("small", "large", "small", "large", "small")):
        fill(root, size)
        root.get_node(f"{number}")
        opened.commit()
        with opening(read_only=True) as reader, reader.connection() as seen:
            assert is_filled(seen, size)
            assert [*seen] == [f"{each}" for each in range(number + 1)]
    assert opened.verify() == []


@pytest.mark.parametrize("size", SIZES)
def test_what_is_merged_is_stored(opened, opening, size):
    with opening() as other:
        one, two = opened.open_connection(), other.open_connection()
        one.get_node("of one")
        two.get_node("of two")
        fill(two, size)
        opened.commit()
        other.commit()
        other.abort()
        assert {*two} == {"of one", "of two"}
        assert is_filled(two, size)
    assert opened.verify() == []


@pytest.mark.parametrize("size", SIZES)
def test_what_a_failed_commit_would_have_stored_is_in_none_that_follows(opened, monkeypatch, size):
    root = opened.open_connection()
    root.get_node("first")
    opened.commit()

    def fails(*args):
        raise ConflictError("as planned")

    numbers = root._tree._session.connection._normal_storage.base._oids
    with monkeypatch.context() as patch:
        patch.setattr(numbers, "set_min_oid", fails)
        fill(root, size)
        with pytest.raises(ConflictError, match="as planned"):
            opened.commit()
    root.get_node("second")
    opened.commit()
    opened.abort()
    assert "text" not in root.attrs
    assert {*root} == {"first", "second"}
    assert opened.verify() == []


# -- what is held ----------------------------------------------------------------------------------


def test_a_connection_holds_what_it_sees_until_it_goes_on_or_is_closed(opened, opening):
    held = opened._storage.oldest_held
    with opening(read_only=True) as reader:
        seen = reader.open_connection()
        before = bytes.fromhex(opened.last_commit)
        for number in range(2):
            with opened.connection() as root:
                root.attrs["value"] = number
        assert held() == before
        assert "value" not in seen.attrs
        reader.abort()
        assert held() == bytes.fromhex(opened.last_commit)
        assert seen.attrs["value"] == 1
        reader.close_connection()
        assert held() is None


def test_a_copy_keeps_what_it_was_made_from_though_its_connection_goes_on(opened, opening):
    with opened.connection() as root:
        root.get_data_node("a").write_data(np.arange(100_000.0))
    with opening() as other:
        seen = other.open_connection()
        copy = seen["a"].copy_tree()
        before = bytes.fromhex(opened.last_commit)
        with opened.connection() as root:
            root["a"].write_data(np.zeros(100_000))
        other.abort()
        assert opened._storage.oldest_held() == before
        opened.pack(grace_s=0)
        np.testing.assert_array_equal(copy.read_data(), np.arange(100_000.0))
        del copy
        gc.collect()
        other.abort()
        assert opened._storage.oldest_held() == bytes.fromhex(opened.last_commit)


def test_a_pack_looks_who_holds_what_when_nobody_is_about_to(opened, postgresql):
    key = opened._storage._locks.beginning_key
    address = dict(opened._storage._address.parameters)
    done = threading.Event()

    def look():
        opened._storage.oldest_held()
        done.set()

    with (
        contextlib.closing(psycopg2.connect(password=PASSWORD, **address)) as session,
        session.cursor() as cursor,
    ):
        cursor.execute("SELECT pg_advisory_lock_shared(%s, %s)", key)
        thread = threading.Thread(target=look)
        thread.start()
        assert not done.wait(0.2)
        cursor.execute("SELECT pg_advisory_unlock_shared(%s, %s)", key)
        assert done.wait(30)
        thread.join(30)


# -- what a sweep has taken -------------------------------------------------------------------------


def test_a_commit_whose_arrays_a_sweep_has_taken_is_refused(opened, opening):
    root = opened.open_connection()
    root.get_data_node("a").write_data(np.arange(100_000.0))
    opened.savepoint()
    with opening() as other:
        other.pack(grace_s=0)
    with pytest.raises(ConflictError, match="lay uncommitted"):
        opened.commit()
    assert [*root] == []
    root.get_data_node("b").write_data(np.arange(10.0))
    opened.commit()
    np.testing.assert_array_equal(root["b"].read_data(), np.arange(10.0))
    assert opened.verify() == []
