"""What the tests of the storage share: a look at what was synced."""

import os

import pytest

from lotdb.storage import durable


@pytest.fixture
def synced(monkeypatch):
    """The paths that were synced, in order."""
    paths = []

    def fsync(descriptor):
        paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr(durable.os, "fsync", fsync)
    return paths
