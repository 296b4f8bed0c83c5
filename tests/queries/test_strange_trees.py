"""Trees below themselves, which a stranger's file may hold, and what other connections see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lotdb
from lotdb import LOTDB, BaseNode, attr
from lotdb.records.entries import children_of

PATHS = ["a", "b", "a/c", "a/c/d"]


def ring():
    root = BaseNode("root")
    root.get_node_path("a/b/c")
    children_of(root["a/b"]._entry())["loop"] = root["a"]._entry()
    return root


def test_a_search_of_a_ring_ends():
    with pytest.raises(lotdb.DamagedError, match="below itself"):
        ring().find(where=attr("x") == 1).count()


def test_a_comparison_of_rings_ends():
    with pytest.raises(lotdb.DamagedError, match="below itself"):
        list(lotdb.diff(ring(), ring()))


def test_two_connections_are_compared_as_each_sees_it(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            root.get_data_node("x").write_data(np.arange(10.0))
        one, other = db.open_connection("one"), db.open_connection("other")
        assert not lotdb.diff(one, other)
        other["x"].append_data(np.arange(5.0))
        (found,) = lotdb.diff(one, other)
        assert (found.kind, found.rows, found.fields) == ("payload_changed", ((10, 15),), ("shape",))


@given(st.lists(st.integers(0, 2), max_size=12), st.lists(st.integers(0, 2), max_size=12), st.integers(0, 12))
def test_ranges_of_rows_are_those_that_differ(before, after, appended):
    one, other = BaseNode("one").get_data_node("x"), BaseNode("other").get_data_node("x")
    one.write_data(np.array(before, "i4"))
    other.write_data(np.array(after[:appended], "i4"))
    if after[appended:]:
        other.append_data(np.array(after[appended:], "i4"))
    rows = [row for each in lotdb.diff(one, other) for first, last in each.rows for row in range(first, last)]
    pairs = zip(before, after, strict=False)
    expected = [row for row, (was, now) in enumerate(pairs) if was != now]
    shorter, longer = sorted((len(before), len(after)))
    assert rows == expected + list(range(shorter, longer))


@given(
    st.dictionaries(st.tuples(st.sampled_from(PATHS), st.sampled_from("xy")), st.integers(0, 2)),
    st.dictionaries(st.tuples(st.sampled_from(PATHS), st.sampled_from("xy")), st.integers(0, 2)),
)
def test_attributes_differ_as_those_of_dicts_do(before, after):
    one, other = BaseNode("one"), BaseNode("other")
    for root, values in ((one, before), (other, after)):
        for path in PATHS:
            root.get_node_path(path)
        for (path, name), value in values.items():
            root[path].set_attribute(name, value)
    found = {(each.path, each.name): (each.before, each.after) for each in lotdb.diff(one, other)}
    keys = before.keys() | after.keys()
    assert found == {
        key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)
    }
