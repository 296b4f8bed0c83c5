#!/usr/bin/env bash
# dask takes an array in kilometres for the one in metres that has the same numbers: 1 m + 1 km is 2 km.
#
# Version:     dask 2026.8.0, astropy 8.0.2, pint 0.25.3, numpy 2.4.6
# Expectation: two arrays that differ are two arrays. dask.array keeps the units of astropy: each array alone is
#              computed rightly, with its unit.
# Behaviour:   from_array() names an array after a hash of its numbers, shape and type. The unit, which such a subclass
#              of numpy's array has beside them, is left out, so arrays of equal numbers get one name, and in a
#              computation with both of them one stands for the other, unit included. Pure delayed functions mix up
#              their results in the same way. Nothing is said. With name=False, each array is what it is. Arrays of
#              pint, which are no subclass, are right.
# Seen:        max of 0, 1, 2 m and of 0, 1, 2 km: 2 m, 2 m; their sum: 0, 2, 4 km (0, 1001, 2002 m is right)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "dask[array]==2026.8.0" astropy==8.0.2 pint==0.25.3 numpy==2.4.6
"$folder/venv/bin/python" -W error - <<'PY'
import dask
import dask.array as da
import numpy as np
import pint
from astropy import units

numbers = np.arange(3.0)
metres, kilometres = numbers * units.m, numbers * units.km
right = metres + kilometres
assert np.array_equal(right.to_value("m"), [0, 1001, 2002])
x, y = da.from_array(metres, chunks=2), da.from_array(kilometres, chunks=2)
assert x.name == y.name
# Each alone is right.
assert x.max().compute() == 2 * units.m and y.max().compute() == 2 * units.km
both, total = dask.compute(x.max(), y.max()), (x + y).compute()
print("max:", both, "sum:", total, "in place of", right)
assert both == (2 * units.m, 2 * units.m)
assert total.unit == units.km and total.value.tolist() == [0, 2, 4]

largest = dask.delayed(np.max, pure=True)
assert dask.compute(largest(metres), largest(kilometres)) == (2 * units.m, 2 * units.m)

x, y = (da.from_array(each, chunks=2, name=False) for each in (metres, kilometres))
assert np.allclose((x + y).compute().to_value("m"), [0, 1001, 2002])
registry = pint.UnitRegistry()
assert dask.base.tokenize(numbers * registry.m) != dask.base.tokenize(numbers * registry.km)
PY
