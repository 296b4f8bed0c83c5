"""What a command line names: a database, a node in it, a payload of that; opened, or refused with advice."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from lotdb import LOTDB, BaseNode, Payload

__all__ = [
    "as_example",
    "attributes_of",
    "changing",
    "database_options",
    "is_there",
    "json_option",
    "keep_option",
    "moment",
    "node_at",
    "number_of",
    "path_argument",
    "paths",
    "payload_of",
    "reading",
    "reading_options",
    "settings_of",
    "span_or_moment",
    "timeout_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])

# Where the moment of --at is kept.
_AT = "lotdb.at"
_ID = re.compile("[0-9a-f]{16}")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

# Of how many children the nearest name is looked for, and how many are named.
_LOOKED_AT, _NAMED = 10_000, 8


class _Number(click.ParamType):  # type: ignore[type-arg]  # later releases of click have one
    """A number of something, at least so many."""

    name = "number"

    def __init__(self, kind: type[int] | type[float], of: str, least: int) -> None:
        self._kind, self._least = kind, least
        self._wanted = f"use a number of {of} from {least} on"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            number = self._kind(value)
        except ValueError:
            number = self._least - 1
        if not self._least <= number:  # NaN is neither
            self.fail(f"{value!r}; {self._wanted}", param, ctx)
        return number


def number_of(what: str, *, least: int = 0, kind: type[int] | type[float] = int) -> click.ParamType[Any]:
    """The type of an option that is a number of *what*."""
    return _Number(kind, what, least)


json_option = click.option("--json", "as_json_", is_flag=True, help="Print JSON, for programs.")
keep_option = click.option(
    "--keep",
    metavar="WHEN",
    help="Keep all moments since then: a span such as 12h or 30d, a commit, a tag, or a time.",
)
timeout_option = click.option(
    "--timeout",
    type=number_of("seconds", kind=float),
    metavar="S",
    help="Seconds to wait for another writer or pack (0).",
)


def database_options(function: Command) -> Command:
    """The argument DATABASE, and the options that say how to open it."""
    for decorate in (
        click.option(
            "--setting",
            "settings",
            multiple=True,
            metavar="BACKEND.NAME=VALUE",
            help="Setting of a backend, such as zarr.store=/data/arrays.zarr; may be repeated.",
        ),
        click.option("--name", default="lotdb.fs", show_default=True, help="Data file in the folder."),
        click.argument("database", type=click.Path()),
    ):
        function = decorate(function)
    return function


def _note_moment(ctx: click.Context, _: click.Parameter, when: str | None) -> None:
    ctx.meta[_AT] = when


def reading_options(function: Command) -> Command:
    """What :func:`database_options` adds, and the option that says at which moment to look."""
    return database_options(
        click.option(
            "--at",
            expose_value=False,
            callback=_note_moment,
            metavar="WHEN",
            help="Look at the tree as it was: the id of a commit, a tag, or a time such as 2026-11-28T12:00.",
        )(function)
    )


def path_argument(function: Command, *, required: bool = False) -> Command:
    """The argument PATH: a node, by default the root."""
    return click.argument("path", default=None if required else "", required=required, shell_complete=paths)(
        function
    )


def as_example(*lines: str) -> str:
    """The examples of a command, below its help."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


# -- databases ------------------------------------------------------------------------------------


@contextmanager
def reading(database: str, name: str, settings: Iterable[str] = ()) -> Iterator[tuple[LOTDB, BaseNode]]:
    """The database, opened for reading, and its root, now or at the moment of --at: a writer may use it."""
    from lotdb import LOTDB

    folder, name = _place(database, name)
    ctx = _here()
    when = None if ctx is None else ctx.meta.get(_AT)
    with (
        LOTDB(folder, name=name, read_only=True, backends=settings_of(settings)) as db,
        db.connection() if when is None else db.at(moment(db, when)) as root,
    ):
        yield db, root


