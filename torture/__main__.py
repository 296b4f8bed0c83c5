"""``make torture``: run the tests, print their table, and write it into a Markdown file."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from torture import report
from torture.tally import Settings, Tally

TESTS = (
    "kills",
    "system_calls",
    "power_cuts",
    "replayed_cuts",
    "full_disk",
    "damage",
    "isolation",
    "interrupts",
    "soak",
    "peers",
)
OUTPUT = Path(__file__).parent / "output"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make torture ARGS=...", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=TESTS, metavar="TEST", help=", ".join(TESTS))
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the random numbers (1)")
    parser.add_argument(
        "--effort", type=float, default=1.0, metavar="X", help="how much of all: 0.1 is a tenth"
    )
    parser.add_argument(
        "--jobs", type=int, default=2, metavar="N", help="processes that share the system calls (2)"
    )
    parser.add_argument("--folder", type=Path, help="where databases are made; by default a temporary folder")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where torture.md is written")
    parser.add_argument(
        "--peer", type=os.path.abspath, metavar="PYTHON", help="the Python of an environment with lotdb 1.1.3"
    )
    return parser.parse_args()


def torture(name: str, settings: Settings) -> list[Tally]:
    """The rows of a test."""
    start = time.monotonic()
    tallies: list[Tally] = importlib.import_module(f"torture.{name}").run(settings)
    for tally in tallies:
        tally.seconds = tally.seconds or (time.monotonic() - start) / len(tallies)
    return tallies


def main() -> None:
    options = arguments()
    options.output.mkdir(parents=True, exist_ok=True)
    print(report.versions(options.peer))
    print(report.heading(), flush=True)
    tallies: list[Tally] = []
    for name in options.only or TESTS:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="torture-") as folder:
            settings = Settings(Path(folder), options.seed, options.effort, options.jobs, options.peer)
            for tally in torture(name, settings):
                print(report.line(tally), flush=True)
                if tally.note:
                    print(f"    {tally.note}", flush=True)
                tallies.append(tally)
    ours = [tally for tally in tallies if tally.library == "LOTDB"]
    compared = [tally for tally in tallies if tally.test.startswith("peers: ")]
    own = [tally for tally in tallies if tally not in compared]
    text = f"{report.versions(options.peer)}\n\n{report.markdown(own, with_library=False)}\n"
    for tally in compared:
        tally.test = tally.test.removeprefix("peers: ")
    text += report.markdown(compared, with_library=True) if compared else ""
    (options.output / "torture.md").write_text(text)
    rows = [{**vars(tally), "faults": tally.faults[:100]} for tally in tallies]
    (options.output / "torture.json").write_text(json.dumps(rows, indent=1))
    print(f"written to {options.output / 'torture.md'}")
    if not all(tally.is_clean for tally in ours):
        sys.exit("LOTDB did not survive all of it")


if __name__ == "__main__":
    main()
