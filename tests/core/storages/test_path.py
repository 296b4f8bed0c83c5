"""The attribute ``path``: the folder, where there is one."""

import pytest

from lotdb import LOTDB

pytest.importorskip("psycopg2", reason="the extra lotdb-core[postgresql] is not installed")


def test_a_database_without_a_folder_has_no_path(postgresql_url, tmp_path):
    with LOTDB(postgresql_url) as db:
        assert db.path is None
        db.run(lambda root: root.attrs.update(value=1))
        assert db.pack() >= 0
        assert [*db.stats().parts] == ["postgresql"]
    with LOTDB(postgresql_url, payloads=tmp_path / "arrays") as db:
        assert db.path == tmp_path / "arrays"
    with LOTDB(postgresql_url) as db:
        assert db.path == tmp_path / "arrays"


@pytest.mark.slow
def test_payloads_in_a_store_are_no_folder(postgresql_url, s3_bucket):
    with LOTDB(postgresql_url, payloads=s3_bucket) as db:
        assert db.path is None
    with LOTDB(postgresql_url) as db:
        assert db.path is None
        assert db.pack() >= 0
