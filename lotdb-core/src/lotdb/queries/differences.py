"""What differs between two subtrees: of one tree, of two branches, or of two databases.

What both share is one record, and is passed by unread. Values are compared as they are stored; payloads of
the same segments are equal unread, and others are read in blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import eq
from typing import Any, Literal

from lotdb.content.defaults import POLICY
from lotdb.content.payload import Payload, decode_record
from lotdb.errors import DamagedError, written
from lotdb.keys import node_text
from lotdb.queries.row_ranges import differing_rows
from lotdb.records import Children, Entry
from lotdb.records.children import all_items
from lotdb.records.entries import children_of, is_same_entry, own_of, record_of, type_of
from lotdb.records.identity import is_same_stored
from lotdb.segments.layout import Segment
from lotdb.segments.payload_form import PLACE, is_payload
from lotdb.segments.payload_record import PayloadRecord
from lotdb.tree.graft import check_node
from lotdb.tree.node import Node
from lotdb.tree.tree import Tree
from lotdb.values import values

__all__ = ["Diff", "Difference"]

Kind = Literal[
    "added",
    "removed",
    "moved",
    "retyped",
    "attribute_added",
    "attribute_removed",
    "attribute_changed",
    "default_added",
    "default_removed",
    "default_changed",
    "payload_added",
    "payload_removed",
    "payload_changed",
]

# Moves out of and into nodes that were removed and added are looked for among so many nodes.
_MOST_LOOKED_AT = 10_000
_MOST_LINES = 1000

_FIELDS = ("kind", "dtype", "shape", "samplerate_hz", "content_type", "metadata", "backend", "options")

# So many levels above a node are looked at to see whether it is below itself; all of them now and then.
_RING = 16


@dataclass(frozen=True)
class Difference:
    """One thing that differs between two subtrees.

    Attributes
    ----------
    kind : str
        ``"added"`` and ``"removed"``: a node with all below it, but for what was moved there or away.
        ``"moved"``: the node is the same, with all below it. ``"retyped"``: it has another type.
        ``"attribute_added"``, ``"attribute_removed"``, ``"attribute_changed"``; the same of ``"default_"``,
        of a data node's defaults, and of ``"payload_"``.
    path : str
        Path of the node below the second subtree; of a removed one, below the first.
    old_path : str or None
        Of a moved node, its path below the first subtree.
    name : str or None
        Name of the attribute, default or payload.
    before, after : object
        The value on either side: of a payload, the :class:`lotdb.Payload`; of a node, the name of its type;
        None where there is none.
    rows : tuple of (int, int)
        Of a changed payload, the ranges of rows that differ, from the first row to before the last. Rows that
        only one side has differ. All of them, if the rows cannot be compared. At most 1000 ranges: the last
        one then goes to the last row that differs.
    fields : tuple of str
        Of a changed payload, what else differs: ``"kind"``, ``"dtype"``, ``"shape"``, ``"samplerate_hz"``,
        ``"content_type"``, ``"metadata"``, ``"backend"``, ``"options"``.
    """

    kind: Kind
    path: str
    old_path: str | None = None
    name: str | None = None
    before: Any = None
    after: Any = None
    rows: tuple[tuple[int, int], ...] = ()
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        sign = {"added": "+", "removed": "-", "moved": ">"}.get(self.kind, "")
        if self.kind == "moved":
            return f"> {self.old_path or '.'} moved to {self.path or '.'}"
        if sign:
            return f"{sign} {self.path or '.'}"
        if self.kind == "retyped":
            return f"~ {self.path or '.'}: type {self.before!r} -> {self.after!r}"
        what, _, how = self.kind.partition("_")
        about = f"{what} {self.name!r}"
        if how == "added":
            return f"~ {self.path or '.'}: + {about} {_brief(self.after)}"
        if how == "removed":
            return f"~ {self.path or '.'}: - {about} {_brief(self.before)}"
        if what != "payload":
            return f"~ {self.path or '.'}: {about} {_brief(self.before)} -> {_brief(self.after)}"
        parts = [
            f"{name} {getattr(self.before, name)!r} -> {getattr(self.after, name)!r}" for name in self.fields
        ]
        if self.rows:
            some = ", ".join(f"{first}:{last}" for first, last in self.rows[:5])
            parts.append(f"rows {some}{', …' if len(self.rows) > 5 else ''}")
        return f"~ {self.path or '.'}: {about} {'; '.join(parts)}"


class Diff:
    """What differs between two subtrees, found out when it is asked for: what :func:`lotdb.diff` gives.

    Iterating gives each :class:`Difference`: first what differs in nodes that both have, in the order
    of their paths, then what was removed, moved and added. ``bool(diff)`` tells whether anything differs, and
    ``print(diff)`` shows it.
    """

    __slots__ = ("_a", "_b")

    def __init__(self, a: Node, b: Node) -> None:
        self._a, self._b = check_node(a), check_node(b)
        self._a._entry()  # which know whether they are there
        self._b._entry()

    def __repr__(self) -> str:
        return f"<Diff of {self._a!r} and {self._b!r}>"

    def __iter__(self) -> Iterator[Difference]:
        return _Comparison(self._a, self._b).run()

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None

    def __str__(self) -> str:
        lines: list[str] = []
        for difference in self:
            if len(lines) == _MOST_LINES:
                lines.append("…")
                break
            lines.append(str(difference))
        return "\n".join(lines) or "no differences"


class _Comparison:
    def __init__(self, a: Node, b: Node) -> None:
        self._a, self._b = a, b
        self._old, self._new = a._tree, b._tree
        #: Whether both are of one database: a record or an array has the same id in both then.
        self._by_id = self._old.database is not None and self._old.database is self._new.database
        self._is_unchanged = self._old.unchanged_until(self._new)
        self._removed: list[tuple[str, Entry]] = []
        self._added: list[tuple[str, Entry]] = []

    def run(self) -> Iterator[Difference]:
        # Depth first; each level tells what it adds to the path, and a ring is noticed by what is above.
        stack: list[tuple[str, Entry, Entry, int]] = [("", self._a._entry(), self._b._entry(), 0)]
        above: list[tuple[int, int]] = []
        while stack:
            path, was, now, depth = stack.pop()
            self._old.check()
            self._new.check()
            if is_same_entry(was, now) or self._is_unchanged(was, now):
                continue
            yield from self._nodes(path, was, now)
            old, new = children_of(was), children_of(now)
            if old is None and new is None:
                continue
            del above[depth:]
            pair = (id(old), id(new))
            if pair in above[-_RING:] or (depth & (depth - 1) == 0 and pair in above):
                raise DamagedError(f"{node_text([path])} cannot be compared: it is below itself")
            above.append(pair)
            stack += [
                (key, one, other, depth + 1) for key, one, other in reversed(self._children(path, old, new))
            ]
            self._old.trim_cache()
            self._new.trim_cache()
        yield from self._structure()

    def _children(
        self, path: str, old: Children | None, new: Children | None
    ) -> list[tuple[str, Entry, Entry]]:
        """Path and entries of the children that both have, and that may differ; the others are noted."""
        befores = iter(()) if old is None else all_items(old)
        afters = iter(()) if new is None else all_items(new)
        both = []
        was, now = next(befores, None), next(afters, None)
        while was is not None or now is not None:
            if now is None or (was is not None and was[0] < now[0]):
                assert was is not None
                self._removed.append((_below(path, was[0]), was[1]))
                was = next(befores, None)
            elif was is None or now[0] < was[0]:
                self._added.append((_below(path, now[0]), now[1]))
                now = next(afters, None)
            else:
                if not (is_same_entry(was[1], now[1]) or self._is_unchanged(was[1], now[1])):
                    both.append((_below(path, now[0]), was[1], now[1]))
                was, now = next(befores, None), next(afters, None)
        return both

    def _is_same(self, was: Any, now: Any) -> bool:
        """Whether two stored values are the same."""
        return values.is_same(was, now) or (self._by_id and is_same_stored(was, now))

    # -- one node ----------------------------------------------------------------------------------

    def _nodes(self, path: str, was: Entry, now: Entry) -> Iterator[Difference]:
        if type_of(was) != type_of(now):
            yield Difference("retyped", path, before=type_of(was), after=type_of(now))
        old, new = _named(was), _named(now)
        for name in sorted(old.keys() | new.keys()):
            if name not in new:
                yield self._one_sided("removed", path, name, old[name])
            elif name not in old:
                yield self._one_sided("added", path, name, new[name])
            elif is_payload(old[name]) and is_payload(new[name]):
                yield from self._payloads(path, name, old[name], new[name])
            elif is_payload(old[name]) or is_payload(new[name]):
                yield self._one_sided("removed", path, name, old[name])
                yield self._one_sided("added", path, name, new[name])
            elif not self._is_same(old[name], new[name]):
                yield Difference(
                    "default_changed" if name in POLICY else "attribute_changed",
                    path,
                    name=name[1:] if name in POLICY else name,
                    before=values.decode(old[name], extra=self._old.plugins),
                    after=values.decode(new[name], extra=self._new.plugins),
                )

    def _one_sided(self, how: str, path: str, name: str, stored: Any) -> Difference:
        is_old = how == "removed"
        tree = self._old if is_old else self._new
        kind: Any
        value: Any
        if is_payload(stored):
            kind, value = f"payload_{how}", self._payload(path, name, stored, is_old=is_old)
        else:
            kind = f"{'default' if name in POLICY else 'attribute'}_{how}"
            value = values.decode(stored, extra=tree.plugins)
        name = name[1:] if name in POLICY else name
        if is_old:
            return Difference(kind, path, name=name, before=value)
        return Difference(kind, path, name=name, after=value)

    def _payload(self, path: str, name: str, stored: Any, *, is_old: bool) -> Payload:
        node = self._a if is_old else self._b
        for key in path.split("/") if path else ():
            node = node._get(key, False)
        return Payload(node, name, decode_record(node, name, stored))

    def _payloads(self, path: str, name: str, was: Any, now: Any) -> Iterator[Difference]:
        if self._is_same(was, now):
            return
        before = self._payload(path, name, was, is_old=True)
        after = self._payload(path, name, now, is_old=False)
        fields = tuple(field for field in _FIELDS if not values.is_same(was[PLACE[field]], now[PLACE[field]]))
        same = is_same_stored if self._by_id else eq
        rows = differing_rows(_record(was), self._old.stage, _record(now), self._new.stage, same)
        if rows or fields:
            yield Difference(
                "payload_changed", path, name=name, before=before, after=after, rows=rows, fields=fields
            )

    # -- what one side alone has -------------------------------------------------------------------

    def _structure(self) -> Iterator[Difference]:
        moved = self._moved() if self._removed and self._added else []
        gone = {old for old, _, _, _ in moved}
        come = {new for _, new, _, _ in moved}
        for path, entry in self._removed:
            if path not in gone:
                yield Difference("removed", path, before=type_of(entry))
        for old_path, path, was, now in moved:
            yield Difference("moved", path, old_path, before=type_of(was), after=type_of(now))
        for path, entry in self._added:
            if path not in come:
                yield Difference("added", path, after=type_of(entry))

    def _moved(self) -> list[tuple[str, str, Entry, Entry]]:
        """The old and the new path, and the entries, of nodes that were taken from one place to another."""
        left: dict[Any, tuple[str, Entry]] = {}
        for path, entry, identity in _looked_at(self._removed, self._old, self._by_id):
            left.setdefault(identity, (path, entry))
        moved: list[tuple[str, str, Entry, Entry]] = []
        inside: str | None = None
        for path, entry, identity in _looked_at(self._added, self._new, self._by_id):
            if inside is not None and path.startswith(inside):
                continue
            if identity in left:
                old_path, was = left.pop(identity)
                moved.append((old_path, path, was, entry))
                inside = f"{path}/"
        return moved


def _looked_at(tops: list[tuple[str, Entry]], tree: Tree, by_id: bool) -> Iterator[tuple[str, Entry, Any]]:
    """The nodes at and below *tops* that can be told apart by what is stored of them, with their identity."""
    left = _MOST_LOOKED_AT
    stack = list(reversed(tops))
    while stack and left > 0:
        path, entry = stack.pop()
        left -= 1
        identity = _identity(entry, by_id)
        if identity is not None:
            yield path, entry, identity
        children = children_of(entry)
        if children is not None:
            below: list[tuple[str, Entry]] = []
            for key, child in all_items(children):
                if len(below) >= left:
                    break
                below.append((_below(path, key), child))
            stack += reversed(below)
            tree.trim_cache()


def _identity(entry: Entry, by_id: bool) -> Any:
    """What tells the node of *entry* wherever it stands: its record, or the payloads of a packed leaf."""
    record = record_of(entry)
    if record is not None:
        return (by_id and record._p_oid) or id(record)
    segments = []
    for stored in entry[2:]:
        if is_payload(stored):
            segments += [_segment(segment, by_id) for segment in _record(stored).segments]
    return tuple(segments) or None


def _segment(segment: Segment, by_id: bool) -> Any:
    oid = getattr(segment.locator, "_p_oid", None) if by_id else None
    return (oid or segment.locator, *segment[1:5])


def _named(entry: Entry) -> dict[str, Any]:
    own = own_of(entry)
    return dict(zip(own[0], own[1:], strict=True))


def _record(stored: Any) -> PayloadRecord:
    return PayloadRecord.decode(stored)


def _below(path: str, key: str) -> str:
    return f"{path}/{key}" if path else key


def _brief(value: Any) -> str:
    text = f"{value.kind} {value.shape} {value.dtype}" if isinstance(value, Payload) else written(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
