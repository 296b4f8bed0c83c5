"""Random histories of a tree against a model of plain dicts, after each step and through handles of any age.

A failure prints the steps that lead to it, and ``@reproduce_failure`` to repeat them.
"""

import contextlib
import copy
import shutil
import tempfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lotdb import (
    LOTDB,
    BaseNode,
    ConflictError,
    DataReader,
    DataWriter,
    InvalidMoveError,
    NodeExistsError,
    StaleNodeError,
)
from lotdb.content.payload import Payload
from lotdb.records import Children

MOST_NODES = 60
KEYS = st.sampled_from("abcdefg")
PICK = st.integers(0, 10_000)
NAMES = st.sampled_from(["x", "y", "z"])
PAYLOADS = st.sampled_from(["p", "q"])
VALUES = st.one_of(
    st.none(),
    st.integers(-5, 5),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.lists(st.integers(0, 3), max_size=3),
    st.just("large" * 30),
)
ROWS = st.one_of(st.integers(0, 6), st.sampled_from([20, 60]))


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    """Limits so low that small trees and arrays cross them: records split, and files fill up."""
    monkeypatch.setattr(Children, "max_leaf_size", 4)
    monkeypatch.setattr("lotdb.storage.folding._FEWEST", 1)
    monkeypatch.setattr(Children, "max_internal_size", 4)
    monkeypatch.setattr("lotdb.records.patchwork.MOST_COPIED", 1)
    monkeypatch.setattr("lotdb.tree.handle.BOX_BYTES", 100)
    monkeypatch.setattr("lotdb.segments.stage.PACKED_BYTES", 100)
    monkeypatch.setattr("lotdb.segments.stage.PACK_BYTES", 300)
    monkeypatch.setattr("lotdb.segments.stage.PENDING_BYTES", 400)
    monkeypatch.setattr("lotdb.segments.stage.MERGED_BYTES", 200)


class Model:
    """A node: attributes by name, rows of payloads by name, children by key."""

    def __init__(self):
        self.attributes, self.payloads, self.children = {}, {}, {}

    def paths(self):
        found = [()]
        for path in found:
            found.extend((*path, key) for key in sorted(self.at(path).children))
        return found

    def at(self, path):
        node = self
        for key in path:
            node = node.children.get(key)
            if node is None:
                return None
        return node

    def plain(self):
        """By path all that a node holds; for comparing."""
        return {path: self.at(path).own() for path in self.paths()}

    def own(self):
        return self.attributes, {name: rows.tolist() for name, rows in self.payloads.items()}

    def copy(self):
        twin = Model()
        twin.attributes = copy.deepcopy(self.attributes)
        twin.payloads = dict(self.payloads)
        twin.children = {key: child.copy() for key, child in self.children.items()}
        return twin

    def merge(self, other, overwrite):
        for mine, theirs in ((self.attributes, other.attributes), (self.payloads, other.payloads)):
            mine.update({name: value for name, value in theirs.items() if overwrite or name not in mine})
        for key, child in other.children.items():
            if key in self.children:
                self.children[key].merge(child, overwrite)
            else:
                self.children[key] = child.copy()


def own_of_node(node):
    attributes, payloads = {}, {}
    for name, value in node.attrs.items():
        if isinstance(value, Payload):
            payloads[name] = value.read().tolist()
        else:
            attributes[name] = value
    return attributes, payloads


def plain_tree(root):
    found, nodes = {}, [((), root)]
    for path, node in nodes:
        found[path] = own_of_node(node)
        assert len(node) == len(list(node))
        assert len(nodes) < 20 * MOST_NODES, "the tree has no end: a node has come to lie below itself"
        nodes.extend(((*path, key), node[key]) for key in node)
    return found


def rows_of(count, start):
    return np.arange(start, start + count, dtype=np.int32)


