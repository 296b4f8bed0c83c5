"""Drawing a payload with matplotlib: choosing what to draw, and on what."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from lotdb.errors import InvalidDataError, InvalidOptionError, InvalidRangeError, shown
from lotdb.extras import import_extra
from lotdb.looking.channels import Channels, channels_of, numeric_columns
from lotdb.looking.channels import is_number as holds_numbers
from lotdb.looking.kinds import kind_of
from lotdb.looking.looked_at import LookedPayload
from lotdb.looking.plot_image import draw_image
from lotdb.looking.plot_spectrogram import draw_spectrogram
from lotdb.looking.plot_table import draw_table
from lotdb.looking.plot_waveform import draw_waveform
from lotdb.looking.wording import dtype_text

__all__ = ["PLOTS", "PlotKind", "plot"]

PlotKind = Literal["waveform", "spectrogram", "image", "table"]

PLOTS = ("waveform", "spectrogram", "image", "table")
_FIGURE_INCHES = (9.0, 3.6)
#: So many channels are drawn if nobody chooses.
_CHANNELS = 32


def plot(
    payload: LookedPayload,
    ax: Any,
    kind: str | None,
    start: Any,
    stop: Any,
    unit: Any,
    channels: Any,
    stacked: bool | None,
) -> Any:
    """Draw *payload* on *ax*; see ``Payload.plot``."""
    chosen = _checked_kind(payload, kind)
    first, last = payload._window(start, stop, unit)
    if first == last and (start is not None or stop is not None):
        _check_rows(payload, start, stop, unit)
    if chosen in ("table", "image") and channels is not None:
        raise InvalidOptionError(f"channels is {shown(channels)}; a {chosen} is drawn with all of them")
    if chosen == "table":
        ax = _axes(ax)
        draw_table(ax, payload, first, last)
        return ax
    if chosen == "image":
        ax = _axes(ax)
        draw_image(ax, payload, first, last, is_window=start is not None or stop is not None)
        return ax
    picked = _picked(payload, channels, kind=chosen)  # before there is a figure
    ax = _axes(ax)
    if chosen == "spectrogram":
        draw_spectrogram(ax, payload, picked, first, last)
    else:
        draw_waveform(ax, payload, picked, first, last, stacked)
    return ax


def _check_rows(payload: LookedPayload, start: Any, stop: Any, unit: Any) -> None:
    """Refuse a window without rows, of a payload that has some: the picture would be empty."""
    rows = payload.shape[0]
    if not rows:
        return
    at = "second" if unit == "seconds" else "row"
    bounds = {"from": start, "before": stop}
    window = " and ".join(f"{word} {at} {bound}" for word, bound in bounds.items() if bound is not None)
    length = f"{payload.duration_s} seconds" if unit == "seconds" else f"{rows} rows"
    raise InvalidRangeError(
        f"{payload._place} has no rows {window}, so there is nothing to draw; it has {length}"
    )


def _checked_kind(payload: LookedPayload, kind: str | None) -> str:
    if kind is not None and (not isinstance(kind, str) or kind not in PLOTS):
        raise InvalidOptionError(f"kind is {shown(kind)}; use {', '.join(map(repr, PLOTS))}, or leave it out")
    suits = kind_of(payload)
    place = payload._place
    if suits in ("text", "bytes"):
        what = f"{'a text' if suits == 'text' else 'bytes'} ({payload.content_type})"
        raise InvalidDataError(f"{place} is {what}, which has no plot; read() gives it")
    if suits == "value":
        raise InvalidDataError(
            f"{place} is a single value of {payload.dtype}, which has no plot; read() gives it"
        )
    chosen = kind or suits
    if chosen == "table":
        return chosen
    dtype = payload.dtype
    if chosen == "image" and (dtype.names or not holds_numbers(dtype) or len(payload.shape) < 2):
        raise InvalidDataError(
            f"{place} is no image: its shape is {payload.shape}, and its dtype {dtype_text(payload.dtype)}; "
            "an image has two axes of numbers, or more"
        )
    if chosen != "image" and not (numeric_columns(dtype) if dtype.names else holds_numbers(dtype)):
        raise InvalidDataError(
            f"{place} holds no numbers that could be a {chosen}, but {dtype_text(payload.dtype)}; "
            "use kind='table'"
        )
    return chosen


def _picked(payload: LookedPayload, channels: Any, *, kind: str) -> Channels:
    """The channels to draw: those that were named by number or name, or the first ones."""
    if channels is None:
        first = channels_of(payload, 1 if kind == "spectrogram" else _CHANNELS)
        if kind == "spectrogram" and not first.names:
            raise InvalidDataError(f"{payload._place} has no channels: its shape is {payload.shape}")
        return first
    wanted = [channels] if isinstance(channels, int | str) else channels
    try:
        wanted = list(wanted)
    except TypeError:
        wanted = [channels]
    known = channels_of(payload, 1 << 20)
    places = []
    for each in wanted:
        at: Any = known.names.index(each) if isinstance(each, str) and each in known.names else each
        is_number = isinstance(at, int | np.integer) and not isinstance(at, bool | np.timedelta64)
        at = int(at) + (known.number if at < 0 else 0) if is_number else -1
        if not 0 <= at < len(known.names):
            there = f"a number from 0 to {known.number - 1}" if known.number else "none: it has no channels"
            raise InvalidOptionError(f"{payload._place} has no channel {shown(each)}; use {there}")
        places.append(at)
    if not places or (kind == "spectrogram" and len(places) > 1):
        what = "one channel" if kind == "spectrogram" else "at least one channel"
        raise InvalidOptionError(f"channels is {shown(channels)}; a {kind} shows {what}")
    return known.take(places)


def _axes(ax: Any) -> Any:
    import_extra("matplotlib", "lotdb-core[plot]", "a plot")
    if ax is None:
        pyplot = import_extra("matplotlib.pyplot", "lotdb-core[plot]", "a plot")
        return pyplot.subplots(figsize=_FIGURE_INCHES, layout="constrained")[1]
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise InvalidOptionError(f"ax is {shown(ax)}; use the Axes of matplotlib, such as plt.gca()")
    return ax
