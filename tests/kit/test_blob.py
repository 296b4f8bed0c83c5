"""The blob backend keeps what a backend promises."""

import pytest

from lotdb.testing import BackendTests
from lotdb_backend_blob.backend import BlobBackend


class TestBlobBackend(BackendTests):
    @pytest.fixture
    def backend_class(self):
        return BlobBackend

    @pytest.fixture
    def config(self):
        return {"record_bytes": 0}  # the backend never sees what lies in records
