"""Stores of other clouds, as far as that can be tried without one: what is asked for, and what errors say."""

import http.server
import json
import threading
import traceback

import numpy as np
import pytest

from lotdb import LOTDB, DamagedError, InvalidOptionError, ObjectStore, UnavailableError
from lotdb.interfaces import object_store

pytest.importorskip("obstore", reason="the extra lotdb-backend-blob[s3] is not installed")

SECRET = "bm90LXRvLWJlLXNlZW4tYW55d2hlcmU="


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch):
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    retry = {**object_store._RETRY, "max_retries": 1}
    monkeypatch.setattr(object_store, "_RETRY", retry)


def of(url):
    return ObjectStore(url, extra="lotdb-backend-blob[s3]")


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """What a server that stands for Google's answers: a status and a content for each request."""
    found = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, content = found.pop(0)
            self.send_response(status)
            for name, value in (("Content-Length", len(content)), ("ETag", '"1"')):
                self.send_header(name, str(value))
            self.send_header("Last-Modified", "Sun, 29 Nov 2026 00:00:00 GMT")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    key = {
        "gcs_base_url": f"http://127.0.0.1:{server.server_port}",
        "disable_oauth": True,
        "client_email": "",
        "private_key": "",
        "private_key_id": "",
    }
    (tmp_path / "key.json").write_text(json.dumps(key))
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "key.json"))
    monkeypatch.setattr(object_store, "_is_plain_http", lambda: True)
    yield found
    server.shutdown()
    server.server_close()


def test_an_azure_store_without_an_account_says_what_is_missing(tmp_path):
    with pytest.raises(UnavailableError, match=r"Account must be.*AZURE_STORAGE_ACCOUNT_NAME.*az://results/x"):
        of("az://results/x")
    with (
        LOTDB(tmp_path / "db", payloads="az://results/x") as db,
        pytest.raises(UnavailableError, match="AZURE_STORAGE_ACCOUNT_NAME"),
        db.connection() as root,
    ):
        root.get_data_node("a").write_data(np.arange(3.0))


@pytest.mark.parametrize("url", ["az://results/x", "azure://results/x", "abfs://results/x"])
def test_an_account_of_azure_comes_from_the_environment(url, monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "lotdb")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", SECRET)
    store = of(url)
    assert SECRET not in repr(store)
    assert store.where("seg-1.npy") == f"{url}/seg-1.npy"


def test_a_key_of_azure_that_is_none_is_not_repeated(monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "lotdb")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "no base64, and nobody's business")
    with pytest.raises(UnavailableError, match="az://results/x") as caught:
        of("az://results/x").get("a")
    assert "business" not in "".join(traceback.format_exception(caught.value))


def test_objects_of_google_are_asked_for_by_their_urls(answers):
    answers += [(200, b"content"), (404, b""), (404, b"")]
    store = of("gs://results/x")
    assert store.get("a") == b"content"
    assert store.get("a") is None
    with pytest.raises(DamagedError, match="gs://results/x/a is missing"):
        store.get_range("a", 0, 10)


def test_credentials_that_google_refuses_are_named(answers):
    answers += [(403, b"<Code>AccessDenied</Code>")] * 4
    with pytest.raises(UnavailableError, match=r"AccessDenied.*GOOGLE_APPLICATION_CREDENTIALS.*gs://results/x/a"):
        of("gs://results/x").get("a")


@pytest.mark.parametrize("url", ["ftp://results/x", "abfss://results/x", "file:///results"])
def test_other_schemes_are_refused_with_those_that_there_are(url):
    with pytest.raises(InvalidOptionError, match=r"s3://, s3a://, gs://, az://"):
        of(url)
