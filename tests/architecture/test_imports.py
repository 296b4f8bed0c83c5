"""Who may import whom. Every failure names the lines that offend."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {
    "lotdb": ROOT / "lotdb-core/src",
    "lotdb_backend_blob": ROOT / "lotdb-backend-blob/src",
    "lotdb_backend_zarr": ROOT / "lotdb-backend-zarr/src",
    "lotdb_ingest": ROOT / "lotdb-ingest/src",
}
PLUGIN_PACKAGES = [package for package in SOURCES if package != "lotdb"]
WRAPPED = ["zarr", "soundfile", "PIL"]
PUBLIC_MODULES = ["lotdb.hookspecs", "lotdb.testing"]

# The rooms of a package from the bottom up, as docs/design.md draws them: each imports what stands before it.
ROOMS = {
    "lotdb": [
        "errors",
        "renamed",
        "extras",
        "ranges",
        "keys",
        "looking",
        "storage",
        "values",
        "interfaces",
        "records",
        "segments",
        "tree",
        "content",
        "hookspecs",
        "storages",
        "registry",
        "files",
        "queries",
        "interop",
        "node_api",
        "database",
        "backups",
        "salvaging",
        "upgrading",
        "converting",
        "public",
        "steps",
        "cli",
        "testing",
    ],
    "lotdb_ingest": ["signatures", "kept_as_bytes", "text", "npy", "table", "audio", "image", "hdf5", "raw", "__main__"],
}
# Those whose own file has more than one line that says what the room is for.
FILLED = {
    "lotdb": "handing on the public names",
    "lotdb.database": "LOTDB itself",
    "lotdb.records": "the classes of records, which are stored under this path",
    "lotdb.steps": "the public names of the room",
    "lotdb.storage": "what the database needs of it",
    "lotdb.testing": "the kits",
}


@dataclass(frozen=True)
class Import:
    """One imported name: *target* is the dotted module, or the module and the name taken from it."""

    importer: str
    target: str
    line: str
    typing_only: bool

    def reaches(self, *modules: str) -> bool:
        return any(f"{self.target}.".startswith(f"{module}.") for module in modules)


@dataclass(frozen=True)
class Module:
    name: str
    path: Path

    @property
    def tree(self) -> ast.Module:
        return tree_of(self.path)

    @property
    def package(self) -> str:
        """What a relative import starts from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    def line(self, node: ast.Import | ast.ImportFrom | ast.Attribute) -> str:
        return f"{self.path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"

    def imports(self) -> Iterator[Import]:
        tree = self.tree
        found = [*statements(tree)]
        guards = [node for node in found if isinstance(node, ast.If) and is_type_checking(node.test)]
        for_types = {inner for guard in guards for stmt in guard.body for inner in (stmt, *statements(stmt))}
        for node in found:
            if isinstance(node, ast.Import | ast.ImportFrom):
                for target in self.targets(node):
                    yield Import(self.name, target, self.line(node), node in for_types)

    def targets(self, node: ast.Import | ast.ImportFrom) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        base = node.module or ""
        if node.level:
            above = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
            base = ".".join([*above, base] if base else above)
        return [f"{base}.{alias.name}" for alias in node.names]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements within *node*; its expressions, most of a tree, hold none."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield child
            yield from statements(child)


def is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def modules_of(package: str) -> list[Module]:
    modules = []
    for path in sorted((SOURCES[package] / package).rglob("*.py")):
        parts = path.relative_to(SOURCES[package]).with_suffix("").parts
        modules.append(Module(".".join(part for part in parts if part != "__init__"), path))
    assert modules, f"no sources in {SOURCES[package]}"
    return modules


@cache
def imports_of(package: str) -> list[Import]:
    return [found for module in modules_of(package) for found in module.imports()]


def report(offenders: list[str]) -> None:
    assert not offenders, "\n" + "\n".join(dict.fromkeys(offenders))


def public_names() -> set[str]:
    """lotdb.__all__ as it is written, without importing anything."""
    init = next(module for module in modules_of("lotdb") if module.name == "lotdb.public")
    for node in init.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    pytest.fail(f"{init.path.relative_to(ROOT)}: no __all__ = [...]")


def test_core_imports_no_plugin_package_and_no_library_that_one_wraps():
    report([found.line for found in imports_of("lotdb") if found.reaches(*PLUGIN_PACKAGES, *WRAPPED)])


@pytest.mark.parametrize("package", PLUGIN_PACKAGES)
def test_plugin_packages_never_import_each_other(package):
    others = [other for other in PLUGIN_PACKAGES if other != package]
    report([found.line for found in imports_of(package) if found.reaches(*others)])


@pytest.mark.parametrize("package", PLUGIN_PACKAGES)
def test_plugin_packages_import_only_public_names_of_lotdb(package):
    allowed = {"lotdb", *(f"lotdb.{name}" for name in public_names())}
    report([
        found.line
        for found in imports_of(package)
        if found.reaches("lotdb") and found.target not in allowed and not found.reaches(*PUBLIC_MODULES)
    ])  # fmt: skip


