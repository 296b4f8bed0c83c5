"""The other process of a story: it works until it is killed, and looks at what was left."""

from __future__ import annotations

import copy
import os
import random
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from torture import story
from torture.processes import say, say_json, serve


def load_everything() -> None:
    """Import in this process what its children need."""
    from importlib import import_module

    for name in (
        "lotdb.public",
        "lotdb.backups.backup",
        "lotdb.backups.restoring",
        "lotdb.salvaging.salvage",
        "lotdb_backend_blob.backend",
        "lotdb_backend_zarr.backend",
        "lotdb.database.undo",
        "zarr",
        "multiprocessing.synchronize",
    ):
        import_module(name)
    with suppress(ImportError):
        import_module("zarrs")
    _use_everything()


def _use_everything() -> None:
    """Let this process have done all once, so that its children do not load and compute it anew each time."""
    from lotdb import restore

    with tempfile.TemporaryDirectory() as folder:
        with story.open_database(f"{folder}/db") as db:
            for _ in range(2):
                with db.connection() as root:
                    for backend in story.BACKENDS:
                        for size in (5, 60_000):
                            root.get_data_node(f"{backend} {size}").write_data(
                                np.zeros(size),
                                backend=backend,
                                if_exists="append" if len(root) > 4 else "replace",
                            )
                    root["zarr 5"].compact_data()
            with db.connection() as root:
                db.undo(db.last_commit, root)
            db.tags["tag"] = db.last_commit
            with db.at("tag") as root:
                story.state(root)
            db.pack()
            db.verify(history=True)
            db.backup(f"{folder}/copy")
        restore(f"{folder}/copy", f"{folder}/restored")


def work(
    place: str, model: story.Model, name: str, focus: str, how: dict[str, Any], steps: int = 10_000
) -> None:
    """Do one step after the other, and say so each time: ``acknowledged N``.

    *name* makes the random numbers; from it and the model the parent knows all that is done.
    """
    db = story.open_database(Path(place) / "db", **how)
    say("open")
    for at in range(steps):
        step = story.plan(random.Random(f"{name} {at}"), model, focus)
        story.perform(step, db, model["number"] + 1, Path(place))
        story.foresee(step, model)
        say("acknowledged", at)


def work_traced(place: str, name: str, focus: str, steps: int) -> None:
    """Stop; go on when the process is traced, and do so many steps from the beginning."""
    say("ready")
    os.kill(os.getpid(), signal.SIGSTOP)
    work(place, story.empty(), name, focus, {}, steps)


def look(place: str, read_only: bool, with_others: bool) -> None:
    """Say what the database holds, its tagged moments, and its copies: ``answer JSON``."""
    from lotdb import LotdbError

    found: dict[str, Any] = {}

    def tell(name: str, function: Any) -> None:
        try:
            found[name] = function()
        except Exception as error:
            is_typed = isinstance(error, LotdbError)
            found[name] = {"error": type(error).__name__, "typed": is_typed, "text": str(error)[:500]}

    def current() -> dict[str, Any]:
        with story.open_database(Path(place) / "db", read_only=read_only) as db:
            with db.connection() as root:
                number, groups = story.state(root)
            tags = {}
            for tag in db.tags:
                with db.at(tag) as root:
                    tags[tag] = story.state(root)[1]
            damage = [f"{each.path} {each.name}: {each.reason}" for each in db.verify()]
        return {"number": number, "groups": groups, "tags": tags, "damage": damage}

    def other(name: str) -> Any:
        with story.open_database(Path(place) / name, read_only=True) as db:
            with db.connection() as root:
                number, groups = story.state(root)
            return {"number": number, "groups": groups, "damage": [str(each) for each in db.verify()]}

    tell("db", current)
    if with_others:
        for name in ("copy", "restored"):
            if (Path(place) / name).exists():
                tell(name, lambda name=name: other(name))
    say_json("answer", found)


def replay(model: story.Model, name: str, focus: str, count: int) -> list[tuple[story.Step, story.Model]]:
    """The first *count* steps of :func:`work`, each with the model after it."""
    model = copy.deepcopy(model)
    steps = []
    for at in range(count):
        step = story.plan(random.Random(f"{name} {at}"), model, focus)
        story.foresee(step, model)
        steps.append((step, copy.deepcopy(model)))
    return steps


if __name__ == "__main__":
    load_everything()
    serve(globals())
