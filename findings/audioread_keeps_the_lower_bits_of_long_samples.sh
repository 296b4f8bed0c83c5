#!/usr/bin/env bash
# audioread keeps the lower 16 bits of AIFF and AU samples of 24 bits: half of full scale becomes 0, 0.3 becomes 0.8.
#
# Version:     audioread 3.1.0, Python 3.11 (from 3.13 on with standard-aifc, standard-sunau and audioop-lts)
# Expectation: blocks of signed little-endian samples of 16 bits, as its documentation says: the upper 16 bits of longer
#              samples. So come AIFF, AU and WAV of 16 bits, and WAV of 24 and 32 bits. Or the file is left to the
#              next backend, as one of floats is.
# Behaviour:   big-endian samples are cut to 16 bits before their bytes are swapped, so the lower 16 bits are kept. What
#              is left of a recording is noise, and of one with 16 bits in 32, silence. 8 bits of AIFF and AU
#              end in the lower byte: silence, nearly. Bytes of WAV are unsigned, but are taken for signed ones: 128,
#              which is silence, becomes -32768. Nothing is said.
# Seen:        of 0, 0.5, -0.5, 0.3: 16 bits [0, 16384, -16384, 9830]; 24 bits AIFF and AU [0, 0, 0, 26214]; 8 bits AIFF
#              and AU [0, 64, 192, 38]; 8 bits WAV [-32768, -16384, 16384, -23040]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet audioread==3.1.0
cd "$folder"
"$folder/venv/bin/python" -W ignore::DeprecationWarning - <<'PY'
import aifc
import array
import sunau
import wave

import audioread

SIGNAL = (0, 0.5, -0.5, 0.3)


def found(module, width):
    with module.open("x", "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(width)
        file.setframerate(8000)
        if module is sunau:
            file.setcomptype("NONE", "not compressed")
        order = "little" if module is wave else "big"
        numbers = [int(value * 2 ** (8 * width - 1)) for value in SIGNAL]
        if module is wave and width == 1:
            file.writeframes(bytes(number + 128 for number in numbers))
        else:
            file.writeframes(b"".join(number.to_bytes(width, order, signed=True) for number in numbers))
    with audioread.audio_open("x") as file:
        assert type(file).__name__ == "RawAudioFile"
        samples = array.array("h", b"".join(file)).tolist()
    print(module.__name__, 8 * width, "bits:", samples)
    return samples


right = [0, 16384, -16384, 9830]
for module, width in ((wave, 2), (wave, 3), (wave, 4), (aifc, 2), (sunau, 2)):
    assert found(module, width) == right
for module in (aifc, sunau):
    assert found(module, 1) == [0, 64, 192, 38]
    assert found(module, 3) == [0, 0, 0, 26214]
    assert found(module, 4) == [0, 0, 0, 26214]
assert found(wave, 1) == [-32768, -16384, 16384, -23040]
PY
