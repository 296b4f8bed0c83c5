#!/usr/bin/env bash
# anndata writes what is masked out as if it had been measured, and the mask is gone.
#
# Version:     anndata 0.12.19, h5py 3.16.0, zarr 3.1.6, numpy 2.4.6, pandas 2.3.3
# Expectation: a masked array in obsm or in uns keeps its mask in the file, or is refused like other types that anndata
#              does not store (tuples, bytes, times).
# Behaviour:   a masked array is accepted, and is still one in memory. write_h5ad and write_zarr write the numbers
#              beneath the mask, here the 999 of a broken sensor, and reading gives a plain array in which they look
#              like the others. Nothing is raised or warned of. (The masked columns of pandas are kept right.)
# Seen:        h5ad and zarr: measured 17.0 in sum, read back 1016.0, mask: False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet anndata==0.12.19 h5py==3.16.0 zarr==3.1.6 numpy==2.4.6 pandas==2.3.3
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import warnings

import anndata
import numpy as np

values = np.ma.array([[1.0, 2.0], [3.0, 999.0], [5.0, 6.0]], mask=[[0, 0], [0, 1], [0, 0]])
for kind in ("h5ad", "zarr"):
    data = anndata.AnnData(np.zeros((3, 2), "float32"))
    data.obsm["temperature"] = values
    data.uns["temperature"] = values
    assert isinstance(data.obsm["temperature"], np.ma.MaskedArray)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(data, f"write_{kind}")(f"x.{kind}")
        found = getattr(anndata, f"read_{kind}")(f"x.{kind}")
    assert not [note for note in caught if "mask" in str(note.message)]
    for read in (found.obsm["temperature"], found.uns["temperature"]):
        print(f"{kind}: measured {values.sum()}, read back {np.sum(read)}, mask: {np.ma.getmask(read)}")
        assert values.sum() == 17.0 and np.sum(read) == 1016.0 and not np.ma.isMaskedArray(read)
PY
