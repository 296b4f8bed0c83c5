"""The servers that other tests use are there, and are new."""

import os

import pytest
from tests.services.s3 import SECRET


@pytest.mark.slow
def test_a_database_outlives_the_kill_of_its_server(postgresql, postgresql_url):
    database = postgresql_url.rpartition("/")[2]
    postgresql.sql("CREATE TABLE numbers (number int); INSERT INTO numbers VALUES (7)", database)
    postgresql.kill()
    postgresql.start()
    assert postgresql.sql("SELECT number FROM numbers", database) == [["7"]]


def test_the_server_asks_for_the_password(postgresql_url, monkeypatch):
    psycopg2 = pytest.importorskip("psycopg2")
    psycopg2.connect(postgresql_url).close()
    monkeypatch.delenv("PGPASSWORD")
    with pytest.raises(psycopg2.OperationalError, match="no password"):
        psycopg2.connect(postgresql_url)


def test_a_bucket_keeps_objects(s3_bucket):
    store = pytest.importorskip("obstore.store")
    bucket = store.S3Store.from_url(s3_bucket + "/prefix", virtual_hosted_style_request=False)
    bucket.put("a/b", b"0123456789")
    assert bytes(bucket.get_range("a/b", start=2, end=5)) == b"234"
    assert [each["path"] for part in bucket.list() for each in part] == ["a/b"]
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == SECRET
