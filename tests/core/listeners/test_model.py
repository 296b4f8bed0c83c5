"""A mirror that knows of a database only what its commits tell equals a walk through it, whatever was done.

Two connections change, roll back, abort, lose conflicts and commit in any order. A failure prints the steps
that lead to it.
"""

import contextlib
import shutil
import tempfile

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.core.listeners.mirror import Mirror, walked

from lotdb import LOTDB, BaseNode, ConflictError, LotdbError, Plugins
from lotdb.records import Children

MOST_NODES = 40
EXAMPLES = 8 if settings.default is settings.get_profile("quick") else 25
STEPS = 40
KEYS = st.sampled_from("abcdefg")
PICK = st.integers(0, 10_000)
NAMES = st.sampled_from("xyz")
SOURCES = st.sampled_from(["same", "memory", "copy"])
VALUES = st.one_of(st.integers(0, 3), st.just("large" * 30), st.lists(st.integers(0, 3), max_size=2))


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    """Limits so low that small trees cross them: records split, and leaves get records of their own."""
    monkeypatch.setattr(Children, "max_leaf_size", 4)
    monkeypatch.setattr(Children, "max_internal_size", 4)
    monkeypatch.setattr("lotdb.records.patchwork.MOST_COPIED", 1)
    monkeypatch.setattr("lotdb.tree.handle.BOX_BYTES", 100)


class Histories(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.folder = tempfile.mkdtemp()
        self.mirror = Mirror()
        plugins = Plugins()
        plugins.register(self.mirror)
        self.db = LOTDB(self.folder, durability="process", plugins=plugins)
        self.roots = [self.db.open_connection("one"), self.db.open_connection("other")]
        self.savepoints = [[], []]
        root = self.roots[0]
        for path in ("a/b/c", "a/b/d", "a/e", "b/a", "b/f", "c"):
            root.get_node_path(path).attrs["x"] = path
        for rows in (3, 4):  # appended to, it has a record of its own
            root.get_data_node("d").append_data(np.arange(rows), data_attribute="y")
            self.commit(0)
        root["a"].branch("g")
        self.commit(0)
        self.db.abort(self.roots[1])

    def teardown(self):
        self.db.close()
        shutil.rmtree(self.folder)

    def pick(self, which, at):
        nodes = list(self.roots[which].iterate_tree())
        return nodes[at % len(nodes)], len(nodes)

    @rule(which=st.integers(0, 1), at=PICK, key=KEYS, data=st.booleans())
    def create(self, which, at, key, data):
        node, there = self.pick(which, at)
        if there < MOST_NODES:
            node.get_data_node(key) if data else node.get_node(key)

    @rule(which=st.integers(0, 1), at=PICK, name=NAMES, value=VALUES)
    def set(self, which, at, name, value):
        with contextlib.suppress(LotdbError):
            self.pick(which, at)[0].attrs[name] = value

    @rule(which=st.integers(0, 1), at=PICK, name=NAMES)
    def unset(self, which, at, name):
        with contextlib.suppress(LotdbError):
            del self.pick(which, at)[0].attrs[name]

    @rule(which=st.integers(0, 1), at=PICK, name=NAMES, rows=st.integers(0, 5), how=st.integers(0, 2))
    def data(self, which, at, name, rows, how):
        with contextlib.suppress(LotdbError):
            node = self.roots[which].get_data_node(self.pick(which, at)[0].path)
            if how == 0:
                node.write_data(np.arange(rows), data_attribute=name, metadata={"n": rows})
            elif how == 1:
                node.append_data(np.arange(rows), data_attribute=name)
            else:
                node.delete_data(name)

    @rule(which=st.integers(0, 1), at=PICK, to=PICK, key=KEYS, replace=st.booleans())
    def move(self, which, at, to, key, replace):
        with contextlib.suppress(LotdbError):
            target = self.pick(which, to)[0]
            target.add_tree(self.pick(which, at)[0], key=key, if_exists="replace" if replace else "error")

    @rule(which=st.integers(0, 1), at=PICK, key=KEYS)
    def rename(self, which, at, key):
        with contextlib.suppress(LotdbError):
            self.pick(which, at)[0].rename(key)

    @rule(which=st.integers(0, 1), at=PICK)
    def swap(self, which, at):
        node = self.pick(which, at)[0]
        keys = list(node)
        if len(keys) > 1:
            one, two = keys[0], keys[-1]
            node[one].rename("for a while")
            node[two].rename(one)
            node["for a while"].rename(two)

    @rule(which=st.integers(0, 1), at=PICK, to=PICK, key=KEYS, source=SOURCES)
    def copy(self, which, at, to, key, source):
        node, there = self.pick(which, at)
        if there > MOST_NODES:
            return
        if source == "memory":
            tree = BaseNode("memory", plugins=self.db.plugins)
            tree.get_data_node("d").write_data([1])
            tree.get_node_path("e/f").attrs["x"] = 1
        else:
            tree = node.copy_tree() if source == "copy" else node
        with contextlib.suppress(LotdbError):
            self.pick(which, to)[0].add_tree(tree, key=key, copy=source != "memory", if_exists="rename")

    @rule(which=st.integers(0, 1), at=PICK, to=PICK, overwrite=st.booleans())
    def merge(self, which, at, to, overwrite):
        node, there = self.pick(which, at)
        if there < MOST_NODES:
            with contextlib.suppress(LotdbError):
                self.pick(which, to)[0].merge_tree(node, overwrite=overwrite)

    @rule(which=st.integers(0, 1), at=PICK, only=st.booleans())
    def delete(self, which, at, only):
        with contextlib.suppress(LotdbError):
            self.pick(which, at)[0].delete_tree(only_node=only)

    @rule(which=st.integers(0, 1))
    def savepoint(self, which):
        self.savepoints[which].append(self.db.savepoint(self.roots[which]))

    @rule(which=st.integers(0, 1), at=PICK)
    def roll_back(self, which, at):
        there = self.savepoints[which]
        if there:
            at %= len(there)
            there[at].rollback()
            del there[at + 1 :]

    @rule(which=st.integers(0, 1))
    def abort(self, which):
        self.db.abort(self.roots[which])
        self.savepoints[which].clear()

    @rule()
    def go_on(self):
        """Commit the first connection, so that most of what happens happens to what is stored."""
        self.commit(0)

    @rule()
    def go_on_again(self):
        self.commit(0)

    @rule(which=st.integers(0, 1))
    def commit(self, which):
        heard, last = self.mirror.heard, self.db.last_commit
        with contextlib.suppress(ConflictError):
            self.db.commit(self.roots[which])
        self.savepoints[which].clear()
        assert self.mirror.heard == heard + (self.db.last_commit != last)
        with self.db.connection() as root:
            assert self.mirror.nodes == walked(root)


TestHistories = pytest.mark.slow(pytest.mark.usefixtures("small_limits")(Histories.TestCase))
TestHistories.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    suppress_health_check=list(HealthCheck),
)
