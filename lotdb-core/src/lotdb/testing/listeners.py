"""ListenerTests: everything that a listener promises."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
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

#: What a listener keeps beside the tree of a database: what it knows of nodes, by their paths; or the paths.
Mirror = Callable[[LOTDB], Mapping[str, Any] | Collection[str]]

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
                return lambda db: dict(plugin.rows(db))

            @pytest.fixture
            def known_of(self):  # what that should be
                return lambda node: node.attrs.get("subject")

            @pytest.fixture
            def watched(self):
                return {"subject": ["S01", "S02"]}

            @pytest.fixture
            def catch_up(self, plugin):
                return plugin.catch_up

    Fixtures to override
    --------------------
    plugin
        The module or object with hooks that are told of changes, such as ``lotdb_committed``.
    mirror
        A function from an open database to what the listener knows of it: a mapping from the paths of nodes
        to what it knows of each, or the paths, each once. The root is left out. None, as by default, for a
        listener that keeps nothing.
    known_of
        A function from a node to what *mirror* should have for it; None if it should not have that node. By
        default *mirror* has the paths of all nodes.
    watched
        The attributes at which the listener looks, with two values or more for each. The kit sets, changes,
        moves and removes them.
    catch_up
        A function of a database that the program calls when it has opened it, before it commits.
    """

    @pytest.fixture
    def mirror(self) -> Mirror | None:
        """What the listener keeps beside a database."""
        return None

    @pytest.fixture
    def known_of(self) -> Callable[[BaseNode], Any] | None:
        """What it should know of a node; by default, that there is one."""
        return None

    @pytest.fixture
    def watched(self) -> Mapping[str, Sequence[Any]]:
        """The attributes at which it looks, with values for them."""
        return {}

    @pytest.fixture
    def catch_up(self) -> Callable[[LOTDB], object] | None:
        """What is called when a database was opened."""
        return None

    @pytest.fixture
    def kept(
        self,
        mirror: Mirror | None,
        known_of: Callable[[BaseNode], Any] | None,
        catch_up: Callable[[LOTDB], object] | None,
        plugins: Plugins,
    ) -> _Kept:
        """What it keeps, and what that should be."""
        return _Kept(mirror, known_of, catch_up, plugins)

    @pytest.fixture
    def changes(self, watched: Mapping[str, Sequence[Any]]) -> list[Callable[[BaseNode], None]]:
        """Changes of every kind, one after the other."""
        return _with_watched(CHANGES, watched)

    @promise(LISTENER)
    def test_the_plugin_listens(self, plugin: Any, plugins: Plugins) -> None:
        """It implements a hook that is told of changes, marked with @hookimpl."""
        names = [name for name in dir(plugin) if name.startswith(HEARS)]
        assert names, "it has no function called lotdb_node_..., lotdb_payload_written or lotdb_committed"
        for name in names:
            assert hasattr(getattr(plugin, name), "lotdb_impl"), f"{name} is not marked with @lotdb.hookimpl"

    @promise(LISTENER, "the_plugin_listens")
    def test_it_hears_every_change_of_a_tree_in_memory(
        self, plugins: Plugins, changes: list[Callable[[BaseNode], None]]
    ) -> None:
        """It raises nothing and changes nothing, whatever is done to a tree in memory."""
        heard, unheard = BaseNode(plugins=plugins), BaseNode(plugins=Plugins())
        for change in changes:
            for root in (heard, unheard):
                with _told(change.__name__):
                    change(root)
            assert picture(heard) == picture(unheard), (
                f"{change.__name__}: it changes the tree that it hears of"
            )

    @promise(LISTENER, FIRST)
    def test_it_hears_every_change_of_a_database(
        self, plugins: Plugins, changes: list[Callable[[BaseNode], None]], kept: _Kept, tmp_path: Path
    ) -> None:
        """It raises nothing and changes nothing, whatever is done to a database; each change is committed."""
        unheard = BaseNode(plugins=Plugins())
        with kept.opened(tmp_path / "heard") as db:
            for change in changes:
                change(unheard)
                with _told(change.__name__), db.connection() as root:
                    change(root)
                with db.connection() as root:
                    assert picture(root) == picture(unheard), f"{change.__name__}: it changes the tree"
        with LOTDB(tmp_path / "heard", NAME, plugins=Plugins()) as db, db.connection() as root:
            assert picture(root) == picture(unheard), "what it heard of is not what is stored"

    @promise(LISTENER, STORED)
    def test_what_is_undone_is_undone(
        self, kept: _Kept, watched: Mapping[str, Sequence[Any]], tmp_path: Path
    ) -> None:
        """It keeps nothing of what was aborted, rolled back, or lost in a conflict: lotdb_committed tells."""
        first = {name: values[0] for name, values in watched.items()}
        last = {name: values[-1] for name, values in watched.items()}
        with kept.opened(tmp_path / "undone") as db:
            with _told("a commit"), db.connection() as root:
                root.get_node_path("a/b").attrs.update({"value": 1, **first})
            with contextlib.suppress(ZeroDivisionError), db.connection() as root:
                root.get_node_path("a/aborted").attrs.update(last)
                root["a/b"].attrs.update(last)
                root["a/b"].rename("renamed and aborted")
                raise ZeroDivisionError
            root = db.open_connection()
            savepoint = db.savepoint()
            root.get_node_path("rolled/back").attrs.update(last)
            root["a"].delete_tree()
            savepoint.rollback()
            with _told("a commit after a rollback"):
                root.get_node("after")
                db.commit()
            loser = db.open_connection("loser")
            loser["a/b"].attrs.update({"value": 2, **last})
            loser.get_node_path("a/lost in a conflict").attrs.update(last)
            with _told("the winner's commit"), db.connection() as other:
                other["a/b"].attrs["value"] = 3
            with contextlib.suppress(ConflictError):
                db.commit("loser")
                pytest.fail("both commits changed one attribute")
            db.abort("loser")
            with _told("a transaction that is tried again"):
                db.run(_second_time(last))
            db.abort()
            kept.check(db)

    @promise(LISTENER, STORED)
    def test_it_keeps_up_with_every_change(
        self, kept: _Kept, changes: list[Callable[[BaseNode], None]], tmp_path: Path
    ) -> None:
        """After each commit it knows what there is, values and all: also below a branch or a move."""
        kept.needed()
        with kept.opened(tmp_path / "mirrored") as db:
            for change in changes:
                with _told(change.__name__), db.connection() as root:
                    change(root)
                kept.check(db, f"after {change.__name__}: ")

    @promise(LISTENER, STORED)
    def test_missed_commits_are_noticed(
        self, kept: _Kept, watched: Mapping[str, Sequence[Any]], tmp_path: Path
    ) -> None:
        """It notices that commits were made without it, as by a program that has not registered it, and is
        right after the next one: it compares changes.previous_id with the commit that it heard of last.
        """
        kept.needed()
        first = {name: values[0] for name, values in watched.items()}
        last = {name: values[-1] for name, values in watched.items()}
        with _told("a commit"), kept.opened(tmp_path / "missed") as db:
            with db.connection() as root:
                for path in ("stays", "goes", "moves/below", "is changed", "loses it"):
                    root.get_node_path(path).attrs.update(first)
            kept.check(db)
        for caught_up in (False, True):
            with LOTDB(tmp_path / "missed", NAME, plugins=Plugins()) as db, db.connection() as root:
                root.get_node_path(f"new {caught_up}/below").attrs.update(last)
                root["is changed"].attrs.update(first if caught_up else last)
                if not caught_up:
                    root["goes"].delete_tree()
                    root["moves"].rename("moved")
                    for name in watched:
                        del root["loses it"].attrs[name]
            if caught_up and kept.catch_up is None:
                break
            with kept.opened(tmp_path / "missed", catch_up=caught_up) as db:
                if caught_up:
                    kept.check(db, "after catch_up: ")
                with _told("a commit after some that it has missed"), db.connection() as root:
                    root.get_node(f"heard {caught_up}").attrs.update(last)
                kept.check(db, "after a commit that came after some that it has missed: ")

    @promise(LISTENER, STORED)
    def test_databases_are_told_apart(
        self, kept: _Kept, watched: Mapping[str, Sequence[Any]], tmp_path: Path
    ) -> None:
        """What it hears of one database, or of a tree in memory, it does not take for another's."""
        first = {name: values[0] for name, values in watched.items()}
        with kept.opened(tmp_path / "one") as one, kept.opened(tmp_path / "two") as two:
            for db, key in ((one, "of one"), (two, "of two")):
                with _told("a commit"), db.connection() as root:
                    root.get_node(key).attrs.update(first)
            BaseNode(plugins=kept.plugins).get_node("of none").attrs.update(first)
            kept.check(one)
            kept.check(two)
            with one.connection() as root:
                root.delete_tree()
            kept.check(two)

    @promise(LISTENER, STORED)
    def test_threads_may_commit_at_once(
        self, kept: _Kept, watched: Mapping[str, Sequence[Any]], tmp_path: Path
    ) -> None:
        """Several threads may commit at once, and it hears each of them."""
        first = {name: values[0] for name, values in watched.items()}
        with kept.opened(tmp_path / "threads", durability="process") as db:

            def make(root: BaseNode, key: str) -> None:
                root.get_node(key).attrs.update(first)

            def commit(number: int) -> None:
                for each in range(5):
                    db.run(partial(make, key=f"{number}-{each}"), attempts=100)

            with _told("a commit among threads"):
                at_once([partial(commit, number) for number in range(4)])
            kept.check(db)

    @promise(LISTENER, STORED)
    def test_a_database_is_opened_again(self, kept: _Kept, tmp_path: Path) -> None:
        """A database may be closed and opened again, also to read only."""
        for number in range(3):
            with _told("a commit"), kept.opened(tmp_path / "again") as db:
                with db.connection() as root:
                    root.get_node(f"{number}")
                kept.check(db)
        reading = kept.opened(tmp_path / "again", read_only=True)
        with _told("reading only"), reading as db, db.connection() as root:
            assert len(root) == 3, "what was committed is there"


