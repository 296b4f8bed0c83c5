"""Random scripts of changes: all moments, packs, restoring and undoing agree with pictures of each moment."""

import tempfile
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.core.moments.pictures import below, parts, picture

from lotdb import LOTDB, ConflictError, LotdbError, MomentGoneError, NodeNotFoundError
from lotdb.records import Children

PATHS = ["a", "a/b", "a/b/c", "d", "d/e", "f"]
paths = st.sampled_from(PATHS)
keys = st.sampled_from("abcdek")
names = st.sampled_from("xyz")
changes = st.one_of(
    st.tuples(st.just("set"), paths, names, st.one_of(st.integers(0, 3), st.just("long" * 200))),
    st.tuples(st.just("unset"), paths, names),
    st.tuples(st.just("write"), paths, names, st.integers(1, 40), st.sampled_from(["blob", "zarr"])),
    st.tuples(st.just("append"), paths, names, st.integers(1, 40)),
    st.tuples(st.just("defaults"), paths, st.integers(1, 9)),
    st.tuples(st.just("branch"), paths, keys),
    st.tuples(st.just("move"), paths, paths, keys),
    st.tuples(st.just("delete"), paths),
    st.tuples(st.just("fill"), paths, st.sampled_from([3, 150])),
    st.tuples(st.just("lift"), paths),
)
scripts = st.lists(st.lists(changes, min_size=1, max_size=3), min_size=2, max_size=12)


def change(root, number, what, path, *about):
    """Make one change; one that cannot be made is left out."""
    try:
        if what == "set":
            root.get_node_path(path).attrs[about[0]] = about[1]
        elif what == "unset":
            del root[path].attrs[about[0]]
        elif what == "write":
            rows = np.full(about[1], number)
            root.get_data_node(path).write_data(rows, data_attribute=about[0] * 2, backend=about[2])
        elif what == "append":
            root.get_data_node(path).append_data(np.full(about[1], number), data_attribute=about[0] * 2)
        elif what == "defaults":
            root.get_data_node(path).configure_data(samplerate_hz=about[0])
        elif what == "branch":
            root[path].branch(about[0])
        elif what == "move":
            root[about[0]].add_tree(root[path], copy=False, key=about[1], if_exists="replace")
        elif what == "delete":
            root[path].delete_tree()
        elif what == "fill":
            for each in range(about[0]):
                root.get_node_path(f"{path}/n{each}").attrs["n"] = number
        elif what == "lift":
            above, _, key = path.rpartition("/")
            (root[above] if above else root).delete_node(key, only_node=True)
    except LotdbError:
        pass


def play(db, script):
    """Commit the script; gives the id of each commit, and what the tree was after it."""
    moments = [(db.last_commit, ("", {}, {}, None, {}))]
    for number, each in enumerate(script):
        with db.connection(note=str(number)) as root:
            for one in each:
                change(root, number, *one)
            seen = picture(root)
        if db.last_commit != moments[-1][0]:
            moments.append((db.last_commit, seen))
    return moments


def check_moments(db, moments):
    for each, seen in moments:
        with db.at(each) as root:
            assert picture(root) == seen


@pytest.fixture(autouse=True, params=["large records", "small records"])
def size(request, monkeypatch):
    """Records so small that a few children need a tree of them, which packs and moments go through."""
    if request.param == "small records":
        monkeypatch.setattr(Children, "max_leaf_size", 4)
        monkeypatch.setattr("lotdb.storage.folding._FEWEST", 1)
        monkeypatch.setattr(Children, "max_internal_size", 4)
        monkeypatch.setattr("lotdb.records.patchwork.MOST_COPIED", 1)


few = settings(max_examples=4, suppress_health_check=list(HealthCheck))
many = settings(max_examples=15, suppress_health_check=list(HealthCheck))


@contextmanager
def new_database():
    with (
        tempfile.TemporaryDirectory() as folder,
        LOTDB(folder, new=True, durability="process") as db,
    ):
        yield db


def _each_moment_and_history(script, keep):
    with new_database() as db:
        moments = play(db, script)
        check_moments(db, moments)
        for path in PATHS:
            listed = [each.id for each in db.history(path=path)]
            changed = {
                each
                for (_, before), (each, after) in pairwise(moments)
                if below(before, path) != below(after, path)
            }
            assert changed <= set(listed)
            assert listed == [each.id for each in db.history() if each.id in listed]
        kept = keep % len(moments)
        db.pack(keep=moments[kept][0])
        check_moments(db, moments[kept:])
        listed = [each.id for each in db.history()]
        for each, _ in moments[:kept]:
            if each in listed:
                continue  # there was nothing to drop
            with pytest.raises(MomentGoneError), db.at(each):
                raise AssertionError("it is gone")
        assert set(listed) >= {each for each, _ in moments[kept:]}
        assert db.verify() == []


