#!/usr/bin/env bash
# mne exports an event whose name has a comma and a number to BrainVision at another time: 6 s becomes 0.004 s.
#
# Version:     mne 1.13.2, pybv 0.8.1, numpy 2.4.6
# Expectation: the event comes back at its time, with its name. The file that is written says itself how: commas in
#              descriptions are coded as "\1".
# Behaviour:   pybv writes that sentence into the file, and the comma as it is. So the number behind it is read as the
#              place of the event, and the place as its length: the event "left,2" at 6 s is found at the second
#              sample, and lasts six seconds. Nothing is said. If no number follows the comma, the file cannot be
#              read.
# Seen:        "left,2" at 6.0 s for 0.5 s -> "Comment/left" at 0.004 s for 6.004 s
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mne==1.13.2 pybv==0.8.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import pathlib

import mne
import numpy as np


def exported(name):
    raw = mne.io.RawArray(np.zeros((1, 2500)), mne.create_info(["Fz"], 250, "eeg"), verbose="error")
    raw.set_annotations(mne.Annotations([6.0], [0.5], [name]))
    mne.export.export_raw("x.vhdr", raw, overwrite=True, verbose="error")
    ((event),) = mne.io.read_raw_brainvision("x.vhdr", verbose="error").annotations
    print(f'"{name}" at 6.0 s -> "{event["description"]}" at {event["onset"]} s for {event["duration"]} s')
    return event["description"], event["onset"], event["duration"]


assert exported("left 2") == ("Comment/left 2", 6.0, 0.5)
assert exported("left,2") == ("Comment/left", 0.004, 6.004)
text = pathlib.Path("x.vmrk").read_text()
assert 'Commas in type or description text are coded as "\\1"' in text
assert "Comment,left,2,1501,125" in text
try:
    exported("left, right")
except ValueError as error:
    print('"left, right":', error)
else:
    raise AssertionError("a comma without a number can be read now")
PY
