#!/usr/bin/env bash
# pydub reads the bits of floating-point samples as integers if the WAV file is one of the extensible kind: noise.
#
# Version:     pydub 0.25.1, soundfile 0.14.0, numpy 2.4.6
# Expectation: samples in floating point are converted, or the file is refused. For the plain kind of WAV file, pydub
#              sees that they are none of its own, and hands the file to ffmpeg.
# Behaviour:   the extensible kind, which the format wants for more than two channels, says in its subformat what the
#              samples are. pydub does not look at it, and takes 32 bits for an integer. An exponent is most of the
#              upper byte, so all that is left are steps near full scale: silence aside, loud noise. Nothing is said.
#              A-law and mu-law bytes are taken for 8-bit samples in the same way. Integers are read rightly.
# Seen:        [0.5, -0.5, 0.25, 0.1] -> [0.492, -0.508, 0.488, 0.483]; mu-law -> [0.117, -0.883, 0.242, 0.414]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pydub==0.25.1 soundfile==0.14.0 numpy==2.4.6 \
    "audioop-lts==0.2.2; python_version >= '3.13'"
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning -W ignore:Couldn:RuntimeWarning - <<'PY'
import numpy as np
import soundfile
from pydub import AudioSegment

given = np.array([0.5, -0.5, 0.25, 0.1])


def read(subtype):
    soundfile.write("x.wav", given, 8000, format="WAVEX", subtype=subtype)
    assert np.allclose(soundfile.read("x.wav")[0], given, atol=0.02)
    sound = AudioSegment.from_wav("x.wav")
    return np.array(sound.get_array_of_samples()) / 2.0 ** (8 * sound.sample_width - 1)


for subtype in ("PCM_16", "PCM_24", "PCM_32"):
    assert np.allclose(read(subtype), given, atol=1e-4)
floats, companded = read("FLOAT"), read("ULAW")
print(given.tolist(), "->", floats.round(3).tolist(), "(float),", companded.round(3).tolist(), "(mu-law)")
assert floats.round(3).tolist() == [0.492, -0.508, 0.488, 0.483]
assert companded.round(3).tolist() == [0.117, -0.883, 0.242, 0.414]
PY
