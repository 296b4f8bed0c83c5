"""Several steps at once, of which some take what others give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lotdb.errors import shown
from lotdb.interfaces.options import is_several
from lotdb.public import BaseNode, InvalidStepError, WrongNodeError
from lotdb.steps import known
from lotdb.steps.step import Step

__all__ = ["Planned", "plan", "run"]


@dataclass(frozen=True)
class Planned:
    """A result that :func:`run` computes, or has computed: its step, its path, and why, in one sentence."""

    step: str
    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"


def plan(
    nodes: BaseNode | Iterable[BaseNode],
    steps: Sequence[Step],
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Planned]:
    """What :func:`run` would compute, and why, in its order; nothing is computed.

    The arguments and errors are those of :func:`run`.
    """
    ordered, chosen = _ordered(steps), _chosen(settings, steps)
    found: list[Planned] = []
    for node in _nodes(nodes):
        given: dict[str, BaseNode | str] = {}  # what each step gives: a node, or the path that it would have
        for each in ordered:
            source = node if each.takes_from is None else given[each.takes_from]
            name = each.step.name
            if isinstance(source, str):
                given[name] = f"{source}/{name}"
                found.append(Planned(name, f"{source}/{name}", f"result {source!r} would be computed"))
                continue
            call = each.step.call(source, **chosen.get(name, {}))
            path = f"{call.path}/{name}" if call.path else name
            why = call.why(each.step.on_code_change if each.step.on_code_change != "warn" else "ignore")
            if why is None and any(planned.path == call.path for planned in found):
                why = f"result {call.path!r} would be computed"
            if why is not None:
                found.append(Planned(name, path, why))
            given[name] = path if why is not None and call.existing() is None else call.existing() or path
    return found


def run(
    nodes: BaseNode | Iterable[BaseNode],
    steps: Sequence[Step],
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Planned]:
    """Compute the results of *steps* that are missing or stale; those whose results others take come first.

    A step takes the result of another one if it says so with ``takes=``, or if its first argument has the
    name of that step. One that looks for a result below its node, such as ``node["band_power"]``, gets it,
    too. The others are called at *nodes*. All is part of the transaction, and you commit.

    Parameters
    ----------
    nodes
        A node, or several, such as ``root.find("**/capture_*")``.
    steps
        The steps, in any order.
    settings
        Settings by the names of steps: ``{"band_power": {"low": 1.0}}``.

    Returns
    -------
    list of Planned
        What was computed, and why.

    Raises
    ------
    InvalidStepError
        If there is something else among the steps, two have one name, or steps take each other's results.
    StepFailedError, StepResultError, StepAccessError
        As of ``at``; what was computed before stays part of the transaction.
    """
    ordered, chosen = _ordered(steps), _chosen(settings, steps)
    done: list[tuple[str, str, str]] = []
    token = known.wanted.set(
        ({each.step.name: (each.step, chosen.get(each.step.name, {})) for each in ordered}, done)
    )
    try:
        for node in _nodes(nodes):
            given: dict[str, BaseNode] = {}
            for each in ordered:
                source = node if each.takes_from is None else given[each.takes_from]
                given[each.step.name] = each.step.at(source, **chosen.get(each.step.name, {}))
    finally:
        known.wanted.reset(token)
    return [Planned(*each) for each in done]


@dataclass(frozen=True)
class _Placed:
    """A step, and the name of the one among the others whose result it takes."""

    step: Step
    takes_from: str | None


def _ordered(steps: Any) -> list[_Placed]:
    if isinstance(steps, (str, Step)) or not is_several(steps):
        raise InvalidStepError(f"steps is {shown(steps)}; give a list of steps").of("", "")
    by_name: dict[str, Step] = {}
    for each in steps:
        if not isinstance(each, Step):
            raise InvalidStepError(f"{shown(each)} is no step; decorate the function with @step").of("", "")
        if by_name.setdefault(each.name, each) is not each:
            raise InvalidStepError(f"two of the steps are called {each.name!r}").of(each.name, "")
    takes = {name: _takes(each, by_name) for name, each in by_name.items()}
    ordered: dict[str, _Placed] = {}
    for name in by_name:
        chain: list[str] = []
        following: str | None = name
        while following is not None and following not in ordered:
            if following in chain:
                around = " <- ".join((*chain, following))
                raise InvalidStepError(f"steps take each other's results: {around}").of(following, "")
            chain.append(following)
            following = takes[following]
        for one in reversed(chain):
            ordered[one] = _Placed(by_name[one], takes[one])
    return list(ordered.values())


def _takes(step: Step, among: Mapping[str, Step]) -> str | None:
    if step.takes is None:
        name = step.node_argument
        return name if name in among and name != step.name else None
    if step.takes not in among:
        raise InvalidStepError(
            f"step {step.name!r} takes the result of {step.takes!r}, which is not among the steps"
        ).of(step.name, "")
    return step.takes


def _chosen(settings: Any, steps: Iterable[Step]) -> Mapping[str, Mapping[str, Any]]:
    if settings is None:
        return {}
    if not isinstance(settings, Mapping) or not all(isinstance(each, Mapping) for each in settings.values()):
        raise InvalidStepError(
            f"settings is {shown(settings)}; use a mapping of names of steps to mappings of their settings"
        ).of("", "")
    names = {each.name for each in steps}
    for name in settings:
        if name not in names:
            raise InvalidStepError(
                f"there are settings for {shown(name)}, which is not among the steps"
            ).of(name if isinstance(name, str) else "", "")
    return settings


def _nodes(nodes: Any) -> Iterator[BaseNode]:
    if isinstance(nodes, BaseNode):
        yield nodes
        return
    if isinstance(nodes, (str, bytes)) or not is_several(nodes):
        raise WrongNodeError(f"{shown(nodes)} is no node, and no nodes")
    for each in nodes:
        if not isinstance(each, BaseNode):
            raise WrongNodeError(f"{shown(each)} is no node")
        yield each
