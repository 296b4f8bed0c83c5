"""Whether a result is stale, and why, in one sentence.

What a step has read is compared by identity, and no data are read. What follows from the state of a tree is
remembered until that state changes.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Any

from lotdb.errors import shown
from lotdb.node_api.facts import results_below
from lotdb.node_api.watching import CHECK, EVICTED, FACTS, PINNED, at_place, names_of, plain, stored_text
from lotdb.public import BaseNode, NotAResultError, WrongNodeError
from lotdb.steps import known
from lotdb.steps.fingerprint import Code
from lotdb.steps.origins import parsed, shown_place

__all__ = ["Told", "code_changes", "reason", "told", "why_stale"]

_NOW = platform.python_version()

# What a tree remembers of fresh results at most.
_MANY = 20_000


class Told:
    """What was found of results in one state of a tree, and of the steps that were asked."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.steps = known.generation()
        #: The code of the steps that have made what others have read.
        self.codes: dict[Any, Code] = {}
        #: The result nodes that were found fresh, by what was asked.
        self.fresh: dict[Any, Any] = {}
        #: Why results that others have read are stale, by their paths.
        self.reasons: dict[str, str | None] = {}

    def holds(self, version: int) -> bool:
        """Whether it is still right."""
        return (
            self.version == version
            and self.steps == known.generation()
            and len(self.fresh) < _MANY
            and (not self.codes or all(step.code() is code for step, code in self.codes.items()))
        )


def told(node: BaseNode) -> Told:
    """What is remembered of the tree of *node* as it is now."""
    tree = node._tree
    found: Told | None = tree.remembered.get("results")
    if found is None or not found.holds(tree.version):
        found = tree.remembered["results"] = Told(tree.version)
    return found


def why_stale(result: BaseNode) -> str | None:
    """Why the *result* of a step is stale, in one sentence; None if it is fresh.

    The code is compared if the step is defined in this process. ``Step.why_stale`` compares settings, too.

    Parameters
    ----------
    result
        What ``at`` gave.

    Raises
    ------
    NotAResultError
        If no step has made the node.
    """
    if not isinstance(result, BaseNode):
        raise WrongNodeError(f"{shown(result)} is no node")
    node = plain(result)
    if stored_text(node, CHECK) is None:
        raise NotAResultError(f"{node._place()} is no result: no step has made it").of("", node._path())
    return _of_evicted(node) or reason_of(node)


def _of_evicted(node: BaseNode) -> str | None:
    if PINNED in names_of(node) or EVICTED not in names_of(node):
        return None
    return "its payloads were evicted"


def reason_of(node: BaseNode) -> str | None:
    """Why others that have read the result *node* are stale because of it; None if they are not."""
    if PINNED in names_of(node):
        return None
    check = parsed(stored_text(node, CHECK) or "", node)
    step = known.find(check["module"], check["name"])
    remembered = told(node)
    path = node._path()
    if path not in remembered.reasons:
        remembered.reasons[path] = None  # a result that has read itself by a detour ends here
        remembered.reasons[path] = _step_changed(step, check, remembered) or reason(node, check)
    return remembered.reasons[path]


def _step_changed(step: Any, check: dict[str, Any], remembered: Told) -> str | None:
    if step is None:
        return None
    code = remembered.codes[step] = step.code()
    if repr(step.version) != repr(check["version"]):
        return f"version of step {step.name!r} was {check['version']!r} and is {step.version!r}"
    return next(code_changes(check, code), None) if step.on_code_change == "recompute" else None


def code_changes(check: dict[str, Any], code: Code) -> Iterator[str]:
    """What differs between the code that has made a result, and *code*."""
    if check["digest"] == code.digest:
        return
    was = check["code"]
    for name, (source, bytecode) in code.parts.items():
        if name not in was:
            yield f"{_part(name)} is used now"
        elif bytecode != was[name][1] and (source is None or source != was[name][0]):
            then = check.get("python", _NOW)
            if name.startswith(("constant ", "module ")):
                yield f"{name} changed"
            elif None in (source, was[name][0]) and _release(then) != _release(_NOW):
                # Each release has bytecode of its own.
                yield (
                    f"code of {name!r} cannot be compared: Python was {then} and is {_NOW}, and the source "
                    "is not at hand"
                )
            else:
                yield f"code of {name!r} changed"
    for name in was:
        if name not in code.parts:
            yield f"{_part(name)} is not used any more"
    for name in {**check["packages"], **code.packages}:
        then, now = check["packages"].get(name), code.packages.get(name)
        if then is None or now is None:
            yield f"package {name!r} is {'not named any more' if now is None else 'named now'}"
        elif then != now:
            yield f"package {name!r} was {then} and is {now}"


