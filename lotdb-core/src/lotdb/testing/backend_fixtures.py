"""The fixtures that all tests of backends share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lotdb import Backend
from lotdb.testing.bench import Alone, Bench
from lotdb.testing.promises import Kit

__all__ = ["BackendFixtures", "Change", "Damage"]

#: From the bytes of something stored to what is put in their place; None to remove it.
Change = Callable[[bytes], bytes | None]

#: Applies a change to what an open backend stores under a locator.
Damage = Callable[[Backend, Any, Change], None]


class BackendFixtures(Kit):
    """What a subclass of ``BackendTests`` may override, and what the tests are given."""

    in_memory: ClassVar[bool] = False
    syncs_with_os_fsync: ClassVar[bool] = True

    @pytest.fixture
    def backend_class(self) -> type[Backend]:
        """The class to test."""
        raise NotImplementedError(
            "a subclass of BackendTests has a fixture backend_class that returns the class"
        )

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        """What the backend is told in ``LOTDB(backends={name: config})``."""
        return {}

    @pytest.fixture
    def config_elsewhere(self) -> Callable[[], Mapping[str, Any]] | None:
        """How another process makes the same config; None if the config itself can be sent there."""
        return None

    @pytest.fixture
    def options(self) -> Sequence[Mapping[str, Any]]:
        """Choices of options that ``write_data`` takes for this backend."""
        return []

    @pytest.fixture
    def damage(self) -> Damage | None:
        """How to damage what is stored; None if ``files`` names files that can be damaged one by one."""
        return None

    @pytest.fixture
    def alone(
        self, tmp_path: Path, backend_class: type[Backend], config: Mapping[str, Any]
    ) -> Iterator[Alone]:
        """A folder for the backend, without a database."""
        alone = Alone(tmp_path / "alone", backend_class, config, in_memory=self.in_memory)
        yield alone
        with self.closing("Backend.close"):
            alone.close()

    @pytest.fixture
    def bench(
        self,
        tmp_path: Path,
        backend_class: type[Backend],
        config: Mapping[str, Any],
        config_elsewhere: Callable[[], Mapping[str, Any]] | None,
    ) -> Iterator[Bench]:
        """A database of which this is the default backend; a tree in memory if that is where it belongs."""
        bench = Bench(
            tmp_path / "database",
            backend_class,
            config,
            in_memory=self.in_memory,
            config_elsewhere=config_elsewhere,
        )
        yield bench
        with self.closing("LOTDB.close, which calls Backend.close,"):
            bench.close()
