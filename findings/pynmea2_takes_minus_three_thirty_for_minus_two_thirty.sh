#!/usr/bin/env bash
# pynmea2 takes the zone -03:30 of a receiver for -02:30, so local times of Newfoundland are an hour late.
#
# Version:     pynmea2 1.19.0
# Expectation: in ZDA, hours and minutes of the zone are two fields that have one sign, that of the hours, as the
#              comment in pynmea2 has it, and the manuals of receivers: -5 and 15 are 5 h 15 min behind Greenwich.
# Behaviour:   the minutes are added to the hours, also to negative ones: -3 h and 30 min become -2 h 30 min. tzinfo and
#              localdatetime are an hour late then, in a zone that looks plausible, and around midnight on another day.
#              Nothing is said. The time in UTC is right, and so are zones of whole hours, zones east of Greenwich, and
#              minutes that have a sign of their own ("-03,-30").
# Seen:        03:15 UTC, zone -03,30 -> 00:45 on 4 July (-2:30), right is 23:45 on 3 July; 05,30 -> 08:45 (5:30)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pynmea2==1.19.0
"$folder/venv/bin/python" -W error - <<'PY'
import datetime
import functools
import operator

import pynmea2


def parsed(zone):
    body = f"GPZDA,031500.00,04,07,2024,{zone}"
    checksum = functools.reduce(operator.xor, body.encode())
    message = pynmea2.parse(f"${body}*{checksum:02X}", check=True)
    print(zone, "->", message.localdatetime.replace(tzinfo=None), message.localdatetime.utcoffset())
    assert message.datetime == datetime.datetime(2024, 7, 4, 3, 15, tzinfo=datetime.timezone.utc)
    return message.localdatetime


def hours(zone):
    return parsed(zone).utcoffset() / datetime.timedelta(hours=1)


assert hours("-03,30") == -2.5
assert parsed("-03,30").replace(tzinfo=None) == datetime.datetime(2024, 7, 4, 0, 45)
assert hours("-09,30") == -8.5
assert (hours("05,30"), hours("-04,00"), hours("00,00"), hours("-03,-30")) == (5.5, -4, 0, -3.5)
PY
