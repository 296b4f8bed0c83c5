#!/usr/bin/env bash
# pyshp cuts the last digits off a number that is wider than its field: a count of 123456 comes back as 1234.
#
# Version:     pyshp 3.1.6
# Expectation: a number that has more digits than the field has columns is refused or warned of. A field can be expected
#              to round decimals, but not to change the magnitude.
# Behaviour:   the text of the number is cut to the width of the field from the right: decimals go first, then the
#              point, then digits of the integer, which divides it by powers of ten. Of -5 in one column a minus is
#              left, which is read as missing. Nothing is raised or warned of, in N as in F fields.
# Seen:        N 4: 123456 -> 1234, -12345 -> -123; N 8.3: 1234567890 -> 12345678.0; N 1: -5 -> None
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyshp==3.1.6
cd "$folder"
"$folder/venv/bin/python" -W error - <<'PY'
import shapefile


def copied(value, size, decimal=0, kind="N"):
    with shapefile.Writer("x", shapeType=shapefile.POINT) as file:
        file.field("v", kind, size=size, decimal=decimal)
        file.point(0, 0)
        file.record(value)
    with shapefile.Reader("x") as file:
        found = file.record(0)[0]
    print(f"{kind} {size}.{decimal}: {value} -> {found}")
    return found


assert copied(1234, 4) == 1234 and copied(-123, 4) == -123
assert copied(123456, 4) == 1234 and copied(-12345, 4) == -123
assert copied(-5, 1) is None
assert copied(1234.5, 8, 3) == 1234.5
assert copied(1234567890.0, 8, 3) == 12345678
assert copied(1234567890.0, 8, 3, "F") == 12345678
PY
