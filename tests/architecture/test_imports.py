"""Who may import whom. Every failure names the lines that offend."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
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
    "lotdb_backend_zarr": [
        "metadata_checksum",
        "decoded",
        "decoded_size",
        "chunk_codecs",
        "open_array_file",
        "open_files",
        "array_files",
        "shards",
        "compat",
        "zarrs_pipeline",
        "delegating_store",
        "obstore_store",
        "strict_store",
        "options",
        "settings",
        "backend",
        "plugin",
        "json_values",
        "node_store",
        "tree_arrays",
        "tree_out",
        "tree_in",
        "tree_of_others",
        "tree_plugin",
    ],
    "lotdb_backend_blob": [
        "sync_ahead",
        "npy_writing",
        "npy_reading",
        "owner_note",
        "plain_files",
        "cache",
        "objects",
        "settings",
        "backend",
        "plugin",
    ],
    "lotdb_ingest": [
        "signatures",
        "kept_as_bytes",
        "text",
        "npy",
        "table",
        "audio",
        "image",
        "hdf5",
        "raw",
        "__main__",
    ],
}
# Those whose own file has more than one line that says what the room is for.
FILLED = {
    "lotdb": "handing on the public names",
    "lotdb.database": "LOTDB itself",
    "lotdb.records": "the classes of records, which are stored under this path",
    "lotdb.steps": "the public names of the room",
    "lotdb.storage": "what the database needs of it",
    "lotdb.testing": "the kits",
    "lotdb_backend_zarr": "handing on NodeStore",
}
# Which module of the core imports which by its name when it is called, though that one stands above it.
UPWARDS = {
    ("lotdb.content.payload", "lotdb.interop.{module}"),
    ("lotdb.database", "lotdb.backups.backup"),
    ("lotdb.database.session", "lotdb.database.references"),
    ("lotdb.node_api.nodes", "lotdb.steps.origins"),
    ("lotdb.steps.step", "lotdb.steps.mapping"),
}
# Those that import by a name which they are given, or find in a table of theirs.
BY_ANY_NAME = {
    "lotdb.extras": "libraries",
    "lotdb.public": "the public names, from a table that type checkers are told too",
    "lotdb.storage.classes": "the classes of records",
    "lotdb.storage.signals": "a module of Python's",
    "lotdb.testing": "the kits",
    "lotdb.testing.another_process": "the functions that the other process is to call",
}
DESIGN = ROOT / "docs/design.md"


@dataclass(frozen=True)
class Import:
    """One imported name: *target* is the dotted module, or the module and the name taken from it."""

    importer: str
    target: str
    line: str

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

    def line(self, node: ast.Import | ast.ImportFrom | ast.Attribute | ast.Call) -> str:
        return f"{self.path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"

    def imports(self) -> Iterator[Import]:
        """All of them, also those within functions, and those under TYPE_CHECKING."""
        for node in statements(self.tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for target in self.targets(node):
                    yield Import(self.name, target, self.line(node))

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


def test_imports_within_functions_and_for_types_alone_count(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "module.py"
    code = "if TYPE_CHECKING:\n    import for_types\ndef function():\n    from within import name\n"
    path.write_text(code, encoding="utf-8")
    assert [found.target for found in Module("module", path).imports()] == ["for_types", "within.name"]


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
def test_only_the_database_and_its_sessions_import_transaction(package):
    """Others at most the class of errors that are worth another attempt."""
    report([
        found.line
        for found in imports_of(package)
        if found.reaches("transaction") and found.importer not in ("lotdb.database", "lotdb.database.session")
        if not (
            found.reaches("transaction.interfaces.TransientError")
            and f"{found.importer}.".startswith(("lotdb.errors.", "lotdb.storages."))
        )
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


def test_the_core_imports_upwards_by_name_only_what_is_listed():
    upwards, by_any_name = set(), set()
    for module in modules_of("lotdb"):
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call) or ast.unparse(node.func).split(".")[-1] != "import_module":
                continue
            name = node.args[0]
            text = ast.unparse(name).removeprefix("f").strip("'\"")
            if not isinstance(name, ast.Constant | ast.JoinedStr) or text.startswith("{"):
                by_any_name.add(module.name)
            # The package itself and the command line stand above what they name.
            elif text.startswith("lotdb.") and module.name not in ("lotdb", "lotdb.cli.shell"):
                upwards.add((module.name, text))
    assert upwards == UPWARDS
    assert by_any_name == BY_ANY_NAME.keys()


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


def test_the_picture_of_the_design_page_has_the_rooms_in_their_order():
    picture = DESIGN.read_text(encoding="utf-8").partition("## The house\n")[2].split("```")[1]
    assert re.findall(r"^    (\w+)", picture, re.MULTILINE) == ROOMS["lotdb"][::-1]


def rows_of(heading: str) -> list[list[str]]:
    """The cells of the table of the design page whose first cell is *heading*."""
    table = DESIGN.read_text(encoding="utf-8").partition(f"\n| {heading} | ")[2].partition("\n\n")[0]
    return [line.strip("| ").split(" | ", 1) for line in table.splitlines()[2:]]


def test_the_design_page_lists_the_modules_of_each_room_from_the_bottom_up():
    edges = edges_of("lotdb")
    listed = []
    for room, text in rows_of("room"):
        room = room.strip("`")
        listed.append(room)
        modules = {
            module.rpartition(".")[2]: module for module in edges if module.startswith(f"lotdb.{room}.")
        }
        named = []
        for name in re.findall(r"`([\w.]+)`", text):
            if name.endswith("_..."):
                named += [each for each in modules if each.startswith(name[:-3])]
            elif name in modules:
                named.append(name)
        assert sorted({*named}) == sorted(modules)
        report([
            f"{DESIGN.name}: {room}/{lower} imports {upper}, which is named after it"
            for lower, upper in combinations(dict.fromkeys(named), 2)
            if modules[upper] in edges[modules[lower]]
        ])  # fmt: skip
    assert listed == [room for room in ROOMS["lotdb"] if room in listed]
    folders = {path.parent.name for path in (SOURCES["lotdb"] / "lotdb").glob("*/__init__.py")}
    assert {*listed} == folders


@pytest.mark.parametrize("package", PLUGIN_PACKAGES)
def test_the_design_page_lists_the_modules_of_a_plugin_package_in_their_order(package):
    rows = rows_of(f"of `{package}`")
    # Of the ingesters, whose rooms are folders, the first cell names the room.
    column = 0 if rows[0][0].startswith("`") else 1
    named = re.findall(r"`(\w+)`", " ".join(row[column] for row in rows))
    assert [name for name in dict.fromkeys(named) if name in ROOMS[package]] == ROOMS[package]


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
