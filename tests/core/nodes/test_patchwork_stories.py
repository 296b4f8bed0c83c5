"""Random stories of a tree of tiny records, most of them shared with a branch, against plain dicts.

Every kind of change is mixed with commits, aborts, savepoints, undoing, restoring, packs and backups. After
each commit the tree, and sometimes what it was at an earlier moment, is what the dicts say.
"""

import random

import numpy as np
import pytest

from lotdb import LOTDB, MomentGoneError, MomentNotFoundError, NodeNotFoundError
from lotdb.records import Children

MOST = 1000  # nodes


@pytest.fixture(autouse=True)
def tiny_records(monkeypatch):
    monkeypatch.setattr(Children, "max_leaf_size", 4)
    monkeypatch.setattr(Children, "max_internal_size", 4)
    monkeypatch.setattr("lotdb.records.patchwork.MOST_COPIED", 2)


class Model:
    """What a node holds: attributes, payloads and children."""

    def __init__(self):
        self.attributes, self.payloads, self.children = {}, {}, {}

    def copy(self):
        other = Model()
        other.attributes, other.payloads = dict(self.attributes), dict(self.payloads)
        other.children = {key: child.copy() for key, child in self.children.items()}
        return other

    def merge(self, other, overwrite):
        for mine, theirs in (self.attributes, other.attributes), (self.payloads, other.payloads):
            mine.update({name: value for name, value in theirs.items() if overwrite or name not in mine})
        for key, child in other.children.items():
            if key in self.children:
                self.children[key].merge(child, overwrite)
            else:
                self.children[key] = child.copy()

    def at(self, path):
        for key in path:
            self = self.children[key]
        return self

    def paths(self, above=()):
        yield above
        for key, child in self.children.items():
            yield from child.paths((*above, key))

    def seen(self):
        payloads = {name: value.tolist() for name, value in self.payloads.items()}
        children = {key: child.seen() for key, child in sorted(self.children.items())}
        return self.attributes, payloads, children


def seen(node):
    """The same of a node of a database."""
    payloads = {name: payload.read().tolist() for name, payload in node.payloads.items()}
    attributes = {name: value for name, value in node.attrs.items() if name not in payloads}
    assert len(node) == len(list(node))
    return attributes, payloads, {key: seen(child) for key, child in node.items()}


# What happens in a story, and how often.
CHANGES = {
    "set": 12, "unset": 3, "write": 10, "append": 6, "drop": 2, "child": 10, "many": 6, "delete": 5,
    "move": 5, "rename": 4, "branch": 8, "copy": 3, "merge": 4, "commit": 14, "abort": 3, "undo": 4,
    "restore": 3, "look_back": 4, "tag": 1, "pack": 2, "backup": 1, "reopen": 2, "savepoint": 2,
}  # fmt: skip


