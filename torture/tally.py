"""What is counted of a test: a row of the table."""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Settings", "Tally", "tell"]


def tell(text: str) -> None:
    """Say what is going on, in a line that the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r{text[:79]:<79}", end="\r", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Settings:
    """How much is done, where, and with which random numbers."""

    folder: Path
    seed: int = 1
    effort: float = 1.0
    jobs: int = 1  # processes that share a test that can be shared
    peer_python: str | None = None  # of an environment with lotdb 1.1.3

    def times(self, full: float) -> int:
        """How many of *full* there are, and at least one."""
        return max(round(full * self.effort), 1)

    def random(self, *names: object) -> random.Random:
        """Random numbers that depend on the seed and on these names only."""
        return random.Random(" ".join(map(str, (self.seed, *names))))


@dataclass
class Tally:
    """A row: what was tried, and what went wrong."""

    test: str
    seed: int
    library: str = "LOTDB"
    runs: int = 0
    acknowledged: int = 0
    lost: int = 0
    torn: int = 0
    wrong: int = 0
    not_opened: int = 0
    untyped: int = 0
    seconds: float = 0.0
    note: str = ""
    counted: Counter[str] = field(default_factory=Counter)  # what the note says of
    faults: list[str] = field(default_factory=list)  # each one that was found, in words

    def blame(self, what: str, about: str, times: int = 1) -> None:
        """Count a fault: *what* is the name of a column, *about* says how to see it again."""
        setattr(self, what, getattr(self, what) + times)
        self.faults.append(f"{what}: {about}")
        if self.library == "LOTDB":  # of others it is expected
            print(f"  {self.faults[-1][:1500]}", file=sys.stderr, flush=True)

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        return not self.faults

    def note_counts(self, before: str = "") -> None:
        """Write what was counted into the note."""
        self.note = before + ", ".join(f"{name} {count}" for name, count in sorted(self.counted.items()))
