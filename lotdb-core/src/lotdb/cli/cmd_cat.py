"""``lotdb cat``: the rows of a payload, as text."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from lotdb.cli.screen import is_terminal
from lotdb.cli.targets import as_example, node_at, path_argument, payload_of, reading, reading_options
from lotdb.cli.text import as_json, dump, emit, plain, plain_lines

if TYPE_CHECKING:
    from lotdb import Payload

__all__ = ["cat_command"]

_BLOCK_BYTES = 1 << 18


if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:  # which is not generic in each release of click
    ParamType = click.ParamType


class Window(ParamType):
    """A window START:STOP, either of which may be left out."""

    name = "window"

    def __init__(self, number: type[int] | type[float]) -> None:
        self._number = number

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        start, colon, stop = value.partition(":")
        try:
            if not colon:
                raise ValueError
            return tuple(self._number(each) if each.strip() else None for each in (start, stop))
        except ValueError:
            self.fail(f"{value!r} is no window; write it as START:STOP, such as 0:10", param, ctx)


@click.command(
    "cat",
    epilog=as_example(
        "lotdb cat results sensor_01/capture_0001 imu --rows 0:10",
        "lotdb cat results sensor_01/capture_0001 --seconds 1.5:2 --json",
    ),
    context_settings={"ignore_unknown_options": False},
)
@reading_options
@path_argument
@click.argument("payload", required=False)
@click.option("--rows", type=Window(int), metavar="START:STOP", help="Only these rows. The last ten: -10:")
@click.option("--seconds", type=Window(float), metavar="START:STOP", help="Only these seconds.")
@click.option("--json", "as_json_", is_flag=True, help="Print rows as JSON, a line each.")
@click.option("--raw", is_flag=True, help="Print the bytes as they are, even to a terminal.")
def cat_command(
    database: str,
    name: str,
    settings: tuple[str, ...],
    path: str,
    payload: str | None,
    rows: tuple[int | None, int | None] | None,
    seconds: tuple[float | None, float | None] | None,
    as_json_: bool,
    raw: bool,
) -> None:
    """Print a PAYLOAD of the node PATH (its default one): a text, bytes, or rows as csv.

    An array with more than two axes has all elements of a row in one line of csv; JSON keeps the axes.
    """
    if rows is not None and seconds is not None:
        raise click.UsageError("give --rows or --seconds, not both", click.get_current_context())
    with reading(database, name, settings) as (_, root):
        found = payload_of(node_at(root, path), payload)
        if raw or (found.kind == "bytes" and not as_json_):
            _print_bytes(found, rows, seconds, raw=raw)
        elif found.kind == "text":
            _refuse_window(found, rows, seconds)
            text = found.read()
            emit(dump(text)) if as_json_ else _print_text(text)
        elif not found.shape:
            _refuse_window(found, rows, seconds)
            value = found.read()
            emit(dump(as_json(value)) if as_json_ else _cells(value.reshape(1))[0][0])
        elif as_json_:
            for block in _blocks(found, rows, seconds):
                for row in block if isinstance(block, bytes) else _documents(block):
                    emit(dump(row))
        else:
            _print_csv(found, rows, seconds)


def _refuse_window(payload: Payload, *windows: Any) -> None:
    if any(window is not None for window in windows):
        what = "a text" if payload.kind == "text" else "one value"
        raise click.UsageError(
            f"payload {payload.name!r} is {what}, which is printed whole", click.get_current_context()
        )


def _blocks(payload: Payload, rows: Any, seconds: Any) -> Iterator[Any]:
    """The rows of the window, a quarter of a MiB or so at a time."""
    start, stop = rows or seconds or (None, None)
    row_bytes = max(payload.nbytes // max(payload.shape[0], 1), 1)
    return payload.iter_blocks(
        max(_BLOCK_BYTES // row_bytes, 1),
        start=start,
        stop=stop,
        range_unit="seconds" if seconds is not None else "samples",
    )


def _print_text(text: str) -> None:
    if is_terminal():
        emit(plain_lines(text))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))


def _print_bytes(payload: Payload, rows: Any, seconds: Any, *, raw: bool) -> None:
    if is_terminal() and not raw:
        raise click.UsageError(
            f"payload {payload.name!r} is bytes, which a terminal may take for commands; send them "
            "elsewhere, as in: lotdb cat ... > FILE, or add --raw",
            click.get_current_context(),
        )
    sys.stdout.flush()
    if payload.kind == "text":
        _refuse_window(payload, rows, seconds)
        sys.stdout.buffer.write(payload.read().encode("utf-8", "surrogatepass"))
        return
    for block in _blocks(payload, rows, seconds):
        sys.stdout.buffer.write(block if isinstance(block, bytes) else block.tobytes())


def _print_csv(payload: Payload, rows: Any, seconds: Any) -> None:
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    clean = is_terminal()
    if payload.dtype.names:
        writer.writerow([plain(each) for each in payload.dtype.names])
    for block in _blocks(payload, rows, seconds):
        for cells in _cells(block):
            writer.writerow([plain(cell) for cell in cells] if clean else cells)
        sys.stdout.write(line.getvalue().encode("utf-8", "backslashreplace").decode("utf-8"))
        line.seek(0)
        line.truncate()


def _cells(block: Any) -> list[list[str]]:
    """The elements of each row of an array, as texts; "" for what is missing."""
    import numpy as np

    if block.dtype.names:
        columns = [_texts(block[name].reshape(len(block), -1)) for name in block.dtype.names]
        parts = [[" ".join(cells) for cells in column] for column in columns]
        return [list(row) for row in zip(*parts, strict=True)]
    return _texts(np.ma.asanyarray(block).reshape(len(block), -1))


def _texts(rows: Any) -> list[list[str]]:
    import numpy as np

    values = np.ma.getdata(rows)
    missing = np.ma.getmaskarray(rows)
    if values.dtype.kind == "f" and values.dtype.itemsize != 8:
        values = values.astype(str)  # the shortest text of a number of that size
    texts = [[_text(each) for each in row] for row in values.tolist()] if values.dtype.kind != "M" else (
        values.astype(str).tolist()
    )  # fmt: skip
    if missing.any():
        return [
            ["" if gone else text for text, gone in zip(row, lost, strict=True)]
            for row, lost in zip(texts, missing.tolist(), strict=True)
        ]
    return texts


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii", "backslashreplace")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _documents(block: Any) -> Iterator[Any]:
    """Each row as JSON has it: an object for a row with columns."""
    import numpy as np

    if not block.dtype.names:
        for row in block:
            yield as_json(row)
        return
    for row in block:
        yield {name: None if np.ma.is_masked(row[name]) else as_json(row[name]) for name in block.dtype.names}
