"""Random work on a database, and what it must have made: the model that a database is compared with.

A model is plain data, which is sent to the process that works. A payload in it is a list of pieces, each of
so many rows that count up from a number.
"""

from __future__ import annotations

import copy
import hashlib
import random
import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["KINDS", "digest_of", "empty", "foresee", "is_commit", "open_database", "perform", "plan", "state"]

Model = dict[str, Any]
Step = dict[str, Any]

GROUPS, LEAVES, TAGS = "abcd", "xyz", ("t1", "t2", "t3")
BACKENDS = ("blob", "zarr")
#: Numbers of rows; the largest are written when they are given, and not at the commit.
SIZES = (1, 3, 50, 500, 500, 5000, 60_000)


def open_database(folder: str | Path, **how: Any) -> Any:
    """The database of a story."""
    from lotdb import LOTDB

    return LOTDB(folder, **how)


def empty() -> Model:
    """The model of a new database."""
    return {"number": 0, "groups": {}, "tags": {}, "undo": None, "backed_up": None}


@lru_cache(maxsize=256)
def _piece(size: int, first: int) -> np.ndarray:
    return np.arange(size, dtype=float) + first


def rows_of(pieces: list[list[int]]) -> np.ndarray:
    """The rows of a payload."""
    return np.concatenate([_piece(size, first) for size, first in pieces])


def digest(rows: np.ndarray) -> str:
    """What tells rows from others."""
    return f"{len(rows)} {hashlib.blake2b(np.ascontiguousarray(rows).tobytes(), digest_size=8).hexdigest()}"


def digest_of(groups: dict[str, Any]) -> dict[str, Any]:
    """What :func:`state` must find."""
    return {
        f"{group}/{leaf}": [label, None if pieces is None else digest(rows_of(pieces))]
        for group, leaves in sorted(groups.items())
        for leaf, (label, pieces, _) in sorted(leaves.items())
    }


def state(root: Any) -> tuple[int, dict[str, Any]]:
    """The number of the last step that a tree holds, and all that is in it."""
    found = {}
    for leaf in root.iterate_tree_level(2):
        rows = leaf.read_data() if leaf.has_data() else None
        found[leaf.path] = [leaf.attrs.get("label"), None if rows is None else digest(rows)]
    return root.attrs.get("number", 0), dict(sorted(found.items()))


# -- kinds of steps -------------------------------------------------------------------------------

# Each kind has a function that chooses what is done, or None if there is nothing to do it with; one that does
# it to a model; and one that does it to a database. Those of KINDS_OF_CHANGES are one transaction.


def _leaves(model: Model, with_rows: bool = True) -> list[tuple[str, str]]:
    return [
        (group, leaf)
        for group, leaves in sorted(model["groups"].items())
        for leaf, (_, pieces, _) in sorted(leaves.items())
        if pieces is not None or not with_rows
    ]


def _change(rng: random.Random, number: int) -> Step:
    what = rng.choice(["write", "write", "append", "label", "branch", "delete", "clear"])
    return {
        "what": what,
        "group": rng.choice(GROUPS),
        "leaf": rng.choice(LEAVES),
        "other": rng.choice(GROUPS),
        "size": rng.choice(SIZES),
        "first": number,
        "backend": rng.choice(BACKENDS),
    }


def _foresee_change(change: Step, groups: dict[str, Any]) -> None:
    group, leaf, other = change["group"], change["leaf"], change["other"]
    what, piece = change["what"], [change["size"], change["first"]]
    here = groups.get(group, {}).get(leaf)
    if what == "write" or (what == "append" and (here is None or here[1] is None)):
        label = here[0] if here else None
        groups.setdefault(group, {})[leaf] = [label, [piece], change["backend"]]
    elif what == "append":
        here[1] = [*here[1], piece]
    elif what == "branch" and group in groups and other != group:
        groups[other] = copy.deepcopy(groups[group])
    elif what == "delete":
        groups.pop(group, None)
    elif what == "clear" and here is not None:
        here[1] = None
    elif what == "label" and here is not None:
        here[0] = change["first"]