class Story:
    def __init__(self, folder, seed, **options):
        self.folder, self.options = folder, options
        self.random = random.Random(seed)
        self.model, self.committed, self.moments = Model(), Model(), []
        self.open()

    def open(self):
        self.db = LOTDB(self.folder / "db", durability="process", **self.options)
        self.root = self.db.open_connection()

    def tell(self, steps):
        names, weights = list(CHANGES), list(CHANGES.values())
        for _ in range(steps):
            path = self.some_path()
            getattr(self, self.random.choices(names, weights)[0])(path, self.model.at(path), self.node(path))
        self.reopen((), self.model, self.root)
        self.db.close()

    # -- what the story speaks of ------------------------------------------------------------------

    def some_path(self):
        return self.random.choice([path for path in self.model.paths() if len(path) <= 4])

    def node(self, path):
        return self.root["/".join(path)] if path else self.root

    def data_node(self, path):
        return self.root.get_data_node("/".join(path))

    def new_key(self, model, beginning):
        while (key := f"{beginning}{self.random.randrange(60)}") in model.children:
            pass
        return key

    def has_room(self):
        return sum(1 for _ in self.model.paths()) < MOST

    def check(self, model=None, node=None):
        assert seen(node or self.root) == (model or self.model).seen()

    def note_commit(self):
        if not self.moments or self.moments[-1][0] != self.db.last_commit:
            self.moments.append((self.db.last_commit, self.model.copy(), self.committed))
        self.committed = self.model.copy()

    # -- changes -----------------------------------------------------------------------------------

    def set(self, path, model, node):
        name = f"a{self.random.randrange(4)}"
        value = self.random.choice([self.random.randrange(100), "x" * self.random.randrange(300), [1, 0.5]])
        node.attrs[name] = model.attributes[name] = value

    def unset(self, path, model, node):
        if model.attributes:
            name = self.random.choice(list(model.attributes))
            del node.attrs[name], model.attributes[name]

    def write(self, path, model, node):
        if path:
            name = f"p{self.random.randrange(3)}"
            rows = np.arange(self.random.choice([0, 1, 300, 9000])) + self.random.randrange(1000)
            self.data_node(path).write_data(rows, data_attribute=name, if_exists="replace")
            model.payloads[name] = rows

    def append(self, path, model, node):
        if model.payloads:
            name = self.random.choice(list(model.payloads))
            rows = np.arange(self.random.choice([1, 700]))
            self.data_node(path).append_data(rows, data_attribute=name)
            model.payloads[name] = np.concatenate([model.payloads[name], rows])

    def drop(self, path, model, node):
        if model.payloads:
            name = self.random.choice(list(model.payloads))
            self.data_node(path).delete_data(name)
            del model.payloads[name]

    def child(self, path, model, node):
        key = self.new_key(model, "c")
        node.get_node(key)
        model.children[key] = Model()

    def many(self, path, model, node):
        if self.has_room():
            for number in range(self.random.randrange(5, 50)):
                key = f"m{self.random.randrange(400):03}"
                node.get_node(key).attrs["number"] = number
                model.children.setdefault(key, Model()).attributes["number"] = number

    def delete(self, path, model, node):
        if path:
            node.delete_tree()
            del self.model.at(path[:-1]).children[path[-1]]

    def put_at(self, path, key, model):
        self.model.at(path).children[key] = model

    def move(self, path, model, node):
        target = self.some_path()
        if path and target[: len(path)] != path:
            key = self.new_key(self.model.at(target), "v")
            node.move(self.node(target), key)
            del self.model.at(path[:-1]).children[path[-1]]
            self.put_at(target, key, model)

    def rename(self, path, model, node):
        if path:
            key = self.new_key(self.model.at(path[:-1]), "r")
            node.rename(key)
            del self.model.at(path[:-1]).children[path[-1]]
            self.put_at(path[:-1], key, model)

    def branch(self, path, model, node):
        if path and self.has_room():
            key = self.new_key(self.model.at(path[:-1]), "b")
            node.branch(key)
            self.put_at(path[:-1], key, model.copy())

    def copy(self, path, model, node):
        if self.has_room():
            target, copied = self.some_path(), model.copy()
            key = self.new_key(self.model.at(target), "y")
            self.node(target).add_tree(node.copy_tree(), key=key)
            self.put_at(target, key, copied)

    def merge(self, path, model, node):
        target, overwrite = self.some_path(), self.random.random() < 0.5
        if self.has_room() and target[: len(path)] != path and path[: len(target)] != target:
            self.node(target).merge_tree(node, overwrite=overwrite)
            self.model.at(target).merge(model, overwrite)

    # -- transactions and moments --------------------------------------------------------------------

    def commit(self, path, model, node):
        self.db.commit()
        self.note_commit()
        self.check()

    def abort(self, path, model, node):
        self.db.abort()
        self.model = self.committed.copy()
        self.check()

    def savepoint(self, path, model, node):
        savepoint, before = self.db.savepoint(), self.model.copy()
        for _ in range(3):
            path = self.some_path()
            self.branch(path, self.model.at(path), self.node(path))
            self.many(path, self.model.at(path), self.node(path))
        if self.random.random() < 0.6:
            savepoint.rollback()
            self.model = before
            self.check()

    def undo(self, path, model, node):
        self.commit(path, model, node)
        try:
            self.db.undo(self.moments[-1][0])
        except (MomentGoneError, MomentNotFoundError):
            return  # what was before is packed away, or was no database yet
        self.model = self.moments[-1][2].copy()
        self.check()

    def restore(self, path, model, node):
        if not path or not self.moments:
            return
        commit, then, _ = self.random.choice(self.moments[-15:])
        try:
            was = then.at(path)
        except KeyError:
            was = None
        try:
            node.restore(commit)
        except NodeNotFoundError:
            assert was is None
        except (MomentGoneError, MomentNotFoundError):
            pass
        else:
            self.put_at(path[:-1], path[-1], was.copy())
            self.check(was, self.node(path))

    def look_back(self, path, model, node):
        if self.moments:
            commit, then, _ = self.random.choice(self.moments[-20:])
            try:
                with self.db.at(commit) as root:
                    self.check(then, root)
            except MomentGoneError:
                pass

    def tag(self, path, model, node):
        if "kept" in self.db.tags:
            del self.db.tags["kept"]
        elif self.moments:
            self.db.tags["kept"] = self.moments[-1][0]

    def pack(self, path, model, node):
        keep = self.random.choice([None, *(commit for commit, *_ in self.moments[-5:])])
        try:
            self.db.pack(keep=keep)
        except MomentGoneError:
            assert keep is not None
        self.check()

    def backup(self, path, model, node):
        self.db.backup(self.folder / "backup")
        with LOTDB(self.folder / "backup", read_only=True) as db, db.connection() as root:
            self.check(self.committed, root)

    def reopen(self, path, model, node):
        self.db.commit()
        self.note_commit()
        self.db.close()
        self.open()
        self.check()
        assert self.db.verify() == []


@pytest.mark.parametrize("seed", [18, 22])
def test_stories_end_as_told(tmp_path, seed):
    Story(tmp_path, seed).tell(120)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_many_longer_stories_end_as_told(tmp_path, seed):
    options = {"backends": {"blob": {"record_bytes": 0}}} if seed % 2 else {}
    Story(tmp_path, seed, **options).tell(150)
