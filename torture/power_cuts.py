"""The power fails at a random moment: what had reached the disk has all that was acknowledged."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from torture.images import FILE_SYSTEMS, Images, NoImagesError
from torture.judge import Past, judge
from torture.processes import Hung, OtherProcess
from torture.story import KINDS
from torture.tally import Settings, Tally, tell

CUTS = 110  # of each file system
# A database lives so many cuts; the first one may come while it is created, or right after.
EACH = 11


def run(settings: Settings) -> list[Tally]:
    tallies = []
    for kind in FILE_SYSTEMS:
        tally = Tally(f"power cuts, {kind}", settings.seed)
        tallies.append(tally)
        start = time.monotonic()
        try:
            with Images(settings.folder / kind) as images, OtherProcess("torture.story_worker") as other:
                _cuts(settings, tally, images, other, kind)
            tally.note_counts("in flight: ")
        except NoImagesError as error:
            tally.note = f"not run: {error}"
        tally.seconds = time.monotonic() - start
    return tallies


def _cuts(settings: Settings, tally: Tally, images: Images, other: OtherProcess, kind: str) -> None:
    past = None
    kinds = list(KINDS)
    for number in range(settings.times(CUTS)):
        tell(f"{tally.test} {number + 1}")
        if number % EACH == 0 or past is None:
            images.make(kind)
            past = Past()
        # Each second database is new when the power fails.
        is_young = number % EACH == 0
        focus = "pack" if number % 4 == 1 else kinds[(number + number // len(kinds)) % len(kinds)]
        place = images.mounted / "place"
        if not _cut(settings, tally, images, other, past, place, kind, number, focus, is_young):
            kept = Path(os.environ.get("TORTURE_KEPT", settings.folder)) / f"kept-{kind}-{number}"
            images.keep(kept)
            past = None


def _cut(settings, tally, images, other, past, place, kind, number, focus, is_young) -> bool:  # type: ignore[no-untyped-def]
    rng = settings.random("cut", kind, number)
    name = f"{settings.seed} {kind} {number}"
    about = f"--only power_cuts --seed {settings.seed}, {kind} {number} ({focus})"
    tally.runs += 1
    place.mkdir(exist_ok=True)
    if is_young:
        os.sync()  # the folder itself is nobody's promise
    other.start("work", place, past.model, name, focus, {})
    said = []
    try:
        for _ in range(rng.randint(0, 2) if is_young else rng.randint(1, 10)):
            said.append(other.line())
            if said[-1][0] == "end":
                break
        # Now and then so late that the file system has written its journal by itself.
        time.sleep(rng.choice([0.0, 0.01, 0.1, 1.2]) * rng.random())
        if said and said[-1][0] == "end":
            tally.blame("untyped", f"{about}: the worker {said[-1]} after {said[-3:]}")
            return False
        with suppress(ProcessLookupError):  # it has failed meanwhile, as it says below
            os.kill(other.pid, signal.SIGSTOP)
        # What it has said by now, it had said when the power failed; what it has done since, nobody knows of.
        while other.has_line(0.002):
            said.append(other.line())
        images.cut()
        with suppress(ProcessLookupError):
            other.kill()
        more, ended = other.to_the_end()
    except Hung as error:
        tally.blame("not_opened", f"{about}: the worker hung: {error}")
        return False
    if ended != "killed" or more:
        tally.blame("untyped", f"{about}: the worker {ended} after {said[-2:]} {more}")
        return False
    images.go_on(rng.choice(["", FILE_SYSTEMS[kind][1]]))
    place.mkdir(exist_ok=True)
    acknowledged = sum(line[0] == "acknowledged" for line in said)
    read_only = rng.random() < 0.3 and past.model["number"] + acknowledged > 0
    answer, ended = other.ask("look", place, read_only, True)
    return judge(tally, past, name, focus, acknowledged, answer, ended, about)
