"""What merges and what conflicts is the same on SQLite as in a data file."""

from tests.core.transactions.test_conflicts import *  # noqa: F403