class TreeMachine(RuleBasedStateMachine):
    """What can be done to any tree."""

    def __init__(self):
        super().__init__()
        self.model = Model()
        self.handles = []
        self.written = 0

    def new_rows(self, count):
        self.written += 1
        return rows_of(count, self.written * 1000)

    def node(self, path, *, old):
        """A handle of the node at *path*: a new one, or one that is long in use."""
        known = [handle for handle in self.handles if tuple(handle.path.split("/")) == path]
        if known and old:
            return known[0]
        node = self.root[path]
        if path:
            self.handles.append(node)
        return node

    def pick(self, number, *, below_root=False):
        """Path, handle and model of one of the nodes."""
        paths = self.model.paths()[1 if below_root else 0 :]
        path = paths[number % len(paths)]
        return path, self.node(path, old=number % 3 > 0), self.model.at(path)

    def has_nodes(self):
        return bool(self.model.children)

    def has_room(self):
        return len(self.model.paths()) < MOST_NODES

    # -- nodes -----------------------------------------------------------------------------------

    @precondition(has_room)
    @rule(number=PICK, keys=st.lists(KEYS, min_size=1, max_size=3))
    def create(self, number, keys):
        _, node, model = self.pick(number)
        self.handles.append(node.get_node_path(keys))
        for key in keys:
            model = model.children.setdefault(key, Model())

    @precondition(has_nodes)
    @rule(number=PICK)
    def delete(self, number):
        path, node, _ = self.pick(number, below_root=True)
        node.delete_tree()
        del self.model.at(path[:-1]).children[path[-1]]

    @precondition(has_nodes)
    @rule(number=PICK)
    def delete_only_node(self, number):
        path, node, model = self.pick(number, below_root=True)
        siblings = self.model.at(path[:-1]).children
        if any(key in siblings and key != path[-1] for key in model.children):
            with pytest.raises(NodeExistsError, match="clash"):
                node.delete_tree(only_node=True)
            return
        node.delete_tree(only_node=True)
        del siblings[path[-1]]
        siblings.update(model.children)

    @precondition(has_nodes)
    @rule(number=PICK, key=KEYS)
    def rename(self, number, key):
        path, node, model = self.pick(number, below_root=True)
        siblings = self.model.at(path[:-1]).children
        if key in siblings and key != path[-1]:
            with pytest.raises(NodeExistsError, match="already"):
                node.rename(key)
            return
        node.rename(key)
        assert node.key == key
        del siblings[path[-1]]
        siblings[key] = model

    @precondition(has_nodes)
    @rule(number=PICK, to=PICK, key=KEYS, if_exists=st.sampled_from(["error", "replace", "rename"]))
    def move(self, number, to, key, if_exists):
        path, node, model = self.pick(number, below_root=True)
        target_path, target, target_model = self.pick(to)
        children = target_model.children
        if children.get(key) is model:
            assert target.add_tree(node, key=key, if_exists=if_exists) == node
            return
        if key in children and if_exists == "error":
            with pytest.raises(NodeExistsError, match="already"):
                target.add_tree(node, key=key)
            return
        if target_path[: len(path)] == path:
            with pytest.raises(InvalidMoveError, match="below itself"):
                target.add_tree(node, key=key, if_exists=if_exists)
            return
        key = self.free_key(children, key) if if_exists == "rename" else key
        moved = target.add_tree(node, key=key if if_exists != "rename" else key[0], if_exists=if_exists)
        assert moved == node
        del self.model.at(path[:-1]).children[path[-1]]
        children[key] = model
        assert moved.path == "/".join((*target_path, key))

    @staticmethod
    def free_key(children, key):
        number, free = 1, key
        while free in children:
            number += 1
            free = f"{key}_{number}"
        return free

    @precondition(has_nodes)
    @precondition(has_room)
    @rule(number=PICK, key=KEYS)
    def branch(self, number, key):
        path, node, model = self.pick(number, below_root=True)
        siblings = self.model.at(path[:-1]).children
        if key == path[-1]:
            return
        if key in siblings:
            with pytest.raises(NodeExistsError, match="already"):
                node.branch(key)
            return
        self.handles.append(node.branch(key))
        siblings[key] = model.copy()

    @precondition(has_room)
    @rule(number=PICK, to=PICK, key=KEYS, replace=st.booleans())
    def add_copy(self, number, to, key, replace):
        _, node, model = self.pick(number)
        _, target, target_model = self.pick(to)
        if target_model.children.get(key) is model:
            return
        if key in target_model.children and not replace:
            with pytest.raises(NodeExistsError, match="already"):
                target.add_tree(node, key=key, copy=True)
            return
        copied = model.copy()
        target.add_tree(node, key=key, copy=True, if_exists="replace")
        target_model.children[key] = copied

    @precondition(has_room)
    @rule(number=PICK, to=PICK, key=KEYS, copied=st.booleans())
    def add_tree_from_memory(self, number, to, key, copied):
        _, node, model = self.pick(number)
        _, target, target_model = self.pick(to)
        if key in target_model.children:
            return
        detached = node.copy_tree()
        twin = model.copy()
        rows = self.new_rows(3)
        DataWriter.write_array(detached.get_node("a"), rows, data_attribute="p")
        twin.children.setdefault("a", Model()).payloads["p"] = rows
        target.add_tree(detached, key=key, copy=copied)
        target_model.children[key] = twin

    @precondition(has_room)
    @rule(number=PICK, source=PICK, overwrite=st.booleans())
    def merge(self, number, source, overwrite):
        path, node, model = self.pick(number)
        other_path, other, other_model = self.pick(source)
        shorter = min(len(path), len(other_path))
        if path != other_path and path[:shorter] == other_path[:shorter]:
            with pytest.raises(InvalidMoveError, match="one is above the other"):
                node.merge_tree(other, overwrite=overwrite)
            return
        node.merge_tree(other, overwrite=overwrite)
        model.merge(other_model.copy(), overwrite)

    # -- attributes and payloads -----------------------------------------------------------------

    @rule(number=PICK, name=NAMES, value=VALUES)
    def set_attribute(self, number, name, value):
        _, node, model = self.pick(number)
        node.set_attribute(name, value)
        model.attributes[name] = copy.deepcopy(value)

    @rule(number=PICK, name=NAMES)
    def delete_attribute(self, number, name):
        _, node, model = self.pick(number)
        if name in model.attributes:
            node.delete_attribute(name)
            del model.attributes[name]

    @rule(number=PICK, name=PAYLOADS, count=ROWS)
    def write(self, number, name, count):
        _, node, model = self.pick(number)
        rows = self.new_rows(count)
        DataWriter.write_array(node, rows, data_attribute=name)
        model.payloads[name] = rows

    @rule(number=PICK, name=PAYLOADS, counts=st.lists(ROWS, min_size=1, max_size=4))
    def append(self, number, name, counts):
        _, node, model = self.pick(number)
        for count in counts:
            rows = self.new_rows(count)
            DataWriter.append_array(node, rows, data_attribute=name)
            model.payloads[name] = np.concatenate([model.payloads.get(name, rows[:0]), rows])

    @rule(number=PICK, name=PAYLOADS)
    def delete_data(self, number, name):
        _, node, model = self.pick(number)
        if name in model.payloads:
            DataWriter.delete_data(node, name)
            del model.payloads[name]

    @rule(number=PICK, name=PAYLOADS, start=st.integers(0, 80), rows=st.integers(0, 80))
    def read_window(self, number, name, start, rows):
        _, node, model = self.pick(number)
        if name in model.payloads:
            window = DataReader.read_interval(node, name, start, start + rows)
            assert window.tolist() == model.payloads[name][start : start + rows].tolist()

    # -- comparing -------------------------------------------------------------------------------

    @invariant()
    def the_tree_is_that_of_the_model(self):
        assert plain_tree(self.root) == self.model.plain()

    @invariant()
    def each_handle_shows_its_place_or_says_that_it_is_gone(self):
        self.handles = self.handles[-30:]
        for handle in self.handles:
            model = self.model.at(tuple(handle.path.split("/")))
            if model is None:
                with pytest.raises(StaleNodeError, match="is gone"):
                    handle.get_attribute("x")
            else:
                assert own_of_node(handle) == model.own()
                assert list(handle) == sorted(model.children)


