"""Records of which only garbage is left are given out whole, also while the garbage collector is at it.

Between finding out what is garbage and clearing it, the collector runs destructors, and meanwhile other
threads go on.
"""

import gc
from contextlib import suppress

import numpy as np
import pytest
from ZODB.utils import p64

from lotdb import LOTDB
from lotdb.records import Box, Bucket, Children, Guard, Rows
from lotdb.storage.kept_records import KeptRecords


class Destroyed:
    """Calls a function when it goes."""

    def __init__(self, function):
        self.function = function

    def __del__(self):
        self.function()


@pytest.fixture(autouse=True)
def collected_by_hand():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def folder(tmp_path):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        for number in range(300):
            root.get_node_path(f"wide/{number:03}").attrs["number"] = number
        root["wide/001"].attrs["text"] = "long " * 200
        root.get_data_node("wide/002").write_data(np.arange(3))
    return tmp_path / "db"


def contents(root):
    numbers = {node.path: node.attrs.get("number") for node in root.iterate_tree()}
    return numbers, root["wide/001"].attrs["text"], root.get_data_node("wide/002").read_data().tolist()


@pytest.mark.parametrize("kind", [Box, Children, Bucket, Rows])
def test_record_that_is_loaded_while_it_is_collected(folder, kind):
    with LOTDB(folder) as db:
        seen = []
        destroyed = Destroyed(lambda: seen.append(contents(root)))
        gc.collect()  # it is old: the collector does not call it before it clears what is young
        before = [destroyed]
        with suppress(RuntimeError), db.connection() as other:
            expected = contents(other)
            cache = other._tree._session.connection._cache
            left = [tuple(each for _, each in cache.lru_items() if type(each) is kind)]
            other.attrs["lost"] = 1
            raise RuntimeError  # all that was loaded is a ghost from here on
        assert left[0]
        root = db.open_connection()
        assert root._tree._session.connection._cache is cache
        before.append(before)
        left.append(left)
        del before, destroyed, left, other

        gc.collect(0)

        assert seen == [expected]
        assert contents(root) == expected
        root["wide/003"].attrs["number"] = -3
        root["wide/001"].attrs["number"] = -1
        db.commit()
    expected[0].update({"wide/001": -1, "wide/003": -3})
    with LOTDB(folder, read_only=True) as db, db.connection() as root:
        assert contents(root) == expected


def test_record_that_nobody_has_is_let_go_of_by_an_abort(folder):
    with LOTDB(folder) as db:
        root = db.open_connection()
        cache = root._tree._session.connection._cache
        contents(root)
        loaded = len(cache)
        root.attrs["lost"] = 1
        db.abort()
        assert len(cache) <= loaded / 2


def test_records_that_nobody_has_are_let_go_of_once_there_are_many():
    cache = KeptRecords(object(), 400, 0)
    records = [Guard() for _ in range(10_000)]
    for number, record in enumerate(records):
        cache.new_ghost(p64(number), record)
    cache.incrgc()
    assert len(cache) == 10_000
    del records[100:], record
    for number in range(10_001):  # more than twice as many as were kept the last time
        cache.new_ghost(p64(10_000 + number), Guard())
    cache.incrgc()
    assert len(cache) == 100
    assert [cache.get(p64(number)) for number in range(100)] == records
