"""The same tests on LOTDB, h5py, zarr and lotdb 1.1.3, with work that each of them can do.

A library is not blamed for what it does not promise: h5py and zarr have no transactions, so what a kill
leaves of the commit in flight is not counted, as long as the commits before it are there and right.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torture.calls import has_strace
from torture.libraries import LIBRARIES
from torture.processes import Hung, OtherProcess
from torture.replayed_cuts import acknowledgements, record
from torture.small_disk import NoDiskError, fill_disk, give_back, mount, unmount
from torture.tally import Settings, Tally, tell
from torture.write_log import LoggedDisk

KILLS, LEVELS, FLIPS, CUTS, POWER_CUTS = 60, 40, 150, 100, 60


def run(settings: Settings) -> list[Tally]:
    tallies = []
    for name in LIBRARIES:
        python = settings.peer_python if name == "lotdb 1.1.3" else sys.executable
        if python is None:
            continue
        with OtherProcess("torture.peer_worker", python, quiet=True) as other:
            for test in (_kills, _power_cuts, _full_disk, _flips, _truncations):
                tally = Tally(f"peers: {test.__name__[1:].replace('_', ' ')}", settings.seed, library=name)
                tell(f"{tally.test} {name}")
                start = time.monotonic()
                folder = settings.folder / f"{name} {test.__name__}"
                folder.mkdir()
                test(settings, tally, other, name, folder)
                shutil.rmtree(folder, ignore_errors=True)
                tally.seconds = time.monotonic() - start
                if tally.counted:
                    tally.note_counts()
                tallies.append(tally)
    return sorted(tallies, key=lambda tally: tally.test)


def _judge(tally: Tally, answer: Any, ended: str, acknowledged: int, about: str) -> int:
    """Count what is lost, torn or wrong of commits 1 to *acknowledged*; the number that is there."""
    if answer is None:
        tally.counted[f"{ended} while reading"] += 1
        tally.blame("not_opened", f"{about}: {ended}")
        return acknowledged
    if answer["error"] is not None and answer["number"] is None:
        tally.blame("not_opened", f"{about}: {answer['error']}")
        return acknowledged
    missing = [number for number in range(1, acknowledged + 1) if number not in answer["right"]]
    if answer["error"] is not None:
        tally.counted["not read to the end"] += 1
        tally.blame("not_opened", f"{about}: {answer['error']}")
        return acknowledged
    wrong = [key for key in answer["wrong"] if int(key.partition("_")[2]) <= acknowledged]
    if wrong:
        tally.blame("wrong", f"{about}: {wrong}", len(wrong))
    if lost := [number for number in missing if f"item_{number}" not in answer["wrong"]]:
        tally.blame("lost", f"{about}: {lost[:5]}", len(lost))
    current = answer["current"]
    if current == "torn" or (acknowledged and (current is None or current < acknowledged)):
        tally.blame("torn", f"{about}: {current} of {acknowledged}")
    return max(acknowledged, answer["number"] or 0)


def _kills(settings: Settings, tally: Tally, other: OtherProcess, name: str, folder: Path) -> None:
    rng = settings.random("kill", name)
    place, number = folder / "0", 0
    place.mkdir()
    for kill in range(settings.times(KILLS)):
        if kill % 10 == 0:
            place, number = folder / str(kill), 0
            place.mkdir(exist_ok=True)
        tally.runs += 1
        other.start("work", name, place, number + 1)
        said: list[list[str]] = []
        try:
            for _ in range(rng.randint(1, 6)):
                said.append(other.line(30))
                if said[-1][0] == "end":
                    break
            if said[-1][0] == "end":
                tally.counted["could not write again"] += 1
                tally.blame("not_opened", f"kill {kill}: {said[-1]}")
                place, number = folder / f"{kill} new", 0
                place.mkdir()
                continue
            time.sleep(10 ** rng.uniform(-4, -2))
            other.kill()
            said += other.to_the_end()[0]
        except Hung:
            other.to_the_end()
            tally.blame("not_opened", f"kill {kill}: hangs")
            continue
        last = max([number, *(int(line[1]) for line in said if line[0] == "acknowledged" and len(line) == 2)])
        tally.acknowledged += last - number
        faults = len(tally.faults)
        number = _judge(tally, *other.ask("look", name, place), last, f"kill {kill}")
        if len(tally.faults) > faults:
            place, number = folder / f"{kill} new", 0
            place.mkdir()


def _power_cuts(settings: Settings, tally: Tally, other: OtherProcess, name: str, folder: Path) -> None:
    if not has_strace():
        tally.note = "not run: strace is not installed"
        return
    place = folder / "place"
    place.mkdir()
    disk = LoggedDisk(place)
    events = record(other, folder / "log", "work_traced", name, place, 6)
    rng = settings.random("cut", name)
    cuts = sorted(rng.choices(range(1, len(events) + 1), k=settings.times(POWER_CUTS)))
    acknowledged = applied = 0
    for at in cuts:
        for event in events[applied:at]:
            disk.apply(event)
            acknowledged += acknowledgements(event)
        applied = at
        tally.runs += 1
        tally.acknowledged += acknowledged
        target = folder / "cut"
        shutil.rmtree(target, ignore_errors=True)
        disk.cut(target, rng)
        _judge(tally, *other.ask("look", name, target), acknowledged, f"call {at}")


def _full_disk(settings: Settings, tally: Tally, other: OtherProcess, name: str, folder: Path) -> None:
    disk = folder / "disk"
    for level in range(settings.times(LEVELS)):
        try:
            mount(disk, "size=4m")
        except NoDiskError as error:
            tally.note = f"not run: {error}"
            return
        try:
            place = disk / "place"
            place.mkdir()
            other.ask("work_full", name, place, 1, 2)
            fill_disk(disk, level * 8192)
            tally.runs += 1
            done, ended = other.ask("work_full", name, place, 3, 3)
            give_back(disk)
            if done is None:
                tally.counted[f"{ended} while writing"] += 1
            acknowledged = 2 + (done["done"] if done else 0)
            tally.acknowledged += acknowledged
            _judge(tally, *other.ask("look", name, place), acknowledged, f"level {level}")
        finally:
            unmount(disk)


def _flips(settings: Settings, tally: Tally, other: OtherProcess, name: str, folder: Path) -> None:
    def flip(path: Path, rng: random.Random) -> None:
        at = rng.randrange(path.stat().st_size * 8)
        with open(path, "r+b") as file:
            file.seek(at // 8)
            byte = file.read(1)[0]
            file.seek(at // 8)
            file.write(bytes([byte ^ 1 << at % 8]))

    _spoil(settings, tally, other, name, folder, settings.times(FLIPS), flip)


def _truncations(settings: Settings, tally: Tally, other: OtherProcess, name: str, folder: Path) -> None:
    def cut(path: Path, rng: random.Random) -> None:
        os.truncate(path, rng.randrange(path.stat().st_size))

    _spoil(settings, tally, other, name, folder, settings.times(CUTS), cut)


def _spoil(
    settings: Settings,
    tally: Tally,
    other: OtherProcess,
    name: str,
    folder: Path,
    times: int,
    spoil: Callable[[Path, random.Random], None],
) -> None:
    """Spoil one file at a time; what is wrong or missing without an error is counted."""
    first, now = folder / "first", folder / "now"
    first.mkdir()
    done, _ = other.ask("work_full", name, first, 1, 6)
    assert done is not None, "the library failed"
    assert done["error"] is None, done
    rng = settings.random("damage", name)
    # Each byte that is stored is as likely as any other.
    files = [path for path in sorted(first.rglob("*")) if path.is_file() and path.stat().st_size]
    for _ in range(times):
        path = rng.choices(files, [file.stat().st_size for file in files])[0]
        shutil.rmtree(now, ignore_errors=True)
        shutil.copytree(first, now)
        spoiled = now / path.relative_to(first)
        spoiled.chmod(0o644)
        spoil(spoiled, rng)
        tally.runs += 1
        answer, ended = other.ask("look", name, now)
        if answer is None:
            tally.counted[ended] += 1
            tally.blame("untyped", f"{path.name}: {ended}")
        elif answer["error"] is not None:
            tally.counted["an error"] += 1
            if name == "LOTDB" and not answer.get("typed"):
                tally.blame("untyped", f"{path.name}: {answer['error']}")
        elif answer["wrong"] or answer["current"] == "torn":
            tally.counted["wrong values"] += 1
            tally.blame("wrong", f"{path.name}: {answer['wrong']}")
        elif sorted(answer["right"]) != [1, 2, 3, 4, 5, 6] or answer["number"] != 6:
            tally.counted["values missing without an error"] += 1
            tally.blame("lost", f"{path.name}: {answer['right']} {answer['number']}")
        else:
            tally.counted["nothing altered"] += 1
