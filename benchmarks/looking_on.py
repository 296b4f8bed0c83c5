"""A monitor in a process of its own, beside a recorder: what looking on costs it, and what it costs a pack.

The recorder appends 0.1 s of stereo at 48 kHz a commit; the commits before those that are measured change a
number.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import numpy as np

from benchmarks.cases import Against, Case, Figures, Side, at_most, below
from benchmarks.clock import Timer, check
from benchmarks.data import AUDIO_HZ, audio
from benchmarks.sizes import Sizes

ROWS = AUDIO_HZ // 10
LOOKS = 40
REPLACED = 200
MONITOR = """
import sys, time
from lotdb import LOTDB
with LOTDB(sys.argv[1], read_only=True) as db:
    root = db.open_connection()
    print("looks on", flush=True)
    while True:
        db.refresh()
        root["speech"].get_data()[-4800:]
        time.sleep(0.1)
"""


def look_on(folder: str, commits: int) -> Figures:
    """Refresh and read the last second, when the writer has made so many commits since it was opened."""
    from lotdb import LOTDB

    block = audio(ROWS)
    with LOTDB(folder, new=True, durability="process") as db:
        node = db.open_connection().get_data_node("speech", samplerate_hz=AUDIO_HZ)
        node.write_data(audio(2 * AUDIO_HZ))
        db.commit()
        with LOTDB(folder, read_only=True) as reader:
            seen = reader.open_connection()["speech"]
            for number in range(commits):
                node.set_attribute("take", number)
                db.commit()
            reader.refresh()
            seconds = []
            for number in range(LOOKS):
                block[-1] = number
                node.append_data(block)
                db.commit()
                with Timer() as timer:
                    reader.refresh()
                    last = seen.get_data()[-AUDIO_HZ:]
                seconds.append(timer.seconds)
                check(last[-1, 0] == number and len(last) == AUDIO_HZ, "the last second")
    return {"seconds": statistics.median(seconds)}


def pack(folder: str, monitored: bool) -> Figures:
    """Pack a database in which a payload was replaced many times."""
    from lotdb import LOTDB

    with LOTDB(folder, new=True, durability="process") as db:
        root = db.open_connection()
        node = root.get_data_node("speech", samplerate_hz=AUDIO_HZ)
        for number in range(REPLACED):
            node.write_data(np.full((AUDIO_HZ, 2), number, "float32"))
            for place in range(20):
                root.get_node(f"take_{place}").set_attribute("take", number)
            db.commit()
        command = [sys.executable, "-c", MONITOR, folder]
        if not monitored:
            command = [sys.executable, "-c", "import time; print('looks on', flush=True); time.sleep(600)"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as monitor:
            try:
                check(monitor.stdout is not None and monitor.stdout.readline() == "looks on\n", "the monitor")
                time.sleep(0.3)
                with Timer() as timer:
                    db.pack()
            finally:
                monitor.kill()
    return {"seconds": timer.seconds}


def cases(sizes: Sizes) -> list[Case]:
    few, *more = sizes.commits_before
    first = Side(f"after {few} commits", look_on, {"commits": few})
    alone = Side("nobody looks on", pack, {"monitored": False})
    return [
        *(
            Case(
                f"see what another process has appended, and read the last second, after {count} commits",
                Side("LOTDB", look_on, {"commits": count}),
                (Against(first, at_most(1.5)),),
                alone=below(0.005, "5 ms"),
            )
            for count in more
        ),
        Case(
            "pack while another process looks on ten times a second",
            Side("LOTDB", pack, {"monitored": True}),
            (Against(alone, at_most(2)),),
        ),
    ]
