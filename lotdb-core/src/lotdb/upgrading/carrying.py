"""Copying the tree of an old database into a new one, node by node, in batches of commits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

from lotdb.content import payloads as content
from lotdb.content.defaults import POLICY
from lotdb.database import LOTDB
from lotdb.database.copied import ReportNote
from lotdb.errors import DamagedError, InvalidKeyError, LotdbError, ValueTooLargeError
from lotdb.keys import check_key, check_name
from lotdb.node_api.nodes import BaseNode, DataNode
from lotdb.upgrading.old import OldDatabase, is_node
from lotdb.upgrading.old_payloads import CLASSES, OldPayload, check_pandas, check_zarr, needs_of, payload_of
from lotdb.upgrading.old_values import plain
from lotdb.upgrading.pickles import Array, Ref
from lotdb.upgrading.report import UpgradeReport

__all__ = ["Progress", "copy_all", "survey"]

#: Called with the number of nodes copied, the number of all, and the path of the last.
Progress = Callable[[int, int, str], object]

_ROOT = "stt"
# A commit after so many nodes, or bytes of payloads: neither grows with the database.
_NODES, _BYTES = 1000, 64 << 20
_NODE_CLASSES = ("lotdb.tree.BaseNode", "lotdb.tree.DataNode")
_PARTS = frozenset({
    "_key", "_parent", "attribute_storage", "data_attribute", "data_backend", "node_storage", "samplerate_hz",
})  # fmt: skip


class _Node(NamedTuple):
    """A node of the old database: its place in the new one, and what its record holds."""

    path: tuple[str, ...]
    kind: str
    state: dict[str, Any]


def survey(old: OldDatabase) -> int:
    """The number of nodes; what is needed to read their payloads is there.

    Raises
    ------
    MissingPluginError
        zarr or pandas is needed, and not installed.
    """
    total, needs = 0, set()
    for node in _walk(old, UpgradeReport()):
        total += 1
        if node.state.get("data_backend") == "zarr":
            needs.add("zarr")
        if len(needs) == 2:
            continue
        try:
            for _, value in old.items(node.state["attribute_storage"]):
                if isinstance(value, Ref):
                    name, state = old.record(value)
                    if name in CLASSES:
                        needs |= needs_of(state, old)
        except (DamagedError, ValueError, TypeError, IndexError, AttributeError):
            continue  # reported when it is copied
    for need, check in (("zarr", check_zarr), ("pandas", check_pandas)):
        if need in needs:
            check()
    return total


def copy_all(
    old: OldDatabase, db: LOTDB, total: int, report: UpgradeReport, progress: Progress | None
) -> None:
    """Copy all of *old* into *db*, which is new, and note in *report* what was done."""
    root = db.open_connection()
    copier = _Copier(old, root, report)
    for name in old.roots():
        if name != _ROOT:
            report.missed.append(
                ReportNote("", str(name), "it stands beside the tree, where lotdb keeps nothing")
            )
    for nodes, node in enumerate(_walk(old, report), 1):
        copier.copy(node)
        if nodes % _NODES == 0 or copier.pending > _BYTES:
            db.commit()
            copier.pending = 0
        if progress is not None:
            progress(nodes, total, "/".join(node.path))
    db.commit()
    db.close_connection()


def _walk(old: OldDatabase, report: UpgradeReport) -> Iterator[_Node]:
    """All nodes, each before those below it."""
    top = old.roots().get(_ROOT)
    if not isinstance(top, Ref):
        raise DamagedError(f"{old.data_file} has no tree")
    kind, state = old.record(top)
    if not is_node(state):
        raise DamagedError(f"the root of {old.data_file} is no node, but of the class {kind}")
    yield _Node((), kind, state)
    # Of each level the reference and what is left of its children.
    levels = [(top.oid, _children(old, state, (), report))]
    while levels:
        found = next(levels[-1][1], None)
        if found is None:
            levels.pop()
            continue
        path, ref = found
        if any(oid == ref.oid for oid, _ in levels):
            report.missed.append(ReportNote("/".join(path), "", "the node is below itself"))
            continue
        try:
            kind, state = old.record(ref)
            if not is_node(state):
                raise DamagedError(f"it is no node, but of the class {kind}")
        except DamagedError as error:
            report.missed.append(ReportNote("/".join(path), "", f"the node was not carried: {error}"))
            continue
        yield _Node(path, kind, state)
        levels.append((ref.oid, _children(old, state, path, report)))


def _children(
    old: OldDatabase, state: dict[str, Any], path: tuple[str, ...], report: UpgradeReport
) -> Iterator[tuple[tuple[str, ...], Ref]]:
    """The paths and references of the nodes in *state*; keys that are none get others."""
    used: set[str] = set()
    odd: list[tuple[Any, Any]] = []
    try:
        for key, value in old.items(state["node_storage"]):
            try:
                is_plain = check_key(key) == key
            except InvalidKeyError:
                is_plain = False
            if not is_plain:
                odd.append((key, value))
            elif isinstance(value, Ref):
                yield (*path, key), value
    except (DamagedError, ValueError, TypeError, IndexError, AttributeError) as error:
        report.missed.append(ReportNote("/".join(path), "", f"nodes below it were not carried: {error}"))
    if odd:
        used = {key for key, _ in old.items(state["node_storage"]) if isinstance(key, str)}
    for key, value in odd:
        new = _mended(str(key), used, is_key=True)
        used.add(new)
        report.changed.append(
            ReportNote("/".join((*path, new)), "", f"its key was {key!r}, which cannot be a key any more")
        )
        if isinstance(value, Ref):
            yield (*path, new), value


def _mended(name: str, used: set[str], *, is_key: bool) -> str:
    """A key, or a name, like *name*, that may be used and is not in *used*."""
    allowed = "".join(
        f"%{ord(each):02X}"
        if ord(each) < 32 or 127 <= ord(each) < 160 or 0xD800 <= ord(each) < 0xE000
        else each
        for each in name
    )
    if is_key:
        allowed = allowed.replace("/", "%2F")
        allowed = "%2E" * len(allowed) if allowed in (".", "..") else allowed
    if name in POLICY:
        allowed += "_"
    allowed = check_name(allowed.encode()[:200].decode(errors="ignore") or "%")
    new, number = allowed, 2
    while new in used:
        new, number = f"{allowed}~{number}", number + 1
    return new


class _Copier:
    def __init__(self, old: OldDatabase, root: BaseNode, report: UpgradeReport) -> None:
        self._old, self._root, self._report = old, root, report
        self._above: list[BaseNode] = [root]
        #: Bytes of payloads since the last commit.
        self.pending = 0

    def copy(self, node: _Node) -> None:
        """Make *node*, whose parent was made before, and what it holds."""
        path, report = "/".join(node.path), self._report
        del self._above[max(len(node.path), 1) :]
        is_data = "data_attribute" in node.state or node.kind == _NODE_CLASSES[1]
        new = self._root
        if node.path:
            new = self._above[-1].get_node(node.path[-1], node_type="data" if is_data else None)
            self._above.append(new)
        report.nodes += 1
        if node.kind not in _NODE_CLASSES:
            self._changed(
                path,
                "",
                f"it was of the class {node.kind}, and became a {'data' if is_data else 'plain'} node",
            )
        if isinstance(new, DataNode):
            report.data_nodes += 1
            self._defaults(new, path, node.state)
        for name, value in self._values(path, node.state):
            self._value(new, path, name, value)

    def _defaults(self, new: DataNode, path: str, state: dict[str, Any]) -> None:
        for old, name in (
            ("samplerate_hz", "samplerate_hz"),
            ("data_backend", "backend"),
            ("data_attribute", "data_attribute"),
        ):
            value = state.get(old)
            if value is None:
                continue
            try:
                if name == "data_attribute":
                    value = self._name(path, value, set(), note=False)
                new.configure_data(**cast(Any, {name: value}))
            except LotdbError as error:
                self._missed(path, "", f"its default {name}={value!r} was not carried: {error}")

    def _values(self, path: str, state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        used: set[str] = set()
        try:
            odd = []
            for name, value in self._old.items(state["attribute_storage"]):
                used.add(name)
                if self._is_name(name):
                    yield name, value
                else:
                    odd.append((name, value))
            for name, value in odd:
                yield self._name(path, name, used), value
        except (DamagedError, ValueError, TypeError, IndexError, AttributeError) as error:
            self._missed(path, "", f"attributes of it were not carried: {error}")
        # What a program has set on the object itself, as in node.colour = "red".
        for name in [name for name in state if name not in _PARTS]:
            new = self._name(path, f"{name}_" if name in used else name, used)
            self._changed(path, new, "it was set on the node's object, and became an attribute")
            yield new, state[name]

    @staticmethod
    def _is_name(name: Any) -> bool:
        try:
            return check_name(name) == name and name not in POLICY
        except InvalidKeyError:
            return False

    def _name(self, path: str, name: Any, used: set[str], *, note: bool = True) -> str:
        if self._is_name(name):
            return str(name)
        new = _mended(str(name), used, is_key=False)
        used.add(new)
        if note:
            self._changed(path, new, f"its name was {name!r}, which cannot be a name any more")
        return new

    def _value(self, new: BaseNode, path: str, name: str, value: Any) -> None:
        try:
            if isinstance(value, Ref):
                kind, state = self._old.record(value)
                if kind in CLASSES:
                    self._payload(new, path, name, payload_of(self._old, value, kind, state))
                    return
            found = plain(self._old, value)
            if name == "_source_filepath" and isinstance(value, Ref):
                found = str(found)  # as this version keeps it
            try:
                new.set_attribute(name, found)
            except ValueTooLargeError:
                if isinstance(value, Array) or isinstance(found, str | bytes):
                    self._payload(new, path, name, OldPayload(found, "blob"))
                    self._changed(path, name, "it is too large for an attribute, and became a payload")
                    return
                raise
            self._report.attributes += 1
        except (MemoryError, OSError) as error:
            if not isinstance(error, LotdbError):
                raise
            self._missed(path, name, str(error))
        except LotdbError as error:
            self._missed(path, name, str(error))
        except (ValueError, TypeError, IndexError, AttributeError, KeyError, RecursionError) as error:
            self._missed(path, name, f"it cannot be read: {error!r}")

    def _payload(self, new: BaseNode, path: str, name: str, payload: OldPayload) -> None:
        written = content.write(
            new,
            payload.data,
            content.Request(
                name, payload.backend, payload.samplerate_hz, payload.metadata or None, payload.content_type
            ),
        )
        size = written.nbytes
        self.pending += size
        self._report.payload_bytes += size
        self._report.payloads += 1
        for note in payload.notes:
            self._changed(path, name, note)

    def _missed(self, path: str, name: str, reason: str) -> None:
        self._report.missed.append(ReportNote(path, name, reason))

    def _changed(self, path: str, name: str, reason: str) -> None:
        self._report.changed.append(ReportNote(path, name, reason))
