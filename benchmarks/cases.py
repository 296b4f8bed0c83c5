"""What a case is: a piece of work, who does it, and the target that ours is held to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Figures = dict[str, float]


@dataclass(frozen=True)
class Side:
    """One library, or plain system calls, doing the work of a case.

    Parameters
    ----------
    label
        Who does it, as the table names it.
    function
        A function of a module in this package, called in a fresh process with ``folder=`` and *arguments*.
        It returns its figures by name, in seconds and bytes.
    arguments
        Numbers and texts.
    data
        The side that makes what this one works on, run once, in the folder that this one gets. Without it,
        each repetition gets a new folder.
    figure
        Which of the figures counts here.
    per
        What the figure is divided by, such as the number of leaves.
    durable
        What of its writing survives a power cut when the time is stopped.
    peer
        Whether it runs in the environment of lotdb 1.1.3.
    items
        How many items it works on, if how it grows is of interest.
    needs
        The module that it imports, if that need not be installed; without it, the side is left out.
    """

    label: str
    function: Callable[..., Figures]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    data: Side | None = None
    figure: str = "seconds"
    per: float = 1
    durable: str = ""
    peer: bool = False
    items: int | None = None
    needs: str = ""

    @property
    def key(self) -> str:
        """What it runs. Sides of one key are run once, and give several figures."""
        ran = [self.function.__module__, self.function.__name__, dict(self.arguments), self.peer]
        return json.dumps([*ran, self.data.key if self.data else None])

    def value(self, figures: Figures) -> float:
        """The figure that counts, from those of a repetition."""
        return figures[self.figure] / self.per

    def but(self, **changes: Any) -> Side:
        """The same with other fields."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Target:
    """What ours is held to: a bound on a number made from our figure and another's."""

    text: str  # a bound on a ratio is said of the other's figure divided by ours, whatever the number is
    number: Callable[[float, float], float]
    holds: Callable[[float], bool]
    difference: bool = False  # the number is in the figures' unit, and no ratio


def faster(times: float) -> Target:
    """At least so many times as fast as the other."""
    return Target(f"≥ {times:g} ×", lambda ours, theirs: theirs / ours, lambda number: number >= times)


def at_most(times: float, what: str = "time") -> Target:
    """At most so many times the other's figure, which is a *what*."""
    text = f"≥ {1 / times:.2f} × (its {what} × {times:g})"
    return Target(text, lambda ours, theirs: ours / theirs, lambda number: number <= times)


def more(amount: float, text: str) -> Target:
    """At most so much above the other's figure."""
    return Target(f"≤ {text} more", lambda ours, theirs: ours - theirs, lambda number: number <= amount, True)


def below(amount: float, text: str) -> Target:
    """At most so much, whatever others do."""
    return Target(f"≤ {text}", lambda ours, theirs: ours, lambda number: number <= amount, True)


@dataclass(frozen=True)
class Against:
    """Whom a case is compared with, and what is asked of ours; without a target it is only shown.

    *usual* marks what most people would use for the case's task today: it stands in "what to expect".
    """

    side: Side
    target: Target | None = None
    usual: bool = False


@dataclass(frozen=True)
class Plot:
    """Where a case is a point of a curve: its figure, against the number of items."""

    title: str
    items: str  # what is counted: leaves
    each: str  # what the figure is of one of: leaf


@dataclass(frozen=True)
class Case:
    """A row group of the table. With a *task*, in plain words, it is a line of "what to expect" as well."""

    work: str
    ours: Side
    against: tuple[Against, ...] = ()
    alone: Target | None = None
    unit: str = "ms"
    repeats: int | None = None
    plot: Plot | None = None
    task: str = ""
