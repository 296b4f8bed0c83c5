#!/usr/bin/env bash
# ASE turns the cell in a netCDF trajectory and leaves the atoms where they are: neighbours at 1 Å come back at 9 Å.
#
# Version:     ase 3.29.0, netCDF4 1.7.5.1.post1, scipy 1.17.1, numpy 2.4.6
# Expectation: atoms and cell keep their places to each other. A format that knows a cell only by its lengths and angles
#              needs the atoms turned with it, as ASE does for LAMMPS and PDB; or such a cell is refused.
# Behaviour:   of a cell whose first vector does not lie along x, lengths and angles are written, and the positions as
#              they are. The reader lays the first vector along x. So the box is another one for the same atoms:
#              distances across its walls, densities along an axis and all that follows from neighbours are wrong.
#              Nothing is said. Cells that lie along x already are right. The positions alone come back as they were, so
#              that a comparison of those does not show it.
# Seen:        cell (0, 10, 0), (20, 0, 0), (0, 0, 30) -> (10, 0, 0), (0, 20, 0), (0, 0, 30); 1.0 Å -> 9.0 Å;
#              LAMMPS, PDB, VASP and extended XYZ: 1.0 Å
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ase==3.29.0 netCDF4==1.7.5.1.post1 scipy==1.17.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning -W error::RuntimeWarning - <<'PY'
import ase
import ase.io
import numpy as np
from scipy.io import netcdf_file


def copied(format, cell):
    atoms = ase.Atoms("Ar2", positions=[[0, 0.5, 0], [0, 9.5, 0]], cell=cell, pbc=True)
    assert np.isclose(atoms.get_distance(0, 1, mic=True), 1)
    ase.io.write(f"x.{format}", atoms, format=format)
    found = ase.io.read(f"x.{format}", format=format)
    distance = found.get_distance(0, 1, mic=True)
    print(format, found.cell.tolist(), found.positions.tolist(), "distance", distance)
    assert found.pbc.all()
    return found, distance


turned = [[0, 10, 0], [20, 0, 0], [0, 0, 30]]
found, distance = copied("netcdftrajectory", turned)
assert np.allclose(found.cell, np.diag([10, 20, 30]))
assert np.allclose(found.positions, [[0, 0.5, 0], [0, 9.5, 0]])
assert np.isclose(distance, 9)
with netcdf_file("x.netcdftrajectory", mmap=False) as file:
    lengths, angles = (file.variables[name][0].tolist() for name in ("cell_lengths", "cell_angles"))
    print("in the file", lengths, angles, file.variables["coordinates"][0].tolist())
    assert lengths == [10, 20, 30] and angles == [90, 90, 90]
for format in ("lammps-data", "proteindatabank", "vasp", "extxyz"):
    assert np.isclose(copied(format, turned)[1], 1, atol=2e-3)
assert np.isclose(copied("netcdftrajectory", np.diag([20, 10, 30]))[1], 1)
PY
