"""Each test says what it expects: itself, or by a function that it calls or a fixture that it takes."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def dotted_names(files):
    """The names that each file may be imported by, the shortest being that of the file alone."""
    by_name = {}
    for path in files:
        parts = path.with_suffix("").parts
        for first in range(1, len(parts)):
            by_name.setdefault(".".join(parts[first:]), set()).add(path)
    return by_name


def expects(node):
    """Whether *node* itself, and not what is in it, says what is expected."""
    return isinstance(node, ast.Assert) or (
        isinstance(node, ast.Attribute)
        and (node.attr in ("raises", "warns", "fnmatch_lines") or node.attr.startswith("assert_"))
    )


def name_in(node):
    """What *node* itself calls, hands on or takes as a fixture."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return node.attr
    return None


class File:
    """A file of tests, looked through once: what it imports from where, and each definition in it.

    ``definitions`` has the line and the name of each, whether something in it says what is expected, and the
    names in it.
    """

    def __init__(self, path):
        self.modules, self.definitions = set(), []
        self._look(ast.parse(path.read_text(encoding="utf-8")))

    def _look(self, node):
        says, used = expects(node), {name_in(node)}
        if isinstance(node, ast.ImportFrom) and node.module:
            self.modules.add(node.module)
        for child in ast.iter_child_nodes(node):
            more_says, more_used = self._look(child)
            says |= more_says
            used |= more_used
        if isinstance(node, Definition):
            self.definitions.append((node.lineno, node.name, says, used))
        return says, used


def seen_from(path, files, by_name):
    """The files whose definitions *path* knows by their names: itself, what it imports, and conftest.py."""
    above = {folder / "conftest.py" for folder in path.parents} & files.keys()
    modules = files[path].modules
    return {path} | above | {other for module in modules for other in by_name.get(module, ())}


@pytest.mark.slow
def test_each_test_says_what_it_expects():
    files = {
        path: File(path)
        for folder in ("tests", "lotdb-core/src/lotdb/testing")
        for path in (ROOT / folder).rglob("*.py")
    }
    told: dict[Path, set[str]] = {path: set() for path in files}
    left = {}
    by_name = dotted_names(files)
    for path, file in files.items():
        seen = seen_from(path, files, by_name)
        for line, name, says, used in file.definitions:
            if says:
                told[path].add(name)
            else:
                left[path, line, name] = used, seen
    while found := [
        place for place, (used, seen) in left.items() if any(used & told[other] for other in seen)
    ]:
        for path, line, name in found:
            del left[path, line, name]
            told[path].add(name)
    silent = [
        f"{path.relative_to(ROOT)}:{line} {name}" for path, line, name in left if name.startswith("test_")
    ]
    assert silent == []