def moment(db: LOTDB, when: str) -> str | datetime:
    """What a command line calls a moment: a tag, the id of a commit, or a time, by default of here."""
    if when in db.tags or _ID.fullmatch(when):
        return when
    try:
        time = datetime.fromisoformat(when)
    except ValueError:
        return when  # which is none, and is refused
    if time.tzinfo is not None:
        return time
    try:
        return time.astimezone()
    except (ValueError, OverflowError):  # at the ends of the calendar, where a few hours do not matter
        return time.replace(tzinfo=UTC)


def span_or_moment(db: LOTDB, keep: str | None) -> timedelta | str | datetime | None:
    """What a command line says to keep: a span such as 30d, or a moment."""
    if keep is None:
        return None
    if found := _SPAN.fullmatch(keep):
        try:
            return timedelta(seconds=float(found[1]) * _SECONDS[found[2]])
        except OverflowError:
            return timedelta.max
    return moment(db, keep)


@contextmanager
def changing(
    database: str,
    name: str,
    settings: Iterable[str] = (),
    *,
    timeout: float | None = None,
    create: bool = False,
) -> Iterator[tuple[LOTDB, BaseNode]]:
    """The database and its root in one transaction, which is committed at the end of the block.

    One that is created here, and to which the block commits nothing before it fails, is removed again.
    """
    from lotdb import LOTDB

    folder, name = _place(database, name, create=create)
    ctx = _here()
    note = f"lotdb {ctx.info_name}" if ctx is not None else ""
    with (
        LOTDB(folder, name=name, timeout=timeout, backends=settings_of(settings)) as db,
        _or_nothing(db),
        db.connection(note=note) as root,
    ):
        yield db, root


@contextmanager
def _or_nothing(db: LOTDB) -> Iterator[None]:
    """Leave nothing of a database that was made here, if the block fails before it has stored anything."""
    try:
        yield
    except BaseException:  # also Ctrl-C
        db.discard()
        raise


def is_there(database: str, name: str) -> bool:
    """Whether there is a database, or a part of one, in that folder."""
    ends = ("", ".old", ".lotdb", ".blobs")
    return any(os.path.lexists(os.path.join(database, name + end)) for end in ends)


def _place(database: str, name: str, *, create: bool = False) -> tuple[str, str]:
    """The folder and the name of a database that is there, if it need not be created."""
    folder = database
    if os.path.isfile(database):  # somebody named the data file
        folder, name = os.path.dirname(database) or ".", os.path.basename(database)
        if not create and not os.path.lexists(os.path.join(folder, f"{name}.lotdb")):
            _refuse_older(folder, name)
            raise click.UsageError(f"{database!r} is not a folder; a database is a folder", _here())
    if create:
        return folder, name
    if not os.path.exists(folder):
        raise click.ClickException(f"there is no folder {folder!r}{_alike_folder(folder)}")
    if not is_there(folder, name):
        _refuse_older(folder, name)
        others = sorted(each.removesuffix(".lotdb") for each in os.listdir(folder) if each.endswith(".lotdb"))
        advice = (
            f"use --name {others[0]}" if others else f"make one with: lotdb ingest {folder} FOLDER_OF_FILES"
        )
        raise click.ClickException(f"there is no database {name!r} in {folder!r}; {advice}")
    return folder, name


def _refuse_older(folder: str, name: str) -> None:
    """Raise ``DatabaseFormatError`` for a database of lotdb 1.x; the message says what to type."""
    from lotdb import LOTDB, DatabaseFormatError, LotdbError

    try:
        LOTDB(folder, name=name, read_only=True).close()
    except DatabaseFormatError as error:
        if "lotdb upgrade" in str(error):
            raise
    except LotdbError:
        pass


