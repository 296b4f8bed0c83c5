"""Where a result comes from: what its step has noted, to be compared, printed and listed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from lotdb.errors import shown, written
from lotdb.node_api.facts import CHECK, EVICTED, PINNED, STEP, names_of, noted, plain, stored_text
from lotdb.public import BaseNode, NotAResultError, StaleResultError, WrongNodeError
from lotdb.steps.returned import PAYLOAD, VALUE

__all__ = ["Provenance", "Read", "about_of", "check_of", "load", "parsed", "provenance"]


# As json.loads, without two searches for blanks.
_decode = json.JSONDecoder().raw_decode


# What is compared, and what is noted for people, names at least these.
_COMPARED = frozenset((
    "name", "version", "module", "settings", "code", "packages", "digest", "reads", "holds",
    "mapping", "python",
))  # fmt: skip
_TOLD = frozenset(("settings", "nodes", "seconds", "when", "process"))


@lru_cache(maxsize=1024)
def _parsed(text: str) -> dict[str, Any]:
    found: dict[str, Any] = _decode(text)[0]
    if not isinstance(found, dict) or not found.keys() >= _COMPARED:
        raise ValueError(text)
    return found


def parsed(text: str, node: BaseNode) -> dict[str, Any]:
    """What is compared to tell whether the result *node* is stale; do not change it.

    Raises
    ------
    NotAResultError
        If somebody has written over it.
    """
    try:
        return _parsed(text)
    except ValueError:
        raise _written_over(node, CHECK) from None


def check_of(node: BaseNode) -> dict[str, Any] | None:
    """The same; None if no step has made the node."""
    text = stored_text(node, CHECK)
    return None if text is None else parsed(text, node)


def about_of(node: BaseNode) -> dict[str, Any]:
    """What the result *node* notes for people.

    Raises
    ------
    NotAResultError
        If it is gone, or somebody has written over it.
    """
    about: Any = node.attrs.get(STEP)
    if not isinstance(about, dict) or not about.keys() >= _TOLD:
        raise _written_over(node, STEP)
    return about


def _written_over(node: BaseNode, name: str) -> NotAResultError:
    return NotAResultError(
        f"{node._place()} is no result any more: its attribute {name!r}, in which its step has noted what it "
        "was made from, was changed; delete the node, and the step makes it anew"
    ).of("", node._path())


@dataclass(frozen=True)
class Read:
    """One thing that a step has read.

    Attributes
    ----------
    path
        Path of the node from the node of the step: ``"."`` for that itself, ``"../calibration"`` for one
        beside it.
    kind
        What was read: ``"payload"``, ``"attribute"``, ``"children"``, ``"node"``, ``"find"`` …
    name
        Name of the payload or attribute; "" for what has none.
    identity
        What tells its content from another; None if it was not there.
    """

    path: str
    kind: str
    name: str
    identity: str | None

    def __str__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        gone = ", which was not there" if self.identity is None else ""
        return f"{self.kind}{name} of {self.path}{gone}"


@dataclass(frozen=True)
class Provenance:
    """How a result was made; printing it shows all of it.

    Attributes
    ----------
    step, version, module
        Name and version of the step, and the module of its function.
    node
        Path of the node at which the step was called.
    settings
        The settings by name; a node is a text, its path from the node of the step.
    reads
        What the step has read, as :class:`Read`.
    code
        Digests of the code by the name of its part: the function, its helpers and constants.
    packages
        Versions of the packages that the step names.
    seconds
        How long the function took.
    when
        When it ended, as an aware datetime.
    process
        The machine and the process, as ``"host:1234"``.
    python
        The release of Python.
    pinned
        Whether the result stays whatever changes.
    evicted
        When its payloads were evicted; None if they were not.
    """

    step: str
    version: int | str | None
    module: str
    node: str
    settings: dict[str, Any]
    reads: tuple[Read, ...]
    code: dict[str, str]
    packages: dict[str, str]
    seconds: float
    when: datetime
    process: str
    python: str
    pinned: bool
    evicted: datetime | None
    names: tuple[str, ...]
    is_mapping: bool

    def __str__(self) -> str:
        version = "" if self.version is None else f", version {self.version}"
        packages = ", ".join(f"{name} {release}" for name, release in self.packages.items())
        lines = [
            f"step {self.step}{version}, of module {self.module}",
            f"  at        {self.node or 'the root'}",
            f"  settings  {_listed(self.settings)}",
            f"  when      {self.when:%Y-%m-%d %H:%M:%S %Z}, took {self.seconds:.3g} s",
            f"  by        {self.process}, Python {self.python}",
            f"  code      {', '.join(self.code)}",
            f"  packages  {packages or 'none'}",
        ]
        lines += [f"  {'read' if at == 0 else '':<8}  {each}" for at, each in enumerate(self.reads)]
        if self.pinned:
            lines.append("  pinned")
        if self.evicted:
            lines.append(f"  evicted   {self.evicted:%Y-%m-%d %H:%M:%S %Z}")
        return "\n".join(lines)

    __repr__ = __str__

    def read_back(self, result: BaseNode) -> Any:
        """What the step has returned."""
        if self.evicted:
            raise StaleResultError(
                f"the payloads of result {plain(result)._path()!r} of step {self.step!r} were evicted; at() "
                "computes them anew"
            ).of(self.step, self.node)
        found = {name: _read(result, name) for name in self.names}
        return found if self.is_mapping else found[PAYLOAD if PAYLOAD in found else VALUE]


def _read(result: BaseNode, name: str) -> Any:
    value = result.attrs[name]
    return value.read() if name in result.payloads else value


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={written(value)}" for name, value in settings.items()) or "none"


def provenance(result: BaseNode) -> Provenance:
    """How the *result* of a step was made; printing it shows all of it.

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
    check = check_of(node)
    if check is None:
        raise NotAResultError(f"{node._place()} is no result: no step has made it").of("", node._path())
    about = about_of(node)
    evicted = noted(node, EVICTED)
    parent = node.parent
    return Provenance(
        step=check["name"],
        version=check["version"],
        module=check["module"],
        node="" if parent is None else parent._path(),
        settings=about["settings"],
        reads=tuple(
            Read(shown_place(up, keys), kind, name, identity)
            for up, keys, kind, name, identity in check["reads"]
        ),
        code={part: source or bytecode for part, (source, bytecode) in check["code"].items()},
        packages=check["packages"],
        seconds=about["seconds"],
        when=about["when"],
        process=about["process"],
        python=check["python"],
        pinned=PINNED in names_of(node),
        evicted=None if evicted is None else datetime.fromisoformat(evicted["when"]),
        names=tuple(check["holds"]),
        is_mapping=check["mapping"],
    )


def shown_place(up: int, keys: Any) -> str:
    """A place as a path from the node of the step."""
    return "/".join((*(("..",) * up), *keys)) or "."


def load(result: BaseNode) -> Any:
    """What the step has returned, read from its *result*.

    Parameters
    ----------
    result
        What ``at`` gave.

    Returns
    -------
    object
        An array, a table, a text or a number, if the step returned one; otherwise a dict of such, by name.

    Raises
    ------
    NotAResultError
        If no step has made the node.
    StaleResultError
        If its payloads were evicted.
    """
    return provenance(result).read_back(result)
