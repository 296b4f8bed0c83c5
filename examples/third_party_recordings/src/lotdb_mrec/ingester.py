"""The format: a text of suffix ``.mrec``, and the samples in the ``.mdat`` file beside it.

The text begins with ``MREC1`` and the subject. Each further line is a signal: name, rate in Hz, rows, gain,
offset, unit. The samples are int16, one signal after another.
"""

import numpy as np

from lotdb import Ingested, IngestedNode, IngestError, SourceFile
from lotdb_mrec.calibration import Calibration


def ingest(source: SourceFile) -> IngestedNode:
    """What the text and the file beside it hold."""
    source.check_options()
    first, *lines = source.file.read().decode("utf-8").splitlines()
    mark, _, subject = first.partition(" ")
    if mark != "MREC1" or not subject:
        raise IngestError("its first line is not MREC1 and a subject")
    beside = source.beside(".mdat")
    samples = np.frombuffer(beside.file.read(), "<i2")
    attributes: dict[str, object] = {"subject": subject}
    payloads, at = {}, 0
    for line in lines:
        name, rate, rows, gain, offset, unit = line.split()
        end = at + int(rows)
        if not at <= end <= len(samples):
            raise IngestError(f"signal {name!r} ends at row {end}, and {beside.name} has {len(samples)}")
        if name in payloads:
            raise IngestError(f"there are two signals {name!r}")
        payloads[name] = Ingested(samples[at:end], format="mrec", samplerate_hz=float(rate))
        attributes[f"calibration.{name}"] = Calibration(float(gain), float(offset), unit)
        at = end
    if 2 * at != beside.size:
        raise IngestError(f"it announces {2 * at} bytes of samples, and {beside.name} has {beside.size}")
    return IngestedNode(payloads=payloads, attributes=attributes)
