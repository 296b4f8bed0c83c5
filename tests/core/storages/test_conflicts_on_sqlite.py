"""What merges and what conflicts is the same on SQLite as in a data file."""

import pytest
from tests.core.transactions.test_conflicts import *  # noqa: F403

# The kit of storages has the most important of them, and is run on SQLite each time.
pytestmark = pytest.mark.slow
