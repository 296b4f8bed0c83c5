"""What find finds in a database: in records that are not in memory, changed ones, and those of a snapshot."""

import operator
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.test_strangers import store_states

from lotdb import LOTDB, DamagedError, UnsafeRecordError, attr
from lotdb.records.entries import children_of

GROUPS = ["a", "b", "c"]
#: More than lie in one record, in a group of its own.
MANY = 300
#: A larger number tries more trees.
EXAMPLES = settings().max_examples

MISSING = object()

VALUES = st.sampled_from(
    [0, 1, 1.0, 2.5, -1, float("nan"), True, None, "1", "walk", b"1", 2**70, np.float32(2.5), [1], {"y": 1}]
)
ASKED = st.sampled_from([0, 1, 1.0, 2.5, "1", "walk", b"1", True, 2**70])
OPERATORS = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
PLACES = st.one_of(
    st.tuples(st.sampled_from(GROUPS), st.integers(0, 5).map("leaf_{}".format)),
    st.tuples(st.just("many"), st.integers(0, MANY - 1).map("leaf_{:03d}".format)),
)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["set", "other", "delete", "below"]), PLACES, VALUES),
        st.tuples(st.just("branch"), st.sampled_from([*GROUPS, "many"]), st.sampled_from(["d", "e"])),
    ),
    max_size=8,
)


def make(change, root):
    what, where, value = change
    if what == "branch":
        if where in root and value not in root:
            root[where].branch(value)
    elif what == "set":
        root.get_node_path(where).set_attribute("x", value)
    elif what == "other":  # so that not all leaves of a record have the same attributes
        root.get_node_path(where).set_attribute("other", value)
    elif what == "below":
        root.get_node_path([*where, "deeper"]).set_attribute("x", value)
    elif "/".join(where) in root:
        root["/".join(where)].delete_tree()


def found_one_by_one(root, name, value):
    found = []
    for node in root.iterate_tree():
        stored = node.get_attribute("x", MISSING)
        try:
            answer = stored is not MISSING and OPERATORS[name](stored, value)
        except TypeError:
            continue
        if isinstance(answer, (bool, np.bool_)) and answer:
            found.append(node.path)
    return found


def paths(root, name, value):
    return [node.path for node in root.find(where=OPERATORS[name](attr("x"), value))]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a database, to be copied."""
    folder = tmp_path_factory.mktemp("made") / "db"
    with LOTDB(folder, durability="process") as db, db.connection() as root:
        for number in range(MANY):
            root.get_node_path(["many", f"leaf_{number:03d}"]).attrs.update({"x": number % 7, "y": "z"})
        for group in GROUPS:
            for number in range(6):
                root.get_node_path([group, f"leaf_{number}"]).set_attribute("x", number)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "db"))


def forget(root):
    """Have the records that are not changed read from the file again."""
    root._tree._session.connection.cacheMinimize()


@pytest.mark.slow
@settings(deadline=None, max_examples=EXAMPLES)
@given(CHANGES, CHANGES, st.sampled_from(sorted(OPERATORS)), ASKED)
def test_it_finds_what_each_node_has_committed_or_not_and_in_a_snapshot(made, some, more, name, value):
    with tempfile.TemporaryDirectory() as temporary:
        folder = shutil.copytree(made, f"{temporary}/db")
        with LOTDB(folder, durability="process") as db:
            root, other = db.open_connection("root"), db.open_connection("other")
            before = found_one_by_one(other, name, value)
            assert paths(root, name, value) == before
            for change in some:
                make(change, root)
            assert paths(root, name, value) == found_one_by_one(root, name, value)
            db.savepoint("root")
            forget(root)
            for change in more:
                make(change, root)
            assert paths(root, name, value) == found_one_by_one(root, name, value)
            db.commit("root")
            forget(root)
            forget(other)
            assert paths(root, name, value) == found_one_by_one(root, name, value)
            assert paths(other, name, value) == before


def test_equal_names_that_were_stored_at_different_times_are_the_same_names(tmp_path):
    for number in range(4):
        with LOTDB(tmp_path / "db", durability="process") as db, db.connection() as root:
            root.get_node_path(f"a/leaf_{number}").attrs.update({"x": number, "y": 1})
    with LOTDB(tmp_path / "db", read_only=True) as db:
        root = db.open_connection()
        for name in OPERATORS:
            assert paths(root, name, 2) == found_one_by_one(root, name, 2)


def test_what_is_changed_during_a_search_is_found_as_it_is_when_the_search_comes_to_it(folder):
    with LOTDB(folder, durability="process") as db:
        with db.connection() as root:
            root["b"].branch("d")  # which shares its records with b
        root = db.open_connection()
        found = []
        for node in root.find(where=attr("x") == 1):
            if not found:
                root["d/leaf_0"].set_attribute("x", 1)
                root["d/leaf_1"].set_attribute("x", 0)
                root["c/leaf_1"].delete_tree()
                root.get_node_path("b/leaf_9").set_attribute("x", 1)
            found.append(node.path)
        assert found[:4] == ["a/leaf_1", "b/leaf_1", "b/leaf_9", "d/leaf_0"]
        assert found == found_one_by_one(root, "==", 1)


def test_a_record_that_is_altered_is_damage_and_its_leaves_are_not_passed_over(folder):
    with LOTDB(folder, read_only=True) as db:
        root = db.open_connection()
        position = db._zodb.storage._index[children_of(root["b"]._entry())._p_oid]
    file = folder / "lotdb.fs"
    altered = bytearray(file.read_bytes())
    altered[position + 100] ^= 1
    file.write_bytes(altered)
    with LOTDB(folder, read_only=True) as db:
        root = db.open_connection()
        with pytest.raises(DamagedError, match="its bytes are not the ones that were stored"):
            root.find(where=attr("x") == -5).count()
        with pytest.raises(DamagedError):
            root.find("b/**", where=attr("x") == -5).count()


class Foreign:
    """What a stranger may have a record name."""

    calls = 0

    def __new__(cls, *args):
        Foreign.calls += 1
        return object.__new__(cls)

    def __setstate__(self, state):
        Foreign.calls += 1


def test_a_record_that_names_another_class_is_refused_and_the_class_is_not_called(folder):
    with LOTDB(folder, durability="process") as db:
        root = db.open_connection()
        children = children_of(root["b"]._entry())
        children._p_activate()
        state = children.__getstate__()
        ((flat,),) = state[0]
        foreign = object.__new__(Foreign)
        foreign.x = 1
        store_states(
            db,
            {
                children: (
                    (
                        (
                            *flat[:2],
                            "leaf",
                            ("", ("x",), foreign),
                        ),
                    ),
                )
            },
        )
    before = Foreign.calls
    with LOTDB(folder, read_only=True) as db:
        root = db.open_connection()
        with pytest.raises(UnsafeRecordError, match="Foreign"):
            root.find(where=attr("x") == -5).count()
    assert Foreign.calls == before


def test_a_record_larger_than_what_is_read_at_once_is_searched(tmp_path):
    with LOTDB(tmp_path / "db", durability="process") as db, db.connection() as root:
        for number in range(100):
            root.get_node_path(f"a/leaf_{number:03d}").attrs.update({"x": number, "text": f"{number}" * 100})
    with LOTDB(tmp_path / "db", read_only=True) as db:
        root = db.open_connection()
        assert paths(root, "<", 2) == ["a/leaf_000", "a/leaf_001"]
        assert root._tree._session.connection._cache.cache_non_ghost_count < 8
