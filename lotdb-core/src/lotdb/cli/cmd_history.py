"""``lotdb history``, ``tag``, ``undo`` and ``bring-back``: what was, its names, and having it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lotdb.cli.screen import line, table
from lotdb.cli.targets import (
    as_example,
    changing,
    database_options,
    json_option,
    moment,
    node_at,
    number_of,
    path_argument,
    paths,
    reading,
    timeout_option,
)
from lotdb.cli.text import dump, emit, plain, size_text

if TYPE_CHECKING:
    from lotdb import Commit

__all__ = ["bring_back_command", "history_command", "tag_command", "undo_command"]


@click.command(
    "history",
    epilog=as_example("lotdb history results", "lotdb history results sensor_01 --since 2026-11-01"),
)
@database_options
@path_argument
@click.option(
    "--limit", type=number_of("commits", least=1), default=20, show_default=True, help="Commits to list."
)
@click.option("--since", metavar="WHEN", help="The first commit: an id, a tag, or a time.")
@click.option("--until", metavar="WHEN", help="The last one.")
@json_option
def history_command(
    database: str,
    name: str,
    settings: tuple[str, ...],
    path: str,
    limit: int,
    since: str | None,
    until: str | None,
    as_json_: bool,
) -> None:
    """List the commits, the newest first: all, or those that changed PATH or what is below it."""
    with reading(database, name, settings) as (db, root):
        tags: dict[str, list[str]] = {}
        for tag, commit in db.tags.items():
            tags.setdefault(commit.id, []).append(tag)
        found = db.history(
            limit,
            since=None if since is None else moment(db, since),
            until=None if until is None else moment(db, until),
            path=path.strip("/") if path not in ("", ".") else None,
        )
        there = False
        for commit in found:
            there = True
            if as_json_:
                emit(dump({**_row(commit), "tags": tags.get(commit.id, [])}))
                continue
            names = "".join(f" [{tag}]" for tag in tags.get(commit.id, []))
            time = commit.time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
            line(commit.id, "bold", f"  {time}  {size_text(commit.bytes)}{names}  {commit.note}".rstrip())
        if not there:
            node_at(root, path)  # which says that there is none; what was deleted has a history


def _row(commit: Commit) -> dict[str, Any]:
    return {"id": commit.id, "time": commit.time.isoformat(), "note": commit.note, "bytes": commit.bytes}


@click.command(
    "tag",
    epilog=as_example(
        "lotdb tag results", "lotdb tag results published", "lotdb tag results published --delete"
    ),
)
@database_options
@click.argument("tag", required=False)
@click.argument("when", required=False)
@click.option("--replace", is_flag=True, help="Give TAG to another moment if it exists.")
@click.option("--delete", "is_deleted", is_flag=True, help="Delete the tag.")
@timeout_option
@json_option
def tag_command(
    database: str,
    name: str,
    settings: tuple[str, ...],
    tag: str | None,
    when: str | None,
    replace: bool,
    is_deleted: bool,
    timeout: float | None,
    as_json_: bool,
) -> None:
    """List the tags; or call the moment WHEN (the last commit) TAG, which a pack keeps then."""
    if tag is None:
        if is_deleted:
            raise click.UsageError("name the tag that is to be deleted", click.get_current_context())
        if replace:
            raise click.UsageError("name the tag that is to be replaced", click.get_current_context())
        with reading(database, name, settings) as (db, _):
            tags = dict(db.tags)
        if as_json_:
            emit(dump({each: _row(commit) for each, commit in tags.items()}))
        else:
            table(("tag", "commit", "note"), [(each, found.id, found.note) for each, found in tags.items()])
        return
    if is_deleted and (when is not None or replace):
        raise click.UsageError("a tag is set, or deleted, not both", click.get_current_context())
    with changing(database, name, settings, timeout=timeout) as (db, root):
        tags_here = db.tags.through(root)
        if is_deleted:
            del tags_here[tag]
            return
        before = tags_here[tag].id if tag in tags_here else None
        if before is not None and not replace:
            raise click.ClickException(
                f"tag {tag!r} exists, and names {before}; add --replace, or choose another name"
            )
        tags_here[tag] = db.last_commit if when is None else moment(db, when)
        now = tags_here[tag].id
    if before is not None:
        emit(plain(f"{tag} was {before}, and is {now} now"))


@click.command("undo", epilog=as_example("lotdb undo results 040d5441f8e21499"))
@database_options
@click.argument("commit")
@timeout_option
def undo_command(
    database: str, name: str, settings: tuple[str, ...], commit: str, timeout: float | None
) -> None:
    """Take back what the COMMIT changed (an id, a tag, or a time), by a new commit; later changes stay."""
    with changing(database, name, settings, timeout=timeout) as (db, root):
        db.undo(moment(db, commit), root)


@click.command("bring-back", epilog=as_example("lotdb bring-back results sensor_01 published"))
@database_options
@click.argument("path", shell_complete=paths)
@click.argument("when")
@timeout_option
def bring_back_command(
    database: str, name: str, settings: tuple[str, ...], path: str, when: str, timeout: float | None
) -> None:
    """Make the node PATH, and all below it, what it was at WHEN: an id, a tag, or a time."""
    with changing(database, name, settings, timeout=timeout) as (db, root):
        keys = path.strip("/")
        # One that is gone is made again; if there was none then, that is an error, and nothing is changed.
        node = root if keys in ("", ".") else root.get_node_path(keys)
        node.restore(moment(db, when))