@dataclass(frozen=True)
class _Kept:
    """What a listener keeps beside databases, and how to tell whether it is right."""

    mirror: Mirror | None
    known_of: Callable[[BaseNode], Any] | None
    catch_up: Callable[[LOTDB], object] | None
    plugins: Plugins

    @contextlib.contextmanager
    def opened(self, folder: Path, *, catch_up: bool = True, **how: Any) -> Iterator[LOTDB]:
        """A database that the listener hears of."""
        with LOTDB(folder, NAME, plugins=self.plugins, **how) as db:
            if self.catch_up is not None and catch_up:
                self.catch_up(db)
            yield db

    def needed(self) -> None:
        """Skip the test for a listener that keeps nothing."""
        if self.mirror is None:
            pytest.skip("it keeps nothing beside the tree: the fixture mirror says what")

    def check(self, db: LOTDB, when: str = "") -> None:
        """Fail unless it knows just what there is."""
        if self.mirror is None:
            return
        known = self.mirror(db)
        if isinstance(known, Mapping):
            assert self.known_of is not None, (
                "the fixture mirror gives a mapping; give a fixture known_of, a function from a node to what "
                "the mapping should have for it"
            )
            known = {path: value for path, value in known.items() if path}
        else:
            paths = [path for path in known if path]
            known = dict.fromkeys(paths, ())
            twice = sorted(path for path in known if paths.count(path) > 1)
            assert not twice, f"{when}it knows nodes more than once: {twice[:5]}"
        with db.connection() as root:
            there = {node.path: self._of(node) for node in root.iterate_tree() if node.path}
        there = {path: value for path, value in there.items() if value is not None}
        more, less = sorted(known.keys() - there.keys()), sorted(there.keys() - known.keys())
        assert not more, f"{when}it knows nodes that are not there: {more[:5]}"
        assert not less, f"{when}it does not know of nodes that are there: {less[:5]}"
        if self.known_of is None:
            return
        wrong = [path for path in sorted(there) if known[path] != there[path]]
        assert not wrong, (
            f"{when}of {wrong[0]!r} it knows {known[wrong[0]]!r}, and there is {there[wrong[0]]!r}"
        )

    def _of(self, node: BaseNode) -> Any:
        return () if self.known_of is None else self.known_of(node)


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


