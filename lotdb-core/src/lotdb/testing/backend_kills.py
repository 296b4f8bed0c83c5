"""Kills at each write and sync of a transaction, and what they leave in a backend."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from lotdb import LOTDB
from lotdb.testing import another_process
from lotdb.testing.backend_fixtures import BackendFixtures
from lotdb.testing.bench import Bench
from lotdb.testing.killing import die_at_each_write
from lotdb.testing.promises import CLASS, promise

__all__ = ["KillTests"]

KILLS = 24


class KillTests(BackendFixtures):
    """Deterministic kills; those that come by chance are among the transactions."""

    @promise(CLASS, "a_committed_payload_is_read_back", "a_killed_process_leaves_the_last_commit")
    def test_a_kill_at_any_write_or_sync_loses_nothing(self, bench: Bench) -> None:
        """A process that is killed at any write or sync loses nothing that was committed, and what it leaves
        is found by locators() and removed by delete().
        """
        bench.needs_a_database()
        bench.root().attrs["label"] = "a database"
        bench.settle()

        @contextlib.contextmanager
        def opened() -> Iterator[LOTDB]:
            yield bench.db
            bench.close()

        with another_process.started("die_at", bench) as process:
            die_at_each_write(process, opened, self.amount(KILLS, 4))
        if not bench.is_swept():
            return
        bench.root().delete_tree()
        bench.settle()
        bench.pack()
        left = [name for name in bench.stored() if name.startswith("locator ")]
        assert not left, f"pack() finds what killed processes have left, by locators(); there is {left}"
