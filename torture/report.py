"""The table, for a terminal and as Markdown."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import subprocess
from collections.abc import Iterable

from torture.tally import Tally

COLUMNS = ("runs", "acknowledged", "lost", "torn", "wrong", "not_opened", "untyped")
HEADINGS = ("runs", "acknowledged commits", "lost", "torn", "wrong", "not opened", "untyped errors")
PACKAGES = ("lotdb-core", "ZODB", "numpy", "zarr", "h5py")


def heading() -> str:
    return f"{'test':<46}" + "".join(f"{name.split()[0]:>9}" for name in HEADINGS) + f"{'seed':>6}"


def line(tally: Tally) -> str:
    figures = "".join(f"{getattr(tally, name):>9}" for name in COLUMNS)
    name = tally.test if tally.library == "LOTDB" else f"{tally.test}, {tally.library}"
    return f"{name:<46}{figures}{tally.seed:>6}  {tally.seconds:.0f} s"


def markdown(tallies: Iterable[Tally], *, with_library: bool) -> str:
    first = ["test", "library"] if with_library else ["test"]
    lines = [
        "| " + " | ".join([*first, *HEADINGS, "seed", ""]) + " |",
        "|" + "---|" * len(first) + "---:|" * (len(HEADINGS) + 1) + "---|",
    ]
    for each in tallies:
        cells = [each.test, each.library] if with_library else [each.test]
        cells += [f"{getattr(each, name):,}".replace(",", " ") for name in COLUMNS]
        lines.append("| " + " | ".join([*cells, str(each.seed), each.note]) + " |")
    return "\n".join(lines) + "\n"


def versions(peer_python: str | None) -> str:
    """Of what was tested, and on what."""
    here = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    if peer_python is not None:
        code = "from importlib.metadata import version as v; print('lotdb', v('lotdb') + ', ZODB', v('ZODB'))"
        done = subprocess.run([peer_python, "-c", code], capture_output=True, text=True, check=True)
        here += f"; in an environment of its own {done.stdout.strip()}"
    return (
        f"{datetime.date.today().isoformat()}; {here}; Python {platform.python_version()}, "
        f"{platform.system()} {platform.release().split('-')[0]}"
    )
