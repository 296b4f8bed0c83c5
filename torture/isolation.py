"""Threads append to lists: no update is lost, and no transaction sees what no order of them can explain.

Each transaction reads some lists and appends a number of its own to some of those. The final lists tell the
order of all appends, so who depended on whom is known. Under snapshot isolation, no circle is possible in
which at most one step goes from a reader to who overwrote what it had read.
"""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from torture.processes import OtherProcess, say_json, serve
from torture.tally import Settings, Tally, tell

SEEDS = 25
THREADS, TRANSACTIONS, LISTS = 5, 30, 6


@dataclass
class Done:
    """A transaction that was committed: what it read, and what it appended to."""

    number: int
    read: dict[str, list[int]] = field(default_factory=dict)
    appended: list[str] = field(default_factory=list)


def work(folder: str, seed: str) -> None:
    """Let threads append, and say what each transaction has seen, and what is there at the end."""
    from lotdb import LOTDB, ConflictError

    done: list[Done] = []
    failures: list[str] = []
    conflicts = [0]
    with LOTDB(folder, durability="process") as db:
        with db.connection() as root:
            for key in range(LISTS):
                root.get_node(f"list{key}").attrs["numbers"] = []

        def run(thread: int) -> None:
            rng = random.Random(f"{seed} {thread}")
            try:
                for each in range(TRANSACTIONS):
                    mine = Done(thread * 10_000 + each)
                    keys = rng.sample([f"list{key}" for key in range(LISTS)], rng.randint(1, 4))
                    try:
                        with db.connection() as root:
                            for key in keys:
                                mine.read[key] = root[key].attrs["numbers"]
                            for key in keys[: rng.randint(0, 2)]:
                                root[key].attrs["numbers"] = [*mine.read[key], mine.number]
                                mine.appended.append(key)
                    except ConflictError:
                        conflicts[0] += 1
                        continue
                    done.append(mine)
            except Exception as error:
                failures.append(f"{type(error).__name__}: {error}")

        threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with LOTDB(folder, read_only=True) as db, db.connection() as root:
        final = {key: root[key].attrs["numbers"] for key in root}
    say_json(
        "answer",
        {
            "done": [vars(each) for each in done],
            "final": final,
            "failures": failures,
            "conflicts": conflicts[0],
        },
    )


def anomalies(done: list[Done], final: dict[str, list[int]]) -> dict[str, list[str]]:
    """What is wrong with these transactions: ``lost`` updates, and ``wrong`` reads."""
    found: dict[str, list[str]] = {"lost": [], "wrong": []}
    by_number = {each.number: each for each in done}
    for each in done:
        for key in each.appended:
            if final[key].count(each.number) != 1:
                found["lost"].append(f"{each.number} is {final[key].count(each.number)} times in {key}")
        for key, seen in each.read.items():
            if final[key][: len(seen)] != seen:
                found["wrong"].append(f"{each.number} read {seen} in {key}, which then was {final[key]}")
    for key, numbers in final.items():
        for number in numbers:
            if number not in by_number or key not in by_number[number].appended:
                found["wrong"].append(f"{number} in {key} was never committed")
    if not any(found.values()):
        found["wrong"] = _circles(by_number, final)
    return found


def _circles(by_number: dict[int, Done], final: dict[str, list[int]]) -> list[str]:
    after: dict[int, set[int]] = defaultdict(set)  # who came after whom for sure
    overtaken: list[tuple[int, int]] = []  # a reader, and who wrote next what it had read
    for key, numbers in final.items():
        for one, next_one in pairwise(numbers):
            after[one].add(next_one)
        for each in by_number.values():
            if key not in each.read:
                continue
            seen = each.read[key]
            if seen and seen[-1] != each.number:
                after[seen[-1]].add(each.number)
            rest = numbers[len(seen) :]
            if rest and rest[0] != each.number:
                overtaken.append((each.number, rest[0]))
    reached = {number: _reach(after, number) for number in by_number}
    circles = [f"{number} came before itself" for number in by_number if number in reached[number]]
    return circles + [
        f"{reader} did not see {writer}, which came before it"
        for reader, writer in overtaken
        if reader in reached[writer]
    ]


def _reach(after: dict[int, set[int]], start: int) -> set[int]:
    found: set[int] = set()
    todo = [start]
    while todo:
        for number in after[todo.pop()]:
            if number not in found:
                found.add(number)
                todo.append(number)
    return found


def run(settings: Settings) -> list[Tally]:
    tally = Tally("isolation", settings.seed)
    with OtherProcess("torture.isolation") as other:
        for number in range(settings.times(SEEDS)):
            tell(f"isolation {number}")
            about = f"--only isolation --seed {settings.seed}, {number}"
            tally.runs += 1
            folder: Path = settings.folder / f"isolation{number}"
            answer, ended = other.ask("work", folder, f"{settings.seed} {number}")
            if answer is None or answer["failures"]:
                tally.blame("untyped", f"{about}: {ended} {answer and answer['failures']}")
                continue
            _judge(tally, answer, about)
    tally.note_counts()
    return [tally]


def _judge(tally: Tally, answer: Any, about: str) -> None:
    done = [Done(**each) for each in answer["done"]]
    tally.acknowledged += sum(bool(each.appended) for each in done)
    tally.counted["conflicts"] += answer["conflicts"]
    tally.counted["transactions"] += len(done)
    for what, texts in anomalies(done, answer["final"]).items():
        for text in texts:
            tally.blame(what, f"{about}: {text}")


if __name__ == "__main__":
    from torture.story_worker import load_everything

    load_everything()
    serve(globals())
