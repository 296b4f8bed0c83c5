"""How the database of ``test_sqlite_storage`` is opened, here and in other processes."""

from tests.core.npy_backend import NpyBackend, plugins_with

from lotdb import LOTDB


def open_sqlite(folder, **options):
    # A backend that takes little time to import: each process that is killed has a successor.
    plugins = plugins_with(NpyBackend)
    return LOTDB(folder, storage="sqlite", default_backend="npy", plugins=plugins, **options)
