"""The storage in SQLite's files keeps what a database promises, and several processes may write it."""

from functools import partial

import pytest

from lotdb import LOTDB
from lotdb.testing import ManyWritersTests

pytest.importorskip("relstorage", reason="the extra lotdb-core[sqlite] is not installed")

EFFORT = ManyWritersTests.effort


class TestSqliteStorage(ManyWritersTests):
    time_limit_s = 300.0  # a commit takes several times as long as one in a data file
    effort = EFFORT / 5

    @pytest.fixture
    def open_database(self, tmp_path):
        return partial(LOTDB, tmp_path / "database", storage="sqlite")


@pytest.mark.slow
class TestMoreOfSqliteStorage(TestSqliteStorage):
    effort = EFFORT
