"""A power cut between any two calls, on a file system that keeps what was synced and any part of the rest."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from torture.calls import has_strace, traced, wait_until_stopped
from torture.judge import Past, judge
from torture.processes import OtherProcess
from torture.story import KINDS
from torture.tally import Settings, Tally, tell
from torture.write_log import CALLS, Event, LoggedDisk, events_in

SESSIONS, STEPS = 15, 12
CUTS = 24  # of each session


def run(settings: Settings) -> list[Tally]:
    tally = Tally("power cuts, replayed", settings.seed)
    if not has_strace():
        tally.note = "not run: strace is not installed"
        return [tally]
    kinds = [kind for kind in KINDS if kind not in ("abort", "restore")]
    with OtherProcess("torture.story_worker") as other:
        for number in range(settings.times(SESSIONS)):
            rng = settings.random("replay", number)
            name, focus = f"{settings.seed} replay {number}", kinds[number % len(kinds)]
            place = settings.folder / f"replay{number}"
            place.mkdir()
            disk = LoggedDisk(place)
            events = record(other, settings.folder / "log", "work_traced", place, name, focus, STEPS)
            cuts = sorted(rng.choices(range(1, len(events) + 1), k=CUTS))
            _replay(settings, tally, other, disk, events, cuts, name, focus, number)
            shutil.rmtree(place)
    tally.note_counts("in flight: ")
    return [tally]


def record(other: OtherProcess, log: Path, job: str, *arguments: object) -> list[Event]:
    """What a job writes that stops itself first, call by call; from its last acknowledgement on nothing."""
    other.start(job, *arguments)
    word, *_ = other.line()
    assert word == "ready", word
    wait_until_stopped(other.pid)
    strace = traced(other.pid, log, "-xx", "-s", str(10**8), calls=CALLS)
    said, ended = other.to_the_end()
    strace.communicate(timeout=120)
    assert ended == "done", (ended, said[-3:])
    return list(events_in(log))


def acknowledgements(event: Event) -> int:
    """How many commits an event acknowledges."""
    if event.call != "write" or event.file()[0] != "1":
        return 0
    return b"".join(event.strings()).count(b"acknowledged")


def _replay(settings, tally, other, disk, events, cuts, name, focus, number) -> None:
    acknowledged, applied = 0, 0
    for at in cuts:
        for event in events[applied:at]:
            disk.apply(event)
            acknowledged += acknowledgements(event)
        applied = at
        tell(f"{tally.test} {tally.runs + 1}")
        where = f"session {number} ({focus}), call {at} of {len(events)}"
        about = f"--only replayed_cuts --seed {settings.seed}, {where}"
        tally.runs += 1
        target = settings.folder / "cut"
        shutil.rmtree(target, ignore_errors=True)
        disk.cut(target, settings.random("cut", number, tally.runs))
        answer, ended = other.ask("look", target, False, True)
        if answer is not None:
            answer.pop("restored", None)  # a folder that is moved is one name, and here each file in it is
        if not judge(tally, Past(), name, focus, acknowledged, answer, ended, about):
            kept = os.environ.get("TORTURE_KEPT")
            if kept:
                shutil.copytree(target, Path(kept) / f"replayed-{number}-{at}", dirs_exist_ok=True)


__all__ = ["acknowledgements", "record", "run"]
