"""The main job on a real recording: store it once, compute two variants of a result, keep both beside it.

The recording is 110 s of a walk with Parkinson's disease (see ``data/README.md``). From windows of four
seconds we compute the *freeze index*: the power of the vertical leg acceleration from 3 to 8 Hz, where legs
tremble when gait freezes, over its power from 0.5 to 3 Hz, where they walk. Definition: S. T. Moore,
H. G. MacDougall and W. G. Ondo, "Ambulatory monitoring of freezing of gait in Parkinson's disease", Journal
of Neuroscience Methods 167(2), 2008. Windows of four seconds: Bächlin et al. 2010, who made the recording.

Run it twice: the second time everything is found on disk.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lotdb import LOTDB, BaseNode, Payload

HERE = Path(__file__).parent
RECORDING = HERE / "data" / "daphnet-S06R02E0.csv"
RATE_HZ = 64
SENSORS = ("ankle", "leg", "trunk")
AXES = ("horiz_fwd", "vert", "horiz_lateral")
SUBJECT = {
    "data_set": "Daphnet Freezing of Gait, UCI Machine Learning Repository: subject 6, run 2, an excerpt",
    "licence": "CC BY 4.0",
    "citation": "M. Bächlin et al., IEEE Trans. Inf. Technol. Biomed. 14(2), 436–446, 2010",
}
SOURCE = "Moore, MacDougall and Ondo, J. Neurosci. Methods 167(2), 2008"


@dataclass(frozen=True)
class Variant:
    """One way to compute the freeze index."""

    name: str
    taper: str  # "rectangular" or "hann"
    remove_mean: bool
    hop_s: float
    window_s: float = 4.0
    band_edges_hz: tuple[float, float, float] = (0.5, 3.0, 8.0)
    source: str = SOURCE


VARIANTS = (
    Variant("R02-raw", taper="rectangular", remove_mean=False, hop_s=4.0),
    Variant("R02-hann", taper="hann", remove_mean=True, hop_s=0.5),
)


# -- the science: numbers in, numbers out ---------------------------------------------------------


def power_spectra(signal: np.ndarray, rate_hz: float, variant: Variant) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz, and the one-sided periodogram of each window in (unit of *signal*)² / Hz.

    The bin at 0 Hz is left out: it holds the mean, which is gravity (for a vertical axis some 1000 mg, three
    times the standard deviation of this walk) and says nothing of movement. A rectangular taper keeps the
    mean in that bin. Any other spreads it over the bins beside it, so there it is removed first.
    """
    length, hop = round(variant.window_s * rate_hz), round(variant.hop_s * rate_hz)
    windows = np.lib.stride_tricks.sliding_window_view(signal.astype(float), length)[::hop]
    if variant.remove_mean:
        windows = windows - windows.mean(axis=1, keepdims=True)
    taper = np.ones(length)
    if variant.taper == "hann":
        taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)  # the periodic one
    power = np.abs(np.fft.rfft(windows * taper)) ** 2 / (rate_hz * np.sum(taper**2))
    power[:, 1:-1] *= 2  # for the negative frequencies; 0 Hz and the last bin, Nyquist's, have none
    return np.fft.rfftfreq(length, 1 / rate_hz)[1:], power[:, 1:]


def band_powers(frequencies: np.ndarray, power: np.ndarray, variant: Variant) -> np.ndarray:
    """Power of each window while walking and while freezing, as two columns in (unit of the signal)².

    The bands are [0.5, 3) and [3, 8] Hz: the bin at 3 Hz is counted once, as freezing.
    """
    low, middle, high = variant.band_edges_hz
    walking = (low <= frequencies) & (frequencies < middle)
    freezing = (middle <= frequencies) & (frequencies <= high)
    bin_hz = frequencies[1] - frequencies[0]
    return np.stack([power[:, band].sum(axis=1) * bin_hz for band in (walking, freezing)], axis=1)


# -- the steps: each looks first, and says whether there was anything to do -----------------------


def store_recording(root: BaseNode) -> bool:
    if "S06/R02" in root:
        return False
    root.get_node("S06").attrs.update(SUBJECT)
    trial = root.get_data_node("S06/R02", samplerate_hz=RATE_HZ, data_attribute="is_anomaly")
    file = root.get_data_node("S06/file", data_attribute="table")
    column = file.attach_file(RECORDING, dates=["timestamp"]).read()
    frozen = column["is_anomaly"].astype(bool)
    trial.write_data(frozen, metadata={"meaning": "True while gait is frozen"})
    for name in SENSORS:
        sensor = trial.get_data_node(name, samplerate_hz=RATE_HZ, data_attribute="acceleration")
        axes = np.stack([column[f"{name}_{axis}"] for axis in AXES], axis=1).astype(np.int16)
        sensor.write_data(axes, metadata={"unit": "mg", "axes": AXES})
    return True


