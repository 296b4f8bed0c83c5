#!/usr/bin/env bash
# Pillow saves frames that equal the one before as none: a stack of six comes back as two from GIF, PNG and WebP.
#
# Version:     Pillow 13.0.0, numpy 2.4.6
# Expectation: `save(save_all=True, append_images=...)` saves each frame that it is given, as it does for TIFF.
# Behaviour:   a frame that equals the one before it is left out, in the lossless formats too, and its duration is
#              added to that one. The index is lost by which a frame belongs to a time or to a row of a table: where
#              the camera saw nothing move, three frames are one. In a GIF without durations, nothing tells how many
#              there were. Nothing is said.
# Seen:        6 frames of 100 ms -> 6 in TIFF; 2 in PNG, WebP and GIF, of 300 ms each
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet Pillow==13.0.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import numpy as np
from PIL import Image

stack = np.zeros((6, 32, 32), np.uint8)
stack[3:, 8:16] = 200
first, *others = map(Image.fromarray, stack)
seen = {}
for form, options in (
    ("tiff", {}),
    ("png", {"duration": 100}),
    ("webp", {"duration": 100, "lossless": True}),
    ("gif", {"duration": 100}),
):
    first.save(f"x.{form}", save_all=True, append_images=others, **options)
    with Image.open(f"x.{form}") as image:
        seen[form] = image.n_frames
print("6 frames ->", seen)
assert seen == {"tiff": 6, "png": 2, "webp": 2, "gif": 2}
first.save("y.gif", save_all=True, append_images=others)
with Image.open("y.gif") as image:
    assert image.n_frames == 2 and not image.info.get("duration")
PY