@pytest.mark.parametrize("package", PLUGIN_PACKAGES)
def test_plugin_packages_use_only_public_names_of_lotdb(package):
    allowed = {f"lotdb.{name}" for name in public_names()} | set(PUBLIC_MODULES)
    report([
        module.line(node)
        for module in modules_of(package)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "lotdb"
        if ast.unparse(node) not in allowed
    ])  # fmt: skip


@pytest.mark.parametrize("package", SOURCES)
def test_only_one_module_reads_entry_points(package):
    readers = ("importlib_metadata", "importlib.metadata", "pkg_resources")
    report([
        found.line
        for found in imports_of(package)
        if found.reaches(*readers)
        # The second is for commands, which are listed before ZODB, which the first stands on, is imported.
        and found.importer not in ("lotdb.interfaces.installed", "lotdb.cli.extensions")
        and not found.reaches("importlib.metadata.version")  # which a message may name
    ])  # fmt: skip


@pytest.mark.parametrize("package", SOURCES)
def test_only_stage_database_session_and_storage_speak_transactions(package):
    rooms = "segments.stage.", "database.", "storage.", "storages.", "errors."
    speakers = tuple(f"lotdb.{room}" for room in rooms)
    report([
        found.line
        for found in imports_of(package)
        if found.reaches("transaction") and not f"{found.importer}.".startswith(speakers)
    ])  # fmt: skip


def test_the_command_line_uses_only_public_names_of_lotdb():
    allowed = {"lotdb", "lotdb.__version__", *(f"lotdb.{name}" for name in public_names())}
    report([
        found.line
        for found in imports_of("lotdb")
        if found.importer.startswith("lotdb.cli") and found.reaches("lotdb")
        if found.target not in allowed and not found.reaches("lotdb.cli", *PUBLIC_MODULES)
    ])  # fmt: skip


def edges_of(package: str) -> dict[str, dict[str, str]]:
    """Which module imports which, anywhere in it and be it for types only, and the line that does."""
    edges = {module.name: dict[str, str]() for module in modules_of(package)}
    for found in imports_of(package):
        # `from lotdb.storage import files` means the module if there is one, else a name in lotdb.storage
        target = found.target if found.target in edges else found.target.rpartition(".")[0]
        if target in edges:
            edges[found.importer].setdefault(target, found.line)
    return edges


@pytest.mark.parametrize("package", SOURCES)
def test_imports_between_modules_run_one_way(package):
    """No cycle, not even by an import inside a function, or under TYPE_CHECKING."""
    report(lines_of_a_cycle(edges_of(package)))


@pytest.mark.parametrize("package", ROOMS)
def test_each_room_imports_only_those_below_it(package):
    rooms = ROOMS[package]
    top = {"lotdb": ["lotdb.cli", "lotdb.testing"]}.get(package, [])
    report([
        line
        for importer, targets in edges_of(package).items()
        for target, line in targets.items()
        if importer != package and not (target == package and any(importer.startswith(each) for each in top))
        if rank(rooms, target) > rank(rooms, importer)
    ])  # fmt: skip


@pytest.mark.parametrize("package", ROOMS)
def test_every_module_has_a_room(package):
    rooms = {module.name.split(".")[1] for module in modules_of(package) if module.name != package}
    assert rooms == set(ROOMS[package])


def rank(rooms: list[str], module: str) -> int:
    """The floor of the room of *module*; what has none, such as the package itself, is above all."""
    room = module.split(".")[1:2]
    return rooms.index(room[0]) if room and room[0] in rooms else len(rooms)


@pytest.mark.parametrize("package", ROOMS)
def test_a_room_says_what_it_is_for_and_hands_nothing_on(package):
    report([
        f"{module.path.relative_to(ROOT)}: has more than one line that says what it is for"
        for module in modules_of(package)
        if module.path.name == "__init__.py" and module.name not in FILLED
        if len(module.tree.body) != 1 or ast.get_docstring(module.tree) is None
    ])  # fmt: skip


def test_no_two_modules_of_the_core_have_one_name():
    names = [module.name.split(".")[-1] for module in modules_of("lotdb") if "testing" not in module.name]
    # A room may have one module of its own name: the one that it is about.
    report([name for name in set(names) if names.count(name) > (2 if name in ROOMS["lotdb"] else 1)])


def lines_of_a_cycle(edges: dict[str, dict[str, str]]) -> list[str]:
    """The import lines of one cycle, in order; nothing if there is none."""
    done: set[str] = set()
    for start in sorted(edges):
        path = [start]
        branches = [iter(edges[start])]
        while path:
            following = next(branches[-1], None)
            if following is None:
                branches.pop()
                done.add(path.pop())
            elif following in path:
                cycle = [*path[path.index(following) :], following]
                return [edges[here][there] for here, there in pairwise(cycle)]
            elif following not in done:
                path.append(following)
                branches.append(iter(edges[following]))
    return []


def test_import_lotdb_imports_no_plugin_package():
    code = "import json, sys, lotdb; lotdb.LOTDB; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) & {*PLUGIN_PACKAGES, *WRAPPED} == set()
