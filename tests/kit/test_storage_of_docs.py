"""The storage that the docstring of ``Storage`` shows keeps what a database promises."""

import inspect
import textwrap
from functools import partial

import pytest

import lotdb
from lotdb import LOTDB, Plugins, Storage, hookimpl
from lotdb.testing import StorageTests


def shown():
    """The class, as the docstring has it; its names are those of ``lotdb``."""
    code = inspect.getdoc(Storage).partition("::\n\n")[2].partition("\n\nThis one is")[0]
    names = {name: getattr(lotdb, name) for name in lotdb.__all__}
    exec(textwrap.dedent(code), names)
    return names["PlainStorage"]


PlainStorage = shown()


class Plugin:
    @staticmethod
    @hookimpl
    def lotdb_get_storage(name):
        return PlainStorage if name == "plain" else None


def opened(path, **how):
    plugins = Plugins()
    plugins.register(Plugin())
    return LOTDB(path, storage="plain", plugins=plugins, **how)


class TestPlainStorage(StorageTests):
    @pytest.fixture
    def open_database(self, tmp_path):
        return partial(opened, tmp_path / "database")
