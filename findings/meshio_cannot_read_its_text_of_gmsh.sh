#!/usr/bin/env bash
# meshio writes a gmsh file as text that it cannot read, as soon as the mesh has data at its points.
#
# Version:     meshio 5.3.5, numpy 2.4.6
# Expectation: what meshio.write(file_format="gmsh", binary=False) writes, meshio.read() reads, as it does
#              the binary form.
# Behaviour:   the reader has numpy read numbers from a text until the next line of words. numpy made that
#              an error, after some years of a warning, so the data of points and cells are not reached. A
#              mesh without data, and the binary form, are read.
# Seen:        binary: [1, 2, 3]; text: ValueError: string or file could not be read to its end due to
#              unmatched data
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet meshio==5.3.5 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import contextlib
import io
import os
import sys

import meshio
import numpy as np

points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
mesh = meshio.Mesh(points, [("triangle", [[0, 1, 2]])], point_data={"temperature": np.array([1.0, 2, 3])})
path = os.path.join(sys.argv[1], "mesh.msh")
meshio.write(path, mesh, file_format="gmsh", binary=True)
with contextlib.redirect_stdout(io.StringIO()):
    back = meshio.read(path).point_data["temperature"]
print("binary:", back)
assert back.tolist() == [1, 2, 3]
meshio.write(path, mesh, file_format="gmsh", binary=False)
try:
    meshio.read(path)
except ValueError as error:
    print("text:", type(error).__name__, error)
    assert "unmatched data" in str(error)
else:
    raise SystemExit("the text was read")
PY