def _perform_change(change: Step, root: Any) -> None:
    group, leaf, other, what = change["group"], change["leaf"], change["other"], change["what"]
    rows = _piece(change["size"], change["first"])
    node = root.get(group, {}).get(leaf) if group in root else None
    if what == "write" or (what == "append" and (node is None or not node.has_data())):
        root.get_data_node([group, leaf]).write_data(rows, backend=change["backend"])
    elif what == "append" and node is not None:
        node.append_data(rows)
    elif what == "branch" and group in root and other != group:
        root.add_tree(root[group], key=other, copy=True, if_exists="replace")
    elif what == "delete" and group in root:
        del root[group]
    elif what == "clear" and node is not None and node.has_data():
        node.delete_data()
    elif what == "label" and node is not None:
        node.attrs["label"] = change["first"]


def _plan_changes(rng: random.Random, model: Model) -> Step:
    return {"changes": [_change(rng, model["number"] + 1) for _ in range(rng.randint(1, 4))]}


def _plan_append(rng: random.Random, model: Model) -> Step:
    change = _change(rng, model["number"] + 1)
    if there := _leaves(model):
        change["group"], change["leaf"] = rng.choice(there)
    return {"changes": [{**change, "what": "append"}]}


def _foresee_changes(step: Step, model: Model) -> None:
    for change in step["changes"]:
        _foresee_change(change, model["groups"])


def _perform_changes(step: Step, db: Any, root: Any, place: Path) -> None:
    for change in step["changes"]:
        _perform_change(change, root)


def _plan_abort(rng: random.Random, model: Model) -> Step:
    return {**_plan_changes(rng, model), "savepoint": rng.random() < 0.5}


def _perform_abort(step: Step, db: Any, root: Any, place: Path) -> None:
    _perform_changes(step, db, root, place)
    if step["savepoint"]:
        db.savepoint()
    db.abort()


def _plan_compact(rng: random.Random, model: Model) -> Step | None:
    there = _leaves(model)
    if not there:
        return None
    group, leaf = rng.choice(there)
    return {"group": group, "leaf": leaf, "backend": rng.choice(BACKENDS)}


def _perform_compact(step: Step, db: Any, root: Any, place: Path) -> None:
    root[step["group"]][step["leaf"]].compact_data(backend=step["backend"])


def _plan_move(rng: random.Random, model: Model) -> Step | None:
    free = [key for key in GROUPS if key not in model["groups"]]
    if model["groups"] and free:
        return {"group": rng.choice(sorted(model["groups"])), "to": rng.choice(free), "leaf": None}
    there = _leaves(model, with_rows=False)
    groups = sorted(model["groups"])
    if not there:
        return None
    group, leaf = rng.choice(there)
    return {"group": group, "leaf": leaf, "to": rng.choice(groups)}


def _foresee_move(step: Step, model: Model) -> None:
    groups = model["groups"]
    if step["leaf"] is None:
        groups[step["to"]] = groups.pop(step["group"])
    elif step["leaf"] not in groups[step["to"]]:
        groups[step["to"]][step["leaf"]] = groups[step["group"]].pop(step["leaf"])


def _perform_move(step: Step, db: Any, root: Any, place: Path) -> None:
    if step["leaf"] is None:
        root[step["group"]].rename(step["to"])
    elif step["leaf"] not in root[step["to"]]:
        root[step["group"]][step["leaf"]].move(root[step["to"]])


def _plan_undo(rng: random.Random, model: Model) -> Step | None:
    return None if model["undo"] is None else {}


def _foresee_undo(step: Step, model: Model) -> None:
    model["groups"] = copy.deepcopy(model["undo"])


def _perform_undo(step: Step, db: Any, root: Any, place: Path) -> None:
    db.undo(db.last_commit, root)


def _plan_tags(rng: random.Random, model: Model) -> Step:
    name = rng.choice(TAGS)
    return {"tag": name, "is_deleted": name in model["tags"] and rng.random() < 0.4}


def _foresee_tags(step: Step, model: Model) -> None:
    if step["is_deleted"]:
        del model["tags"][step["tag"]]
    else:
        model["tags"][step["tag"]] = copy.deepcopy(model["groups"])


def _perform_tags(step: Step, db: Any, root: Any, place: Path) -> None:
    tags = db.tags.through(root)
    if step["is_deleted"]:
        del tags[step["tag"]]
    else:
        tags[step["tag"]] = db.last_commit


def _plan_bring_back(rng: random.Random, model: Model) -> Step | None:
    there = [(tag, group) for tag, groups in sorted(model["tags"].items()) for group in sorted(groups)]
    if not there:
        return None
    tag, group = rng.choice(there)
    return {"tag": tag, "group": group}


