"""ListenerTests: everything that a listener promises."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lotdb import LOTDB, BaseNode, ConflictError, Plugins
from lotdb.testing.bench import NAME
from lotdb.testing.limits import at_once
from lotdb.testing.plugin_fixtures import PluginFixtures
from lotdb.testing.promises import LISTENER, promise
from lotdb.testing.seen import picture

__all__ = ["ListenerTests"]

#: What a listener keeps beside the tree of a database, as the paths of the nodes that it knows.
Mirror = Callable[[LOTDB], set[str]]

HEARS = "lotdb_node_", "lotdb_payload_", "lotdb_committed", "lotdb_validate"
FIRST = "it_hears_every_change_of_a_tree_in_memory"
STORED = "it_hears_every_change_of_a_database"


class ListenerTests(PluginFixtures):
    """The tests of a listener; subclass it, and name the plugin::

        class TestIndex(ListenerTests):
            @pytest.fixture
            def plugin(self, tmp_path):
                return my_package.Index(tmp_path / "index.sqlite")

            @pytest.fixture
            def mirror(self, plugin):  # if it keeps something beside the tree
                return lambda db: {path for path, in plugin.rows(db)}

    Fixtures to override
    --------------------
    plugin
        The module or object with hooks that are told of changes, such as ``lotdb_committed``.
    mirror
        A function from an open database to the set of the paths of nodes that the listener knows of in it,
        without the root; None, as by default, for a listener that keeps nothing.
    """

    @pytest.fixture
    def mirror(self) -> Mirror | None:
        """What the listener keeps beside a database."""
        return None

    @promise(LISTENER)
    def test_the_plugin_listens(self, plugin: Any, plugins: Plugins) -> None:
        """It implements a hook that is told of changes, marked with @hookimpl."""
        names = [name for name in dir(plugin) if name.startswith(HEARS)]
        assert names, "it has no function called lotdb_node_..., lotdb_payload_written or lotdb_committed"
        for name in names:
            assert hasattr(getattr(plugin, name), "lotdb_impl"), f"{name} is not marked with @lotdb.hookimpl"

    @promise(LISTENER, "the_plugin_listens")
    def test_it_hears_every_change_of_a_tree_in_memory(self, plugins: Plugins) -> None:
        """It raises nothing and changes nothing, whatever is done to a tree in memory."""
        heard, unheard = BaseNode(plugins=plugins), BaseNode(plugins=Plugins())
        for change in CHANGES:
            for root in (heard, unheard):
                with _told(change.__name__):
                    change(root)
            assert picture(heard) == picture(unheard), (
                f"{change.__name__}: it changes the tree that it hears of"
            )

    @promise(LISTENER, FIRST)
    def test_it_hears_every_change_of_a_database(self, plugins: Plugins, tmp_path: Path) -> None:
        """It raises nothing and changes nothing, whatever is done to a database; each change is committed."""
        unheard = BaseNode(plugins=Plugins())
        with LOTDB(tmp_path / "heard", NAME, plugins=plugins) as db:
            for change in CHANGES:
                change(unheard)
                with _told(change.__name__), db.connection() as root:
                    change(root)
                with db.connection() as root:
                    assert picture(root) == picture(unheard), f"{change.__name__}: it changes the tree"
        with LOTDB(tmp_path / "heard", NAME, plugins=Plugins()) as db, db.connection() as root:
            assert picture(root) == picture(unheard), "what it heard of is not what is stored"

    @promise(LISTENER, STORED)
    def test_what_is_undone_is_undone(self, plugins: Plugins, mirror: Mirror | None, tmp_path: Path) -> None:
        """It keeps nothing of what was aborted, rolled back, or lost in a conflict: lotdb_committed tells."""
        with LOTDB(tmp_path / "undone", NAME, plugins=plugins) as db:
            with _told("a commit"), db.connection() as root:
                root.get_node_path("a/b").attrs["value"] = 1
            with contextlib.suppress(ZeroDivisionError), db.connection() as root:
                root.get_node_path("a/aborted")
                root["a/b"].rename("renamed and aborted")
                raise ZeroDivisionError
            root = db.open_connection()
            savepoint = db.savepoint()
            root.get_node_path("rolled/back")
            root["a"].delete_tree()
            savepoint.rollback()
            with _told("a commit after a rollback"):
                root.get_node("after")
                db.commit()
            loser = db.open_connection("loser")
            loser["a/b"].attrs["value"] = 2
            loser.get_node_path("a/lost in a conflict")
            with _told("the winner's commit"), db.connection() as other:
                other["a/b"].attrs["value"] = 3
            with contextlib.suppress(ConflictError):
                db.commit("loser")
                pytest.fail("both commits changed one attribute")
            db.abort("loser")
            with _told("a transaction that is tried again"):
                db.run(_second_time())
            db.abort()
            self._check(db, mirror, {"a", "a/b", "after", "at last"})

    @promise(LISTENER, STORED)
    def test_it_keeps_up_with_every_change(
        self, plugins: Plugins, mirror: Mirror | None, tmp_path: Path
    ) -> None:
        """After each commit it knows the nodes that there are: those below a branch or a move, too."""
        if mirror is None:
            pytest.skip("it keeps nothing beside the tree: the fixture mirror says what")
        with LOTDB(tmp_path / "mirrored", NAME, plugins=plugins) as db:
            for change in CHANGES:
                with _told(change.__name__), db.connection() as root:
                    change(root)
                    there = _paths(root)
                self._check(db, mirror, there, f"after {change.__name__}: ")

    @promise(LISTENER, STORED)
    def test_databases_are_told_apart(self, plugins: Plugins, mirror: Mirror | None, tmp_path: Path) -> None:
        """What it hears of one database, or of a tree in memory, it does not take for another's."""
        one, two = (LOTDB(tmp_path / name, NAME, plugins=plugins) for name in ("one", "two"))
        with one, two:
            for db, key in ((one, "of one"), (two, "of two")):
                with _told("a commit"), db.connection() as root:
                    root.get_node(key)
            BaseNode(plugins=plugins).get_node("of none")
            self._check(one, mirror, {"of one"})
            self._check(two, mirror, {"of two"})
            with one.connection() as root:
                root.delete_tree()
            self._check(two, mirror, {"of two"})

    @promise(LISTENER, STORED)
    def test_threads_may_commit_at_once(
        self, plugins: Plugins, mirror: Mirror | None, tmp_path: Path
    ) -> None:
        """Several threads may commit at once, and it hears each of them."""
        with LOTDB(tmp_path / "threads", NAME, plugins=plugins, durability="process") as db:

            def make(root: BaseNode, key: str) -> None:
                root.get_node(key)

            def commit(number: int) -> None:
                for each in range(5):
                    db.run(partial(make, key=f"{number}-{each}"), attempts=100)

            with _told("a commit among threads"):
                at_once([partial(commit, number) for number in range(4)])
            self._check(db, mirror, {f"{number}-{each}" for number in range(4) for each in range(5)})

    @promise(LISTENER, STORED)
    def test_a_database_is_opened_again(
        self, plugins: Plugins, mirror: Mirror | None, tmp_path: Path
    ) -> None:
        """A database may be closed and opened again, also to read only."""
        for number in range(3):
            with _told("a commit"), LOTDB(tmp_path / "again", NAME, plugins=plugins) as db:
                with db.connection() as root:
                    root.get_node(f"{number}")
                self._check(db, mirror, {f"{each}" for each in range(number + 1)})
        reading = LOTDB(tmp_path / "again", NAME, plugins=plugins, read_only=True)
        with _told("reading only"), reading, reading.connection() as root:
            assert len(root) == 3, "what was committed is there"

    def _check(self, db: LOTDB, mirror: Mirror | None, there: set[str], when: str = "") -> None:
        if mirror is None:
            return
        known = set(mirror(db))
        more, less = sorted(known - there), sorted(there - known)
        assert not more, f"{when}it knows nodes that are not there: {more[:5]}"
        assert not less, f"{when}it does not know of nodes that are there: {less[:5]}"


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Fail if the listener raises, which after a commit is a warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except Exception as error:
            error.add_note(f"Falsifying: the listener was told of {what}")
            raise
    failed = [str(each.message) for each in caught if each.category.__name__ == "ListenerWarning"]
    assert not failed, f"it raises when it is told of {what}: {failed[0]}"


