"""Whether what is left after a kill or a power cut is what was acknowledged."""

from __future__ import annotations

from typing import Any

from torture import story
from torture.story_worker import replay
from torture.tally import Tally

__all__ = ["Past", "judge"]


class Past:
    """What a database has been told until now: the model of its last state, and those before it."""

    def __init__(self) -> None:
        self.model = story.empty()
        self.states: dict[int, dict[str, Any]] = {0: {}}  # what each commit has left, by its number

    def note(self, model: story.Model) -> None:
        """Remember the state after a commit."""
        self.states[model["number"]] = story.digest_of(model["groups"])


def judge(
    tally: Tally, past: Past, name: str, focus: str, acknowledged: int, answer: Any, ended: str, about: str
) -> bool:
    """Compare what was found with what was told, and go on from there; whether it is right.

    *acknowledged* is the number of steps that were; the one after them was in flight.
    """
    steps = replay(past.model, name, focus, acknowledged + 1)
    done, (doubtful, after) = steps[:-1], steps[-1]
    tally.counted[doubtful["kind"]] += 1
    tally.acknowledged += sum(story.is_commit(step) for step, _ in done)
    before = done[-1][1] if done else past.model
    for _, model in done:
        past.note(model)
    found = None if answer is None else answer["db"]
    if found is None or "error" in found:
        tally.blame("not_opened", f"{about}: {ended} {found}")
        if found is not None and not found["typed"]:
            tally.blame("untyped", f"{about}: {found}")
        return False
    fine = True
    for model in (before, after):
        if found["number"] == model["number"] and found["groups"] == story.digest_of(model["groups"]):
            past.model = model
            if doubtful["kind"] in ("pack", "sweep"):
                model["undo"] = None  # which may have been done, and then nothing before can be looked at
            break
    else:
        fine = False
        if found["number"] < before["number"]:
            lost = before["number"] - found["number"]
            tally.blame(
                "lost", f"{about}: the last commit is {found['number']}, and {before['number']} was", lost
            )
        else:
            tally.blame(
                "torn", f"{about}: at {found['number']} (acknowledged {before['number']}): {found['groups']}"
            )
    if found["damage"]:
        tally.blame("torn", f"{about}: {found['damage']}")
        fine = False
    past.note(past.model)
    tags = {tag: story.digest_of(groups) for tag, groups in past.model["tags"].items()}
    if fine and found["tags"] != tags:
        tally.blame("wrong", f"{about}: a tagged moment is another one: {found['tags']}, not {tags}")
        fine = False
    return _judge_copies(tally, past, answer, about, doubtful) and fine


def _judge_copies(tally: Tally, past: Past, answer: Any, about: str, doubtful: story.Step) -> bool:
    """Whether a backup, and what was restored from it, are a moment that was, and not an older one."""
    fine, oldest = True, past.model["backed_up"]
    for name in ("copy", "restored"):
        found = answer.get(name)
        if found is None:
            continue
        if "error" in found:
            # The first backup was killed: there is none, and it says so.
            if name == "copy" and oldest is None and _is_unfinished(found):
                continue
            tally.blame("not_opened", f"{about}: the {name}: {found}")
            fine = False
        elif found["damage"] or past.states.get(found["number"]) != found["groups"]:
            tally.blame("torn", f"{about}: the {name} of {found['number']}: {found}")
            fine = False
        elif name == "copy" and oldest is not None and found["number"] < oldest:
            tally.blame("lost", f"{about}: the copy holds {found['number']}, and {oldest} was backed up")
            fine = False
    return fine


def _is_unfinished(found: dict[str, Any]) -> bool:
    return "not finished" in found["text"] or found["error"] == "DatabaseNotFoundError"
