#!/usr/bin/env bash
# scikit-image saves a stack of three or four frames as one colour image, and a stack of any other number as it is.
#
# Version:     scikit-image 0.26.0, tifffile 2026.3.3, numpy 2.4.6
# Expectation: skimage.io.imsave() of (frames, rows, columns) and imread() give the same array for each
#              number of frames.
# Behaviour:   three and four frames are taken for the channels of a colour image: the first axis is moved
#              to the end when the stack is written. There is no warning. So the longer part of a series
#              of stacks is right, and the short ones have other axes.
# Seen:        (2, 40, 50) and (5, 40, 50) come back; (3, 40, 50) -> (40, 50, 3); (4, 40, 50) -> (40, 50,
#              4)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-image==0.26.0 tifffile==2026.3.3 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import os
import sys
import warnings

import numpy as np
from skimage import io

warnings.simplefilter("error")
path = os.path.join(sys.argv[1], "frames.tif")
for frames in (2, 3, 4, 5):
    stack = np.arange(frames * 40 * 50, dtype="uint16").reshape(frames, 40, 50)
    io.imsave(path, stack, check_contrast=False)
    back = io.imread(path)
    print(stack.shape, "->", back.shape)
    if frames in (3, 4):
        assert back.shape == (40, 50, frames) and np.array_equal(np.moveaxis(back, -1, 0), stack)
    else:
        assert np.array_equal(back, stack)
PY
