"""The blob backend keeps what a backend promises where the storage keeps no blobs: in files of its own."""

from dataclasses import replace

import pytest

from lotdb.testing import BackendTests
from lotdb_backend_blob.backend import BlobBackend


class WithoutBlobs(BlobBackend):
    def __init__(self, context):
        super().__init__(replace(context, has_blobs=False, many_writers=True))


class TestBlobBackendWithoutBlobs(BackendTests):
    @pytest.fixture
    def backend_class(self):
        return WithoutBlobs
