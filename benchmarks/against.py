"""LOTDB at another commit, in an environment of its own, to compare this checkout's LOTDB with.

The commit's packages are installed into it, and all else comes from the environment that runs this: only
LOTDB differs. What is done is what the benchmarks of this checkout say, for both.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.cases import Against, Case, Side
from benchmarks.run import ROOT, Row

PACKAGES = ("lotdb-core", "lotdb-backend-blob", "lotdb-backend-zarr", "lotdb-ingest")
# A row is called slower, or faster, if each repetition was so by more than this.
TOLERANCE = 0.03


class Earlier:
    """The packages of *commit*, installed in *folder*."""

    def __init__(self, commit: str, folder: Path) -> None:
        asked = ["git", "rev-parse", "--short", "--verify", f"{commit}^{{commit}}"]
        done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{commit} is no commit of this repository; see: git log --oneline")
        self.commit = done.stdout.strip()
        self.python = str(folder / "environment" / "bin" / "python")
        sources = folder / "sources"
        sources.mkdir(parents=True)
        archive = subprocess.run(["git", "archive", self.commit], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x"], cwd=sources, input=archive.stdout, check=True)
        self._install(sources, folder / "environment")
        shutil.rmtree(sources)

    def _install(self, sources: Path, environment: Path) -> None:
        venv.create(environment, with_pip=False)
        own = sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)})
        Path(own, "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
        install = [sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet"]
        how = ["--no-deps", "--no-build-isolation", "--ignore-installed", "--no-index"]
        packages = [str(sources / name) for name in PACKAGES if (sources / name).is_dir()]
        subprocess.run([*install, *how, *packages], check=True)
        # It must not be this checkout's. (Python does not follow the .pth files in a folder that one names.)
        where = "import lotdb, os; print(os.path.dirname(os.path.dirname(lotdb.__file__)))"
        found = subprocess.run([self.python, "-c", where], cwd=environment, capture_output=True, text=True)
        if found.returncode or not os.path.samefile(found.stdout.strip(), own):
            sys.exit(
                f"LOTDB at {self.commit} cannot be imported: {found.stderr.strip() or found.stdout.strip()}"
            )

    def compared(self, cases: Sequence[Case]) -> list[Case]:
        """Each of *cases* against the same work by LOTDB at the commit, and nobody else."""
        return [
            replace(case, against=(Against(self._side(case.ours)),), alone=None, plot=None)
            for case in cases
            if not case.ours.peer and "lotdb" in case.ours.label.lower()
        ]

    def _side(self, side: Side) -> Side:
        data = self._side(side.data) if side.data else None
        return side.but(label=f"at {self.commit}", peer=True, data=data)


def verdict(row: Row) -> str:
    """Whether LOTDB has become slower or faster, beyond what the repetitions differ by."""
    if row.spread is None:
        return ""
    low, high = row.spread
    return "slower" if high < 1 - TOLERANCE else "faster" if low > 1 + TOLERANCE else "level"


def summary(rows: Sequence[Row]) -> str:
    """How many rows are slower, level and faster, and which are slower."""
    found = [(row, verdict(row)) for row in rows if row.other]
    counts = ", ".join(
        f"{sum(word == each for _, word in found)} {each}" for each in ("slower", "level", "faster")
    )
    slower = [
        f"  slower: {row.case.work}: {row.theirs / row.ours:.2f} ×" for row, word in found if word == "slower"
    ]
    return "\n".join([f"{counts}, beyond their spread and {TOLERANCE:.0%}", *slower])
