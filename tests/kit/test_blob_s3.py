"""The blob backend keeps what a backend promises in an object store."""

import uuid

import pytest

from lotdb.testing import BackendTests
from lotdb.testing.backend_first import FirstTests
from lotdb_backend_blob.backend import BlobBackend


class Opened:
    # The same network answers each of the kit's thousand requests: a tenth of the examples shows as much.
    effort = 0.1

    @pytest.fixture
    def backend_class(self):
        return BlobBackend

    @pytest.fixture
    def config(self, s3_bucket):
        return {"store": f"{s3_bucket}/{uuid.uuid4().hex}/lotdb.fs.blob"}


class TestBlobBackendInAnObjectStoreAtFirst(Opened, FirstTests):
    """What all else stands on."""


@pytest.mark.slow
class TestBlobBackendInAnObjectStore(Opened, BackendTests):
    """All of it."""
