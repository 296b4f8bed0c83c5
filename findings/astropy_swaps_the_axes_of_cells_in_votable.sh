#!/usr/bin/env bash
# astropy writes a column of small matrices to VOTable with rows and columns swapped: 3 x 2 comes back as 2 x 3.
#
# Version:     astropy 8.0.2, numpy 2.4.6
# Expectation: `Table.write(format="votable")` gives back each cell as it was, as FITS, ECSV and HDF5 do.
# Behaviour:   the numbers are written row by row, but the shape in the header (which names the axis that runs fastest
#              first) is that of the array, not its reverse. The reader does reverse it. So a cell of three points
#              with x and y comes back as two rows of three: the numbers are not transposed, but torn apart. Square
#              cells are right. Nothing is said.
# Seen:        [[0, 1], [2, 3], [4, 5]] -> [[0, 1, 2], [3, 4, 5]]; the header has arraysize="3x2"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet astropy==8.0.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import pathlib

import numpy as np
from astropy.table import Table


def written(cells, name, form):
    Table({"points": cells}).write(name, format=form, overwrite=True)
    return np.asarray(Table.read(name, format=form)["points"])


cells = np.arange(12).reshape(2, 3, 2)
for name, form in (("x.fits", "fits"), ("x.ecsv", "ascii.ecsv")):
    assert written(cells, name, form).tolist() == cells.tolist()
found = written(cells, "x.vot", "votable")
print(cells[0].tolist(), "->", found[0].tolist())
assert 'arraysize="3x2"' in pathlib.Path("x.vot").read_text()
assert found.tolist() == cells.reshape(2, 2, 3).tolist()
PY