def _second_time() -> Callable[[BaseNode], None]:
    tries: list[BaseNode] = []

    def change(root: BaseNode) -> None:
        tries.append(root.get_node("not yet" if not tries else "at last"))
        if len(tries) == 1:
            raise ConflictError("a conflict")

    return change


def _paths(root: BaseNode) -> set[str]:
    return {node.path for node in root.iterate_tree() if node.path}


# -- changes of every kind ------------------------------------------------------------------------


def _nodes_are_made(root: BaseNode) -> None:
    root.get_node_path("S01/walk/left")
    root.get_node_path("S01/walk/right")
    root.get_data_node("S01/run")


def _attributes_are_set(root: BaseNode) -> None:
    root["S01"].attrs["age"] = 31
    root["S01/walk"].attrs.update({"label": "größe", "list": [1, None]})


def _payloads_are_written(root: BaseNode) -> None:
    node = root.get_data_node("S01/run")
    node.write_data(np.arange(6.0).reshape(3, 2), samplerate_hz=10)
    node.write_data("a text", data_attribute="notes")
    node.append_data(np.ones((1, 2)))
    root.get_data_node("S01/empty").write_data(np.empty((0, 2)))


def _payloads_are_replaced(root: BaseNode) -> None:
    root.get_data_node("S01/run").replace_data(np.zeros(2))
    root.get_data_node("S01/run").delete_data("notes")


def _a_branch_is_made(root: BaseNode) -> None:
    root["S01"].branch("S01, again")


def _a_branch_is_written_to(root: BaseNode) -> None:
    root["S01, again/walk"].get_node("middle")
    root.get_data_node("S01, again/run").append_data(np.zeros(1))


def _nodes_are_renamed_and_moved(root: BaseNode) -> None:
    root["S01/walk"].rename("gait")
    root["S01, again/walk"].move(root.get_node("elsewhere"))


def _a_tree_is_added(root: BaseNode) -> None:
    tree = BaseNode("added")
    tree.get_node_path("x/y").attrs["value"] = 1
    root["elsewhere"].add_tree(tree)


def _a_tree_is_merged(root: BaseNode) -> None:
    root["S01"].merge_tree(root["S01, again"])
    root["S01, again"].merge_tree(root["S01"], overwrite=True)


def _one_node_is_deleted(root: BaseNode) -> None:
    root["elsewhere/walk"].delete_tree(only_node=True)


def _attributes_are_deleted(root: BaseNode) -> None:
    del root["S01"].attrs["age"]


def _trees_are_deleted(root: BaseNode) -> None:
    root["S01"].delete_tree()
    root["elsewhere"].delete_tree()


def _all_is_deleted(root: BaseNode) -> None:
    root.delete_tree()


CHANGES: list[Callable[[BaseNode], None]] = [
    _nodes_are_made, _attributes_are_set, _payloads_are_written, _payloads_are_replaced, _a_branch_is_made,
    _a_branch_is_written_to, _nodes_are_renamed_and_moved, _a_tree_is_added, _a_tree_is_merged,
    _one_node_is_deleted, _attributes_are_deleted, _trees_are_deleted, _all_is_deleted,
]  # fmt: skip