class MemoryMachine(TreeMachine):
    """A tree in memory."""

    def __init__(self):
        super().__init__()
        self.root = BaseNode("root")


class DatabaseMachine(TreeMachine):
    """A tree in a database, with transactions."""

    backend = "blob"

    def __init__(self):
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="lotdb-model-")
        self.committed = Model()
        self.savepoints = []
        self.open()

    def open(self):
        self.db = LOTDB(self.folder, durability="process")
        self.root = self.db.open_connection()
        self.reader = self.db.open_connection("reader")
        self.read = self.model.copy()
        self.handles, self.savepoints, self.copies = [], [], []

    def teardown(self):
        self.db.close()
        shutil.rmtree(self.folder)

    @initialize()
    def start_with_something(self):
        for path in (("a", "b", "c"), ("d",)):
            self.root.get_node_path(path)
            node = self.model
            for key in path:
                node = node.children.setdefault(key, Model())
        self.commit()

    @rule()
    def commit(self):
        self.db.commit()
        self.committed, self.savepoints = self.model.copy(), []

    @rule()
    def abort(self):
        self.db.abort()
        self.model, self.savepoints = self.committed.copy(), []

    @rule()
    def savepoint(self):
        self.savepoints.append((self.db.savepoint(), self.model.copy()))

    @precondition(lambda self: self.savepoints)
    @rule(number=PICK)
    def rollback(self, number):
        at = number % len(self.savepoints)
        savepoint, model = self.savepoints[at]
        savepoint.rollback()
        self.model = model.copy()
        del self.savepoints[at + 1 :]

    @rule()
    def reopen(self):
        self.db.close()
        self.model = self.committed.copy()
        self.open()

    @rule()
    def pack(self):
        self.db.pack()

    @rule()
    def let_the_cache_go(self):
        for session in self.db._open_sessions():
            session.connection.cacheMinimize()

    @rule(number=PICK)
    def keep_a_detached_copy(self, number):
        self.commit()
        _, node, model = self.pick(number)
        self.copies = [*self.copies[-2:], (node.copy_tree(), model.copy())]

    @rule()
    def reader_begins_anew(self):
        self.db.abort("reader")
        self.read = self.committed.copy()

    @rule()
    def verify(self):
        assert self.db.verify() == []

    @invariant()
    def the_reader_sees_its_moment(self):
        assert plain_tree(self.reader) == self.read.plain()

    @invariant()
    def a_detached_copy_stays_what_it_was(self):
        for tree, model in self.copies:
            assert plain_tree(tree) == model.plain()


