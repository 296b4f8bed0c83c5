#!/usr/bin/env bash
# ezc3d writes a long motion capture whole, and reads only its first 65535 frames, without a word.
#
# Version:     ezc3d 1.7.2, numpy 2.4.6
# Expectation: a C3D file of 70 000 frames, 70 s of a camera of 1000 Hz, comes back with 70 000 frames, or is refused.
# Behaviour:   the header of C3D counts frames in 16 bits. ezc3d writes all frames into the file, puts 65535 into the
#              header and into POINT:FRAMES, and writes no TRIAL:ACTUAL_END_FIELD, in which C3D keeps a larger number.
#              So it reads 65535 frames of its own file. Nothing is raised or warned of.
# Seen:        written (4, 1, 70000), read (4, 1, 65535); the last sample, 69999.0, is in the file once
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ezc3d==1.7.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import warnings

import ezc3d
import numpy as np

warnings.simplefilter("error")
count = 70_000
points = np.ones((4, 1, count))
points[0, 0] = np.arange(count)
capture = ezc3d.c3d()
capture["parameters"]["POINT"]["RATE"]["value"] = [1000.0]
capture["parameters"]["POINT"]["LABELS"]["value"] = ("wrist",)
capture["data"]["points"] = points
capture.write("capture.c3d")

found = ezc3d.c3d("capture.c3d")["data"]["points"]
copies = int((np.fromfile("capture.c3d", "<f4") == count - 1).sum())
print(f"written {points.shape}, read {found.shape}; the last sample, {count - 1}.0, is in the file {copies} times")
assert found.shape == (4, 1, 65535) and copies == 1
assert np.array_equal(found[0, 0], np.arange(65535))
PY
