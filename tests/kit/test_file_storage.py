"""Our file storage keeps what a database promises."""

from functools import partial

import pytest

from lotdb import LOTDB
from lotdb.testing import StorageTests


class TestFileStorage(StorageTests):
    @pytest.fixture
    def open_database(self, tmp_path):
        return partial(LOTDB, tmp_path / "database")