def test_a_copy_of_a_tree_in_memory_keeps_its_payloads():
    root = BaseNode("root")
    DataWriter.write_array(root.get_node("a"), [1, 2, 3])
    np.testing.assert_array_equal(DataReader.read(root.copy_tree()["a"]), [1, 2, 3])
    np.testing.assert_array_equal(DataReader.read(root.copy_tree().copy_tree()["a"]), [1, 2, 3])


def test_deleting_only_a_node_of_a_copied_branch_leaves_the_copy():
    root = BaseNode("root")
    root.get_node_path("a/b/c/d")
    root["a"].branch("copy")
    root["a"].delete_node("b", only_node=True)
    root["a/c"].get_node("new")
    assert list(root["copy/b/c"]) == ["d"]


# -- two connections ------------------------------------------------------------------------------

START = ["a/b/c", "a/b/d", "a/e", "f/g/h", "f/i", "j", "k/l"]
PATHS = ["a", "a/b", "a/b/c", "a/b/d", "a/e", "f", "f/g", "f/g/h", "f/i", "j", "k", "k/l", "copy", "copy/b"]
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from(PATHS), st.sampled_from(["x", "y"]), VALUES),
        st.tuples(st.just("create"), st.sampled_from(PATHS), KEYS),
        st.tuples(st.just("delete"), st.sampled_from(PATHS)),
        st.tuples(st.just("delete only"), st.sampled_from(PATHS)),
        st.tuples(st.just("move"), st.sampled_from(PATHS), st.sampled_from(PATHS), KEYS),
        st.tuples(st.just("write"), st.sampled_from(PATHS), ROWS),
        st.tuples(st.just("append"), st.sampled_from(PATHS), ROWS),
    ),
    min_size=1,
    max_size=3,
)
COPIES = st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(PATHS), KEYS), max_size=1)


class Refused(Exception):
    """A change that makes no sense in the state that it is made in."""


def refuse(when):
    if when:
        raise Refused


def change_model(model, change):
    what, path, *how = change
    path = tuple(path.split("/"))
    node, parent = model.at(path), model.at(path[:-1])
    refuse(node is None)
    if what == "set":
        node.attributes[how[0]] = how[1]
    elif what == "create":
        refuse(how[0] in node.children)
        node.children[how[0]] = Model()
    elif what == "delete":
        del parent.children[path[-1]]
    elif what == "delete only":
        refuse(any(key in parent.children and key != path[-1] for key in node.children))
        del parent.children[path[-1]]
        parent.children.update(node.children)
    elif what in ("move", "copy"):
        to = tuple(how[0].split("/"))
        target = model.at(to)
        refuse(target is None or how[1] in target.children)
        if what == "copy":
            target.children[how[1]] = node.copy()
        else:
            refuse(to[: len(path)] == path)
            target.children[how[1]] = parent.children.pop(path[-1])
    elif what == "write":
        node.payloads["p"] = rows_of(how[0], 0)
    else:
        rows = rows_of(how[0], 0)
        node.payloads["p"] = np.concatenate([node.payloads.get("p", rows[:0]), rows])


