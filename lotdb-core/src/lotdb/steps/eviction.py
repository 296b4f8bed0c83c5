"""Dropping the payloads of results, which ``at`` computes anew when they are needed; and pinning results."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lotdb.errors import shown
from lotdb.node_api.outcomes import CHECK, EVICTED, PINNED, drop_payloads, names_of, plain, stored_text
from lotdb.public import BaseNode, InvalidOptionError, NotAResultError, WrongNodeError, attr
from lotdb.steps.origins import about_of, parsed
from lotdb.steps.step import Step

__all__ = ["EvictReport", "evict", "pin", "results_below", "unpin"]


@dataclass(frozen=True)
class EvictReport:
    """What :func:`evict` has dropped: paths of results, and the bytes of their payloads, uncompressed."""

    paths: tuple[str, ...]
    bytes: int


def results_below(top: BaseNode) -> Iterator[BaseNode]:
    """The results of steps at and below *top*."""
    return iter(top.find("**", where=attr(CHECK).exists()))


def evict(
    root: BaseNode,
    *,
    max_bytes: int | None = None,
    older_than: timedelta | datetime | float | None = None,
    step: Step | str | None = None,
) -> EvictReport:
    """Drop payloads of results at and below *root*; what they were made from stays noted.

    ``at`` computes them anew. Results that were made from them stay fresh. Small values, and pinned results,
    stay. It is part of the transaction, and you commit; ``LOTDB.pack`` then frees the space.

    Parameters
    ----------
    root
        The node.
    max_bytes
        Drop the oldest results, until those that are left have no more bytes than that, uncompressed.
    older_than
        Drop only what was computed so long ago (a timedelta, or seconds), or before an aware datetime.
    step
        Drop only results of this step, or of that name.

    Returns
    -------
    EvictReport
        What was dropped. Without arguments, these are all.

    Raises
    ------
    InvalidOptionError
        If an argument is none of these.
    ReadOnlyError
        If nothing can be written.
    """
    if not isinstance(root, BaseNode):
        raise WrongNodeError(f"{shown(root)} is no node")
    before = _before(older_than)
    name = _name(step)
    if max_bytes is not None and (
        isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 0
    ):
        raise InvalidOptionError(f"max_bytes is {shown(max_bytes)}; use a number of bytes from 0 on")
    top = plain(root)
    found: list[tuple[datetime, int, BaseNode, list[str]]] = []
    for node in results_below(top):
        check = parsed(stored_text(node, CHECK) or "", node)
        # What somebody has put beside what the step gave cannot be computed again.
        size = sum(node.payloads[held].nbytes for held in check["holds"] if held in node.payloads)
        is_asked = name is None or check["name"] == name
        if size and is_asked and PINNED not in names_of(node):
            found.append((about_of(node)["when"], size, node, check["holds"]))
    found.sort(key=lambda each: each[0])
    left = sum(size for _, size, *_ in found)
    dropped, freed = [], 0
    with top._tree.whole():
        for when, size, node, holds in found:
            if before is not None and when >= before:
                break
            if max_bytes is not None and left <= max_bytes:
                break
            drop_payloads(node, holds, datetime.now(UTC).isoformat())
            dropped.append(node._path())
            left -= size
            freed += size
    return EvictReport(tuple(dropped), freed)


def _before(older_than: Any) -> datetime | None:
    if older_than is None:
        return None
    if isinstance(older_than, datetime) and older_than.tzinfo is not None:
        return older_than
    span = older_than
    if isinstance(span, (int, float)) and not isinstance(span, bool) and 0 <= span < math.inf:
        try:
            span = timedelta(seconds=span)
        except OverflowError:  # longer than there is a calendar, as are others below
            span = timedelta.max
    if isinstance(span, timedelta) and span >= timedelta(0):
        try:
            return datetime.now(UTC) - span
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)
    raise InvalidOptionError(
        f"older_than is {shown(older_than)}; use a timedelta or seconds from 0 on, or an aware datetime"
    )


def _name(step: Any) -> str | None:
    if step is None or isinstance(step, str):
        return step
    if isinstance(step, Step):
        return step.name
    raise InvalidOptionError(f"step is {shown(step)}; use a step, or its name")


def pin(result: BaseNode) -> None:
    """Have a *result* stay as it is, whatever its step and what it was made from become."""
    _result(result).attrs[PINNED] = True


def unpin(result: BaseNode) -> None:
    """Have a *result* be computed anew when it is stale, as others are."""
    node = _result(result)
    if PINNED in names_of(node):
        del node.attrs[PINNED]


def _result(result: Any) -> BaseNode:
    if not isinstance(result, BaseNode):
        raise WrongNodeError(f"{shown(result)} is no node")
    node = plain(result)
    if CHECK not in names_of(node) or EVICTED in names_of(node):
        why = "its payloads were evicted" if CHECK in names_of(node) else "no step has made it"
        raise NotAResultError(f"{node._place()} is no result that could stay: {why}").of("", node._path())
    return node
