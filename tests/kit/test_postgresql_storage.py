"""The storage on a PostgreSQL server keeps what a database promises, and several processes may write it."""

from functools import partial

import pytest

from lotdb import LOTDB
from lotdb.testing import StorageTests

pytest.importorskip("relstorage", reason="the extra lotdb-core[postgresql] is not installed")
pytest.importorskip("psycopg2", reason="the extra lotdb-core[postgresql] is not installed")


class TestPostgresqlStorage(StorageTests):
    @pytest.fixture
    def open_database(self, postgresql_url, tmp_path):
        return partial(LOTDB, postgresql_url, payloads=tmp_path / "payloads", default_backend="zarr")
