"""The data of all cases: what a sensor or a microphone gives, not plain noise and not zeros."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

AUDIO_HZ = 48_000
# The folder in which the processes of a run keep long signals for each other: making one takes longer than
# most of what is measured with it.
KEPT = "LOTDB_BENCHMARKS_KEPT"
LONG = 10 * AUDIO_HZ


def captures(count: int, first: int = 0) -> Iterator[np.ndarray]:
    """*count* captures of 2000 rows by 6 channels of float32: cumulated noise, as of an inertial sensor."""
    for number in range(first, first + count):
        noise = np.random.default_rng(number).standard_normal((2000, 6), dtype=np.float32)
        yield np.cumsum(noise, axis=0)


def audio(rows: int, seed: int = 0) -> np.ndarray:
    """*rows* rows of a stereo signal of float32: noise with little at high frequencies, as of a microphone.

    One second of it is made anew for each second, so that no two are the same and none is far from zero.
    """
    kept = os.environ.get(KEPT) if rows > LONG else None
    if kept is None:
        return _audio(rows, seed)
    path = os.path.join(kept, f"audio-{rows}-{seed}.npy")
    if not os.path.exists(path):
        new = f"{path}.{os.getpid()}.npy"
        np.save(new, _audio(rows, seed))
        os.replace(new, path)
    return np.load(path)


def _audio(rows: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    signal = np.empty((rows, 2), np.float32)
    for start in range(0, rows, AUDIO_HZ):
        noise = random.standard_normal((min(AUDIO_HZ, rows - start), 2), dtype=np.float32)
        np.cumsum(noise, axis=0, out=signal[start : start + AUDIO_HZ])
    signal *= np.float32(1e-3)
    return signal


def blocks(count: int, rows: int) -> Iterator[np.ndarray]:
    """*count* blocks of a stereo signal, each another one, and quicker to make than to write."""
    block = audio(rows)
    for number in range(count):
        block[0] = number
        yield block


def windows(count: int, rows: int, total: int) -> list[tuple[int, int]]:
    """*count* windows of *rows* rows at random places among *total*, the same ones for everybody."""
    starts = np.random.default_rng(1).integers(0, total - rows, count)
    return [(start, start + rows) for start in starts.tolist()]