def make_branch(root: BaseNode, variant: Variant) -> bool:
    if variant.name in root["S06"]:
        return False
    root["S06/R02"].branch(variant.name)
    return True


def compute_freeze_index(root: BaseNode, variant: Variant) -> bool:
    leg = root["S06"][variant.name]["leg"]
    if leg.has_data("freeze_index") and leg.get_attribute("settings") == asdict(variant):
        return False
    acceleration = leg.get_data("acceleration")
    vertical = acceleration[:, AXES.index("vert")]
    frequencies, power = power_spectra(vertical, acceleration.samplerate_hz, variant)
    powers = band_powers(frequencies, power, variant)

    rate_hz = 1 / variant.hop_s  # one row a window
    about = {"of": "vertical leg acceleration", "row 0": f"window from 0 to {variant.window_s:g} s"}
    in_mg2 = about | {"unit": "mg²", "columns": ("walking", "freezing")}
    leg.write_data(powers, data_attribute="band_power", samplerate_hz=rate_hz, metadata=in_mg2)
    index = powers[:, 1] / powers[:, 0]
    leg.write_data(index, data_attribute="freeze_index", samplerate_hz=rate_hz, metadata=about)
    walking = frequencies < variant.band_edges_hz[1]
    leg.attrs["dominant_hz"] = float(frequencies[walking][power.mean(axis=0)[walking].argmax()])
    leg.attrs["settings"] = asdict(variant)
    return True


# -- telling --------------------------------------------------------------------------------------


def run_step(db: LOTDB, title: str, step: Callable[..., bool], *arguments: Any) -> bool:
    """One step in a transaction of its own; the time includes the commit."""
    began = time.perf_counter()
    with db.connection() as root:
        worked = step(root, *arguments)
    took = f"{(time.perf_counter() - began) * 1000:7.1f} ms"
    print(f"  {title:<30} {took if worked else 'found on disk'}")
    return worked


def show_tree(root: BaseNode) -> None:
    total = 0
    for node in root.iterate_tree():
        depth = node.path.count("/") + bool(node.path)
        print(f"  {'    ' * depth}{node.key}/")
        for name, value in node.attrs.items():
            stored = f"= {value!r}"
            if isinstance(value, Payload):
                total += value.nbytes
                stored = f"{value.shape} {value.dtype}, {value.samplerate_hz or 0:g} Hz"
                if value.kind == "table":
                    stored = f"{len(value)} rows, {len(value.dtype.names)} columns"
                stored = stored.ljust(30)
                stored += f"{value.nbytes:>7,} B in {value.backend}"
            if not name.startswith("_"):  # those are the data node's own defaults
                print(f"  {'    ' * depth}    {name:<13}{stored if len(stored) < 70 else stored[:69] + '…'}")
    print(f"  All these payloads together: {total:,} B.")


def show_results(root: BaseNode) -> None:
    for variant in VARIANTS:
        leg = root["S06"][variant.name]["leg"]
        index = leg.read_data(data_attribute="freeze_index")
        power = leg.read_data(data_attribute="band_power").sum(axis=1)
        top = index.argmax()
        print(f"  {variant.name}: {len(index)} windows, one every {variant.hop_s:g} s", end="; ")
        print(f"the leg moves most at {leg.attrs['dominant_hz']:.2f} Hz")
        print(f"      freeze index  median {np.median(index):.2f}", end=", ")
        print(f"highest {index[top]:.2f} at {top * variant.hop_s:g} s", end=" ")
        print(f"(where 0.5 to 8 Hz hold {power[top]:,.0f} mg², of {np.median(power):,.0f} as the median)")
    annotated = root["S06/R02"].read_data()
    print(f"  Annotated as frozen: {np.count_nonzero(annotated)} of {len(annotated)} samples.")
    if not annotated.any():
        print("  Nobody freezes in this recording: nothing is detected here. The index is a ratio, so the")
        print("  highest values come from a leg that hardly moves.")


def main() -> None:
    parser = argparse.ArgumentParser(description="The freeze index of a real recording, in two variants.")
    parser.add_argument("--database", type=Path, default=HERE / "output" / "gait", help="where to keep it")
    folder = parser.parse_args().database
    with LOTDB(folder) as db:
        print(f"Steps, in the database {folder}:")
        worked = [run_step(db, "store the recording", store_recording)]
        for variant in VARIANTS:
            worked.append(run_step(db, f"branch R02 as {variant.name}", make_branch, variant))
            worked.append(run_step(db, f"freeze index of {variant.name}", compute_freeze_index, variant))
        with db.connection() as root:
            print("\nThe tree:")
            show_tree(root)
            print("\nResults:")
            show_results(root)
    on_disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"\nThe database takes {on_disk:,} B on disk: the branches share the recording, stored once.")
    print("Computed this time:", f"{sum(worked)} of {len(worked)} steps." if any(worked) else "nothing.")


if __name__ == "__main__":
    main()
