"""What a listener is told of a commit is that commit's, though another process commits at the same time."""

import pytest

from lotdb import LOTDB, Plugins, hookimpl
from lotdb.database.session import Session

pytest.importorskip("relstorage", reason="the extra lotdb-core[sqlite] is not installed")


class Listener:
    def __init__(self):
        self.heard = []

    @hookimpl
    def lotdb_committed(self, database, changes):
        self.heard.append((changes.commit_id, changes.previous_id))


def test_the_ids_are_those_of_the_commit(tmp_path, monkeypatch):
    listener, plugins = Listener(), Plugins()
    plugins.register(listener)
    with (
        LOTDB(tmp_path, storage="sqlite", plugins=plugins) as db,
        LOTDB(tmp_path) as other,
    ):
        root = db.open_connection()
        real = Session._begin

        def begin(session):
            if session.database is db:  # what it committed is there, and nobody was told of it yet
                with other.connection() as beside:
                    beside.attrs["beside"] = len(listener.heard)
            real(session)

        for number in range(3):
            before = other.last_commit
            with monkeypatch.context() as patch:
                patch.setattr(Session, "_begin", begin)
                root.attrs["number"] = number
                db.commit()
            commit, previous = listener.heard[-1]
            assert previous == before
            assert previous < commit < other.last_commit
        db.commit()  # of nothing
        assert len(listener.heard) == 3
