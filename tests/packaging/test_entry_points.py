"""Each plugin package registers what it should, and registering costs nothing."""

import json
import subprocess
import sys
from importlib.metadata import distribution

import pytest

REGISTERED = {
    "lotdb-core": {
        ("console_scripts", "lotdb", "lotdb.cli.__main__:main"),
        ("lotdb.storage", "file", "lotdb.storages.built_in"),
        ("lotdb.storage", "sqlite", "lotdb.storages.built_in"),
        ("lotdb.storage", "postgresql", "lotdb.storages.built_in"),
    },
    "lotdb-backend-blob": {("lotdb.backend", "blob", "lotdb_backend_blob.plugin")},
    "lotdb-backend-zarr": {
        ("lotdb.backend", "zarr", "lotdb_backend_zarr.plugin"),
        ("lotdb.ingester", "zarr_tree", "lotdb_backend_zarr.tree_plugin"),
    },
    "lotdb-ingest": {
        ("console_scripts", "lotdb-ingest", "lotdb_ingest.__main__:main"),
        ("lotdb.ingester", "audio", "lotdb_ingest.audio.plugin"),
        ("lotdb.ingester", "hdf5", "lotdb_ingest.hdf5.plugin"),
        ("lotdb.ingester", "image", "lotdb_ingest.image.plugin"),
        ("lotdb.ingester", "npy", "lotdb_ingest.npy.plugin"),
        ("lotdb.ingester", "npz", "lotdb_ingest.npy.npz"),
        ("lotdb.ingester", "raw", "lotdb_ingest.raw"),
        ("lotdb.ingester", "table", "lotdb_ingest.table.plugin"),
        ("lotdb.ingester", "text", "lotdb_ingest.text"),
    },
}
PLUGINS = [name for name in REGISTERED if name != "lotdb-core"]


@pytest.mark.parametrize("name", REGISTERED)
def test_installed_distribution_registers_its_plugins(name):
    entries = distribution(name).entry_points
    assert {(entry.group, entry.name, entry.value) for entry in entries} == REGISTERED[name]


def test_no_two_entry_points_share_a_module():
    # But for the storages: what is loaded for one would show as loaded for the others, too.
    modules = [
        module for entries in REGISTERED.values() for group, _, module in entries if group != "lotdb.storage"
    ]
    assert len(modules) == len(set(modules))


LOAD = """
import importlib, json, sys
wrapped = {}
for name, modules in MODULES.items():
    for module in modules:
        importlib.import_module(module)
    wrapped[name] = [each for each in ("zarr", "soundfile", "PIL") if sys.modules.pop(each, None)]
print(json.dumps(wrapped))
"""


@pytest.fixture(scope="module")
def wrapped():
    """By each plugin package, the wrapped libraries that its plugin modules load; one process loads all."""
    modules = {name: sorted(each.partition(":")[0] for _, _, each in REGISTERED[name]) for name in PLUGINS}
    code = LOAD.replace("MODULES", repr(modules))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", PLUGINS)
def test_plugin_modules_load_without_the_libraries_they_wrap(wrapped, name):
    assert wrapped[name] == []
