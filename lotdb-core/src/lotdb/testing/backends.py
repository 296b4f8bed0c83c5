"""BackendTests: everything that a payload backend promises."""

from __future__ import annotations

from lotdb.testing.backend_alone import AloneTests
from lotdb.testing.backend_damage import DamageTests
from lotdb.testing.backend_first import FirstTests
from lotdb.testing.backend_kills import KillTests
from lotdb.testing.backend_payloads import PayloadTests
from lotdb.testing.backend_script import ScriptTests
from lotdb.testing.backend_transactions import TransactionTests
from lotdb.testing.backend_upkeep import UpkeepTests

__all__ = ["BackendTests"]


# pytest takes the tests of the last base first: what is simple comes before what stands on it.
class BackendTests(
    ScriptTests,
    KillTests,
    DamageTests,
    UpkeepTests,
    TransactionTests,
    PayloadTests,
    AloneTests,
    FirstTests,
):
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
        What the backend is told by ``LOTDB(backends={name: config})``; nothing by default. Tests of two
        databases are skipped if it makes them share a place.
    config_elsewhere
        A function of a module that makes the config in another process, for one that cannot be pickled.
    damage
        A function of an open backend, a locator, and a function from the stored bytes to those to put in
        their place (None to remove them), for a backend whose ``files`` do not hold one array each.
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
