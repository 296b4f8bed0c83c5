#!/usr/bin/env bash
# mido takes ticks of time code for ticks of a beat: one second of a MIDI file becomes -0.08 s.
#
# Version:     mido 1.3.3
# Expectation: a MIDI file counts ticks of a beat, or, as the format allows, ticks of a frame of SMPTE time code. 25
#              frames of 40 ticks are milliseconds. The length and the times of such a file are right, or it is refused.
# Behaviour:   the division in the header is read as a signed number of ticks per beat. For time code it holds two
#              bytes, the negative number of frames and the ticks of each. Together they are a negative number, and
#              mido divides by it, and takes a tempo that has no meaning there. Times run backwards. Nothing is said.
#              (Known as issue 457 of mido; its documentation tells nothing of it.)
# Seen:        note of 1.0 s at 25 frames of 40 ticks: ticks per beat -6360, time -0.0786 s, length -0.0786 s
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mido==1.3.3
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import struct

import mido

on = b"\x00\x90\x3c\x40"
off = b"\x87\x68\x80\x3c\x40"  # 1000 ticks later
track = on + off + b"\x00\xff\x2f\x00"


def read(division):
    with open("x.mid", "wb") as file:
        file.write(b"MThd" + struct.pack(">LHH", 6, 0, 1) + division)
        file.write(b"MTrk" + struct.pack(">L", len(track)) + track)
    return mido.MidiFile("x.mid")


beats = read(struct.pack(">H", 500))
assert beats.length == 1.0
code = read(struct.pack(">bB", -25, 40))
times = [message.time for message in code]
print("ticks per beat", code.ticks_per_beat, "times", times, "length", code.length)
assert code.ticks_per_beat == -25 * 256 + 40
assert times[0] == 0 and -0.079 < times[1] < -0.078
assert -0.079 < code.length < -0.078
PY
