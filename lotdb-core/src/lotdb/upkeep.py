"""Looking after a database: finding damage, and sweeping what nothing refers to."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ZODB.POSException import POSError

from lotdb import walk
from lotdb.backend import iter_locators
from lotdb.copying import BLOCK_BYTES
from lotdb.errors import FileSystemError, LotdbError, MissingPluginError, ReadOnlyError, system_error
from lotdb.payload import PayloadRecord, is_payload
from lotdb.records import load_guard, own_of
from lotdb.storage import raw_records
from lotdb.values import Undecodable, decode

if TYPE_CHECKING:
    from lotdb.database import LOTDB
    from lotdb.nodes import BaseNode

__all__ = ["Damage", "sweep", "verify"]


@dataclass(frozen=True)
class Damage:
    """Something that cannot be read.

    ``path`` is the node's, ``name`` that of the payload or attribute ("" for the node itself), and
    ``reason`` says what is wrong and names the file.
    """

    path: str
    name: str
    reason: str


def verify(root: BaseNode) -> Iterator[Damage]:
    """What is damaged at and below *root*; every byte of every payload is read."""
    stack = [root]
    while stack:
        node = stack.pop()
        try:
            yield from _verify_own(node)
            load_guard(node._entry())
            stack.extend(child for child, _ in walk.children(node))
        except (MemoryError, RecursionError):  # says something about here and now, not about the data
            raise
        except Exception as error:  # whatever one stumbles over that reads what is not as it was written
            if failure := system_error(error):
                raise FileSystemError.of(failure, f"{node._place()} was not verified") from error
            yield Damage(node.path, "", f"{type(error).__name__}: {error}")


def _verify_own(node: BaseNode) -> Iterator[Damage]:
    own = own_of(node._entry())
    for name, stored in zip(own[0], own[1:], strict=True):
        if is_payload(stored):
            yield from _verify_payload(node, name, PayloadRecord.decode(stored))
        elif type(stored) is tuple:
            value = decode(stored, extra=node._tree.plugins)
            if isinstance(value, Undecodable) and not value.missing_plugin:
                yield Damage(node.path, name, repr(value))


def _verify_payload(node: BaseNode, name: str, record: PayloadRecord) -> Iterator[Damage]:
    layout = record.layout
    if layout.row_bytes and sum(segment.rows for segment in record.segments) != record.rows:
        yield Damage(node.path, name, f"its segments do not add up to its {record.rows} rows")
    for segment in record.segments:
        try:
            for _ in node._tree.stage.read_whole(layout, segment, BLOCK_BYTES):
                pass
        except MissingPluginError as error:
            warnings.warn(
                f"payload {name!r} of {node.path!r} was not verified: {error}", RuntimeWarning, stacklevel=2
            )
            return
        except (POSError, LotdbError) as error:
            if isinstance(error, FileSystemError):
                raise
            yield Damage(node.path, name, str(error))


def check_can_pack(database: LOTDB) -> None:
    """Raise ``ReadOnlyError`` for a database that was opened read-only."""
    if database.read_only:
        raise ReadOnlyError(f"{database} was opened with read_only=True; it cannot be packed")


def sweep(database: LOTDB) -> None:
    """Delete the segments that no record of any revision names.

    The order is what makes it safe beside other connections of this process, which holds the only
    writer's lock: first what is stored is listed, then what is staged, then what is recorded. A segment
    on the first list was, at that moment, either staged and is spared as such or as recorded since, or
    recorded already.
    """
    stored = [
        (backend, locator) for backend in database._backends.in_use() for locator, _ in backend.locators()
    ]
    if not stored:
        return
    used = {locator for session in database._open_sessions() for locator in session.tree.stage.locators}
    for _, _, record in raw_records(database._zodb.storage):
        used.update(iter_locators(record))
    for backend, locator in stored:
        if locator not in used:
            backend.delete(locator)
