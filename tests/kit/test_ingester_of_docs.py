"""The ingester that docs/how-to.md shows passes the kit."""

import struct

import numpy as np
import pytest
from tests.kit.test_listeners_of_docs import recipe

from lotdb.testing import IngesterTests, Sample


class TestTraceFormat(IngesterTests):
    @pytest.fixture
    def plugin(self):
        return recipe("TraceFormat")()

    @pytest.fixture
    def samples(self):
        made = []
        for rows in (0, 1, 100):
            data = np.arange(3 * rows, dtype="<i2").reshape(rows, 3)
            content = struct.pack("<4sII", b"TRC1", 64, rows) + data.tobytes()
            made.append(Sample(f"{rows}.trace", content, data, samplerate_hz=64, metadata={"unit": "mg"}))
        return made
