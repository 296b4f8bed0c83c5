#!/usr/bin/env bash
# nibabel saves a NaN of an image as 0 and an infinity as the largest finite number when the file holds integers.
#
# Version:     nibabel 5.4.2, numpy 2.4.6
# Expectation: an image of floats that is saved as int16 is rounded; what has no integer (NaN outside of a
#              mask, an infinity) is refused or told.
# Behaviour:   the image is scaled to the finite numbers, NaN becomes 0, which is a value as any other,
#              and infinity the largest one. There is no error and no warning. 0 need not lie in the range
#              of the data.
# Seen:        10, NaN, 30 -> 10, 0, 30; 1, infinity, 3 -> 1, 3, 3
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nibabel==5.4.2 numpy==2.4.6
"$folder/venv/bin/python" -W error - "$folder" <<'PY'
import os
import sys

import nibabel
import numpy as np

path = os.path.join(sys.argv[1], "x.nii")


def saved(values):
    """What is read of an image of these three numbers that was saved as int16."""
    image = nibabel.Nifti1Image(np.array([[values]]), np.eye(4))
    image.set_data_dtype(np.int16)
    nibabel.save(image, path)
    return nibabel.load(path).get_fdata().ravel().round(3).tolist()


for values, found in (([10.0, np.nan, 30.0], [10.0, 0.0, 30.0]), ([1.0, np.inf, 3.0], [1.0, 3.0, 3.0])):
    print(values, "->", saved(values))
    assert saved(values) == found
PY
