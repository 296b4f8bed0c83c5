"""What most programs never use is loaded when it is first asked for, and is there then."""

import ast
import importlib
import inspect
import json
import subprocess
import sys

import pytest

import lotdb
from lotdb import public

# What opening a database and reading attributes takes none of.
LATE_ROOMS = {
    "backups",
    "cli",
    "converting",
    "files",
    "interop",
    "looking",
    "queries",
    "salvaging",
    "steps",
    "upgrading",
}


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys\n{code}\nprint(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.slow
def test_opening_a_database_and_reading_an_attribute_loads_no_room_that_it_does_not_need(tmp_path):
    code = f"""
from lotdb import LOTDB
with LOTDB({str(tmp_path / "db")!r}) as db, db.connection() as root:
    assert root.attrs.get("label") is None
"""
    loaded = {name.split(".")[1] for name in modules_after(code) if name.startswith("lotdb.")}
    assert "database" in loaded
    assert loaded & LATE_ROOMS == set()


@pytest.mark.slow
def test_a_late_name_is_loaded_without_the_others():
    loaded = modules_after("from lotdb import attr")
    assert "lotdb.queries.conditions" in loaded
    assert "lotdb.interop.labels" not in loaded


def test_every_late_name_is_what_its_module_defines():
    for name, module in public._LATER.items():
        assert getattr(lotdb, name) is getattr(importlib.import_module(module), name)
    assert set(public._LATER) < set(lotdb.__all__)


def test_type_checkers_are_told_the_same_of_late_names():
    (guard,) = [
        each
        for each in ast.parse(inspect.getsource(public)).body
        if isinstance(each, ast.If) and ast.unparse(each.test) == "TYPE_CHECKING"
    ]
    told = {
        alias.name: each.module
        for each in guard.body
        if isinstance(each, ast.ImportFrom)
        for alias in each.names
    }
    assert told == public._LATER


def test_all_public_names_can_be_imported_at_once():
    modules_after("from lotdb import *\nassert restore and attr and NodeDataset and LOTDB")