def _alike_folder(folder: str) -> str:
    above, last = os.path.split(os.path.normpath(folder))
    try:
        alike = get_close_matches(last, os.listdir(above or "."), 1)
    except OSError:
        return ""
    return f"; did you mean {os.path.join(above, alike[0])!r}?" if alike else ""


def settings_of(given: Iterable[str], called: str = "--setting") -> dict[str, dict[str, Any]]:
    """What ``LOTDB(backends=...)`` takes, of options such as ``zarr.store=/data/arrays.zarr``."""
    settings: dict[str, dict[str, Any]] = {}
    for each in given:
        option, equals, text = each.partition("=")
        backend, dot, name = option.partition(".")
        if not (equals and dot and backend and name):
            raise click.BadParameter(f"{each!r} is not of the form BACKEND.NAME=VALUE", param_hint=called)
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        settings.setdefault(backend, {})[name] = value
    return settings


def _here() -> click.Context | None:
    return click.get_current_context(silent=True)


# -- nodes and payloads ---------------------------------------------------------------------------


def node_at(root: BaseNode, path: str) -> BaseNode:
    """The node at *path*, written as a/b/c; the root for an empty one."""
    from lotdb import NodeNotFoundError

    path = path.strip("/")
    if path in ("", "."):
        return root
    try:
        return root[path]
    except NodeNotFoundError:
        raise click.ClickException(f"there is no node {path!r}; {_advice(root, path)}") from None


def _advice(root: BaseNode, path: str) -> str:
    found, (missing, *_) = deepest(root, path.split("/"))
    children = list(islice(found, _LOOKED_AT))
    where = f"{found.path}/" if found.path else ""
    if alike := get_close_matches(missing, children, 1):
        return f"did you mean {where + alike[0]!r}?"
    of = repr(found.path) if found.path else "the root"
    if not children:
        return f"{of} has no children"
    more = " …" if len(children) > _NAMED else ""
    return f"{of} has: {', '.join(children[:_NAMED])}{more}"


def deepest(root: BaseNode, keys: list[str]) -> tuple[BaseNode, list[str]]:
    """The last node on the way along *keys* that is there, and the keys that are left."""
    node = root
    for at, key in enumerate(keys):
        child = node.get(key) if key else None
        if child is None:
            return node, keys[at:]
        node = child
    return node, []


def attributes_of(node: BaseNode) -> dict[str, Any]:
    """The attributes of *node* that are no payloads."""
    payloads = set(node.payloads)
    return {name: node.attrs[name] for name in node.attrs if name not in payloads}


def payload_of(node: BaseNode, name: str | None) -> Payload:
    """The payload *name* of *node*; without a name its only one, or the one that is its default."""
    payloads = node.payloads
    place = repr(node.path) if node.path else "the root"
    if name is None:
        names = list(islice(payloads, _NAMED + 1))
        default = node.data_attribute if node.node_type == "data" else "data"
        name = names[0] if len(names) == 1 else default
        if name not in payloads:
            if not names:
                raise click.ClickException(f"{place} has no payload")
            raise click.ClickException(f"{place} has several payloads; name one: {', '.join(names[:_NAMED])}")
    elif name not in payloads:
        there = list(payloads)
        alike = get_close_matches(name, there, 1)
        what = f"did you mean {alike[0]!r}?" if alike else f"it has: {', '.join(there[:_NAMED]) or 'none'}"
        raise click.ClickException(f"{place} has no payload {name!r}; {what}")
    return payloads[name]


# -- completion -----------------------------------------------------------------------------------


def paths(ctx: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """The paths that a shell offers for what was *begun*."""
    above, slash, _last = begun.rpartition("/")
    try:
        with reading(ctx.params["database"], ctx.params.get("name") or "lotdb.fs") as (_db, root):
            node = root[above] if above else root
            found = (above + slash + key for key in islice(node, _LOOKED_AT))
            return [CompletionItem(path) for path in found if path.startswith(begun)]
    except Exception:  # completing must not disturb the line that somebody is writing
        return []
