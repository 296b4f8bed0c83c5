"""Conformance kits: what a plugin promises, as tests that its author inherits.

Install them with ``pip install "lotdb-core[testing]"``. A backend's whole test file is a fixture and a
subclass::

    import pytest

    from lotdb.testing import BackendTests
    from my_package.backend import MyBackend


    class TestMyBackend(BackendTests):
        @pytest.fixture
        def backend_class(self):
            return MyBackend

        @pytest.fixture
        def options(self):  # what write_data takes for it, if anything; each is tried
            return [{"level": 0}, {"level": 9}]

It is tried on its own, through a database, with faults of every kind (killed processes, missing, truncated
and altered data), and by random scripts whose outcome must be that of a tree in memory. A failure says what
the backend must do, what it did, and where that is written; what stands on it is skipped.

An ingester brings samples of its files, and what they hold::

    from lotdb.testing import IngesterTests, Sample
    from my_package import plugin


    class TestMyFormat(IngesterTests):
        @pytest.fixture
        def plugin(self):
            return plugin

        @pytest.fixture
        def samples(self):
            return [Sample("two_rows.trace", content=b"TRC1...", data=np.eye(2), samplerate_hz=64)]

A node type is tried for being behaviour only, and no part of what is stored::

    from lotdb.testing import NodeTypeTests
    from my_package import plugin


    class TestMyNodeType(NodeTypeTests):
        @pytest.fixture
        def plugin(self):
            return plugin

        @pytest.fixture
        def node_type(self):
            return "my.type"

There are :class:`ValueTypeTests` for types of attribute values, :class:`ListenerTests` for listeners, and
:class:`StorageTests` for a database in any storage, with :class:`ManyWritersTests` for one that several
processes write. The tests find the plugin by these fixtures, so it needs
no entry point to be tested.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lotdb.testing.backends import BackendTests
    from lotdb.testing.ingesters import IngesterTests, Sample
    from lotdb.testing.listeners import ListenerTests
    from lotdb.testing.many_writers import ManyWritersTests
    from lotdb.testing.nodetypes import NodeTypeTests
    from lotdb.testing.storages import StorageTests
    from lotdb.testing.valuetypes import ValueTypeTests

__all__ = [
    "BackendTests",
    "IngesterTests",
    "ListenerTests",
    "ManyWritersTests",
    "NodeTypeTests",
    "Sample",
    "StorageTests",
    "ValueTypeTests",
]

# Where each kit is. The processes that a kit starts and kills import this package, and neither pytest nor
# hypothesis, which take as long as all else.
_PLACES = {
    "BackendTests": "backends",
    "IngesterTests": "ingesters",
    "ListenerTests": "listeners",
    "ManyWritersTests": "many_writers",
    "NodeTypeTests": "nodetypes",
    "Sample": "ingesters",
    "StorageTests": "storages",
    "ValueTypeTests": "valuetypes",
}

if "pytest" in sys.modules:  # it has to be told of modules with asserts before they are imported
    sys.modules["pytest"].register_assert_rewrite(
        "lotdb.testing.backend_alone",
        "lotdb.testing.backend_damage",
        "lotdb.testing.backend_first",
        "lotdb.testing.backend_kills",
        "lotdb.testing.backend_payloads",
        "lotdb.testing.backend_script",
        "lotdb.testing.backend_transactions",
        "lotdb.testing.backend_upkeep",
        "lotdb.testing.ingesters",
        "lotdb.testing.killing",
        "lotdb.testing.listeners",
        "lotdb.testing.many_writers",
        "lotdb.testing.nodetypes",
        "lotdb.testing.seen",
        "lotdb.testing.storages",
        "lotdb.testing.valuetypes",
    )


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
