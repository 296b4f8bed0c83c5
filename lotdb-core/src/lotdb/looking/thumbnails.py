"""A small picture of a payload as HTML, for a read that ends, however large the payload is.

What is small is read whole. Of more, windows of 32 KiB are read, spread evenly over all of it, and the
picture says so. A backend may read more than it is asked for: the chunk in which a window lies, or the second
block that it reaches into, if the rows were appended bit by bit.
"""

from __future__ import annotations

from base64 import b64encode
from html import escape
from math import gcd, prod

import numpy as np

from lotdb.looking import png
from lotdb.looking.channels import Array, Channels, channels_of
from lotdb.looking.envelope import Envelope
from lotdb.looking.heads import head_of
from lotdb.looking.kinds import kind_of
from lotdb.looking.looked_at import LookedPayload
from lotdb.looking.pixels import Frame, as_pixels, frame_of
from lotdb.looking.wording import plain, short, size_text, value_text

__all__ = ["READ_BYTES", "thumbnail"]

#: So much is read for a picture, unless a backend reads more than it is asked for.
READ_BYTES = 1 << 20
# The blocks of rows that have checksums, which a window is read with: as segments/blocks.py makes them.
_BLOCK_BYTES, _MOST_BLOCKS = 32 << 10, 1 << 17
_WINDOWS, _FEWEST_WINDOWS = 30, 4

_WIDTH, _HEIGHT = 320, 56  # of a waveform
_COLUMNS = 160
_SIDE = 128  # of an image
_CHANNELS = 4
_ROWS = 5  # of a table
_CHARACTERS = 300
# Seen on white and on black.
_COLOURS = ("#3b82c4", "#d9822b", "#3f9b5f", "#b4508f")


def thumbnail(payload: LookedPayload) -> str:
    """The picture, or a sentence in its place."""
    kind = kind_of(payload)
    if kind == "value" and payload.nbytes > READ_BYTES:
        return _sentence(f"a single value of {size_text(payload.nbytes)}")
    if kind == "value":
        return f"<code>{escape(value_text(payload.read()[()], _CHARACTERS))}</code>"
    if not payload.nbytes:
        return _sentence("nothing is in it")
    if kind == "text":
        return _text(payload)
    if kind == "bytes":
        return f"<code>{escape(bytes(payload[:32]).hex(' '))}{' …' if payload.nbytes > 32 else ''}</code>"
    row_bytes = payload.nbytes // payload.shape[0]
    if kind == "image":
        return _image(payload, frame_of(payload))
    if row_bytes > READ_BYTES // _FEWEST_WINDOWS:
        return _sentence(f"no picture: a single row has {size_text(row_bytes)}")
    if kind == "table":
        return _table(payload)
    return _waveform(payload, channels_of(payload, _CHANNELS), row_bytes)


def _sentence(text: str) -> str:
    return f'<span style="opacity:.65">{escape(text)}</span>'


def _text(payload: LookedPayload) -> str:
    data = bytes(payload[: 4 * _CHARACTERS])
    text = data.decode("utf-8", "replace")
    cut = len(text) > _CHARACTERS or len(data) < payload.nbytes
    shown = "\n".join(plain(line) for line in text[:_CHARACTERS].splitlines())
    style = "white-space:pre-wrap;margin:0;background:none;color:inherit"
    return f'<pre style="{style}">{escape(shown)}{"…" if cut else ""}</pre>'


def _table(payload: LookedPayload) -> str:
    names, rows = head_of(payload, 0, min(_ROWS, payload.shape[0]))
    cell = 'style="text-align:left;padding:1px 8px 1px 0;background:none;white-space:nowrap"'
    head = "".join(f"<th {cell}>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td {cell}>{escape(each)}</td>' for each in row)}</tr>" for row in rows)
    more = payload.shape[0] - len(rows)
    below = _sentence(f"… and {more} more rows") if more > 0 else ""
    style = "border-collapse:collapse;margin:0;font-size:inherit;color:inherit"
    return f'<table style="{style}"><tr>{head}</tr>{body}</table>{below}'


# -- images ---------------------------------------------------------------------------------------


