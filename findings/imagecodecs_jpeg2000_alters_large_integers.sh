#!/usr/bin/env bash
# JPEG 2000 of imagecodecs, asked to be reversible, gives other numbers back from 25 bits on.
#
# Version:     imagecodecs 2026.3.6 (OpenJPEG), numpy 2.4.6
# Expectation: JPEG 2000 without loss is without loss, also for 32-bit counts of a detector; what the
#              codec cannot hold is refused, as 64-bit integers are.
# Behaviour:   uint32 is accepted. Numbers below 2^24 come back as they were. Above that, more and more of
#              them do not, the smaller by little and the larger by all they have. There is no error and
#              no warning, whether `reversible=True` is said or not.
# Seen:        noise of 24 bits: 0 of 4096 differ; 25 bits: 505; 26 bits: 3906; 32 bits: 4095
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet imagecodecs==2026.3.6 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import imagecodecs
import numpy as np

random = np.random.default_rng(0)
wrong = {}
for bits in (16, 24, 25, 26, 32):
    image = random.integers(0, 2**bits, (64, 64)).astype("uint32")
    back = imagecodecs.jpeg2k_decode(imagecodecs.jpeg2k_encode(image, reversible=True))
    assert back.dtype == image.dtype and back.shape == image.shape
    wrong[bits] = int((back != image).sum())
    print(bits, "bits:", wrong[bits], "of", image.size, "differ")
assert wrong[16] == wrong[24] == 0
assert 0 < wrong[25] < wrong[26] < wrong[32]
PY
