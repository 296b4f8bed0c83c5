import pytest
from lotdb_backend_npyfolder.backend import NpyFolderBackend

from lotdb import Plugins
from lotdb.testing import BackendTests


class TestNpyFolderBackend(BackendTests):
    @pytest.fixture
    def backend_class(self):
        return NpyFolderBackend


def test_it_is_found_by_its_name():
    assert Plugins().backend("npyfolder") is NpyFolderBackend
