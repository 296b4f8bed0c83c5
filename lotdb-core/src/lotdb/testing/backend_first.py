"""What all other promises of a backend stand on: it opens, and one array comes back."""

from __future__ import annotations

import re

from lotdb import Backend
from lotdb.testing.arrays import filled
from lotdb.testing.backend_fixtures import BackendFixtures
from lotdb.testing.bench import Alone, Bench
from lotdb.testing.promises import CLASS, promise
from lotdb.testing.seen import check_same

__all__ = ["FirstTests"]

# What stands between "<database name>." and the end in the names of the core's own files and folders.
TAKEN = {"backup", "blobs", "copy", "end", "index", "lock", "lotdb", "old", "pack", "readers", "tmp"}


class FirstTests(BackendFixtures):
    """The simplest of everything, first."""

    @promise(CLASS)
    def test_the_name_can_be_part_of_a_folder_name(self, backend_class: type[Backend]) -> None:
        """Backend.name is one word of a-z, 0-9, _ and -, and no name of the core's own parts, for a folder
        is named after it.
        """
        name = backend_class.name
        assert re.fullmatch("[a-z0-9_-]+", name), (
            f"{name!r} is not one word of a-z, 0-9, _ and -; folders are named after it"
        )
        assert name not in TAKEN, f"the core has files or folders called <database>.{name}"

    @promise(CLASS)
    def test_it_opens_and_closes(self, alone: Alone) -> None:
        """The class is opened with a BackendContext alone, passes it to Backend.__init__, and close() closes
        it.
        """
        backend = alone.open()
        assert backend.context is not None or alone.in_memory, "it does not keep its context"
        alone.close()

    @promise(CLASS, "it_opens_and_closes")
    def test_one_array_is_read_back(self, alone: Alone) -> None:
        """read_into() fills out with the rows that write() was given under that locator."""
        backend = alone.open()
        array = filled("float64", (6, 2))
        locator = alone.write(backend, array)
        check_same(alone.read(backend, locator, array, 0, 6), array, "read_into() of all rows")

    @promise(CLASS, "one_array_is_read_back")
    def test_a_committed_payload_is_read_back(self, bench: Bench) -> None:
        """What write() has stored is there after close(), for whoever opens the folder again."""
        array = filled("float64", (6, 2))
        bench.node("recording").write_data(array, samplerate_hz=10)
        bench.settle()
        check_same(bench.node("recording").read_data(), array, "a payload that is read again")
