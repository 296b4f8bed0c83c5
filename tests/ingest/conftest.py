"""An HDF5 file to fill, and what comes of it."""

import pytest

from lotdb import BaseNode


@pytest.fixture
def file(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        yield file


@pytest.fixture
def taken():
    """Takes in a file, which it closes, and gives the root of the tree."""

    def take(file):
        name = file.filename
        file.close()
        root = BaseNode()
        root.ingest(name)
        return root

    return take
