"""BackendTests: everything that a payload backend promises."""

from __future__ import annotations

from lotdb.testing.backend_alone import AloneTests
from lotdb.testing.backend_damage import DamageTests
from lotdb.testing.backend_payloads import PayloadTests
from lotdb.testing.backend_script import ScriptTests
from lotdb.testing.backend_transactions import TransactionTests
from lotdb.testing.backend_upkeep import UpkeepTests

__all__ = ["BackendTests"]


class BackendTests(AloneTests, PayloadTests, TransactionTests, UpkeepTests, DamageTests, ScriptTests):
    """The tests of a payload backend; subclass it and name the class::

        class TestMyBackend(BackendTests):
            @pytest.fixture
            def backend_class(self):
                return MyBackend

    The class must be found by its module and name, for some tests use it in a process of their own.

    Fixtures to override
    --------------------
    backend_class
        The class to test.
    config
        What the backend is told by ``LOTDB(backends={name: config})``; nothing by default. If it names a
        place outside of the database's folder (``Backend.is_outside``), tests that need several databases are
        skipped, and so are those of what is swept, moved and copied with the folder.
    options
        A list of mappings, each a choice of options that ``write_data`` takes for this backend with arrays
        of any dtype and row shape; none by default.

    Attributes
    ----------
    in_memory : bool
        True for a backend that keeps nothing beyond its instance, as that of trees in memory does.
    syncs_with_os_fsync : bool
        False for a backend that makes files durable by other means than ``os.fsync``, such as a library
        that does it by itself; that it does so is then not tested.
    """
