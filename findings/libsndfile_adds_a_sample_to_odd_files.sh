#!/usr/bin/env bash
# libsndfile gives one sample more than was written to an AIFF file of 8 bits: 1001 samples come back as 1002.
#
# Version:     soundfile 0.14.0, which has libsndfile 1.2.2 (Linux wheels), numpy 2.4.6
# Expectation: PCM is without loss: as many samples are read as were written, as in WAV, W64 and CAF of 8 bits.
# Behaviour:   an odd number of bytes is followed by one that makes it even. AIFF does not count that byte; libsndfile
#              does, and writes the larger number into the header, so other readers find the sample, too. In unsigned
#              bytes it is not even silence, but the lowest value that there is: a click at full scale. PAF of 24 bits
#              is filled up to a multiple of ten with what was last in the buffer. Nothing is said.
# Seen:        AIFF PCM_U8: 1001 samples -> 1002, the last is -1.0; PAF PCM_24: 1001 -> 1010; WAV PCM_U8: 1001
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet soundfile==0.14.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/x" <<'PY'
import sys

import numpy as np
import soundfile

given = np.full(1001, 0.5)
for name, subtype, more in (
    ("AIFF", "PCM_U8", [-1.0]),
    ("AIFF", "PCM_S8", [0.0]),
    ("PAF", "PCM_24", [0.5] * 9),
    ("WAV", "PCM_U8", []),
    ("CAF", "PCM_S8", []),
):
    soundfile.write(sys.argv[1], given, 8000, format=name, subtype=subtype)
    found, _ = soundfile.read(sys.argv[1])
    print(name, subtype, len(given), "->", len(found), "the last:", found[-1])
    assert soundfile.info(sys.argv[1]).frames == len(found)
    assert np.allclose(found, [*given, *more], atol=1e-6)
soundfile.write(sys.argv[1], given[1:], 8000, format="AIFF", subtype="PCM_U8")
assert len(soundfile.read(sys.argv[1])[0]) == 1000
PY
