#!/usr/bin/env bash
# pyxdf moves the samples around a gap of less than five seconds to times at which nothing was measured.
#
# Version:     pyxdf 1.17.5, numpy 2.4.6
# Expectation: load_xdf() smooths the jitter of time stamps, which is milliseconds. Where a device sent nothing for a
#              second or two, as after lost packets, the samples stay on their sides of the gap.
# Behaviour:   a gap ends a segment only if it is longer than a second *and* than 500 samples, so at 100 Hz than 5 s. A
#              shorter one is smeared over the whole segment: all samples are put on one straight line. The rate
#              that is logged as a warning is the only hint. dejitter_timestamps=False gives the stored stamps.
# Seen:        100 samples at 100 Hz, a gap of 1.5 s in the middle: stamps are off by up to 0.739 s; a gap of 6 s: 0.000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyxdf==1.17.5 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/x.xdf" <<'PY'
import struct
import sys

import numpy as np
import pyxdf


def chunk(tag, content):
    return b"\x04" + struct.pack("<IH", len(content) + 2, tag) + content


def write(path, stamps):
    """One stream of float32 numbers at 100 Hz, each with its time stamp."""
    about = (
        "<info><name>x</name><type>EEG</type><channel_count>1</channel_count><nominal_srate>100</nominal_srate>"
        "<channel_format>float32</channel_format><created_at>0</created_at></info>"
    )
    end = (
        f"<info><first_timestamp>{stamps[0]}</first_timestamp><last_timestamp>{stamps[-1]}</last_timestamp>"
        f"<sample_count>{len(stamps)}</sample_count></info>"
    )
    rows = b"".join(b"\x08" + struct.pack("<df", stamp, n) for n, stamp in enumerate(stamps))
    number = struct.pack("<I", 1)
    with open(path, "wb") as file:
        file.write(b"XDF:" + chunk(1, b"<info><version>1.0</version></info>"))
        file.write(chunk(2, number + about.encode()))
        file.write(chunk(3, number + b"\x04" + struct.pack("<I", len(stamps)) + rows))
        file.write(chunk(6, number + end.encode()))


def most_off(gap_s, **options):
    stamps = 10 + np.arange(100) / 100
    stamps[50:] += gap_s
    write(sys.argv[1], stamps)
    streams, _ = pyxdf.load_xdf(sys.argv[1], **options)
    return float(abs(streams[0]["time_stamps"] - stamps).max())


seen = {"no gap": most_off(0), "1.5 s": most_off(1.5), "6 s": most_off(6)}
seen["1.5 s, not smoothed"] = most_off(1.5, dejitter_timestamps=False)
print({name: f"{off:.3f} s" for name, off in seen.items()})
assert seen["no gap"] < 1e-6
assert seen["6 s"] < 1e-6
assert seen["1.5 s, not smoothed"] == 0
assert seen["1.5 s"] > 0.7
PY