def _undone(script, which):
    with new_database() as db:
        moments = play(db, script)
        for each in which:
            at = 1 + each % max(len(moments) - 1, 1)
            if at >= len(moments):
                return
            before, after, now = (parts(moments[place][1]) for place in (at - 1, at, -1))
            with db.connection() as root:
                seen = picture(root)
                refused = None
                try:
                    db.undo(moments[at][0], root)
                except ConflictError as error:
                    refused = str(error)
                if refused is not None:
                    assert at != len(moments) - 1, refused
                    assert "nothing was changed" in refused
                    assert picture(root) == seen
                    continue
                changed = {
                    place for place in before.keys() | after.keys() if before.get(place) != after.get(place)
                }
                assert all(now.get(place) == after.get(place) for place in changed)
                expected = {place: value for place, value in now.items() if place not in changed}
                expected |= {place: before[place] for place in changed & before.keys()}
                assert parts(picture(root)) == expected
                seen = picture(root)
            if db.last_commit != moments[-1][0]:
                moments.append((db.last_commit, seen))
        check_moments(db, moments)
        assert db.verify() == []
        check_packs(db, moments, which[0])


def check_packs(db, moments, kept):
    """What comes back after the moment that is kept, and was gone at that moment, is kept as well."""
    for each in (kept % len(moments), len(moments) - 1):
        db.pack(keep=moments[each][0])
        check_moments(db, moments[each:])
        assert db.verify() == []


def _restored(script, which):
    with new_database() as db:
        moments = play(db, script)
        for number, (at, path, after) in enumerate(which):
            commit, then = moments[at % len(moments)]
            expected = below(then, path)
            with db.connection() as root:
                for one in after[:1]:
                    change(root, 100 + number, *one)
                seen = picture(root)
                try:
                    node = root.get_node_path(path) if path else root
                    assert picture(node.restore(commit)) == expected
                except NodeNotFoundError:
                    assert expected is None
                    db.abort(root)
                    continue
                assert expected is not None
                if path:
                    beside = {key: each for key, each in seen[-1].items() if key != path.split("/")[0]}
                    now = picture(root)[-1]
                    assert {key: now[key] for key in beside} == beside
            moments.append((db.last_commit, with_children(db)))
            with db.connection() as root:  # what is shared is changed in one place only
                leaves = [each.path for each in root.iterate_tree_leaves() if each.path]
                for leaf in leaves[:3]:
                    before = parts(picture(root))
                    root[leaf].attrs["mark"] = number
                    expected = {**before, (f"/{leaf}", "attribute", "mark"): repr(number)}
                    assert parts(picture(root)) == expected
                for one in after[1:]:
                    change(root, 200 + number, *one)
            moments.append((db.last_commit, with_children(db)))
        check_moments(db, moments)
        assert db.verify() == []
        check_packs(db, moments, which[-1][0])


def with_children(db):
    with db.connection() as root:
        return picture(root)


restorations = st.lists(
    st.tuples(
        st.integers(0, 100),
        st.sampled_from([*PATHS, "", "k"]),
        st.lists(changes, max_size=3),
    ),
    min_size=1,
    max_size=4,
)
which = st.lists(st.integers(0, 100), min_size=1, max_size=4)


@pytest.mark.slow
@few
@given(scripts, st.integers(0, 100))
def test_each_moment_is_what_it_was_until_it_is_packed_away(script, keep):
    _each_moment_and_history(script, keep)


@pytest.mark.slow
@few
@given(scripts, which)
def test_what_is_undone_is_as_before_or_a_conflict(script, which):
    _undone(script, which)


@pytest.mark.slow
@few
@given(scripts, restorations)
def test_what_is_restored_is_what_it_was_and_stays_so(script, restorations):
    _restored(script, restorations)


@pytest.mark.slow
@many
@given(scripts, st.integers(0, 100), which, restorations)
def test_moments_agree_with_their_model_in_many_more_scripts(script, keep, which, restorations):
    _each_moment_and_history(script, keep)
    _undone(script, which)
    _restored(script, restorations)
