"""The fixtures that the kits of node types, value types and listeners share."""

from __future__ import annotations

from typing import Any

import pytest

from lotdb import Plugins
from lotdb.testing.promises import HOOKS, Kit

__all__ = ["PluginFixtures"]


class PluginFixtures(Kit):
    """A plugin, and the installed plugins with it."""

    @pytest.fixture
    def plugin(self) -> Any:
        """The module or object with the hook implementations."""
        raise NotImplementedError(f"a subclass of {self._kit()} has a fixture plugin that returns the plugin")

    @pytest.fixture
    def plugins(self, plugin: Any) -> Plugins:
        """The installed plugins, and the one to test."""
        plugins = Plugins()
        with self.needed_by_all("The plugin registers: its hooks are marked with @lotdb.hookimpl.", HOOKS):
            plugins.register(plugin, name="lotdb.testing")
        return plugins

    @classmethod
    def _kit(cls) -> str:
        """The kit's name, for messages."""
        return next(kit.__name__ for kit in cls.__mro__ if kit.__module__.startswith("lotdb.testing."))
