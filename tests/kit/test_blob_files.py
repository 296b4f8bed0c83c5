"""The blob backend keeps what a backend promises where the storage keeps no blobs: in files of its own."""

from dataclasses import replace

import pytest

from lotdb.testing import BackendTests
from lotdb.testing.backend_first import FirstTests
from lotdb.testing.backend_upkeep import UpkeepTests
from lotdb_backend_blob.backend import BlobBackend


class WithoutBlobs(BlobBackend):
    def __init__(self, context):
        super().__init__(replace(context, has_blobs=False, many_writers=True))


class Opened:
    effort = 0.1

    @pytest.fixture
    def backend_class(self):
        return WithoutBlobs


class TestBlobBackendWithoutBlobsAtFirst(Opened, UpkeepTests, FirstTests):
    """What all else stands on, and what differs from ZODB's blobs: the sweep."""


@pytest.mark.slow
class TestBlobBackendWithoutBlobs(Opened, BackendTests):
    """All of it."""
