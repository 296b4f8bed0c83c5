"""A listener: which nodes belong to which subject, in SQLite.

It is registered by the program that wants the index: ``plugins.register(Subjects("subjects.sqlite"))``.
"""

import sqlite3
from os import PathLike

from lotdb import LOTDB, Changes, hookimpl

TABLES = """
CREATE TABLE IF NOT EXISTS nodes (database TEXT, path TEXT, subject TEXT, PRIMARY KEY (database, path));
CREATE TABLE IF NOT EXISTS seen (database TEXT PRIMARY KEY, last TEXT);
"""


class Subjects:
    """The index of one or more databases. Call `catch_up` after opening one."""

    def __init__(self, file: str | PathLike[str]) -> None:
        # Commits come from several threads, but one after the other.
        self.sql = sqlite3.connect(file, check_same_thread=False)
        self.sql.executescript(TABLES)

    @hookimpl
    def lotdb_committed(self, database: LOTDB, changes: Changes) -> None:
        if self._last(database) != changes.previous_id:
            self.catch_up(database)
            return
        rows = dict(self.rows(database))
        moved = {path: changes.new_path(path) for path in rows}
        rows = {new: rows[old] for old, new in moved.items() if new is not None}
        for change in changes.each():
            if change.name == "subject" and change.kind == "attribute_set":
                rows[change.path] = str(change.value)
            elif change.name == "subject" and change.kind == "attribute_removed":
                rows.pop(change.path, None)
        self._store(database, rows, str(changes.commit_id))

    def catch_up(self, database: LOTDB) -> None:
        """Read the whole database, if commits were missed."""
        last = database.last_commit
        if self._last(database) == str(last):
            return
        with database.connection() as root:
            found = {
                node.path: str(node.attrs["subject"])
                for node in root.iterate_tree()
                if "subject" in node.attrs
            }
        self._store(database, found, str(last))

    def rows(self, database: LOTDB) -> list[tuple[str, str]]:
        """Path and subject of each node that has one."""
        query = "SELECT path, subject FROM nodes WHERE database = ?"
        return self.sql.execute(query, (database.id,)).fetchall()

    def _last(self, database: LOTDB) -> str | None:
        row = self.sql.execute("SELECT last FROM seen WHERE database = ?", (database.id,)).fetchone()
        return row[0] if row else None

    def _store(self, database: LOTDB, rows: dict[str, str], last: str) -> None:
        with self.sql:  # the rows and the commit that they belong to, together
            self.sql.execute("DELETE FROM nodes WHERE database = ?", (database.id,))
            self.sql.executemany(
                "INSERT INTO nodes VALUES (?, ?, ?)", [(database.id, *row) for row in rows.items()]
            )
            self.sql.execute("INSERT OR REPLACE INTO seen VALUES (?, ?)", (database.id, last))