def _image(payload: LookedPayload, frame: Frame) -> str:
    row_bytes = frame.width * frame.channels * payload.dtype.itemsize
    said = f"the first of {frame.frames}" if frame.before else ""
    if row_bytes * frame.height * (prod(payload.shape[1 : frame.before]) or 1) <= READ_BYTES:
        values = frame.rows(payload, 0, 0, frame.height)
    elif frame.before or row_bytes > READ_BYTES // _FEWEST_WINDOWS:
        return _sentence(f"no picture: {size_text(row_bytes * frame.height)} would have to be read")
    else:
        values = np.concatenate(
            [frame.rows(payload, 0, *window) for window in _windows(frame.height, row_bytes)]
        )
        said = f"a sample: {len(values)} of {frame.height} rows of pixels"
    values = values[:: -(-values.shape[0] // _SIDE), :: -(-values.shape[1] // _SIDE)]
    data = b64encode(png.encode(as_pixels(values, payload.metadata))).decode("ascii")
    scale = _SIDE / max(frame.height, frame.width)
    height, width = (max(round(each * scale), 1) for each in (frame.height, frame.width))
    style = f"width:{width}px;height:{height}px;image-rendering:pixelated"
    picture = f'<img alt="a small picture" src="data:image/png;base64,{data}" style="{style}">'
    return f"{picture}<br>{_sentence(said)}" if said else picture


def _windows(rows: int, row_bytes: int) -> list[tuple[int, int]]:
    """Windows of a block each, spread evenly; each begins where a block begins, if it is one segment."""
    size = max(_BLOCK_BYTES // row_bytes, 1)
    whole_words = 8 // gcd(8, row_bytes)
    size -= size % whole_words if size > whole_words else 0
    block = max(size, rows // _MOST_BLOCKS)
    count = max(min(_WINDOWS, READ_BYTES // (block * row_bytes)), _FEWEST_WINDOWS)
    starts = {(rows - size) * each // (count - 1) // block * block for each in range(count)}
    return [(start, min(start + size, rows)) for start in sorted(starts)]


# -- waveforms ------------------------------------------------------------------------------------


def _waveform(payload: LookedPayload, channels: Channels, row_bytes: int) -> str:
    rows = payload.shape[0]
    bounds: list[tuple[Array, Array]]
    is_sample = payload.nbytes > READ_BYTES
    if not is_sample:
        found = channels.of(payload[0:rows])
        if rows <= 2 * _COLUMNS:
            places = np.arange(rows) / max(rows - 1, 1)
            bounds = [(each, each) for each in found]
        else:
            envelope = Envelope(rows, _COLUMNS)
            envelope.add(0, found)
            places = np.arange(_COLUMNS) / (_COLUMNS - 1)
            bounds = list(zip(envelope.low, envelope.high, strict=True))
    else:
        windows = _windows(rows, row_bytes)
        parts = []
        for start, stop in windows:
            part = Envelope(stop - start, 1)
            part.add(0, channels.of(payload[start:stop]))
            parts.append(part)
        places = np.array([start + stop for start, stop in windows]) / (2 * rows)
        bounds = [
            (
                np.concatenate([part.low[each] for part in parts]),
                np.concatenate([part.high[each] for part in parts]),
            )
            for each in range(len(channels.names))
        ]
    numbers = [(low.astype("f8"), high.astype("f8")) for low, high in bounds]
    return _drawing(payload, channels, places, numbers, is_sample=is_sample)


def _drawing(
    payload: LookedPayload,
    channels: Channels,
    places: Array,
    bounds: list[tuple[Array, Array]],
    *,
    is_sample: bool,
) -> str:
    there = np.concatenate([each[np.isfinite(each)] for pair in bounds for each in pair])
    if not len(there):
        of = "the windows that were read have" if is_sample else "it has"
        return _sentence(f"no picture: {of} no finite number")
    low, high = float(there.min()), float(there.max())
    x = 4 + places * (_WIDTH - 8)
    draw = _bars if is_sample else _line
    paths = "".join(
        f'<path d="{draw(x, *(_heights(each, low, high) for each in pair))}" stroke="{colour}"/>'
        for pair, colour in zip(bounds, _COLOURS, strict=False)
    )
    width = max((_WIDTH - 8) / (2 * len(x)), 1.2) if is_sample else 1.2
    said = [f"{low:g} … {high:g}{_unit(payload)}"]
    if channels.number > len(channels.names):
        said.append(f"the first {len(channels.names)} of {channels.number} channels")
    if is_sample:
        said.append(f"a sample: {len(x)} windows")
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'style="display:block;max-width:100%"><g fill="none" stroke-width="{width:.1f}" '
        f'stroke-linejoin="round" stroke-opacity=".85">{paths}</g></svg>{_sentence("; ".join(said))}'
    )


def _unit(payload: LookedPayload) -> str:
    unit = payload.metadata.get("unit")
    return f" {short(plain(unit), 20)}" if isinstance(unit, str) and unit else ""


def _heights(values: Array, low: float, high: float) -> Array:
    with np.errstate(all="ignore"):  # a span may be larger than the largest float
        share = (values / 2 - low / 2) / (high / 2 - low / 2) if high > low else np.where(
            np.isfinite(values), 0.5, np.nan
        )  # fmt: skip
    return _HEIGHT - 4 - share * (_HEIGHT - 8)


def _line(x: Array, low: Array, high: Array) -> str:
    """One path through the bounds of each place, which ends at a gap and begins anew."""
    steps = []
    begins = True
    for place, bottom, top in zip(x.tolist(), low.tolist(), high.tolist(), strict=True):
        if not (np.isfinite(bottom) and np.isfinite(top)):
            begins = True
            continue
        # A dot of its own can be seen, too.
        steps.append(f"{'M' if begins else 'L'}{place:.1f},{bottom:.1f}{'h.6' if begins else ''}")
        if top != bottom:
            steps.append(f"V{top:.1f}")
        begins = False
    return "".join(steps)


def _bars(x: Array, low: Array, high: Array) -> str:
    return "".join(
        f"M{place:.1f},{bottom + 0.5:.1f}V{top - 0.5:.1f}"
        for place, bottom, top in zip(x.tolist(), low.tolist(), high.tolist(), strict=True)
        if np.isfinite(bottom) and np.isfinite(top)
    )
