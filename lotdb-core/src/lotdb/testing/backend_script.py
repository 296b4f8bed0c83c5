"""The same random script on a database and on a tree in memory gives the same trees."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Protocol

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lotdb import LOTDB, Backend, BaseNode, DataNode, LotdbError, Savepoint
from lotdb.testing.arrays import filled
from lotdb.testing.backend_fixtures import BackendFixtures
from lotdb.testing.bench import Bench
from lotdb.testing.promises import CLASS, promise
from lotdb.testing.seen import picture

__all__ = ["START", "STEPS", "ScriptTests", "Step", "Tried", "run_script"]

Step = tuple[Any, ...]

#: Which node is meant, of those that there are then.
WHERE = st.integers(0, 30)
KEYS = st.sampled_from("abc")
NAMES = st.sampled_from(["data", "more"])
DATA = st.one_of(
    st.builds(
        filled,
        st.sampled_from(["float64", "int16", "U3"]),
        st.tuples(st.sampled_from([0, 1, 2, 3, 50, 1000]), st.just(2)),
        st.integers(0, 9),
    ),
    st.builds(filled, st.just("float64"), st.just((70_000, 2)), st.integers(0, 9)),  # over 1 MiB
    st.sampled_from(["", "a text", "ein längerer Text" * 100, b"", b"bytes" * 30]),
)

STEPS = st.one_of(
    st.tuples(st.just("make"), WHERE, KEYS),
    st.tuples(st.just("write"), WHERE, NAMES, DATA),
    st.tuples(st.just("append"), WHERE, NAMES, DATA),
    st.tuples(st.just("append"), WHERE, NAMES, DATA),
    st.tuples(st.just("delete_data"), WHERE, NAMES),
    st.tuples(st.just("compact"), WHERE, NAMES),
    st.tuples(st.just("set"), WHERE, st.integers(-5, 5)),
    st.tuples(st.just("branch"), WHERE, KEYS),
    st.tuples(st.just("rename"), WHERE, KEYS),
    st.tuples(st.just("delete"), WHERE),
    st.just(("commit",)),
    st.just(("abort",)),
    st.just(("savepoint",)),
    st.tuples(st.just("rollback"), st.integers(0, 3)),
    st.just(("pack",)),
    st.just(("reopen",)),
)
# Some nodes to begin with, so that most steps find one that they apply to.
START: list[Step] = [("make", 0, "a"), ("make", 1, "b"), ("write", 1, "data", filled("float64", (3, 2)))]


class ScriptTests(BackendFixtures):
    """What transactions, branches and payloads do together."""

    @promise(
        CLASS,
        "a_committed_payload_is_read_back",
        "deleting_gives_the_space_back",
        "any_window_is_read",
        "an_abort_removes_what_was_written",
        "appended_rows_follow_each_other",
    )
    def test_a_script_gives_the_tree_that_it_gives_in_memory(
        self, bench: Bench, backend_class: type[Backend], tmp_path: Path
    ) -> None:
        """Whatever is done, a database holds what a tree in memory would hold."""
        bench.needs_its_folder()  # for each script has a database of its own

        @settings(
            max_examples=self.amount(60, 4),
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(st.lists(STEPS, min_size=5, max_size=30))
        def check(steps: list[Step]) -> None:
            tried = Bench(tmp_path / "script", backend_class, bench.config, durability="process")
            try:
                run_script([*START, *steps, ("reopen",)], tried)
            finally:
                tried.close()
                shutil.rmtree(tried.folder)

        check()


class Tried(Protocol):
    """A database that a script is run on."""

    @property
    def db(self) -> LOTDB:
        """The database, opened unless it is open."""

    def root(self) -> BaseNode:
        """The root, in the connection that :meth:`commit` commits."""

    def commit(self) -> None:
        """Commit."""

    def settle(self) -> None:
        """Commit, and close the database."""


def run_script(steps: list[Step], tried: Tried) -> None:
    """Do the steps to a database, which is empty, and to a tree in memory, and compare."""
    _run(steps, _Database(tried), _Memory())
    found = tried.db.verify()
    assert found == [], f"verify() finds {found}"


def _run(steps: list[Step], database: _Database, memory: _Memory) -> None:
    for number, (name, *arguments) in enumerate(steps):
        outcomes = [side.do(name, arguments) for side in (database, memory)]
        assert outcomes[0] == outcomes[1], (
            f"step {number}, {name}: {outcomes[0]}, but in memory {outcomes[1]}"
        )
        if name in ("commit", "abort", "rollback", "reopen"):
            same = picture(database.root) == picture(memory.root)
            assert same, f"after step {number}, {name}, the tree is not what it is in memory"


class _Side:
    """A tree that the steps of a script are applied to."""

    @property
    def root(self) -> BaseNode:
        raise NotImplementedError

    def do(self, name: str, arguments: list[Any]) -> str:
        """Do one step; the error that it ended with, if any."""
        try:
            if hasattr(self, name):
                getattr(self, name)(*arguments)
            else:
                _change(self.root, name, *arguments)
        except LotdbError as error:
            return type(error).__name__
        return "done"


class _Database(_Side):
    def __init__(self, bench: Tried) -> None:
        self._bench = bench
        self._savepoints: list[Savepoint] = []

    @property
    def root(self) -> BaseNode:
        return self._bench.root()

    def commit(self) -> None:
        self._bench.commit()
        self._savepoints.clear()

    def abort(self) -> None:
        self._bench.db.abort()
        self._savepoints.clear()

    def savepoint(self) -> None:
        self._bench.root()
        self._savepoints.append(self._bench.db.savepoint())

    def rollback(self, which: int) -> None:
        if self._savepoints:
            which %= len(self._savepoints)
            self._savepoints[which].rollback()
            del self._savepoints[which + 1 :]

    def pack(self) -> None:
        self._bench.db.pack(grace_s=0, sweep_outside=True)

    def reopen(self) -> None:
        self._bench.settle()
        self._savepoints.clear()


class _Memory(_Side):
    """A tree in memory whose transactions are copies of it."""

    def __init__(self) -> None:
        self._root = BaseNode()
        self._committed = _copy(self._root)
        self._savepoints: list[BaseNode] = []

    @property
    def root(self) -> BaseNode:
        return self._root

    def commit(self) -> None:
        self._committed = _copy(self._root)
        self._savepoints.clear()

    def abort(self) -> None:
        self._root = _copy(self._committed)
        self._savepoints.clear()

    def savepoint(self) -> None:
        self._savepoints.append(_copy(self._root))

    def rollback(self, which: int) -> None:
        if self._savepoints:
            which %= len(self._savepoints)
            self._root = _copy(self._savepoints[which])
            del self._savepoints[which + 1 :]

    def pack(self) -> None:
        pass

    def reopen(self) -> None:
        self.commit()


def _copy(root: BaseNode) -> BaseNode:
    return BaseNode().add_tree(root, key="copy", copy=True)


def _change(root: BaseNode, step: str, where: int, *arguments: Any) -> None:
    nodes = list(_nodes(root))
    node = nodes[where % len(nodes)]
    if step == "make":
        node.get_data_node(arguments)
    elif step == "set":
        node.attrs["value"] = arguments[0]
    elif node is not root:
        _change_node(node, step, *arguments)


def _change_node(node: DataNode, step: str, *arguments: Any) -> None:
    if step == "branch":
        node.branch(arguments[0])
    elif step == "rename":
        node.rename(arguments[0])
    elif step == "delete":
        node.delete_tree()
    elif step == "write":
        node.write_data(arguments[1], data_attribute=arguments[0], samplerate_hz=10)
    elif step == "append":
        node.append_data(arguments[1], data_attribute=arguments[0], metadata={"appended": True})
    elif step == "compact":
        node.compact_data(arguments[0])
    else:
        node.delete_data(arguments[0])


def _nodes(node: Any) -> Any:
    yield node
    for key in node:
        yield from _nodes(node[(key,)])
