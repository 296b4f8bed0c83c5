"""A search index in SQLite beside a database, which is right after every commit, and after every crash.

    python examples/search_index.py         makes a small database and asks its index

The index is a listener. It hears what each commit has changed, applies that in one transaction of SQLite, and
keeps the id of the commit with it. So it notices when it has missed one: its process was killed between the
commit and the hook, or the database was changed without it. Then it reads the tree once and is right again.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lotdb import LOTDB, BaseNode, Changes, Payload, PayloadInfo, Plugins, hookimpl

TABLES = """
    create table if not exists nodes(path text primary key, type text);
    create table if not exists attributes(path text, name text, value text, primary key(path, name));
    create table if not exists payloads(path text, name text, kind text, rows int, rate_hz real,
                                        primary key(path, name));
    create table if not exists seen(database text, commit_id text);
"""
KEPT = ("nodes", "attributes", "payloads")


class SearchIndex:
    """A listener that keeps nodes, attributes and payloads of one database in an SQLite file."""

    def __init__(self, path: Path | str) -> None:
        # Each commit is told in the thread that made it, one after the other.
        self.sql = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.sql.executescript(TABLES)

    def close(self) -> None:
        self.sql.close()

    # -- staying right -----------------------------------------------------------------------------

    @hookimpl
    def lotdb_committed(self, database: LOTDB, changes: Changes) -> None:
        """Apply what a commit has changed, or read all if another one was missed."""
        with self._up_to(database.id, changes.commit_id) as seen:
            if seen == (database.id, changes.previous_id):
                self._apply(changes)
            else:
                self._rebuild(database)

    def catch_up(self, database: LOTDB) -> None:
        """Be right again if a commit was missed; call it after the opening, before anybody commits."""
        with self._up_to(database.id, database.last_commit) as seen:
            if seen != (database.id, database.last_commit):
                self._rebuild(database)

    @contextmanager
    def _up_to(self, database_id: str, commit_id: str) -> Iterator[tuple[str, str] | None]:
        """One transaction of SQLite, after which the index is that of this commit; gives that of before."""
        self.sql.execute("begin immediate")
        try:
            yield self.sql.execute("select database, commit_id from seen").fetchone()
            self.sql.execute("delete from seen")
            self.sql.execute("insert into seen values(?, ?)", (database_id, commit_id))
            self.sql.execute("commit")
        except BaseException:
            self.sql.execute("rollback")
            raise

    def _rebuild(self, database: LOTDB) -> None:
        for table in KEPT:
            self.sql.execute(f"delete from {table}")
        with database.connection() as root:
            for node in root.iterate_tree():
                self._put_node(node.path, node.node_type)
                for name, value in node.attrs.items():
                    self._put(node.path, name, value)

    # -- applying changes --------------------------------------------------------------------------

    def _apply(self, changes: Changes) -> None:
        self._relocate(changes)
        for change in changes.each():
            about = (change.path, change.name)
            if change.kind == "created":
                self._put_node(change.path, change.value)
            elif change.kind == "retyped":
                self.sql.execute("update nodes set type = ? where path = ?", (change.value, change.path))
            elif change.kind in ("attribute_set", "payload_written"):
                self._put(change.path, change.name, change.value)
            elif change.kind == "attribute_removed":
                self.sql.execute("delete from attributes where path = ? and name = ?", about)
            elif change.kind == "payload_removed":
                self.sql.execute("delete from payloads where path = ? and name = ?", about)

    def _relocate(self, changes: Changes) -> None:
        """Take out all rows of what was deleted or moved, then put back what is elsewhere now."""
        gone = [change.old_path or change.path for change in changes if change.kind in ("deleted", "moved")]
        taken = [(table, row) for path in gone for table in KEPT for row in self._take(table, path)]
        for table, (path, *rest) in taken:
            new_path = changes.new_path(path)
            if new_path is not None:
                self._insert(table, (new_path, *rest))

    def _take(self, table: str, path: str) -> list[tuple[Any, ...]]:
        # All paths below begin with the path and "/", and "0" comes right after "/".
        return self.sql.execute(
            f"delete from {table} where path = ? or (path > ? and path < ?) returning *",
            (path, f"{path}/", f"{path}0"),
        ).fetchall()

    def _put_node(self, path: str, type_name: str) -> None:
        self._insert("nodes", (path, type_name))

    def _put(self, path: str, name: str, value: Any) -> None:
        if isinstance(value, Payload | PayloadInfo):
            rows = value.shape[0] if value.shape else None
            self._insert("payloads", (path, name, value.kind, rows, value.samplerate_hz))
        else:
            self._insert("attributes", (path, name, json.dumps(value, default=repr)))

    def _insert(self, table: str, row: Iterable[Any]) -> None:
        row = tuple(row)
        self.sql.execute(f"insert or replace into {table} values({', '.join('?' * len(row))})", row)

    # -- asking ------------------------------------------------------------------------------------

    def find(self, name: str, value: Any) -> list[str]:
        """Paths of the nodes whose attribute *name* is *value*."""
        rows = self.sql.execute(
            "select path from attributes where name = ? and value = ? order by path",
            (name, json.dumps(value, default=repr)),
        )
        return [path for (path,) in rows]

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that is in the index."""
        return {table: self.sql.execute(f"select * from {table} order by 1, 2").fetchall() for table in KEPT}


def open_with_index(folder: Path, index: SearchIndex) -> LOTDB:
    """The database in *folder*, with *index* as its listener, which is right by now."""
    plugins = Plugins()
    plugins.register(index, name="search index")
    database = LOTDB(folder, plugins=plugins)
    index.catch_up(database)
    return database


def fill(root: BaseNode) -> None:
    for subject in ("S01", "S02", "S03"):
        node = root.get_data_node(f"{subject}/walk")
        node.attrs["label"] = "freeze" if subject == "S02" else "walk"
        node.write_data(np.zeros(640), samplerate_hz=64)


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--database", type=Path, default=Path(__file__).parent / "output" / "indexed")
    folder = options.parse_args().database
    folder.mkdir(parents=True, exist_ok=True)
    index = SearchIndex(folder / "index.sqlite")
    with open_with_index(folder, index) as db:
        db.run(fill)
        with db.connection() as root:
            root["S02"].branch("S02 again")
        print("freeze:", index.find("label", "freeze"))
    index.close()


if __name__ == "__main__":
    main()
