"""A program for lotdb 1.x is told, for each name that is gone, what to use instead."""

import ast
import subprocess
import sys

import numpy as np
import pytest

import lotdb
from lotdb import LOTDB, BaseNode, RenamedError
from lotdb.renamed import DATA_NODE, DATABASE, MODULE, NODE, PAYLOAD


@pytest.mark.parametrize("name", [*NODE, *DATA_NODE])
def test_an_old_name_of_a_node_is_answered_with_the_new_one(name):
    for node in (BaseNode(), BaseNode().get_data_node("a")):
        with pytest.raises(
            RenamedError, match=rf"'{type(node).__name__}' has no '{name}'; lotdb 1\.x called it so: use "
        ):
            getattr(node, name)
        assert not hasattr(node, name)
        assert name not in dir(node)
        assert not hasattr(type(node), name)


@pytest.mark.parametrize("name", DATABASE)
def test_an_old_name_of_a_database_is_answered(tmp_path, name):
    with LOTDB(tmp_path) as db, pytest.raises(RenamedError, match=rf"'LOTDB' has no '{name}'; lotdb 1\.x"):
        getattr(db, name)


@pytest.mark.parametrize("name", PAYLOAD)
def test_an_old_name_of_a_payload_is_answered(name):
    payload = BaseNode().get_data_node("a").write_data(np.arange(3))
    with pytest.raises(RenamedError, match=f"'Payload' has no '{name}'"):
        getattr(payload, name)


@pytest.mark.parametrize("name", MODULE)
def test_an_old_name_of_the_package_is_answered(name):
    with pytest.raises(RenamedError, match=f"lotdb has no '{name}'; lotdb 1"):
        getattr(lotdb, name)
    with pytest.raises(ImportError, match=f"lotdb has no '{name}'; lotdb 1"):
        exec(f"from lotdb import {name}")


def test_other_names_are_as_unknown_as_ever():
    with pytest.raises(AttributeError) as caught:
        BaseNode().something  # noqa: B018
    assert not isinstance(caught.value, RenamedError)
    with pytest.raises(ImportError, match="cannot import name 'something'"):
        exec("from lotdb import something")


@pytest.mark.parametrize("instead", [*NODE.values(), *DATA_NODE.values(), *PAYLOAD.values()])
def test_what_is_advised_exists(instead):
    for part in instead.replace(", or ", ", and ").split(", and "):
        try:
            tree = ast.parse(part.replace("…", "0"))
        except SyntaxError:
            continue
        for found in ast.walk(tree):
            if isinstance(found, ast.Attribute) and isinstance(found.value, ast.Name):
                owner = {"node": lotdb.DataNode, "payload": lotdb.Payload, "db": LOTDB}.get(found.value.id)
                assert owner is None or hasattr(owner, found.attr), part


def test_a_node_type_may_have_such_a_name():
    class Shown(BaseNode):
        def display(self):
            return "shown"

    assert Shown.display(None) == "shown"


@pytest.mark.slow
def test_type_checkers_do_not_know_them(tmp_path):
    (tmp_path / "program.py").write_text("from lotdb import BaseNode\nBaseNode().gn('a')\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", tmp_path / "cache", tmp_path / "program.py"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert '"BaseNode" has no attribute "gn"' in done.stdout