def _second_time(attributes: Mapping[str, Any]) -> Callable[[BaseNode], None]:
    tries: list[BaseNode] = []

    def change(root: BaseNode) -> None:
        tries.append(root.get_node("not yet" if not tries else "at last"))
        tries[-1].attrs.update(attributes)
        if len(tries) == 1:
            raise ConflictError("a conflict")

    return change


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


def _nodes_get_another_type(root: BaseNode) -> None:
    root.get_data_node("S01/walk/left")
    root.get_data_node("S01, again/walk")


def _nodes_are_renamed_and_moved(root: BaseNode) -> None:
    root["S01/walk"].rename("gait")
    root["S01, again/walk"].move(root.get_node("elsewhere"))


def _nodes_change_places(root: BaseNode) -> None:
    root["S01/gait/left"].rename("left, first")
    root["S01/gait/right"].rename("left")
    root["S01/gait/left, first"].rename("right")


def _a_node_takes_the_place_of_another(root: BaseNode) -> None:
    root["elsewhere/walk/right"].delete_tree()
    root["elsewhere/walk/left"].rename("right")
    root["elsewhere/walk"].get_node("left")


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
    _a_branch_is_written_to, _nodes_get_another_type, _nodes_are_renamed_and_moved, _nodes_change_places,
    _a_node_takes_the_place_of_another, _a_tree_is_added, _a_tree_is_merged, _one_node_is_deleted,
    _attributes_are_deleted, _trees_are_deleted, _all_is_deleted,
]  # fmt: skip


