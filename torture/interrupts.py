"""Ctrl-C at random moments of reading, writing, moving, opening and closing: what is there is old or new."""

from __future__ import annotations

import re
import subprocess
import sys

from torture.processes import ROOT
from torture.tally import Settings, Tally

INTERRUPTS = 3000


def run(settings: Settings) -> list[Tally]:
    tally = Tally("interrupts", settings.seed)
    tally.runs = settings.times(INTERRUPTS)
    job = [
        sys.executable,
        "-m",
        "torture.storm",
        str(settings.folder / "storm"),
        str(tally.runs),
        str(settings.seed),
    ]
    try:
        # What the signal finds in a destructor, Python prints and drops.
        done = subprocess.run(job, cwd=ROOT, capture_output=True, text=True, timeout=300 + tally.runs)
    except subprocess.TimeoutExpired:
        tally.blame("not_opened", f"--only interrupts --seed {settings.seed}: it hangs")
        return [tally]
    if done.returncode:
        what = "torn" if "AssertionError" in done.stderr else "untyped"
        what = "not_opened" if "Timeout (" in done.stderr else what  # it hangs, and has said where
        tally.blame(what, f"--only interrupts --seed {settings.seed}: {done.stderr[-1500:]}")
    if found := re.search(r"in (\d+) actions, (\d+) commits", done.stdout):
        tally.acknowledged = int(found[2])
        tally.note = f"in {found[1]} actions"
    return [tally]