def _release(python: str) -> list[str]:
    return python.split(".")[:2]


def _part(name: str) -> str:
    return name if name.startswith(("constant ", "module ")) else f"code of {name!r}"


def stale_results(result: BaseNode, check: dict[str, Any]) -> Iterator[BaseNode]:
    """The results that were read for *result*, and are stale."""
    source = result.parent
    for up, keys, kind, name, _ in check["reads"]:
        if kind in ("result", "results") and source is not None:
            node = at_place(source, (up, tuple(keys)))
            if node is None:
                continue
            several = [node] if kind == "result" else list(results_below(node, name, result._keys()))
            for each in several:
                if stored_text(each, CHECK) is not None and reason_of(each) is not None:
                    yield each


def reason(result: BaseNode, check: dict[str, Any], *, of_results: bool = True) -> str | None:
    """What of all that was read for *result* has changed since; None if nothing has.

    That a result which was read is itself stale counts *of_results* only.
    """
    source = result.parent
    if source is None:
        return None  # a result that was taken out of its tree, and into no other
    own: tuple[str, ...] = ()
    place: Any = None
    there: BaseNode | None = None
    for up, keys, kind, name, identity in check["reads"]:
        if not up and not keys and kind not in ("all", "find", "results"):
            node: BaseNode | None = source
            now = FACTS[kind](source, name, own)
        else:
            own = own or result._keys()
            if place != (up, keys):  # several facts of one node follow each other
                place, there = (up, keys), at_place(source, (up, tuple(keys)))
            node = there
            now = None if node is None or node._keys() == own else FACTS[kind](node, name, own)
        if now != identity:
            return _sentence(shown_place(up, keys), kind, name, identity, now)
        if of_results and kind == "result" and node is not None and (why := reason_of(node)) is not None:
            return (
                f"result {shown_place(up, keys)!r} is stale: {why}"
                if keys
                else f"its node is a stale result: {why}"
            )
        if of_results and kind == "results" and node is not None:
            for each in results_below(node, name, own):
                if (why := reason_of(each)) is not None:
                    below = shown_place(up, [*keys, *each._keys()[len(node._keys()) :]])
                    return f"result {below!r} is stale: {why}"
    return None


def _sentence(place: str, kind: str, name: str, then: str | None, now: str | None) -> str:
    of = "" if place == "." else f" of {place!r}"
    if kind in ("key", "path"):
        return f"the {kind}{of} was {then} and is {now}"
    if kind == "node":
        if now is None or then is None:
            return f"node {place!r} is {'gone' if now is None else 'there now'}"
        return f"the type of node {place!r} was {then} and is {now}"
    if kind in _WHOLE:
        return f"{_WHOLE[kind]}{of} {'changed' if now is not None else 'are gone'}"
    what = "input" if kind == "payload" else "default" if kind == "default" else "attribute"
    if kind == "has":
        what = then or now or what
    if now is None or then is None:
        return f"{what} {name!r}{of} is {'gone' if now is None else 'there now'}"
    if kind == "payload":
        return f"input {name!r}{of} was replaced"
    if "#" in (then[0], now[0]):
        return f"{what} {name!r}{of} changed"
    return f"{what} {name!r}{of} was {then} and is {now}"


_WHOLE = {
    "attributes": "the attributes",
    "names": "the names of the attributes",
    "payloads": "the names of the payloads",
    "children": "the children",
    "child types": "the children",
    "find": "the nodes that find() finds",
    "below": "the nodes below",
    "all": "the nodes and data below",
    "result": "the step that made the result",
}
