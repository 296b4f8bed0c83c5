"""What merges and what conflicts is the same on PostgreSQL as in a data file."""

import pytest
from tests.core.transactions.test_conflicts import *  # noqa: F403

pytestmark = pytest.mark.slow
