"""Each test says what it expects: itself, or by a function that it calls or a fixture that it takes."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def seen_from(path, files):
    """The files whose definitions *path* knows by their names: itself, what it imports, and conftest.py."""
    modules = {
        node.module for node in ast.walk(files[path]) if isinstance(node, ast.ImportFrom) and node.module
    }
    above = {folder / "conftest.py" for folder in path.parents}
    return [
        other
        for other in files
        if other == path
        or other in above
        or any(".".join(other.with_suffix("").parts).endswith(f".{module}") for module in modules)
    ]


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
    told: set[tuple[Path, str]] = set()
    left = {}
    for path, tree in files.items():
        seen = seen_from(path, files)
        for node in (node for node in ast.walk(tree) if isinstance(node, Definition)):
            if expects(node):
                told.add((path, node.name))
            else:
                left[path, node.lineno, node.name] = {(other, name) for name in names(node) for other in seen}
    while found := [place for place, used in left.items() if used & told]:
        for path, line, name in found:
            del left[path, line, name]
            told.add((path, name))
    silent = [
        f"{path.relative_to(ROOT)}:{line} {name}" for path, line, name in left if name.startswith("test_")
    ]
    assert silent == []