def change_tree(root, change, handles):
    what, path, *how = change
    # Handles that were in use before, in this transaction and in earlier ones.
    if path not in handles or handles[path].path != path:
        handles[path] = root[path]
    node = handles[path]
    if what == "set":
        node.set_attribute(*how)
    elif what == "create":
        node.get_node(how[0])
    elif what in ("delete", "delete only"):
        node.delete_tree(only_node=what == "delete only")
    elif what in ("move", "copy"):
        root[how[0]].add_tree(node, key=how[1], copy=what == "copy")
    elif what == "write":
        DataWriter.write_array(node, rows_of(how[0], 0), data_attribute="p")
    else:
        DataWriter.append_array(node, rows_of(how[0], 0), data_attribute="p")


def make_changes(root, model, changes, handles):
    """Make those that make sense; they are what is returned."""
    made = []
    for change in changes:
        with contextlib.suppress(Refused):
            tried = model.copy()
            change_model(tried, change)
            change_model(model, change)
            change_tree(root, change, handles)
            made.append(change)
    return made


def after_all(model, changes):
    """The state after them, in a list; an empty one if they cannot be made."""
    model = model.copy()
    try:
        for change in changes:
            change_model(model, change)
    except Refused:
        return []
    return [model.plain()]


@pytest.mark.parametrize("examples", [20, pytest.param(300, marks=pytest.mark.slow)])
def test_of_two_transactions_one_is_refused_or_comes_after_the_other(two_connections, examples):
    handles: tuple[dict, dict] = (
        {},
        {},
    )  # of each connection, by path; they are kept from one example to the next

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(
        first=CHANGES, before=CHANGES, copies=COPIES, after=CHANGES, shared=st.booleans(), large=st.booleans()
    )
    def check(**changes):
        of_two_one_is_refused_or_comes_after(two_connections, handles, **changes)

    check()


def of_two_one_is_refused_or_comes_after(
    two_connections, handles, *, first, before, copies, after, shared, large
):
    db, mine, theirs = two_connections
    of_mine, of_theirs = handles
    model = Model()
    for root in (mine, theirs):
        db.abort(root)
    for key in list(mine):
        mine.delete_node(key)
    for path in START:
        node = model
        mine.get_node_path(path)
        for key in path.split("/"):
            node = node.children.setdefault(key, Model())
            node.attributes["x"] = "start" * 30 if large else "start"
        for depth in range(path.count("/") + 1):
            mine["/".join(path.split("/")[: depth + 1])].set_attribute("x", node.attributes["x"])
    if shared:
        make_changes(mine, model, [("copy", "a", "k", "copy"), ("copy", "f", "j", "copy")], of_mine)
    db.commit(mine)
    db.abort(theirs)

    seen, result = model.copy(), model.copy()
    theirs_made = make_changes(theirs, result, first, of_theirs)
    made = make_changes(mine, seen, before, of_mine)
    done = make_changes(mine, seen, [("copy", *copy) for copy in copies], of_mine)
    late = make_changes(mine, seen, after, of_mine)
    db.commit(theirs)
    try:
        db.commit(mine)
    except ConflictError:
        assert plain_tree(mine) == result.plain()
        return
    orders = [(result, [*made, *done, *late]), (seen, theirs_made)]
    assert plain_tree(mine) in [outcome for start, changes in orders for outcome in after_all(start, changes)]
    assert db.verify() == []


@pytest.fixture
def two_connections(tmp_path):
    with LOTDB(tmp_path, durability="process") as db:
        yield db, db.open_connection("mine"), db.open_connection("theirs")


def run(machine, examples):
    machine.TestCase.settings = settings(
        max_examples=examples,
        stateful_step_count=40,
        suppress_health_check=list(HealthCheck),
    )
    machine.TestCase("runTest").runTest()


@pytest.mark.parametrize("examples", [6, pytest.param(80, marks=pytest.mark.slow)])
def test_a_tree_in_memory_does_what_its_model_does(examples):
    run(MemoryMachine, examples)


@pytest.mark.parametrize("examples", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_a_tree_in_a_database_does_what_its_model_does(examples):
    run(DatabaseMachine, examples)
