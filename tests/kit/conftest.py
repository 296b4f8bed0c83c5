"""How hard the conformance kits try our plugins.

``make test`` tries a twentieth of the examples, damages and kills; ``make test-all`` tries them all, and
``LOTDB_KIT_EFFORT`` sets how many.
"""

import os
import sys
from pathlib import Path

from lotdb.testing.promises import Kit

# The plugins that are broken on purpose, for the tests and for the processes that they start.
sys.path.insert(0, os.fspath(Path(__file__).parent))


def pytest_configure(config):
    if "not slow" in config.option.markexpr and "LOTDB_KIT_EFFORT" not in os.environ:
        Kit.effort = 0.05
