"""Values that are refused, and the advice in the message."""

import collections
import datetime as dt
import io
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from tests.core.values.sameness import Colour, Setup, Text

from lotdb.errors import UnsupportedValueError
from lotdb.values.values import encode


class Point(NamedTuple):
    x: int


class Local(dt.tzinfo):
    def utcoffset(self, when):
        return dt.timedelta(0)

    def dst(self, when):
        return None

    def tzname(self, when):
        return "here"


class Zone(dt.datetime):
    pass


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (Colour.RED, r"\.value"),
        (Point(1), "_asdict"),
        (Setup(1.0), "asdict"),
        (Text("a"), "only str itself"),
        (collections.OrderedDict(), "only dict itself"),
        (collections.defaultdict(list), "only dict itself"),
        (Zone(2020, 1, 1), "only datetime itself"),
        (dt.datetime(2020, 1, 1, tzinfo=Local()), "ZoneInfo"),
        (dt.time(tzinfo=Local()), "ZoneInfo"),
        (Local(), "ZoneInfo"),
        (iter([1]), r"list\(value\)"),
        ((x for x in "ab"), r"list\(value\)"),
        (memoryview(b""), r"bytes\(value\)"),
        (collections.ChainMap(), r"dict\(value\)"),
        (object(), "register"),
        (len, "register"),
        (int, "register"),
        (slice(1), "register"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_other_types_are_refused_with_advice(value, advice):
    with pytest.raises(UnsupportedValueError, match=advice):
        encode(value, name="x")


def test_a_time_zone_read_from_a_file_is_refused():
    counts = [0, 0, 0, 0, 1, 1]  # of the TZif header: one kind of time and one letter for its name
    header = b"TZif" + bytes(16) + b"".join(count.to_bytes(4, "big") for count in counts)
    zone = ZoneInfo.from_file(io.BytesIO(header + bytes(7)))
    with pytest.raises(UnsupportedValueError, match="without a key"):
        encode(dt.datetime(2020, 1, 1, tzinfo=zone), name="x")


def test_the_message_names_the_attribute_the_type_and_the_place():
    value = {"config": {"x": [0, 1, 2, Setup(1.0)]}}
    with pytest.raises(UnsupportedValueError) as caught:
        encode(value, name="setup")
    assert "attribute 'setup'" in str(caught.value)
    assert f"{Setup.__module__}.Setup" in str(caught.value)
    assert " in ['config']['x'][3]: " in str(caught.value)


def test_the_message_finds_its_place_inside_sets_and_keys():
    with pytest.raises(UnsupportedValueError, match=r"in \['a'\]\.keys\(\)\[1\]: "):
        encode({"a": {(0, object()): 1}}, name="x")
    with pytest.raises(UnsupportedValueError, match=r"in \[0\]\{\.\.\.\}: "):
        encode([{object()}], name="x")


def test_a_key_too_long_to_print_does_not_hide_the_message():
    with pytest.raises(UnsupportedValueError, match=r"in \[a value of type int\]"):
        encode({10**10_000: object()}, name="x")
