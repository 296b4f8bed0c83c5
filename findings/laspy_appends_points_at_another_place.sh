#!/usr/bin/env bash
# laspy appends points of another scale or offset to a file as they are: a point at 1.23 m comes back at 112.30 m.
#
# Version:     laspy 2.7.0, numpy 2.4.6
# Expectation: points that are appended keep their coordinates, as those do that are written: `write_points` gives them
#              the scale and the offset of its file by itself. Or they are refused, as points of another format are.
# Behaviour:   LAS holds integers, and for the whole file a scale and an offset. `append_points` compares the formats
#              of the points alone, and copies the integers. So points of millimetres that follow points of centimetres
#              are ten times as far away, from another offset. All tiles of a survey have offsets of their own. Nothing
#              is said, and the limits in the header fit the wrong place.
# Seen:        points at 1.23, 2.34 m, of 0.001 m from 0; file of 0.01 m from 100 m: written -> 1.23, 2.34;
#              appended -> 112.3, 123.4
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet laspy==2.7.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import laspy
import numpy as np

GIVEN = [1.23, 2.34]


def header(scale, offset):
    result = laspy.LasHeader(point_format=3, version="1.2")
    result.scales = [scale] * 3
    result.offsets = [offset] * 3
    return result


scan = laspy.LasData(header(0.001, 0))
scan.x = scan.y = scan.z = np.array(GIVEN)
with laspy.open("x.las", mode="w", header=header(0.01, 100)) as file:
    file.write_points(scan.points)
assert np.allclose(scan.x, GIVEN)
assert np.allclose(laspy.read("x.las").x, GIVEN)
with laspy.open("x.las", mode="a") as file:
    file.append_points(scan.points)
read = laspy.read("x.las")
print(GIVEN, "-> written", np.array(read.x[:2]), "appended", np.array(read.x[2:]), "limit", read.header.maxs[0])
assert np.allclose(read.x[:2], GIVEN)
assert np.allclose(read.x[2:], [112.3, 123.4])
assert np.isclose(read.header.maxs[0], 123.4)
PY
