"""A backup of what is new: a hundredth of a database of captures, beside ``cp`` and a sync of just that."""

from __future__ import annotations

import os
import subprocess

from benchmarks.cases import Against, Case, Figures, Side, at_most
from benchmarks.clock import Timer, bytes_on_disk, check
from benchmarks.data import captures
from benchmarks.ours import load_plugins
from benchmarks.sizes import Sizes

# Captures (2000, 6) float32 of 48 kB, in payloads of so many.
TOGETHER = 50


def _files(folder: str) -> set[str]:
    return {os.path.join(above, name) for above, _, names in os.walk(folder) for name in names}


def _grow(folder: str, blocks: int, backend: str) -> list[str]:
    """Commit so many blocks of captures more; the files that are new, or have grown."""
    from lotdb import LOTDB

    before = {path: os.path.getsize(path) for path in _files(folder)}
    with LOTDB(folder) as db:
        load_plugins(db, backend)
        first = len(before)
        for number in range(blocks):
            with db.connection() as root:
                node = root.get_data_node(f"take{first}/{number}", backend=backend)
                for capture in captures(TOGETHER):
                    node.append_data(capture)
    return sorted(path for path in _files(folder) if before.get(path) != os.path.getsize(path))


def second_lotdb(folder: str, blocks: int, backend: str) -> Figures:
    from lotdb import LOTDB

    database, copy = f"{folder}/results", f"{folder}/copy"
    _grow(database, blocks, backend)
    with LOTDB(database, read_only=True) as db:
        db.backup(copy)
    _grow(database, max(blocks // 100, 1), backend)
    os.sync()
    with LOTDB(database, read_only=True) as db:
        with Timer() as timer:
            report = db.backup(copy)
        check(not report.anew and report.payload_files > 0, "only what is new was copied")
    with LOTDB(copy, read_only=True) as db:
        check(db.last_commit == report.commit, "the copy opens at the last commit")
    return {"seconds": timer.seconds, "bytes": report.tree_bytes + report.payload_bytes}


def second_cp(folder: str, blocks: int, backend: str) -> Figures:
    database, copy = f"{folder}/results", f"{folder}/copy"
    _grow(database, blocks, backend)
    data_file = f"{database}/lotdb.fs"
    size = os.path.getsize(data_file)
    grown = _grow(database, max(blocks // 100, 1), backend)
    new = [path for path in grown if path.endswith(".blob") or "/seg-" in path]
    os.sync()
    os.mkdir(copy)
    with Timer() as timer:
        with open(data_file, "rb") as source, open(f"{copy}/rest", "wb") as rest:
            source.seek(size)
            rest.write(source.read())
        subprocess.run(["cp", "--parents", *new, copy], check=True)
        subprocess.run(["sync", "--file-system", copy], check=True)
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(copy)}


def cases(sizes: Sizes) -> list[Case]:
    found = []
    for backend in ("blob", "zarr"):
        work = {"blocks": sizes.backup_blocks, "backend": backend}
        found.append(
            Case(
                f"second backup after 1 % of {sizes.backup_blocks * TOGETHER} captures more, {backend}",
                Side(f"LOTDB, {backend}", second_lotdb, work, durable="synced"),
                (
                    Against(
                        Side("cp and sync of the new files", second_cp, work, durable="synced"), at_most(1.5)
                    ),
                ),
            )
        )
    return found
