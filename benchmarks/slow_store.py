"""Small payloads in a store at the other end of a network: whatever it is asked, it answers after 30 ms."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cases import Against, Case, Figures, Side, below
from benchmarks.clock import Timer, check
from benchmarks.sizes import Sizes

if TYPE_CHECKING:
    from lotdb import LOTDB

LATENCY_S = 0.03
PAYLOADS = 200
ROWS = 1000


def open_slow(folder: str) -> LOTDB:
    """A database whose payloads lie in such a store; what it is there is a folder."""
    from lotdb import LOTDB, Backend, DamagedError, Plugins, hookimpl

    class SlowBackend(Backend):
        name = "slow"

        def write(self, locator: str, array: np.ndarray[Any, Any], options: Mapping[str, Any]) -> None:
            self.context.folder.mkdir(exist_ok=True)
            (self.context.folder / locator).write_bytes(array.tobytes())

        def read_into(self, locator: str, first_row: int, out: np.ndarray[Any, Any]) -> None:
            time.sleep(LATENCY_S)
            with open(self.context.folder / locator, "rb") as file:
                file.seek(first_row * (out.nbytes // len(out)))
                if file.readinto(out.reshape(-1).view(np.uint8)) != out.nbytes:  # type: ignore[arg-type]
                    raise DamagedError(f"{locator} is too short")

        def delete(self, locator: str) -> None:
            (self.context.folder / locator).unlink(missing_ok=True)

    class SlowPlugin:
        @hookimpl
        def lotdb_get_backend(self, name: str) -> type[Backend] | None:
            return SlowBackend if name == "slow" else None

    plugins = Plugins()
    plugins.register(SlowPlugin())
    return LOTDB(folder, default_backend="slow", plugins=plugins, durability="process")


def signal(number: int) -> np.ndarray[Any, Any]:
    return np.arange(ROWS, dtype=np.float64) + number


def write(folder: str, commits: bool) -> Figures:
    """All in one transaction, whose arrays share a file; or each in one of its own."""
    with open_slow(folder) as db:
        root = db.open_connection()
        for number in range(PAYLOADS):
            root.get_data_node(f"captures/{number}").write_data(signal(number))
            if commits:
                db.commit()
        db.commit()
    return {}


def read(folder: str, ahead: bool) -> Figures:
    with open_slow(folder) as db, db.connection() as root:
        if not ahead:
            db._backends("slow").concurrent_reads = 1
        with Timer() as timer:
            found = [root[f"captures/{number}"].read_data() for number in range(PAYLOADS)]
    check(all(np.array_equal(rows, signal(number)) for number, rows in enumerate(found)), "the data")
    return {"seconds": timer.seconds}


def cases(sizes: Sizes) -> list[Case]:
    def case(work: str, commits: bool) -> Case:
        data = Side("", write, {"commits": commits})
        return Case(
            f"{PAYLOADS} payloads of 8 kB from a store of 30 ms, {work}",
            Side("LOTDB", read, {"ahead": True}, data),
            (Against(Side("LOTDB, one by one", read, {"ahead": False}, data)),),
            alone=below(0.5, "0.5 s"),
            repeats=3,
        )

    return [case("written in one transaction", False), case("each in one of its own", True)]
