"""Running the function of a step on watched nodes, and storing what came out: whole, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from lotdb.content import payloads
from lotdb.content.defaults import POLICY
from lotdb.content.payload import Payload
from lotdb.content.payloads import Request
from lotdb.errors import InvalidKeyError, ReadOnlyError, StepAccessError
from lotdb.keys import check_name
from lotdb.node_api.facts import (
    CHECK,
    EVICTED,
    FACTS,
    PINNED,
    SAME,
    STEP,
    identity_of_value,
    likeness_of,
    names_of,
    noted,
    plain,
    result_below,
    stored_text,
    text_in,
)
from lotdb.node_api.nodes import BaseNode, DataNode
from lotdb.node_api.watching import Fact, Reads, at_place
from lotdb.records.entries import own_of
from lotdb.records.own import EMPTY_OWN, with_values
from lotdb.segments.payload_record import PayloadRecord
from lotdb.tree.tree import Tree
from lotdb.values import values

__all__ = [
    "CHECK",
    "EVICTED",
    "FACTS",
    "PINNED",
    "STEP",
    "Fact",
    "Item",
    "at_place",
    "begin_again",
    "database_of",
    "drop_payloads",
    "is_read_only",
    "names_of",
    "plain",
    "result_below",
    "run_watched",
    "settled",
    "store",
    "stored_text",
    "text_in",
]


_NOTES = frozenset((CHECK, EVICTED, PINNED, SAME, STEP))

# So many bytes of two payloads are compared at a time.
_COMPARED = 4 << 20


@dataclass(frozen=True)
class Item:
    """What becomes a payload: the data, and how they are written, as in ``DataNode.write_data``."""

    data: Any
    samplerate_hz: float | None = None
    metadata: Mapping[str, Any] | None = None
    backend: str | None = None
    content_type: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


class _Running:
    """A function that runs on nodes of a tree, which it must leave as it is."""

    def __init__(self, tree: Tree, what: str) -> None:
        self._tree = tree
        self._what = what
        self.version = tree.version
        self._opened = tree.connections_opened()

    def check(self) -> None:
        if self._tree.steps is None:
            raise StepAccessError(
                f"{self._what} has ended the transaction that it runs in; what it had changed before may be "
                "committed. Commit when at() has returned"
            )
        if self._tree.connections_opened() != self._opened:
            raise StepAccessError(
                f"{self._what} has opened another connection to {self._tree}, which may show another moment, "
                "and where nobody sees what is read; read through the node that the step is given"
            )
        if self._tree.version != self.version:
            raise StepAccessError(
                f"{self._what} has changed the tree, which was undone; a step returns what is to be "
                "stored, and changes nothing itself"
            )


@contextmanager
def settled(node: BaseNode) -> Iterator[None]:
    """The context of all changes for a result, which a step may ask for while another one runs."""
    running: list[_Running] | None = node._tree.remembered.get("running")
    outer = running[-1] if running else None
    if outer is not None:
        outer.check()
    try:
        yield
    finally:
        if outer is not None:
            outer.version = node._tree.version


def is_read_only(node: BaseNode) -> ReadOnlyError | None:
    """Why nothing can be written at *node*, or None."""
    try:
        node._tree.check_writable()
    except ReadOnlyError as error:
        return error
    return None


def database_of(node: BaseNode) -> Any:
    """The database that *node* is in, or None."""
    return node._tree.database


def begin_again(node: BaseNode) -> None:
    """Have the connection of *node*, in which nothing is changed, see what is committed by now."""
    if (database := database_of(node)) is not None:
        database.abort(node)


def run_watched(
    function: Callable[..., Any],
    node: BaseNode,
    settings: Mapping[str, Any],
    *,
    own: tuple[str, ...],
    what: str,
    on_result: Callable[[BaseNode, str, str], None],
    on_missing: Callable[[BaseNode, tuple[str, ...]], bool],
) -> tuple[Any, dict[Fact, str | None]]:
    """What *function* returns for *node*, and the facts that it has read; what it changes is undone.

    Raises
    ------
    StepAccessError
        If it has changed the tree, or ended the transaction.
    """
    tree = node._tree
    reads = Reads(node, own, what, on_result, on_missing)
    given = {
        name: reads.watch(plain(value)) if isinstance(value, BaseNode) else value
        for name, value in settings.items()
    }
    stack: list[_Running] = tree.remembered.setdefault("running", [])
    with tree.whole():
        running = _Running(tree, what)
        stack.append(running)
        try:
            returned = function(reads.watch(node), **given)
            running.check()
        finally:
            reads.end()
            stack.pop()
    return returned, reads.facts


def store(
    node: BaseNode,
    key: str,
    items: Mapping[str, Item],
    attributes: Mapping[str, Any],
    others: Sequence[tuple[str, Any]] = (),
    *,
    notes: Mapping[str, values.Encoded],
    holds: Collection[str] = (),
    repeats: bool = False,
) -> DataNode:
    """Make the child *key* of *node* hold payloads *items*, *attributes* and *notes*.

    They take the place of what the result before *holds*, by name. What else is in the child or below it
    stays: somebody has put it there. *others* are objects of xarray, with the names of their payloads;
    *notes* are attributes in their stored form. It *repeats* if it was made from the same as what was
    evicted there: then payloads with the same checksums are the same.
    """
    tree = node._tree
    with tree.whole():
        result = node.get_data_node(key)
        own = own_of(result._entry())
        before = dict(zip(own[0], own[1:], strict=True))
        evicted = noted(result, EVICTED) if EVICTED in before else None
        gone = {*holds, *_NOTES, *items, *attributes, *(name for name, _ in others)}
        kept = {name: stored for name, stored in before.items() if name in POLICY or name not in gone}
        if len(kept) < len(own[0]):
            result._put_own(with_values(EMPTY_OWN, kept) if kept else EMPTY_OWN)
        plugins = tree.plugins
        mark = tree.mark()
        written = [_written(result, name, item, before.get(name)) for name, item in items.items()]
        stored = {}
        for name, value in attributes.items():
            name = check_name(name)
            if name in POLICY:
                raise InvalidKeyError(f"{name!r} cannot be an attribute: it keeps a default of data nodes")
            stored[name] = values.encode(value, name=name, extra=plugins)
        stored |= notes
        if repeats and evicted is not None:
            stored |= _same_as(evicted["payloads"], written, result)
        payloads.record(result, written, stored, mark=mark)
        for name, data in others:
            result.write_xarray(data, data_attribute=name)
    return result


def _written(result: BaseNode, name: str, item: Item, before: Any) -> payloads.Written:
    """The rows of *item* as they are stored; those that were there *before*, if they are the same.

    Then what was made from them stays fresh. Nothing is read unless the checksums are the same.
    """
    stage = result._tree.stage
    mark = stage.mark()
    request = Request(
        name, item.backend, item.samplerate_hz, item.metadata, item.content_type, "error", item.options
    )
    written = payloads.write_rows(result, item.data, request)
    if not payloads.is_payload(before):
        return written
    old, new = PayloadRecord.decode(before), written.record
    if not replace(old, segments=()).is_same(replace(new, segments=())) or _sums(old) != _sums(new):
        return written
    if not _is_same(Payload(result, name, old), Payload(result, name, new)):
        return written
    stage.discard_segments(mark, written.record.segments)
    return written._replace(record=old)


def _same_as(
    evicted: Mapping[str, Any], written: Sequence[payloads.Written], node: BaseNode
) -> dict[str, str]:
    """The note by which payloads that were evicted, and came out the same, keep their identities."""
    same = {}
    for name, record, _ in written:
        stored = record.encode()
        identity, likeness = evicted.get(name, (None, None))
        if likeness == likeness_of(stored):
            same[name] = identity_of_value(stored, node), identity
    return {SAME: json.dumps(same)} if same else {}


def _sums(record: PayloadRecord) -> list[tuple[int, int]]:
    return [(segment.rows, segment.checksum) for segment in record.segments]


def _is_same(one: Payload, other: Payload) -> bool:
    step = max(1, _COMPARED // max(1, one._record.layout.row_bytes))
    for first in range(0, one._record.rows, step):
        last = min(first + step, one._record.rows)
        if one._read_rows(first, last).tobytes() != other._read_rows(first, last).tobytes():
            return False
    return True


def drop_payloads(node: BaseNode, holds: Collection[str], when: str) -> None:
    """Drop the payloads of a result, which *holds* them, and note *when*, and what they were."""
    own = own_of(node._entry())
    pairs = list(zip(own[0], own[1:], strict=True))
    gone = {
        name: (FACTS["payload"](node, name, ()), likeness_of(stored))
        for name, stored in pairs
        if name in holds and payloads.is_payload(stored)
    }
    kept = {name: stored for name, stored in pairs if name not in gone and name != SAME}
    kept[EVICTED] = json.dumps({"when": when, "payloads": gone})
    node._put_own(with_values(EMPTY_OWN, kept))
