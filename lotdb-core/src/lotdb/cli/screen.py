"""The terminal: lines that fit it, tables, and the progress of long work; only a terminal needs rich."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from lotdb.cli.text import emit, plain, short

__all__ = ["is_terminal", "line", "progress", "table", "waiting"]

Advance = Callable[[int, int, str], None]


def is_terminal() -> bool:
    """Whether what is printed goes to a terminal."""
    return sys.stdout.isatty()


def line(text: str, style: str = "", rest: str = "") -> None:
    """Print *text* in *style*, and *rest* dimmed behind it; a terminal gets as much as fits a line."""
    text, rest = plain(text), plain(rest)
    if not is_terminal():
        emit(text + rest)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(
        Text.assemble((text, style), (rest, "dim")), no_wrap=True, overflow="ellipsis", soft_wrap=False
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a small table; it fits a terminal, and is not cut if it goes elsewhere."""
    shown = [[plain(cell) for cell in row] for row in rows]
    if is_terminal():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        drawn = Table(box=None, pad_edge=False, header_style="bold")
        for name in head:
            drawn.add_column(name, no_wrap=True, overflow="ellipsis")
        for row in shown:
            drawn.add_row(*map(Text, row))
        Console(highlight=False).print(drawn)
        return
    widths = [max(map(len, column)) for column in zip(head, *shown, strict=True)]
    for row in [list(head), *shown]:
        emit("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@contextmanager
def progress(what: str) -> Iterator[Advance | None]:
    """A function that shows how much of all is done, and with what; None unless errors go to a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    room = max(shutil.get_terminal_size().columns - 70, 10)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[item]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, item="")

        def advance(done: int, total: int, item: str) -> None:
            bar.update(task, completed=done, total=total, item=short(plain(item), room))

        yield advance


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Shows that work goes on of which nobody knows how much is left."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield
