"""The disk is full after so many bytes: an error says so, a smaller commit succeeds, and nothing is lost."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from torture.processes import OtherProcess, say_json, serve
from torture.small_disk import NoDiskError, fill_disk, give_back, mount, unmount
from torture.tally import Settings, Tally, tell

LEVELS = 240
# Of so many bytes, as file systems give them out.
UNIT = 4096
USES = ("commit", "savepoint", "append", "pack")
# A database lives so many levels; it grows, and the disk does not.
EACH = 12
ROWS = 20_000

# -- in the other process -------------------------------------------------------------------------


def prepare(folder: str) -> None:
    """Make a database with something to pack."""
    from lotdb import LOTDB

    with LOTDB(folder) as db:
        for value in (0, 1):
            with db.connection() as root:
                for backend in ("blob", "zarr"):
                    root.get_data_node(backend).write_data(_rows(value), backend=backend)
                for number in range(100):
                    root.get_node(str(number)).attrs["v"] = "x" * 200
    say_json("answer", True)


def _rows(value: int) -> np.ndarray:
    return np.random.default_rng(value).random(ROWS)


def use(folder: str, level: int, how: str) -> None:
    """Do it, and say whether it was done, or how it failed."""
    from lotdb import LOTDB, FileSystemError, LotdbError

    tempfile.tempdir = str(Path(folder).parent)
    found: dict[str, Any] = {"done": False}
    try:
        with LOTDB(folder) as db:
            root = db.open_connection()
            if how == "pack":
                db.pack()
            for backend in ("blob", "zarr"):
                if how == "append":
                    root[backend].append_data(_rows(2)[:1000])
                else:
                    root[backend].write_data(_rows(1))
            for number in range(300):
                root.get_node(f"{level} {number}").attrs["v"] = "y" * 200
            if how == "savepoint":
                db.savepoint()
                root[f"{level} 0"].attrs["v"] = "z"
            db.commit()
            found["done"] = True
    except FileSystemError as error:
        found["error"] = [error.errno, str(error.filename), str(error)]
    except LotdbError as error:
        found["error"] = [None, "", f"{type(error).__name__}: {error}"]
    except Exception as error:
        found["untyped"] = f"{type(error).__name__}: {error}"
    say_json("answer", found)


def look(folder: str, level: int) -> None:
    """Commit something small, and say what there is."""
    from lotdb import LOTDB

    found: dict[str, Any] = {}
    try:
        with LOTDB(folder) as db, db.connection() as root:
            root.attrs["level"] = level
        with LOTDB(folder) as db:
            found["damage"] = [str(each) for each in db.verify()]
            with db.connection() as root:
                found["done"] = f"{level} 299" in root
                found["half"] = f"{level} 0" in root and not found["done"]
                found["level"] = root.attrs["level"]
                found["old"] = root["99"].attrs["v"] == "x" * 200
                found["rows"] = [len(root[backend].read_data()) - ROWS for backend in ("blob", "zarr")]
                found["right"] = all(
                    (root[backend].read_data(0, ROWS) == _rows(1)).all() for backend in ("blob", "zarr")
                )
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {error}"
    say_json("answer", found)


# -- in the parent --------------------------------------------------------------------------------


def run(settings: Settings) -> list[Tally]:
    tally = Tally("full disk", settings.seed)
    disk = settings.folder / "small"
    try:
        mount(disk, "size=4m")
    except NoDiskError as error:
        tally.note = f"not run: {error}"
        return [tally]
    try:
        with OtherProcess("torture.full_disk") as other:
            levels = settings.random("levels").sample(range(LEVELS), min(settings.times(LEVELS), LEVELS))
            for count, level in enumerate(sorted(levels)):
                tell(f"full disk {level}")
                if count % EACH == 0:
                    shutil.rmtree(disk / "db", ignore_errors=True)
                    other.ask("prepare", disk / "db")
                    appended = 0
                appended = _level(tally, other, disk, level, USES[level % len(USES)], appended)
    finally:
        unmount(disk)
    tally.note_counts()
    return [tally]


def _level(tally: Tally, other: OtherProcess, disk: Path, level: int, how: str, appended: int) -> int:
    about = f"--only full_disk, level {level} ({how})"
    tally.runs += 1
    fill_disk(disk, level // len(USES) * 2 * UNIT)
    outcome, ended = other.ask("use", disk / "db", level, how)
    give_back(disk)
    if outcome is None or "untyped" in outcome:
        tally.blame("untyped", f"{about}: {ended} {outcome}")
        return appended
    if "error" in outcome:
        number, file, _ = outcome["error"]
        tally.counted["said that it is full" if number == 28 and file else "said otherwise"] += 1
        if number != 28 or not file:
            tally.blame("untyped", f"{about}: {outcome}")
    else:
        tally.counted["done"] += 1
    found, ended = other.ask("look", disk / "db", level)
    if found is None or "error" in found:
        tally.blame("not_opened", f"{about}: {ended} {found} after {outcome}")
        return appended
    tally.acknowledged += 1 + outcome["done"]
    if how == "append" and found["done"]:
        appended += 1000
    elif found["done"]:
        appended = 0
    if outcome["done"] and not found["done"]:
        tally.blame("lost", f"{about}: {found}")
    if found["half"] or (found["done"] and not outcome["done"]) or found["rows"] != [appended] * 2:
        tally.blame("torn", f"{about}: {outcome} left {found}, and not {appended} rows")
    if not (found["old"] and found["right"] and found["level"] == level):
        tally.blame("wrong", f"{about}: {found}")
    if found["damage"]:
        tally.blame("torn", f"{about}: {found}")
    return appended


if __name__ == "__main__":
    from torture.story_worker import load_everything

    load_everything()
    serve(globals())
