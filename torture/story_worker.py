"""The other process of a story: it works until it is killed, and looks at what was left."""

from __future__ import annotations

import copy
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

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
    from lotdb import BaseNode, Plugins

    plugins = Plugins()
    for backend in story.BACKENDS:
        plugins.backend(backend)
    BaseNode(plugins=plugins).get_data_node("signal").write_data([0.0])


def work(place: str, model: story.Model, name: str, focus: str, how: dict[str, Any]) -> None:
    """Do one step after the other, and say so each time: ``acknowledged N``.

    *name* makes the random numbers; from it and the model the parent knows all that is done.
    """
    db = story.open_database(Path(place) / "db", **how)
    say("open")
    for at in range(10_000):
        step = story.plan(random.Random(f"{name} {at}"), model, focus)
        story.perform(step, db, model["number"] + 1, Path(place))
        story.foresee(step, model)
        say("acknowledged", at)


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
