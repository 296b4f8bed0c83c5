"""``import lotdb`` loads nothing yet; each public name is there when it is asked for, and no other."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import lotdb
from lotdb import BaseNode, public

# Each in a process of its own: what is asked for first must not matter.
FIRST = [
    "import lotdb; assert lotdb.LOTDB.__name__ == 'LOTDB'",
    "import lotdb; assert 'BaseNode' in dir(lotdb) and lotdb.BaseNode",
    "from lotdb import *; assert LOTDB and hookimpl",
    "from lotdb.errors import LotdbError; import lotdb; assert lotdb.LotdbError is LotdbError",
    "from lotdb.registry.registry import Plugins; import lotdb; assert lotdb.Plugins is Plugins",
    "from lotdb import hookspecs, hookimpl; assert hookspecs.hookimpl is hookimpl",
    "import pickle, lotdb; e = lotdb.PluginError('x'); assert str(pickle.loads(pickle.dumps(e))) == 'x'",
]


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "code", [*FIRST[:3], *(pytest.param(code, marks=pytest.mark.slow) for code in FIRST[3:])]
)
def test_a_name_is_there_whatever_is_asked_for_first(code):
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_import_lotdb_loads_neither_numpy_nor_zodb():
    code = "import sys, lotdb; print(lotdb.__version__, 'numpy' in sys.modules, 'ZODB' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == f"{lotdb.__version__} False False\n"


# What opening a database takes of other packages.
PARTS = "import ZODB.FileStorage, BTrees.OOBTree"
WORK = """
from lotdb import LOTDB
def work(db, root):
    root.get_node_path("sensor_01/capture_0001").set_attribute("label", "walking")
    root["sensor_01"].attrs.update(count=1, gains=[1.5, {"left": 2, "right": None}])
    db.commit(root)
    assert root["sensor_01"].get_attribute("gains")[0] == 1.5
    assert [child.key for child in root["sensor_01"].values()] == ["capture_0001"]
"""
USE = """
with LOTDB(PATH, new=True) as db, db.connection() as root:
    work(db, root)
with LOTDB(PATH) as db, db.connection() as root:
    work(db, root)
"""


def modules_after(code, path=""):
    code = f"import json, sys; PATH = {str(path)!r}\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_opening_reading_and_writing_attributes_loads_nothing_that_takes_long(tmp_path):
    loaded = modules_after(WORK + USE, tmp_path / "db") - modules_after(PARTS)
    assert "lotdb.database.session" in loaded
    assert loaded & {
        "numpy",
        # What makes data classes, with inspect and ast; and each of them takes as long as a module.
        "dataclasses",
        "inspect",
        "ast",
        # What tells plugins from each other, if there are any to be loaded.
        "pluggy",
        "importlib_metadata",
        "importlib.metadata",
        "lotdb.hookspecs",
        # What a few values or messages need.
        "concurrent",
        "decimal",
        "difflib",
        "fractions",
        "json",
        "multiprocessing",
        "ipaddress",
        "numbers",
        "pathlib",
        "platform",
        "signal",
        "unicodedata",
        "urllib",
        "uuid",
        "zoneinfo",
        "lotdb.values.types",
        # What reads and writes arrays.
        "lotdb.content.payload",
        "lotdb.content.payloads",
        "lotdb.content.tables",
        "lotdb.interfaces.backend",
        "lotdb.segments.reader",
        "lotdb.segments.stage",
        "lotdb.tree.copying",
        # What merges conflicts, packs, reads beside a writer, tells listeners, compares trees, and puts long
        # transactions aside.
        "lotdb.records.identity",
        "lotdb.records.merge",
        "lotdb.storage.aside",
        "lotdb.storage.packer",
        "lotdb.storage.snapshots",
        "lotdb.tree.journal",
        # What only type checkers need.
        "lotdb.interfaces.loader",
        # What tells of earlier moments.
        "lotdb.database.commits",
        "lotdb.storage.states",
        "lotdb.tree.revive",
    } == set()


def test_what_opening_reading_and_writing_attributes_takes_is_imported_with_the_class(tmp_path):
    loaded = modules_after(WORK + USE, tmp_path / "db") - modules_after(WORK)
    assert {name for name in loaded if name.startswith("lotdb")} == {
        "lotdb.values.decoder",  # of values that are not plain
        "lotdb.values.encoder",
    }


def test_the_import_compiles_neither_annotations_nor_regular_expressions():
    code = """
import builtins, re, ZODB.FileStorage
asked = []
def noting(function):
    def noted(*arguments, **named):
        if isinstance(arguments[0], str):  # and no source of a module
            asked.append(arguments[0])
        return function(*arguments, **named)
    return noted
builtins.compile, re.compile = noting(builtins.compile), noting(re.compile)
from lotdb import LOTDB
assert LOTDB and re.compile("x") and compile("y", "", "eval")
print(asked)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "['x', 'y']\n")


def test_a_first_branch_loads_nothing_more(tmp_path):
    branching = """
with LOTDB(PATH, new=True) as db, db.connection() as root:
    work(db, root)
    root["sensor_01"].branch("copy")
"""
    loaded = modules_after(WORK + branching, tmp_path / "branched")
    assert loaded - modules_after(WORK + USE, tmp_path / "db") == set()


def test_threads_that_ask_for_the_stage_of_a_tree_at_once_get_the_same(monkeypatch):
    tree, made = BaseNode()._tree, []
    make = type(tree)._new_stage

    def slowly(tree):
        time.sleep(0.05)
        made.append(make(tree))
        return made[-1]

    monkeypatch.setattr(type(tree), "_new_stage", slowly)
    with ThreadPoolExecutor(2) as threads:
        stages = set(threads.map(lambda _: tree.stage, range(2)))
    assert stages == set(made) == {tree.stage}
    assert tree.staged is tree.stage


def test_a_first_payload_does_not_load_what_numpy_has_for_masks(tmp_path):
    loaded = modules_after(
        """
import numpy
from lotdb import LOTDB
with LOTDB(PATH, new=True) as db, db.connection() as root:
    node = root.get_data_node("data")
    node.write_data(numpy.arange(10))
    assert node.read_data(2, 4).tolist() == [2, 3]
""",
        tmp_path / "db",
    )
    assert "lotdb.segments.stage" in loaded
    assert "numpy.ma" not in loaded


def test_the_package_hands_on_all_public_names_and_no_other():
    assert lotdb.__all__ == public.__all__
    assert all(getattr(lotdb, name) is getattr(public, name) for name in public.__all__)
    with pytest.raises(AttributeError, match="module 'lotdb' has no attribute 'LOTBD'"):
        _ = lotdb.LOTBD
    with pytest.raises(AttributeError):
        _ = lotdb.__wrapped__