def _with_watched(
    changes: list[Callable[[BaseNode], None]], watched: Mapping[str, Sequence[Any]]
) -> list[Callable[[BaseNode], None]]:
    """*changes*, with changes of the *watched* attributes between them, and in the same commits."""
    for name, each in watched.items():
        assert len(each) > 1, f"fixture watched: two values or more for {name!r}"

    def values(turn: int) -> dict[str, Any]:
        return {name: each[turn % len(each)] for name, each in watched.items()}

    def watched_attributes_are_set(root: BaseNode) -> None:
        for turn, path in enumerate(("S01", "S01/walk", "S01/walk/left", "S01/walk/right", "S01/run")):
            root[path].attrs.update(values(turn))

    def watched_attributes_are_changed(root: BaseNode) -> None:
        root["S01"].attrs.update(values(1))
        root["S01, again/walk/left"].attrs.update(values(1))
        for name in watched:
            del root["S01, again/walk"].attrs[name]

    def watched_attributes_change_with_a_move(root: BaseNode) -> None:
        root["S01/gait/left"].attrs.update(values(1))
        root["S01/gait"].rename("gait, watched")
        root["S01/gait, watched/right"].attrs.update(values(0))
        root["S01/gait, watched"].rename("gait")
        root["elsewhere"].attrs.update(values(0))
        root["elsewhere"].branch("else")["walk"].attrs.update(values(1))
        root["else"].delete_tree()
        root["elsewhere/walk"].attrs.update(values(1))

    def a_watched_tree_is_added(root: BaseNode) -> None:
        tree = BaseNode("watched tree")
        tree.get_node_path("x/y").attrs.update(values(1))
        tree.attrs.update(values(0))
        root.add_tree(tree)
        root["watched tree/x"].attrs.update(values(0))

    def watched_attributes_are_removed(root: BaseNode) -> None:
        for name in watched:
            del root["S01"].attrs[name]
            del root["watched tree/x/y"].attrs[name]

    after: dict[Callable[[BaseNode], None], Callable[[BaseNode], None]] = {
        _attributes_are_set: watched_attributes_are_set,
        _a_branch_is_written_to: watched_attributes_are_changed,
        _nodes_change_places: watched_attributes_change_with_a_move,
        _a_tree_is_added: a_watched_tree_is_added,
        _attributes_are_deleted: watched_attributes_are_removed,
    }
    if not watched:
        return changes
    return [each for change in changes for each in (change, after.get(change)) if each is not None]
