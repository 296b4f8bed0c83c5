"""Each test says what it expects: itself, or by a function that it calls or a fixture that it takes."""

import ast
from pathlib import Path

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


def seen_from(path, files, by_name):
    """The files whose definitions *path* knows by their names: itself, what it imports, and conftest.py."""
    modules = {
        node.module for node in ast.walk(files[path]) if isinstance(node, ast.ImportFrom) and node.module
    }
    above = {folder / "conftest.py" for folder in path.parents} & files.keys()
    return {path} | above | {other for module in modules for other in by_name.get(module, ())}


def expects(node):
    return any(
        isinstance(each, ast.Assert)
        or (isinstance(each, ast.Attribute) and each.attr in ("raises", "warns", "fnmatch_lines"))
        or (isinstance(each, ast.Attribute) and each.attr.startswith("assert_"))
        for each in ast.walk(node)
    )


def names(node):
    """What it calls, hands on or takes as a fixture."""
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.arg):
            yield each.arg
        elif isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and each.value.id == "self":
            yield each.attr


def test_each_test_says_what_it_expects():
    files = {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for folder in ("tests", "lotdb-core/src/lotdb/testing")
        for path in (ROOT / folder).rglob("*.py")
    }
    told: dict[Path, set[str]] = {path: set() for path in files}
    left = {}
    by_name = dotted_names(files)
    for path, tree in files.items():
        seen = seen_from(path, files, by_name)
        for node in (node for node in ast.walk(tree) if isinstance(node, Definition)):
            if expects(node):
                told[path].add(node.name)
            else:
                left[path, node.lineno, node.name] = set(names(node)), seen
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
