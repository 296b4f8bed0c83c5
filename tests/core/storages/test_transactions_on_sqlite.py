"""Retries and savepoints are the same on SQLite as in a data file."""

import pytest
from tests.core.transactions.test_run import *  # noqa: F403
from tests.core.transactions.test_savepoints import *  # noqa: F403

pytestmark = pytest.mark.slow
