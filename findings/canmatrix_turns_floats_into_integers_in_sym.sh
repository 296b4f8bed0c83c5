#!/usr/bin/env bash
# canmatrix turns a float of a CAN message into a signed integer on the way from DBC to SYM: 1.5 becomes 1069547520.
#
# Version:     canmatrix 1.3.3
# Expectation: the type of a signal is kept, as from DBC to DBF and back to DBC; PCAN's format has the type float.
# Behaviour:   the exporter writes "signed" for each signal that has a sign, before it looks whether it is a float.
#              DBC marks floats as signed ("@1-"), so they all become integers, and a reader of the
#              symbol file decodes their bits as such. A float without a sign, which has no meaning, is written as one.
#              Unit, factor and limits are kept. Nothing is said.
# Seen:        bytes 00 00 c0 3f: dbc 1.5, dbf 1.5, sym 1069547520; Var=pressure signed 0,32 /u:bar
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet canmatrix==1.3.3
"$folder/venv/bin/python" - <<'PY'
import io
import struct

import canmatrix.formats

DBC = """VERSION ""

BU_: logger

BO_ 291 engine: 8 Vector__XXX
 SG_ pressure : 0|32@1{sign} (1,0) [0|100] "bar" logger
 SG_ speed : 32|16@1- (0.5,0) [0|8000] "rpm" logger

SIG_VALTYPE_ 291 pressure : 1;
"""


def decoded(matrix, via=None):
    text = b""
    if via:
        file = io.BytesIO()
        canmatrix.formats.dump(matrix, file, via)
        text = file.getvalue()
        matrix = canmatrix.formats.loads_flat(text, via)
    [frame] = matrix.frames
    values = frame.decode(struct.pack("<fhxx", 1.5, -7))
    print(via or "as read", {name: str(value.phys_value) for name, value in values.items()})
    assert values["speed"].phys_value == -3.5
    return values["pressure"].phys_value, text.decode()


matrix = canmatrix.formats.loads_flat(DBC.format(sign="-"), "dbc", dbcImportEncoding="ascii")
assert matrix.frames[0].signal_by_name("pressure").is_float
assert decoded(matrix)[0] == decoded(matrix, "dbc")[0] == decoded(matrix, "dbf")[0] == 1.5
value, text = decoded(matrix, "sym")
print(*[line for line in text.splitlines() if line.startswith("Var=pressure")])
assert value == struct.unpack("<i", struct.pack("<f", 1.5))[0] == 1069547520
assert "Var=pressure signed 0,32" in text
unsigned = canmatrix.formats.loads_flat(DBC.format(sign="+"), "dbc", dbcImportEncoding="ascii")
value, text = decoded(unsigned, "sym")
assert value == 1.5 and "Var=pressure float 0,32" in text
PY
