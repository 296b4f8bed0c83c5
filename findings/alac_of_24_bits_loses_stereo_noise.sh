#!/usr/bin/env bash
# libsndfile writes stereo noise of 24 bits as ALAC, and gives other samples back, without a word.
#
# Version:     soundfile 0.14.0, which has libsndfile 1.2.2 (Linux wheels)
# Expectation: ALAC is lossless: what is written as ALAC_24 into CAF is read back as the same samples.
# Behaviour:   a packet that would not become smaller is stored as it is. In two channels of 24 bits (and of 20 and
#              32) that way of storing is wrong: nearly every sample of such a packet is another one. ffmpeg 5.1
#              decodes the file to other samples than those written too, so it is the file that is wrong. Nothing is
#              raised. One channel, 16 bits, and packets that do become smaller are right.
# Seen:        full scale, 2 channels, 24 bits: 4800 of 4800 rows differ; 1 channel: 0; a hundredth of it: 0; 16 bits: 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet soundfile==0.14.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/x.caf" <<'PY'
import sys

import numpy as np
import soundfile

assert soundfile.__libsndfile_version__ == "1.2.2"


def rows_that_differ(bits, channels, most):
    noise = np.random.default_rng(0).integers(-most, most, (4800, channels))
    given = (noise << (32 - bits)).astype("int32")
    soundfile.write(sys.argv[1], given, 8000, f"ALAC_{bits}", format="CAF")
    found = soundfile.read(sys.argv[1], dtype="int32", always_2d=True)[0]
    assert found.shape == given.shape
    return int((found != given).any(axis=1).sum())


seen = {
    "full scale, 2 channels, 24 bits": rows_that_differ(24, 2, 1 << 23),
    "full scale, 1 channel, 24 bits": rows_that_differ(24, 1, 1 << 23),
    "a hundredth of it, 2 channels, 24 bits": rows_that_differ(24, 2, (1 << 23) // 100),
    "full scale, 2 channels, 16 bits": rows_that_differ(16, 2, 1 << 15),
}
for name, count in seen.items():
    print(f"{name}: {count} of 4800 rows differ")
assert list(seen.values()) == [4800, 0, 0, 0]
PY
