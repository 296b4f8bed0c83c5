"""Bits are flipped in each file of a database, files are cut and removed: nothing wrong is read in silence.

Of the files of payloads, reading all of it and ``verify`` both find each damage; of those that only an
earlier moment has, ``verify(history=True)`` does.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from torture.processes import OtherProcess, say_json, serve
from torture.story import digest
from torture.tally import Settings, Tally, tell

#: How many of a file, by what it is.
FLIPS = {"data file": 600, "payloads": 60, "other files": 60}
CUTS = {"data file": 200, "payloads": 15, "other files": 20}

# -- in the other process -------------------------------------------------------------------------


def build(folder: str) -> None:
    """Make a database with something of each kind; say what it holds, and which files have payloads."""
    from lotdb import LOTDB

    rng = np.random.default_rng(0)
    current, earlier = [], []
    with LOTDB(folder) as db:
        for version in range(3):
            with db.connection(note=f"version {version}") as root:
                root.attrs["version"] = version
                for backend in ("blob", "zarr"):
                    for size in (5, 300, 40_000):
                        node = root.get_data_node([backend, f"size {size}"], backend=backend)
                        node.attrs.update(label=f"of version {version}", number=size + version)
                        node.write_data(rng.random((size, 2)), backend=backend, metadata={"unit": "V"})
                    node.append_data(rng.random((700, 2)))
                    root[backend][f"size {300}"].write_data(
                        rng.random(900), data_attribute="other", backend=backend
                    )
                for number in range(200):
                    root.get_node_path(["wide", f"{number:03}"]).attrs["v"] = number * (version + 1)
            db.tags[f"version {version}"] = db.last_commit
        with db.connection() as root:
            root["blob"].branch("branch")
            root["branch/size 5"].write_data(rng.random(7), backend="zarr")
            root.get_node("boxed").attrs["text"] = "long " * 500
        with db.connection() as root:
            truth = _content(root, [])
            current = _files(root)
        for tag in db.tags:
            with db.at(tag) as root:
                earlier += _files(root)
    folders = [Path(folder) / file for file in current]
    say_json(
        "answer",
        {
            "truth": truth,
            "current": sorted({str(each.relative_to(folder)) for each in folders}),
            "earlier": sorted(
                {str((Path(folder) / each).relative_to(folder)) for each in earlier} - set(current)
            ),
        },
    )


def _files(root: Any) -> list[str]:
    found = []
    for node in root.iterate_tree():
        for payload in node.payloads.values():
            found += [path for segment in payload.segments() for path, _ in segment.files]
    return found


def _content(root: Any, errors: list[str]) -> dict[str, Any]:
    """All that can be read; what cannot be is in *errors*."""
    found: dict[str, Any] = {}

    def read(node: Any) -> None:
        try:
            for name in node.attrs:
                where = f"{node.path} {name}"
                try:
                    value = node.attrs[name]
                    found[where] = digest(value.read()) if hasattr(value, "segments") else value
                except Exception as error:
                    errors.append(_told(where, error))
            for key in node:
                try:
                    read(node[key])
                except Exception as error:
                    errors.append(_told(f"{node.path}/{key}", error))
        except Exception as error:
            errors.append(_told(node.path, error))

    read(root)
    return found


def _told(where: str, error: Exception) -> str:
    from lotdb import LotdbError

    is_typed = isinstance(error, LotdbError)
    return f"{'' if is_typed else 'UNTYPED '}{where}: {type(error).__name__}: {error}"[:300]


def look(folder: str, read_only: bool, truth: dict[str, Any], with_history: bool) -> None:
    """Open it, read it, verify it; say what was found."""
    import warnings

    from lotdb import LOTDB

    warnings.simplefilter("ignore")
    errors: list[str] = []
    found: dict[str, Any] = {"errors": errors, "opened": False, "verified": [], "wrong": [], "missing": 0}
    try:
        with LOTDB(folder, read_only=read_only) as db:
            found["opened"] = True
            with db.connection() as root:
                there = _content(root, errors)
            found["wrong"] = [name for name in there if name not in truth or there[name] != truth[name]]
            found["missing"] = len(truth) - len(there)
            for name, verify in (("verified", db.verify), ("history", lambda: db.verify(history=True))):
                if name == "history" and not with_history:
                    continue
                try:
                    found[name] = [str(each)[:200] for each in verify()]
                except Exception as error:
                    found[name] = [_told("verify", error)]
                    if "UNTYPED" in found[name][0]:
                        errors += found[name]
    except Exception as error:
        errors.append(_told("open", error))
    say_json("answer", found)


# -- in the parent --------------------------------------------------------------------------------


def run(settings: Settings) -> list[Tally]:
    tallies: dict[tuple[str, str], Tally] = {}
    first, now = settings.folder / "first", settings.folder / "now"
    with OtherProcess("torture.damage") as other:
        built, ended = other.ask("build", first)
        assert ended == "done", ended
        files = sorted(path for path in first.rglob("*") if path.is_file())
        for path in files:
            name = str(path.relative_to(first))
            kind = _kind(name, built)
            for how, at in _damages(settings, path, name, kind):
                tally = tallies.setdefault((how, kind), Tally(f"{how}, {kind}", settings.seed))
                tell(f"{tally.test} {tally.runs}")
                shutil.rmtree(now, ignore_errors=True)
                shutil.copytree(first, now)
                _spoil(now / name, how, at)
                rng = settings.random(name, how, at)
                if kind == "data file" and rng.random() < 0.5:
                    (now / "lotdb.fs.index").unlink()
                _judge(tally, other, now, built, name, kind, how, at, rng.random() < 0.5)
    shutil.rmtree(now, ignore_errors=True)
    for tally in tallies.values():
        tally.note_counts()
    return list(tallies.values())


def _kind(name: str, built: dict[str, Any]) -> str:
    if name in built["current"]:
        return "payloads"
    if name in built["earlier"]:
        return "payloads of earlier moments"
    return "data file" if name == "lotdb.fs" else "other files"


def _damages(settings: Settings, path: Path, name: str, kind: str) -> Iterator[tuple[str, int]]:
    size = path.stat().st_size
    rng = settings.random("damage", name)
    counted = "payloads" if kind.startswith("payloads") else kind
    if size:
        for _ in range(settings.times(FLIPS[counted])):
            yield "bit flips", rng.randrange(size * 8)
        for _ in range(settings.times(CUTS[counted])):
            yield "truncations", rng.choice([0, size - 1, rng.randrange(size), rng.randrange(size)])
    yield "missing files", 0


def _spoil(path: Path, how: str, at: int) -> None:
    if how == "missing files":
        path.unlink()
        return
    path.chmod(0o644)
    if how == "truncations":
        os.truncate(path, at)
        return
    with open(path, "r+b") as file:
        file.seek(at // 8)
        byte = file.read(1)[0]
        file.seek(at // 8)
        file.write(bytes([byte ^ 1 << at % 8]))


def _judge(tally, other, now, built, name, kind, how, at, read_only) -> None:  # type: ignore[no-untyped-def]
    about = f"--only damage --seed {tally.seed}: {how} {at} of {name}"
    tally.runs += 1
    is_earlier = kind == "payloads of earlier moments"
    found, ended = other.ask("look", now, read_only, built["truth"], is_earlier)
    if found is None:
        tally.blame("untyped", f"{about}: {ended}")
        return
    for error in found["errors"]:
        if "UNTYPED" in error:
            tally.blame("untyped", f"{about}: {error}")
            break
    if found["wrong"]:
        tally.blame("wrong", f"{about}: {found['wrong'][:5]} are others")
    if found["missing"] and not found["errors"]:
        tally.blame("wrong", f"{about}: {found['missing']} values are missing without an error")
    if not found["opened"]:
        tally.counted["refused to open"] += 1
    elif found["errors"]:
        tally.counted["found by reading"] += 1
    elif found["verified"]:
        tally.counted["found by verify alone"] += 1
    elif is_earlier and found["history"]:
        tally.counted["found by verify(history=True)"] += 1
    else:
        tally.counted["nothing altered"] += 1
    if kind == "payloads" and found["opened"] and not (found["errors"] and found["verified"]):
        tally.blame("wrong", f"{about}: not found by {'verify' if found['errors'] else 'reading'}")
    if is_earlier and found["opened"] and not found["history"]:
        tally.blame("wrong", f"{about}: not found by verify(history=True)")


if __name__ == "__main__":
    from torture.story_worker import load_everything

    load_everything()
    serve(globals())
