"""Drawing a long waveform, as an exact envelope, up to the picture in memory; against reading the samples."""

from __future__ import annotations

import io

import numpy as np

from benchmarks.cases import Against, Case, Figures, Side, more
from benchmarks.clock import Timer, check
from benchmarks.sizes import Sizes

RATE_HZ = 48_000


def write(folder: str, samples: int, dtype: str) -> Figures:
    from lotdb import LOTDB

    signal = np.random.default_rng(5).normal(scale=3000, size=samples).astype(dtype)
    with Timer() as timer, LOTDB(folder) as db, db.connection() as root:
        root.get_data_node("speech", samplerate_hz=RATE_HZ).write_data(signal)
    return {"seconds": timer.seconds}


def draw(folder: str, samples: int, dtype: str) -> Figures:
    from matplotlib.figure import Figure

    from lotdb import LOTDB

    def picture() -> Figure:
        return Figure(figsize=(9, 3.6), dpi=100, layout="constrained")

    first = picture()
    first.add_subplot().plot([1, 2])
    first.savefig(io.BytesIO())  # which finds the fonts
    with LOTDB(folder, read_only=True) as db:
        payload = db.open_connection()["speech"].payloads["data"]
        payload.plot(picture().add_subplot(), stop=10)  # which imports what it takes
        with Timer() as reading:
            payload.read()
        with Timer() as timer:
            figure = picture()
            ax = payload.plot(figure.add_subplot())
            figure.canvas.draw()
        check(0 < len(ax.lines[0].get_xdata()) <= 2 * 900, "the number of points")
        with Timer() as small:
            payload._repr_html_()
    return {"seconds": timer.seconds, "reading": reading.seconds, "html": small.seconds}


def cases(sizes: Sizes) -> list[Case]:
    found = []
    for dtype in ("float32", "int16"):
        arguments = {"samples": sizes.drawn_samples, "dtype": dtype}
        written = Side("LOTDB", write, arguments, durable="synced")
        drawn = Side("LOTDB", draw, arguments, written)
        found.append(
            Case(
                f"plot of {sizes.drawn_samples:.0e} samples of {dtype}".replace("e+0", "e"),
                drawn,
                (Against(drawn.but(label="reading them", figure="reading"), more(0.3, "0.3 s")),),
                unit="ms",
            )
        )
    found.append(
        Case(
            "a small picture of them in a notebook",
            drawn.but(figure="html"),
            (Against(drawn.but(label="reading them", figure="reading")),),
            unit="ms",
        ),
    )
    return found
