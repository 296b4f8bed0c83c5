"""The main job on a real recording: store it once, compute two variants of a result, keep both beside it.

The recording is 110 s of a walk with Parkinson's disease (see ``data/README.md``). From windows of four
seconds we compute the *freeze index*: the power of the vertical leg acceleration from 3 to 8 Hz, where legs
tremble when gait freezes, over its power from 0.5 to 3 Hz, where they walk. Definition: S. T. Moore,
H. G. MacDougall and W. G. Ondo, "Ambulatory monitoring of freezing of gait in Parkinson's disease", Journal
of Neuroscience Methods 167(2), 2008. Windows of four seconds: Bächlin et al. 2010, who made the recording.

Run it twice: the second time nothing is computed. Change the code, the settings or the recording: then what
depends on that is computed again, and the program says why.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from lotdb import LOTDB, BaseNode
from lotdb.steps import Data, provenance, run, step

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
ABOUT = {
    "of": "vertical leg acceleration; row 0 is the first window",
    "source": "Moore, MacDougall and Ondo, J. Neurosci. Methods 167(2), 2008",
}
VARIANTS: dict[str, dict[str, Any]] = {
    "R02-raw": {"taper": "rectangular", "remove_mean": False, "hop_s": 4.0},
    "R02-hann": {"taper": "hann", "remove_mean": True, "hop_s": 0.5},
}


# -- the science: numbers in, numbers out ---------------------------------------------------------


def power_spectra(
    signal: np.ndarray, rate_hz: float, window_s: float, hop_s: float, taper: str, remove_mean: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz, and the one-sided periodogram of each window in (unit of *signal*)² / Hz.

    The bin at 0 Hz is left out: it holds the mean, which is gravity (for a vertical axis some 1000 mg, three
    times the standard deviation of this walk) and says nothing of movement. A rectangular taper keeps the
    mean in that bin. Any other spreads it over the bins beside it, so there it is removed first.
    """
    length, hop = round(window_s * rate_hz), round(hop_s * rate_hz)
    windows = np.lib.stride_tricks.sliding_window_view(signal.astype(float), length)[::hop]
    if remove_mean:
        windows = windows - windows.mean(axis=1, keepdims=True)
    weights = np.ones(length)
    if taper == "hann":
        weights = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)  # the periodic one
    power = np.abs(np.fft.rfft(windows * weights)) ** 2 / (rate_hz * np.sum(weights**2))
    power[:, 1:-1] *= 2  # for the negative frequencies; 0 Hz and the last bin, Nyquist's, have none
    return np.fft.rfftfreq(length, 1 / rate_hz)[1:], power[:, 1:]


@step
def band_power(
    leg: BaseNode,
    *,
    taper: str,
    remove_mean: bool,
    hop_s: float,
    window_s: float = 4.0,
    band_edges_hz: tuple[float, float, float] = (0.5, 3.0, 8.0),
) -> dict[str, Any]:
    """Power of each window while walking and while freezing, as two columns in mg².

    The bands are [0.5, 3) and [3, 8] Hz: the bin at 3 Hz is counted once, as freezing.
    """
    acceleration = leg.payloads["acceleration"]
    vertical = acceleration[:, AXES.index("vert")]
    frequencies, power = power_spectra(
        vertical, acceleration.samplerate_hz, window_s, hop_s, taper, remove_mean
    )
    low, middle, high = band_edges_hz
    walking = (low <= frequencies) & (frequencies < middle)
    freezing = (middle <= frequencies) & (frequencies <= high)
    bin_hz = frequencies[1] - frequencies[0]
    powers = np.stack([power[:, band].sum(axis=1) * bin_hz for band in (walking, freezing)], axis=1)
    moving = frequencies < middle
    return {
        "power": Data(
            powers,
            samplerate_hz=1 / hop_s,  # one row a window
            unit="mg²",
            metadata=ABOUT | {"columns": ("walking", "freezing")},
        ),
        "dominant_hz": float(frequencies[moving][power.mean(axis=0)[moving].argmax()]),
    }


@step
def freeze_index(band_power: BaseNode) -> Data:
    """Power while freezing over power while walking."""
    power = band_power.payloads["power"]
    return Data(power[:, 1] / power[:, 0], samplerate_hz=power.samplerate_hz, metadata=ABOUT)


# -- storing and computing ------------------------------------------------------------------------


def store_recording(root: BaseNode) -> None:
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


def compute(root: BaseNode) -> int:
    """How many results were computed; the others were there, and are still what would be computed."""
    count = 0
    for name, settings in VARIANTS.items():
        if name not in root["S06"]:
            root["S06/R02"].branch(name)
        done = run(root["S06"][name]["leg"], [band_power, freeze_index], settings={"band_power": settings})
        for each in done:
            print(f"  {each}, {provenance(root[each.path]).seconds * 1000:.1f} ms")
        count += len(done)
    return count


# -- telling --------------------------------------------------------------------------------------


def show_results(root: BaseNode) -> None:
    for name, settings in VARIANTS.items():
        result = root["S06"][name]["leg/band_power"]
        index = result["freeze_index"].read_data()
        power = result.payloads["power"].read().sum(axis=1)
        top = index.argmax()
        print(f"  {name}: {len(index)} windows, one every {settings['hop_s']:g} s", end="; ")
        print(f"the leg moves most at {result.attrs['dominant_hz']:.2f} Hz")
        print(f"      freeze index  median {np.median(index):.2f}", end=", ")
        print(f"highest {index[top]:.2f} at {top * settings['hop_s']:g} s", end=" ")
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
    with LOTDB(folder) as db, db.connection() as root:
        print(f"Results, in the database {folder}:")
        if "S06/R02" not in root:
            store_recording(root)
            print("  S06/R02: the recording is stored")
        count = compute(root)
        print("\nThe tree:")
        print(root.tree(depth=6))
        print("\nThe freeze index:")
        show_results(root)
    on_disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"\nThe database takes {on_disk:,} B on disk: the branches share the recording, stored once.")
    print("Computed this time:", f"{count} results." if count else "nothing.")


if __name__ == "__main__":
    main()
