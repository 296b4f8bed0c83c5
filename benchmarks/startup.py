"""Importing the library, opening a database to read one attribute, and the help of the command.

Python's own start is not in the imports. `import lotdb` alone loads nothing before it is asked for a name.
LOTDB loads numpy with the first payload, so its import is measured beside numpy's as well.
"""

# Nothing is imported here that the sides import.
from collections.abc import Callable

from benchmarks.cases import Against, Case, Figures, Side, at_most, below
from benchmarks.clock import Timer, check
from benchmarks.sizes import Sizes


def import_lotdb(folder: str) -> Figures:
    with Timer() as timer:
        from lotdb import LOTDB  # noqa: F401
    return {"seconds": timer.seconds}


def import_lotdb1(folder: str) -> Figures:
    with Timer() as timer:
        from lotdb import LOTDB  # noqa: F401
    return {"seconds": timer.seconds}


def import_lotdb_and_numpy(folder: str) -> Figures:
    with Timer() as timer:
        import numpy  # noqa: F401

        from lotdb import LOTDB  # noqa: F401
    return {"seconds": timer.seconds}


def import_parts(folder: str) -> Figures:
    with Timer() as timer:
        import numpy  # noqa: F401
        import ZODB  # noqa: F401
    return {"seconds": timer.seconds}


def import_storage(folder: str) -> Figures:
    with Timer() as timer:
        import BTrees.OOBTree  # noqa: F401
        import numpy  # noqa: F401
        import ZODB.FileStorage  # noqa: F401
    return {"seconds": timer.seconds}


def import_storage_alone(folder: str) -> Figures:
    with Timer() as timer:
        import BTrees.OOBTree  # noqa: F401
        import ZODB.FileStorage  # noqa: F401
    return {"seconds": timer.seconds}


def import_h5py(folder: str) -> Figures:
    with Timer() as timer:
        import h5py  # noqa: F401
    return {"seconds": timer.seconds}


def import_zarr(folder: str) -> Figures:
    with Timer() as timer:
        import zarr  # noqa: F401
    return {"seconds": timer.seconds}


def import_signac(folder: str) -> Figures:
    with Timer() as timer:
        import signac  # noqa: F401
    return {"seconds": timer.seconds}


def make(folder: str) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder, new=True) as db, db.connection() as root:
        root.get_node_path("sensor_01/capture_0001").set_attribute("label", "walking")
    return {}


def import_and_read(folder: str) -> Figures:
    with Timer() as imported:
        from lotdb import LOTDB
    with Timer() as opened, LOTDB(folder) as db, db.connection() as root:
        label = root["sensor_01/capture_0001"].get_attribute("label")
    check(label == "walking", "the attribute")
    return {"seconds": opened.seconds, "import": imported.seconds}


def show_help(folder: str) -> Figures:
    return {"seconds": _seconds_of("-m", "lotdb.cli", "--help")}


def import_click(folder: str) -> Figures:
    return {"seconds": _seconds_of("-c", "import click")}


def _seconds_of(*arguments: str) -> float:
    """Seconds that a process of Python takes, its own start included."""
    import subprocess
    import sys

    with Timer() as timer:
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return timer.seconds


def write_first(folder: str, backend: str) -> Figures:
    import numpy as np

    from lotdb import LOTDB

    with LOTDB(folder, new=True) as db, db.connection() as root:
        with Timer() as first:
            root.get_data_node("first", backend=backend).write_data(np.zeros(10))
        with Timer() as second:
            root.get_data_node("second", backend=backend).write_data(np.zeros(10))
    return {"seconds": first.seconds, "second": second.seconds}


def branch_first(folder: str) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder) as db, db.connection() as root:
        node = root["sensor_01"]
        with Timer() as first:
            node.branch("copy")
        check("copy/capture_0001" in root, "the branch")
        db.abort(root)
    return {"seconds": first.seconds}


def cases(sizes: Sizes) -> list[Case]:
    def imported(label: str, function: Callable[..., Figures]) -> Side:
        # Once before, so that all modules are compiled.
        peer = label.startswith("lotdb 1")
        return Side(label, function, data=Side(label, function, peer=peer), peer=peer)

    ours = imported("LOTDB", import_lotdb)
    opened = Side("LOTDB", import_and_read, data=Side("LOTDB", make))
    shown = imported("lotdb --help", show_help)
    first = Side("LOTDB, blob", write_first, {"backend": "blob"})
    first_zarr = Side("LOTDB, zarr", write_first, {"backend": "zarr"})
    return [
        Case(
            "import what opens a database",
            ours,
            (
                Against(imported("ZODB and numpy", import_parts), at_most(1.25)),
                Against(imported("what opening a ZODB file imports", import_storage_alone)),
                Against(imported("lotdb 1.1.3", import_lotdb1)),
                Against(imported("h5py", import_h5py)),
                Against(imported("zarr", import_zarr)),
                Against(imported("signac", import_signac)),
            ),
        ),
        Case(
            "import what opens a database, and numpy",
            imported("LOTDB and numpy", import_lotdb_and_numpy),
            (
                Against(imported("ZODB and numpy", import_parts)),
                Against(imported("what opening a ZODB file imports, and numpy", import_storage)),
            ),
        ),
        Case(
            "open a database, read one attribute, close it, after the import",
            opened,
            (Against(opened.but(label="the import", figure="import")),),
            alone=below(0.010, "10 ms"),
        ),
        Case(
            "a process that shows the help of the command",
            shown,
            (Against(imported("python -c 'import click'", import_click), at_most(1.5)),),
            alone=below(0.120, "120 ms"),
        ),
        Case(
            "first branch in a process",
            Side("LOTDB", branch_first, data=Side("LOTDB", make)),
            alone=below(0.003, "3 ms"),
        ),
        Case(
            "first payload in a process, which loads the plugins",
            first,
            (Against(first.but(label="the second", figure="second")), Against(first_zarr)),
        ),
    ]
