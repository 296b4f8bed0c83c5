"""The storage on a PostgreSQL server keeps what a database promises, and several processes may write it."""

import os
from functools import partial

import pytest

from lotdb import LOTDB
from lotdb.testing import ManyWritersTests

pytest.importorskip("relstorage", reason="the extra lotdb-core[postgresql] is not installed")
pytest.importorskip("psycopg2", reason="the extra lotdb-core[postgresql] is not installed")


# A commit on a server takes longer than one in a file, so that all examples would take too long.
EFFORT = float(os.environ.get("LOTDB_KIT_EFFORT", "0.1"))


@pytest.mark.slow
class TestPostgresqlStorage(ManyWritersTests):
    effort = EFFORT
    time_limit_s = 300.0

    @pytest.fixture
    def open_database(self, postgresql_url, tmp_path):
        return partial(LOTDB, postgresql_url, payloads=tmp_path / "payloads", default_backend="zarr")
