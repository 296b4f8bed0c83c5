"""The power of a channel over time and frequency, from a bounded number of windows.

Each window is weighted with a Hann window, and its power is that of one column of the picture: the squared
modulus of its discrete Fourier transform, scaled to a density.

Source: P. D. Welch, The use of fast Fourier transform for the estimation of power spectra, IEEE Transactions
on Audio and Electroacoustics 15(2), 1967.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lotdb.looking.channels import Array, Channels
from lotdb.looking.looked_at import LookedPayload
from lotdb.looking.plot_axes import blocks, label_rows, literal, pixels_across, title, unit_of

__all__ = ["draw_spectrogram"]

# Rows of a window: few enough that some windows stand side by side, and a power of two in the usual case.
_FEWEST_ROWS, _ROWS, _ACROSS = 32, 512, 50
_WINDOWS = 600
_DECIBEL = 80  # what is fainter than the loudest by more is black
_WHOLE_BYTES = 64 << 20


def draw_spectrogram(ax: Any, payload: LookedPayload, channels: Channels, first: int, last: int) -> None:
    """Draw the spectrogram of the rows *first* to *last* of one channel on *ax*."""
    rate = payload.samplerate_hz
    label_rows(ax, payload)
    ax.set_ylabel("frequency in Hz" if rate else "frequency in cycles per row")
    said = f"channel {literal(channels.names[0])}" if channels.number > 1 else ""
    title(ax, payload, said)
    rows = last - first
    if rows < 2:
        return
    fitting = 1 << (rows // _ACROSS).bit_length() >> 1
    size = min(max(fitting, _FEWEST_ROWS), _ROWS, rows)
    count = max(min(_WINDOWS, pixels_across(ax)[0], 2 * rows // size - 1), 1)
    starts = [(rows - size) * each // max(count - 1, 1) for each in range(count)]
    windows = _windows(payload, channels, first, last, starts, size)
    power = np.stack([_power(window, rate or 1.0) for window in windows])
    with np.errstate(divide="ignore"):
        level = 10 * np.log10(power.T)
    there = level[np.isfinite(level)]
    top = float(there.max()) if len(there) else 0.0
    # A window of zeros is as faint as can be; one with NaN is none.
    level = np.where(np.isneginf(level), top - _DECIBEL, level)
    edges = (first, last) if rate is None else (first / rate, last / rate)
    image = ax.imshow(
        level,
        origin="lower",
        aspect="auto",
        extent=(*edges, 0, (rate or 1.0) / 2),
        vmin=top - _DECIBEL,
        vmax=top,
        cmap="magma",
        interpolation="nearest",
    )
    unit = unit_of(payload, channels.names[0])
    square = f"{unit}²" if unit.isalpha() else f"({unit})²"
    density = f"{square}/Hz" if rate else square
    ax.figure.colorbar(image, ax=ax, label=f"dB re 1 {density}" if unit else "dB", pad=0.01)


def _windows(
    payload: LookedPayload, channels: Channels, first: int, last: int, starts: list[int], size: int
) -> Iterator[Array]:
    """The rows of each window: cut from all rows if they are few, or each read on its own."""
    row_bytes = payload.nbytes // payload.shape[0]
    if (last - first) * row_bytes <= _WHOLE_BYTES:
        ((_, rows),) = blocks(payload, first, last)
        (values,) = channels.of(rows)
        yield from (values[start : start + size] for start in starts)
        return
    for start in starts:
        yield channels.of(payload[first + start : first + start + size])[0]


def _power(values: Array, rate: float) -> Array:
    weights = np.hanning(len(values) + 1)[:-1]
    numbers = values.astype("f8")
    with np.errstate(invalid="ignore", over="ignore"):
        spectrum = np.fft.rfft((numbers - numbers.mean()) * weights)
        power = np.abs(spectrum) ** 2 / (rate * float(np.sum(weights**2)))
    power[1:-1] *= 2  # the negative frequencies
    return power
