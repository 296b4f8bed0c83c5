"""``lotdb plot``: a payload as a picture in a file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lotdb.cli.targets import (
    as_example,
    node_at,
    number_of,
    path_argument,
    payload_of,
    reading,
    reading_options,
)
from lotdb.cli.text import emit, plain

if TYPE_CHECKING:
    from lotdb import Payload

__all__ = ["plot_command"]

_SUFFIXES = (".png", ".svg", ".pdf")
_INCHES, _DOTS_PER_INCH = (10, 4), 120


@click.command(
    "plot",
    epilog=as_example(
        "lotdb plot results sensor_01/capture_0001 --output imu.png --start 1.5 --stop 4",
        "lotdb plot results sensor_01/capture_0001 --payload audio --kind spectrogram",
    ),
)
@reading_options
@path_argument
@click.option("--payload", metavar="NAME", help="Name of the payload (the default one).")
@click.option(
    "--kind",
    type=click.Choice(["waveform", "spectrogram", "image", "table"]),
    help="What to draw (what suits the payload).",
)
@click.option("--start", type=number_of("seconds", kind=float), metavar="S", help="Draw from this second on.")
@click.option(
    "--stop", type=number_of("seconds", kind=float), metavar="S", help="Draw to before this second."
)
@click.option("--channel", "channels", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option(
    "--output",
    type=click.Path(),
    default="plot.png",
    show_default=True,
    metavar="FILE",
    help="The picture: a png, svg or pdf.",
)
@click.option("--replace", is_flag=True, help="Replace FILE if it exists.")
def plot_command(
    database: str,
    name: str,
    settings: tuple[str, ...],
    path: str,
    payload: str | None,
    kind: str | None,
    start: float | None,
    stop: float | None,
    channels: tuple[str, ...],
    output: str,
    replace: bool,
) -> None:
    """Draw a payload of the node PATH (the root) as a picture in a file; needs lotdb-core[plot]."""
    suffix = os.path.splitext(output)[1].lower()
    if suffix not in _SUFFIXES:
        raise click.UsageError(
            f"{output!r} is no picture that can be written; its name has to end with {', '.join(_SUFFIXES)}",
            click.get_current_context(),
        )
    if os.path.lexists(output) and not replace:
        raise click.ClickException(f"{output!r} exists; add --replace, or choose another name by --output")
    figure = _figure()
    with reading(database, name, settings) as (_, root):
        found = payload_of(node_at(root, path), payload)
        window: dict[str, Any] = {}
        if start is not None or stop is not None:
            window = {"start": start, "stop": stop, "unit": "seconds"}
        if channels:
            window["channels"] = [_channel(found, each) for each in channels]
        found.plot(figure.add_subplot(), kind, **window)  # type: ignore[arg-type]  # click checks the kind
        _save(figure, output, suffix[1:])
    emit(plain(output))


def _figure() -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise click.ClickException(
            'a plot needs matplotlib, which is not installed; install it with: pip install "lotdb-core[plot]"'
        ) from None
    return Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")


def _channel(payload: Payload, text: str) -> int | str:
    """A channel as it was named, or its number."""
    return text if payload.dtype.names or not text.lstrip("-").isdecimal() else int(text)


def _save(figure: Any, output: str, format: str) -> None:
    """Write the picture; the file is there when it is complete."""
    target = Path(output).absolute()
    try:
        handle, made = tempfile.mkstemp(dir=target.parent, prefix=".plot-", suffix=f".{format}")
    except OSError as error:
        raise click.ClickException(f"{output!r} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            figure.savefig(file, format=format)
        os.chmod(made, 0o666 & ~_umask())
        os.replace(made, target)
    except BaseException as error:
        os.unlink(made)
        if isinstance(error, OSError):
            raise click.ClickException(f"{output!r} cannot be written: {error.strerror}") from None
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
