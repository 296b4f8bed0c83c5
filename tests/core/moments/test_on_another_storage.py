"""Moments of a storage that a plugin brings, and that overrides nothing of what is asked about them."""

import time

import pytest
from tests.core.moments.pictures import picture
from ZODB.FileStorage import FileStorage

from lotdb import LOTDB, MomentGoneError, Plugins, Storage, hookimpl


class Plain(Storage):
    """A data file of ZODB's own."""

    name = "plain"

    def open(self):
        folder = self.context.folder / f"{self.context.name}.plain"
        folder.mkdir(parents=True, exist_ok=True)
        return FileStorage(str(folder / "data.fs"), read_only=self.context.read_only)

    def pack(self, keep, references):
        self.opened.pack(time.time() + 1, references)

    def tree_bytes(self):
        return self.opened.getSize()


class Plugin:
    @hookimpl
    def lotdb_get_storage(self, name):
        return Plain if name == "plain" else None


@pytest.fixture
def db(folder):
    plugins = Plugins()
    plugins.register(Plugin())
    with LOTDB(folder, storage="plain", plugins=plugins) as db:
        yield db


def test_its_moments_are_listed_looked_at_restored_and_undone(db):
    moments = []
    for number in range(4):
        with db.connection(note=f"number {number}") as root:
            root.get_node_path("a/b").attrs["number"] = number
            root.get_node_path(f"a/c{number}/d").attrs["text"] = "long" * 300
            seen = picture(root)
        moments.append((db.last_commit, seen))
    assert [each.note for each in db.history(limit=4)] == [f"number {number}" for number in (3, 2, 1, 0)]
    assert [each.id for each in db.history(path="a/c2")] == [moments[2][0]]
    db.tags["two"] = moments[2][0]
    for when, seen in [*moments, ("two", moments[2][1])]:
        with db.at(when) as root:
            assert picture(root) == seen
    with db.connection() as root:
        db.undo(moments[3][0], root)
        assert picture(root) == moments[2][1]
        root["a"].restore(moments[0][0])
        assert picture(root) == moments[0][1]
    del db.tags["two"]
    db.pack()
    with db.connection() as root:
        assert picture(root) == moments[0][1]
    with pytest.raises(MomentGoneError), db.at(moments[1][0]):
        raise AssertionError("it is gone")
    assert db.verify() == []
