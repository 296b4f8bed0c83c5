"""Steps that other processes import, and a program that maps one until it is killed."""

import os
import sys
import time

import numpy as np

from lotdb import LOTDB
from lotdb.steps import step


@step
def band_power(capture, low=0.5):
    data = capture.get_data().read()
    return {"power": data**2 * low, "mean": float(data.mean()), "process": os.getpid()}


@step
def spectrum(band_power, size=4):
    return np.abs(np.fft.rfft(band_power.read_data(data_attribute="power")))[:size]


@step
def fails_at_odd(capture):
    if capture.attrs["number"] % 2:
        raise ValueError(f"{capture.attrs['number']} is odd")
    return 1.0


class UntoldError(Exception):
    """One that cannot be told, nor sent to another process."""

    def __init__(self, one, other):
        super().__init__(one)

    def __str__(self):
        raise RuntimeError("no text")


@step
def fails_untold_at_odd(capture):
    if capture.attrs["number"] % 2:
        raise UntoldError(1, 2)
    return 1.0


@step
def dies(capture):
    os.kill(os.getpid(), 9)


@step
def relative(capture, to):
    return float(capture.get_data().read().mean() - to.get_data().read().mean())


@step
def large(capture):
    return np.full(200_000, capture.attrs["number"])


@step
def unsendable(capture):
    return {"x": np.arange(3), "f": capture.attrs}


@step
def slow(capture):
    time.sleep(0.005)
    return capture.get_data().read() + capture.attrs["number"]


if __name__ == "__main__":
    with LOTDB(sys.argv[1], durability="process") as db, db.connection() as root:
        print(slow.map(root["captures"].values(), workers=2).computed, flush=True)
