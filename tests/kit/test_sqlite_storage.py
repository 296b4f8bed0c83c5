"""The storage in SQLite's files keeps what a database promises, and several processes may write it."""

from functools import partial

import pytest
from tests.kit.sqlite_opening import open_sqlite

from lotdb.testing import ManyWritersTests

pytest.importorskip("relstorage", reason="the extra lotdb-core[sqlite] is not installed")


class TestSqliteStorage(ManyWritersTests):
    @pytest.fixture
    def open_database(self, tmp_path):
        return partial(open_sqlite, tmp_path / "database")
