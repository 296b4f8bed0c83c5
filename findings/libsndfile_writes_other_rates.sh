#!/usr/bin/env bash
# libsndfile writes files whose rate is another one than was asked for, without a word.
#
# Version:     soundfile 0.14.0, which has libsndfile 1.2.2 (Linux wheels)
# Expectation: a rate that a format cannot hold is refused, as FLAC refuses those above 655350 Hz.
# Behaviour:   MPC2K and SVX keep the rate modulo 65536. XI and WVE keep none: all files say 44100 and 8000 Hz. HTK keeps
#              a whole number of 100 ns, and SDS one of nanoseconds, for the period, so most usual rates come
#              back as others. The samples of all but WVE are kept, so a time axis is wrong and nothing else is.
# Seen:        MPC2K and SVX 192000 -> 60928; XI 8000 -> 44100; WVE 44100 -> 8000; HTK 44100 -> 44247, 48000 -> 48076;
#              SDS 44100 -> 44101; WAV, AIFF, AU, CAF, W64, RF64, NIST, VOC keep 192000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet soundfile==0.14.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/x" <<'PY'
import sys

import numpy as np
import soundfile

assert soundfile.__libsndfile_version__ == "1.2.2"
SUBTYPES = {"XI": "DPCM_16", "WVE": "ALAW"}


def rate_of(kind, rate):
    data = (np.arange(1001) * 13 % 5000 - 2500).astype("int16")
    soundfile.write(sys.argv[1], data, rate, SUBTYPES.get(kind, "PCM_16"), format=kind)
    return soundfile.info(sys.argv[1]).samplerate


wrong = {
    ("MPC2K", 192000): 60928,
    ("SVX", 192000): 60928,
    ("XI", 8000): 44100,
    ("WVE", 44100): 8000,
    ("HTK", 44100): 44247,
    ("HTK", 48000): 48076,
    ("SDS", 44100): 44101,
}
seen = {asked: rate_of(*asked) for asked in wrong}
print(seen)
assert seen == wrong
for kind in ("WAV", "AIFF", "AU", "CAF", "W64", "RF64", "NIST", "VOC"):
    assert rate_of(kind, 192000) == 192000, kind
PY
