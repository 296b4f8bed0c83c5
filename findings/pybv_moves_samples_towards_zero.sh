#!/usr/bin/env bash
# pybv moves samples that it could have kept: with every copy of a recording, some are one step nearer to zero.
#
# Version:     pybv 0.8.1, mne 1.13.2, numpy 2.4.6
# Expectation: a recording of sixteen bits that mne reads, and that pybv writes with the same resolution, keeps its
#              samples.
# Behaviour:   the volts are divided by the resolution and then cut to integers, not rounded. 99.5 microvolts are 995
#              steps of 0.1, less the error of the division, which makes 994. Each further copy does it again. Nothing
#              is said. Samples from elsewhere are cut in the same way: all that is below one step becomes zero.
# Seen:        copy 1: 572 of 2001 samples differ, by up to 1; copy 2: by up to 2; copy 3: by up to 3
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pybv==0.8.1 mne==1.13.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import mne
import numpy as np
import pybv


def write(volts):
    pybv.write_brainvision(
        data=volts,
        sfreq=100,
        ch_names=["Fz"],
        fname_base="x",
        folder_out=".",
        overwrite=True,
        fmt="binary_int16",
        resolution=0.1,
        unit="\u00b5V",
    )


steps = np.arange(-1000, 1001, dtype="<i2")
write(np.zeros((1, len(steps))))
steps.tofile("x.eeg")  # the recording: one sample of each number of steps
for copy in (1, 2, 3):
    write(mne.io.read_raw_brainvision("x.vhdr", preload=True, verbose="error").get_data())
    found = np.fromfile("x.eeg", "<i2")
    moved = np.abs(steps) - np.abs(found)
    print(f"copy {copy}: {np.count_nonzero(moved)} of {len(steps)} samples differ, by up to {moved.max()}")
    assert np.count_nonzero(moved) > 100
    assert moved.min() == 0 and moved.max() == copy
PY
