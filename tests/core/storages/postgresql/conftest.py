"""What the tests of databases on a PostgreSQL server share."""

import pytest
from tests.core.storages.conftest import npy_backend

from lotdb import LOTDB


@pytest.fixture(scope="session")
def database_of_many_tests(postgresql):
    """The URL of a database that is not made anew for each test: making one takes longer than most tests."""
    return postgresql.new_database()


@pytest.fixture
def opening(request, folder):
    """Opens a database without anything in it; further arguments are those of ``LOTDB``."""
    pytest.importorskip("relstorage", reason="the extra lotdb-core[postgresql] is not installed")
    pytest.importorskip("psycopg2", reason="the extra lotdb-core[postgresql] is not installed")
    url = request.getfixturevalue("database_of_many_tests")
    plugins = npy_backend["plugins_with"](npy_backend["NpyBackend"])

    def opening(**options):
        return LOTDB(url, **{"payloads": folder, "default_backend": "npy", "plugins": plugins, **options})

    with opening() as db, db.connection() as root:
        root.delete_tree()
        root.attrs.clear()
    return opening
