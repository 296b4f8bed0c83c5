#!/usr/bin/env bash
# pye57 moves the points of a map by up to a quarter of a metre: it writes coordinates in single precision.
#
# Version:     pye57 0.4.19, numpy 2.4.6
# Expectation: the doubles that write_scan_raw() is given come back as such. The format has both precisions, and the
#              reader gives doubles.
# Behaviour:   the coordinates of the points are always declared as single ones, of seven digits. 5000000.1 m, a usual
#              northing of a map grid, becomes 5000000.0: a scan that is good to a millimetre is put on a grid of half
#              a metre. What is read is of type float64. The limits in the header are kept as doubles, so points lie
#              outside of them. Nothing is said. Points near zero, with the place of the scanner in `translation`, are
#              right.
# Seen:        northings 5000000.1, .2, .3 m -> 5000000.0, .0, .5, limits 5000000.1 and 5000000.3; 10 000 points within
#              100 m: moved by up to 0.25 m
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pye57==0.4.19 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::RuntimeWarning -W error::UserWarning - <<'PY'
import numpy as np
import pye57

points = {
    "cartesianX": np.array([400000.1, 400000.2, 400000.3]),
    "cartesianY": np.array([5000000.1, 5000000.2, 5000000.3]),
    "cartesianZ": np.array([100.1, 100.2, 100.3]),
}


def written(path, given, **place):
    file = pye57.E57(path, mode="w")
    file.write_scan_raw(given, **place)
    file.close()
    return pye57.E57(path)


file = written("x.e57", points)
found, header = file.read_scan_raw(0), file.get_header(0)
northings = found["cartesianY"]
limits = header.yMinimum, header.yMaximum
prototype = pye57.libe57.StructureNode(header.points.prototype())
precision = pye57.libe57.FloatNode(prototype.get("cartesianY")).precision()
print(northings, northings.dtype, "limits", limits, precision)
assert northings.dtype == np.float64 and northings.tolist() == [5000000.0, 5000000.0, 5000000.5]
assert limits == (5000000.1, 5000000.3) and northings.min() < limits[0] and northings.max() > limits[1]
assert precision == pye57.libe57.FloatPrecision.E57_SINGLE

random = np.random.default_rng(0)
many = {name: random.uniform(start, start + 100, 10_000) for name, start in zip(points, (4e5, 5e6, 0))}
found = written("many.e57", many).read_scan_raw(0)
moved = {name: abs(found[name] - many[name]).max() for name in points}
print("moved by up to", moved)
assert 0.249 < moved["cartesianY"] <= 0.25 and 0.01 < moved["cartesianX"] < 0.02 and moved["cartesianZ"] < 1e-5

origin = np.array([400000.0, 5000000.0, 100.0])
near = {name: values - start for (name, values), start in zip(points.items(), origin)}
placed = written("y.e57", near, translation=origin).read_scan(0, ignore_missing_fields=True)
print("with translation", placed["cartesianY"])
assert all(np.allclose(placed[name], points[name], rtol=0, atol=1e-7) for name in points)
PY
