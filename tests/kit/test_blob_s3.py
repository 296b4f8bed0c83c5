"""The blob backend keeps what a backend promises in an object store."""

import uuid

import pytest

from lotdb.testing import BackendTests
from lotdb_backend_blob.backend import BlobBackend


class TestBlobBackendInAnObjectStore(BackendTests):
    @pytest.fixture
    def backend_class(self):
        return BlobBackend

    @pytest.fixture
    def config(self, s3_bucket):
        return {"store": f"{s3_bucket}/{uuid.uuid4().hex}/lotdb.fs.blob"}
