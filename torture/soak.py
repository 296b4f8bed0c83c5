"""Writers, packs, readers and backups at once, for a while: what is read is one commit, nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from torture.processes import ROOT
from torture.tally import Settings, Tally

SECONDS = 600
WRITERS, READERS = 3, 2
BACKENDS = ("blob", "zarr")


class Told:
    """What a process has done, and what went wrong."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.faults: list[list[str]] = []

    def count(self, what: str, times: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + times

    def repeat(self, seconds: float, work: Callable[[], None], pause_s: float = 0.0) -> None:
        """Do the work for so long; an error ends it."""
        from lotdb import LotdbError

        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                work()
                time.sleep(pause_s)
        except AssertionError as error:
            self.faults.append(["torn", str(error)])
        except LotdbError as error:
            self.faults.append(["not_opened", f"{type(error).__name__}: {error}"])
        except Exception as error:
            where = traceback.format_tb(error.__traceback__)[-3:]
            self.faults.append(["untyped", f"{type(error).__name__}: {error}, at {' '.join(where)}"])


def _rows(number: int) -> np.ndarray:
    return np.full((10, 100, 30_000)[number % 3] + number % 7, number)


def look(root: Any, seen: dict[str, int]) -> None:
    """Whether all that each writer has written is of one commit, and none older than what was seen."""
    for node in root.get_node("writers").iterate_tree_level(1):
        number = node.attrs["number"]
        assert number >= seen.get(node.key, 0), f"{node.key} went back from {seen[node.key]} to {number}"
        seen[node.key] = number
        assert np.array_equal(node.read_data(), _rows(number)), f"{node.key} is torn at {number}"
        log = node["log"].read_data()
        assert np.array_equal(log, np.arange(number + 1)), f"the log of {node.key} is torn at {number}"


def write(folder: Path, seconds: float) -> Told:
    """Let threads write, and one pack."""
    from lotdb import LOTDB

    told = Told()
    with LOTDB(folder / "db") as db:

        def writer(name: str) -> None:
            def once(root: Any) -> None:
                node = root.get_data_node(["writers", name])
                number = node.attrs["number"] + 1
                node.attrs["number"] = number
                node.write_data(_rows(number), backend=BACKENDS[number % 2])
                log = node["log"]
                log.append_data(np.array([number]))
                if number % 100 == 0:
                    log.compact_data()
                if number % 50 == 0:
                    if "old" in root:
                        del root["old"]
                    root["writers"].branch("copy").move(root, "old")

            def work() -> None:
                db.run(once, attempts=100)
                told.count(name)

            told.repeat(seconds, work)

        def pack() -> None:
            db.pack()
            told.count("packs")

        threads = [threading.Thread(target=writer, args=(f"w{number}",)) for number in range(WRITERS)]
        threads.append(threading.Thread(target=told.repeat, args=(seconds, pack, 2.0)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return told


def read(folder: Path, seconds: float) -> Told:
    """Look at the database again and again, in one that stays open and now and then in a new one."""
    from lotdb import LOTDB

    told, seen = Told(), {}  # type: ignore[var-annotated]
    with LOTDB(folder / "db", read_only=True) as db:

        def work() -> None:
            with db.connection() as root:
                look(root, seen)
            told.count("looks")
            if told.counts["looks"] % 20 == 0:
                with LOTDB(folder / "db", read_only=True) as other:
                    damage = other.verify()
                    assert damage == [], f"verify found {damage}"
                told.count("verified")

        told.repeat(seconds, work, 0.05)
    return told


def back_up(folder: Path, seconds: float) -> Told:
    """Make backups, and look at each."""
    from lotdb import LOTDB

    told, seen = Told(), {}  # type: ignore[var-annotated]
    with LOTDB(folder / "db", read_only=True) as db:

        def work() -> None:
            with db.connection() as root:
                look(root, seen)
            db.backup(folder / "copy")
            with LOTDB(folder / "copy", read_only=True) as copy:
                with copy.connection() as root:
                    look(root, seen)
                if told.counts.get("backups", 0) % 10 == 0:
                    damage = copy.verify()
                    assert damage == [], f"verify of the copy found {damage}"
            told.count("backups")

        told.repeat(seconds, work, 0.5)
    return told


ROLES: dict[str, Callable[[Path, float], Told]] = {"write": write, "read": read, "back_up": back_up}


def run(settings: Settings) -> list[Tally]:
    from lotdb import LOTDB

    tally = Tally("soak", settings.seed)
    seconds = SECONDS * settings.effort
    with LOTDB(settings.folder / "db") as db, db.connection() as root:
        for number in range(WRITERS):
            node = root.get_data_node(["writers", f"w{number}"])
            node.attrs["number"] = 0
            node.write_data(_rows(0))
            node.get_data_node("log").write_data(np.array([0]))
    roles = ["write", *["read"] * READERS, "back_up"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "torture.soak", role, str(settings.folder), str(seconds)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for role in roles
    ]
    counts: dict[str, int] = {}
    for role, process in zip(roles, processes, strict=True):
        try:
            said = process.communicate(timeout=seconds + 600)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            tally.blame("not_opened", f"soak: to {role} hangs")
            continue
        if process.returncode:
            tally.blame("untyped", f"soak: to {role} ended with {process.returncode}")
            continue
        told = json.loads(said.splitlines()[-1])
        for what, text in told["faults"]:
            tally.blame(what, f"soak, {role}: {text}")
        for what, count in told["counts"].items():
            counts[what] = counts.get(what, 0) + count
    tally.runs = 1
    with LOTDB(settings.folder / "db") as db:
        with db.connection() as root, suppress(KeyError):
            for number in range(WRITERS):
                name = f"w{number}"
                tally.acknowledged += counts.get(name, 0)
                found = root["writers"][name].attrs["number"]
                if found < counts.get(name, 0):
                    tally.blame("lost", f"soak: {name} acknowledged {counts[name]}, and {found} are there")
            look(root, {})
        if damage := db.verify():
            tally.blame("torn", f"soak: {damage}")
    tally.counted.update({what: count for what, count in counts.items() if not what.startswith("w")})
    tally.note_counts(f"{seconds:.0f} s: ")
    return [tally]


if __name__ == "__main__":
    role, folder, seconds = sys.argv[1:]
    told = ROLES[role](Path(folder), float(seconds))
    print(json.dumps(vars(told)), flush=True)
    os._exit(0)
