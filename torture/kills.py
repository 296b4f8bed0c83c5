"""A process is killed at a random moment of each operation: what it had acknowledged is there, and whole."""

from __future__ import annotations

import shutil
import time

from torture.judge import Past, judge
from torture.processes import Hung, OtherProcess
from torture.story import KINDS
from torture.tally import Settings, Tally

KILLS = 1200
# A database lives so many kills; the first one may come while it is created.
EACH = 30


def run(settings: Settings) -> list[Tally]:
    tally = Tally("kills -9", settings.seed)
    place = settings.folder / "kills"
    kinds = list(KINDS)
    with OtherProcess("torture.story_worker") as other:
        past = Past()
        for number in range(settings.times(KILLS)):
            if number % EACH == 0 or past is None:
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir(parents=True)
                past = Past()
            focus = kinds[(number + number // len(kinds)) % len(kinds)]
            if not _kill(settings, tally, other, past, place, number, focus):
                shutil.rmtree(settings.folder / f"kept-kill-{number}", ignore_errors=True)
                shutil.copytree(place, settings.folder / f"kept-kill-{number}", symlinks=True)
                past = None
    shutil.rmtree(place, ignore_errors=True)
    tally.note_counts("in flight: ")
    return [tally]


def _kill(settings: Settings, tally: Tally, other: OtherProcess, past: Past, place, number, focus) -> bool:
    rng = settings.random("kill", number)
    name = f"{settings.seed} kill {number}"
    about = f"--only kills --seed {settings.seed}, kill {number} ({focus})"
    # Syncing takes most of the time of a commit; without it more happens between two kills.
    how = {"durability": "process"} if rng.random() < 0.5 else {}
    tally.runs += 1
    other.start("work", place, past.model, name, focus, how)
    said = []
    try:
        if number % EACH or rng.random() < 0.3:
            for _ in range(rng.randint(1, 8)):
                said.append(other.line())
                if said[-1][0] == "end":
                    break
        if not said or said[-1][0] != "end":
            time.sleep(10 ** rng.uniform(-4, -1))
            other.kill()
            more, ended = other.to_the_end()
            said += more
        else:
            ended = said[-1][1]
    except Hung as error:
        tally.blame("not_opened", f"{about}: the worker hung: {error}")
        return False
    if ended != "killed":
        tally.blame("untyped", f"{about}: the worker {ended} after {said[-3:]}")
        return False
    acknowledged = sum(line[0] == "acknowledged" and len(line) == 2 for line in said)
    # One that was killed before it was created is created by who looks.
    read_only = rng.random() < 0.3 and past.model["number"] + acknowledged > 0
    answer, ended = other.ask("look", place, read_only, True)
    return judge(tally, past, name, focus, acknowledged, answer, ended, about)
