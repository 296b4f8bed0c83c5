#!/usr/bin/env bash
# neo changes the signal that it writes: 1.5 mV in memory is 1500 mV afterwards, and the next file holds noise.
#
# Version:     neo 0.14.6, quantities 0.16.4, numpy 2.4.6
# Expectation: RawBinarySignalIO.write_segment() leaves the signal as it is. With a gain of 0.001 (one step of the
#              integers is a microvolt, the signal is in mV) the file gives 1.5 back, and so does a second one.
# Behaviour:   the offset is taken from the samples and the gain divides them where they lie: in the signal, and in the
#              array that it was made of. All that is computed from it later is wrong by a factor of a thousand. The
#              first file is right. A second one is scaled once more, and its integers of 16 bits overflow. Nothing is
#              said. Several signals of one channel each are copied before, and stay as they are.
# Seen:        in memory 1.5, -2.0 -> 1500.0, -2000.0 mV; first file 1.5, -2.0, second file -7.328, 31.616
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet neo==0.14.6 quantities==0.16.4 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning -W error::RuntimeWarning - <<'PY'
import neo
import numpy as np
import quantities as pq


def signal(samples):
    return neo.AnalogSignal(samples, units="mV", sampling_rate=1000 * pq.Hz)


def file():
    return neo.RawBinarySignalIO("x.raw", dtype="int16", sampling_rate=1000.0, nb_channel=2, signal_gain=0.001)


def written(segment):
    file().write_segment(segment)
    found = file().read_segment().analogsignals[0].magnitude
    return found[0].tolist()


samples = np.array([[1.5, -2.0], [0.25, 3.0]])
measured = samples.tolist()
segment = neo.Segment()
segment.analogsignals.append(signal(samples))
first = written(segment)
after = segment.analogsignals[0]
print("first file:", first, "in memory then:", after.tolist(), after.units, "array:", samples.tolist())
assert np.allclose(first, measured[0])
assert np.allclose(after.magnitude, np.multiply(1000, measured)) and after.units == 1 * pq.mV
assert np.array_equal(samples, after.magnitude)
second = written(segment)
print("second file:", second)
assert np.allclose(second, [-7.328, 31.616])

segment = neo.Segment()
for column in np.transpose(measured):
    segment.analogsignals.append(signal(column))
assert np.allclose(written(segment), measured[0]) and np.allclose(written(segment), measured[0])
assert [each.magnitude.ravel().tolist() for each in segment.analogsignals] == np.transpose(measured).tolist()
PY
