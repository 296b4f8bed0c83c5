"""Numbers over time as lines, of which no more points are drawn than pixels could show.

Each column of pixels gets two points, the least and the greatest value of its rows: so a peak of a single
sample is seen in a signal of any length. Where a column has nothing but NaN, the line has a gap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lotdb.looking.channels import Array, Channels
from lotdb.looking.envelope import Envelope
from lotdb.looking.looked_at import LookedPayload
from lotdb.looking.plot_axes import blocks, label_rows, literal, pixels_across, title, unit_of

__all__ = ["draw_waveform"]

# More channels than these are drawn one above the other.
_OVERLAID = 4
_POINTS = 2


def draw_waveform(
    ax: Any, payload: LookedPayload, channels: Channels, first: int, last: int, stacked: bool | None
) -> None:
    """Draw *channels* of the rows *first* to *last* on *ax*."""
    places, lines = _points(payload, channels, first, last, pixels_across(ax)[0])
    rate = payload.samplerate_hz
    x = places / rate if rate else places
    is_stacked = len(lines) > _OVERLAID if stacked is None else stacked
    drawn = _shifted(lines) if is_stacked else [(line, 0.0) for line in lines]
    for name, (line, shift) in zip(channels.names, drawn, strict=True):
        # A value between two gaps is no line; a dot shows it.
        alone = _alone(line)
        ax.plot(
            x,
            line + shift,
            linewidth=0.8,
            label=_legend_text(name),
            marker="." if alone else None,
            markersize=2,
            markevery=alone or None,
        )
    if last > first:
        edges = (first / rate, (last - 1) / rate) if rate else (first, last - 1)
        if edges[0] < edges[1]:
            ax.set_xlim(*edges)
    _label(ax, payload, channels, [shift for _, shift in drawn] if is_stacked else None)


def _points(
    payload: LookedPayload, channels: Channels, first: int, last: int, columns: int
) -> tuple[Array, list[Array]]:
    """The rows at which points are drawn, and the points of each channel."""
    rows = last - first
    if not rows or not channels.names:
        return np.empty(0), [np.empty(0) for _ in channels.names]
    if rows <= _POINTS * columns:
        parts = [channels.of(block) for _, block in blocks(payload, first, last)]
        lines = [np.concatenate(each).astype("f8") for each in zip(*parts, strict=True)]
        return np.arange(first, last, dtype="f8"), lines
    envelope = Envelope(rows, columns)
    for start, block in blocks(payload, first, last):
        envelope.add(start, channels.of(block))
    middles = (envelope.edges[:-1] + envelope.edges[1:] - 1) / 2 + first
    both = zip(envelope.low, envelope.high, strict=True)
    return np.repeat(middles, _POINTS), [np.column_stack(pair).astype("f8").ravel() for pair in both]


def _legend_text(name: str) -> str:
    # Matplotlib leaves out of a legend what begins with an underscore.
    return f" {literal(name)}" if name.startswith("_") else literal(name)


def _alone(line: Array) -> list[int]:
    """Places of values that have no other value beside them."""
    there = np.isfinite(line)
    if there.all():
        return []
    padded = np.concatenate([[False], there, [False]])
    alone = there & ~padded[:-2] & ~padded[2:]
    # The two points of a column may be one value.
    low, high = there[:-1] & ~padded[:-3], there[1:] & ~padded[3:]
    pair = low & high & (line[:-1] == line[1:])
    return [int(each) for each in np.flatnonzero(alone | np.append(pair, False))]


def _shifted(lines: list[Array]) -> list[tuple[Array, float]]:
    """Each line around zero, with how far it is moved so that none meets another; the first is on top."""
    centred, spans = [], [0.0]
    for line in lines:
        there = line[np.isfinite(line)]
        low, high = (float(there.min()), float(there.max())) if len(there) else (0.0, 0.0)
        centred.append(line - (low / 2 + high / 2))
        spans.append(high - low)
    step = max(spans) * 1.1 or 1.0
    return [(line, (len(lines) - 1 - place) * step) for place, line in enumerate(centred)]


def _label(ax: Any, payload: LookedPayload, channels: Channels, shifts: list[float] | None) -> None:
    label_rows(ax, payload)
    names = [literal(name) for name in channels.names]
    one = len(channels.names) == 1
    unit = unit_of(payload, channels.names[0] if one else None)
    if shifts:
        ax.set_yticks(shifts, names)
        if unit:
            step = shifts[0] - shifts[1] if len(shifts) > 1 else 1.0
            ax.set_ylabel(f"channels, {float(f'{step:.3g}'):g} {unit} apart")
    else:
        name = names[0] if one and channels.number > 1 else ""
        ax.set_ylabel(f"{name} in {unit}" if name and unit else name or (f"in {unit}" if unit else ""))
        if len(names) > 1:
            ax.legend(loc="upper right", fontsize="small", ncols=min(len(names), 4))
    cut = channels.number > len(names) and f"{len(names)} of {channels.number} channels"
    title(ax, payload, cut or "")
