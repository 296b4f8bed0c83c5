"""A program for lotdb 1.x is told, for each argument that is gone, what to use instead."""

import inspect
from pathlib import Path

import pytest

import lotdb
from lotdb import LOTDB, BaseNode, DataNode, RenamedArgumentError, RenamedError
from lotdb.node_api.data_methods import DataMethods
from lotdb.renamed import ARGUMENTS

CASES = [
    (cls, method, name, instead)
    for cls, methods in ARGUMENTS.items()
    for method, names in methods.items()
    for name, instead in names.items()
]
OWNERS = {each.__name__: each for each in (BaseNode, DataNode, DataMethods, lotdb.DataWriter, LOTDB)}
IDS = [".".join(each[:3]) for each in CASES]


@pytest.fixture
def owners(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        root = db.open_connection()
        node = root.get_data_node("a")
        of_nodes = dict.fromkeys(["BaseNode", "DataNode", "DataMethods"], node)
        yield {**of_nodes, "DataWriter": lotdb.DataWriter, "LOTDB": db}
        assert list(root) == ["a"]
        assert not list(node)
        assert not node.payloads


@pytest.mark.sampled
@pytest.mark.parametrize(("cls", "method", "name", "instead"), CASES, ids=IDS)
def test_an_old_argument_is_answered_at_the_call(owners, cls, method, name, instead):
    called = OWNERS[cls] if method == "__init__" else getattr(owners[cls], method)
    said = instead.removeprefix("nothing: ")
    with pytest.raises(RenamedArgumentError) as caught:
        called(**{name: "x"})
    assert f"no argument {name!r}" in str(caught.value)
    assert "lotdb 1.x" in str(caught.value)
    assert said in str(caught.value)
    assert isinstance(caught.value, RenamedError | TypeError)


@pytest.mark.sampled
@pytest.mark.parametrize(("cls", "method", "name", "instead"), CASES, ids=IDS)
def test_what_is_advised_is_an_argument(cls, method, name, instead):
    parameters = inspect.signature(getattr(OWNERS[cls], method)).parameters
    assert name not in parameters
    takes_more = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    if instead.endswith("="):
        assert instead[:-1] in parameters or takes_more


@pytest.mark.parametrize("method", ["get_node", "get_attribute", "get_node_path"])
def test_what_answers_itself_takes_and_refuses_what_it_did(method):
    node = BaseNode()
    call = getattr(node, method)
    with pytest.raises(TypeError):
        call("a", surprise=1)
    with pytest.raises((TypeError, ValueError)):
        call()
    with pytest.raises((TypeError, ValueError)):
        call("a", True, None, None)
    assert list(node) == []


def test_the_page_lists_them():
    page = (Path(__file__).parents[2] / "docs" / "upgrade.md").read_text(encoding="utf-8")
    for cls, method, name, instead in CASES:
        called = f"`{cls}`" if method == "__init__" else f"{method}`"
        rows = [line for line in page.splitlines() if line.startswith(f"| `{name}` |") and called in line]
        assert len(rows) == 1
        assert instead.removeprefix("nothing: ") in rows[0]