def _foresee_bring_back(step: Step, model: Model) -> None:
    model["groups"][step["group"]] = copy.deepcopy(model["tags"][step["tag"]][step["group"]])


def _perform_bring_back(step: Step, db: Any, root: Any, place: Path) -> None:
    root.get_node(step["group"]).restore(step["tag"])


def _plan_nothing(rng: random.Random, model: Model) -> Step:
    return {}


def _foresee_nothing(step: Step, model: Model) -> None:
    pass


def _perform_pack(step: Step, db: Any, root: Any, place: Path) -> None:
    db.pack()


def _perform_sweep(step: Step, db: Any, root: Any, place: Path) -> None:
    # Something that no record names, in the place of what a killed process had written.
    root.get_data_node("left over").write_data(_piece(60_000, 1), backend="zarr")
    db.savepoint()
    db.abort()
    db.pack(grace_s=0, sweep_outside=True)


def _perform_backup(step: Step, db: Any, root: Any, place: Path) -> None:
    db.backup(place / "copy")


def _foresee_backup(step: Step, model: Model) -> None:
    model["backed_up"] = model["number"]


def _plan_restore(rng: random.Random, model: Model) -> Step | None:
    return None if model["backed_up"] is None else {}


def _perform_restore(step: Step, db: Any, root: Any, place: Path) -> None:
    import lotdb

    # A kill must not leave a half of what we remove.
    shutil.rmtree(place / "removed", ignore_errors=True)
    if (place / "restored").exists():
        (place / "restored").rename(place / "removed")
    lotdb.restore(place / "copy", place / "restored")


Plan = Callable[[random.Random, Model], Step | None]
KINDS_OF_CHANGES: dict[str, tuple[Plan, Callable[[Step, Model], None], Callable[..., None]]] = {
    "commit": (_plan_changes, _foresee_changes, _perform_changes),
    "append": (_plan_append, _foresee_changes, _perform_changes),
    "compact": (_plan_compact, _foresee_nothing, _perform_compact),
    "move": (_plan_move, _foresee_move, _perform_move),
    "undo": (_plan_undo, _foresee_undo, _perform_undo),
    "tags": (_plan_tags, _foresee_tags, _perform_tags),
    "bring back": (_plan_bring_back, _foresee_bring_back, _perform_bring_back),
}
KINDS = {
    **KINDS_OF_CHANGES,
    "abort": (_plan_abort, _foresee_nothing, _perform_abort),
    "pack": (_plan_nothing, _foresee_nothing, _perform_pack),
    "sweep": (_plan_nothing, _foresee_nothing, _perform_sweep),
    "backup": (_plan_nothing, _foresee_backup, _perform_backup),
    "restore": (_plan_restore, _foresee_nothing, _perform_restore),
}
_CAN_BE_UNDONE = ("commit", "append", "move", "compact")


def plan(rng: random.Random, model: Model, focus: str) -> Step:
    """What is done next; each second time the kind *focus*, if it can be."""
    kind = focus if rng.random() < 0.5 else rng.choice([*KINDS, "commit", "commit", "commit"])
    step = KINDS[kind][0](rng, model)
    if step is None:
        kind = rng.choice(["commit", "append", "tags"]) if kind != "undo" else "commit"
        step = KINDS[kind][0](rng, model)
        assert step is not None
    return {"kind": kind, **step}


def is_commit(step: Step) -> bool:
    """Whether the step is a commit."""
    return step["kind"] in KINDS_OF_CHANGES


def foresee(step: Step, model: Model) -> None:
    """Do the step to the model."""
    before = copy.deepcopy(model["groups"])
    KINDS[step["kind"]][1](step, model)
    if is_commit(step):
        model["number"] += 1
    if step["kind"] in _CAN_BE_UNDONE:
        model["undo"] = before
    elif is_commit(step) or step["kind"] in ("pack", "sweep"):
        model["undo"] = None


def perform(step: Step, db: Any, number: int, place: Path) -> None:
    """Do the step to the database; *number* is what the tree is told, if it is a commit."""
    root = db.open_connection()
    KINDS[step["kind"]][2](step, db, root, place)
    if is_commit(step):
        root.attrs["number"] = number
        db.commit(note=step["kind"])
