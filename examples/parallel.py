"""Work shared by processes: they read by reference and return, and one process writes.

    python examples/parallel.py         makes a small database and analyses its recordings in two processes

What is sent to a worker is a node. It arrives as a reference: where the database is, which commit, and the
path. The worker opens the database once, for reading, and reads what it needs, while the parent writes what
comes back.
"""

from __future__ import annotations

import argparse
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from lotdb import LOTDB, BaseNode

RATE_HZ = 250
TAKES, SECONDS = 24, 60


def record(root: BaseNode) -> None:
    """Noise with a beat in it, faster in each take."""
    noise = np.random.default_rng(0)
    times = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    for number in range(TAKES):
        beat = np.sin(2 * np.pi * (1 + number / 10) * times)
        take = root.get_data_node(("takes", f"{number:02}"))
        take.write_data((beat + noise.normal(size=len(times))).astype("float32"), samplerate_hz=RATE_HZ)


def analyse(take: BaseNode) -> tuple[float, np.ndarray]:
    """The frequency (Hz) with the most power, and the spectrum; this runs in a worker."""
    data = take.get_data()
    spectrum = np.abs(np.fft.rfft(data[:]))[: len(data) // 10]
    return float(np.argmax(spectrum[1:]) + 1) / data.duration_s, spectrum


def main(folder: Path, processes: int) -> dict[str, float]:
    """The frequency of each take, as it is stored when all is done."""
    with LOTDB(folder, new=True) as db, db.connection() as root:
        record(root)
        db.commit(root)  # workers see what is committed
        takes = list(root["takes"].values())
        with ProcessPoolExecutor(processes, mp_context=get_context("forkserver")) as pool:
            for take, (hz, spectrum) in zip(takes, pool.map(analyse, takes), strict=True):
                take.attrs["beat_hz"] = hz
                take.write_data(spectrum, data_attribute="spectrum")
        return {take.path: take.attrs["beat_hz"] for take in takes}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "output" / "parallel")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    for path, hz in main(options.folder, options.processes).items():
        print(f"{path}  {hz:.2f} Hz")
