"""The memory backend keeps what a backend promises, as far as it goes: it is not for databases."""

import pytest

from lotdb.segments.memory import MemoryBackend
from lotdb.testing import BackendTests


class TestMemoryBackend(BackendTests):
    in_memory = True

    @pytest.fixture
    def backend_class(self):
        return MemoryBackend
