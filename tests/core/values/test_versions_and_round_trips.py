"""Types of values that plugins add: versions, older decoders, the round trip, and what goes wrong."""

import dataclasses
import errno
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotdb import (
    LOTDB,
    BaseNode,
    DataNode,
    FileSystemError,
    InvalidOptionError,
    PluginError,
    Plugins,
    Undecodable,
    UnsupportedValueError,
    ValueType,
    hookimpl,
)
from lotdb.values.sameness import came_back
from lotdb.values.values import decode, encode


@dataclasses.dataclass
class Setup:
    gain: object
    channel: object = 0


class Gives:
    """A plugin with these value types."""

    def __init__(self, *types):
        self.types = types

    @hookimpl
    def lotdb_get_value_types(self):
        return self.types


def plugins_with(*types, name="lab"):
    plugins = Plugins()
    plugins.register(Gives(*types), name=name)
    return plugins


def root_with(*types):
    return BaseNode(plugins=plugins_with(*types))


def setup_type(**changes):
    """Version 2: a tuple; version 1 was the gain alone."""
    about = {
        "name": "lab.setup",
        "type": Setup,
        "encode": lambda setup: (setup.gain, setup.channel),
        "decode": lambda parts: Setup(*parts),
        "version": 2,
        "older": {1: lambda gain: Setup(gain)},
    }
    return ValueType(**(about | changes))


ONE = ValueType("lab.setup", Setup, lambda setup: setup.gain, lambda gain: Setup(gain))
TWO = setup_type()
THREE = setup_type(
    encode=dataclasses.asdict, decode=lambda fields: Setup(**fields), version=3, older={2: TWO.decode}
)


# -- versions -------------------------------------------------------------------------------------


def test_the_first_version_is_stored_as_it_was_before_there_were_versions():
    assert encode(Setup(1.5), name="x", extra=plugins_with(ONE)) == ("x", "lab.setup", 1.5)


def test_a_later_version_stands_beside_the_value():
    encoded = encode(Setup(1.5, 3), name="x", extra=plugins_with(TWO))
    assert encoded == ("xv", "lab.setup", 2, ("t", 1.5, 3))


def test_values_of_an_earlier_version_are_read_and_become_later_ones_when_they_are_set(tmp_path):
    with LOTDB(tmp_path, durability="process", plugins=plugins_with(ONE)) as db, db.connection() as root:
        root.attrs["old"] = {"all": [Setup(1.5), Setup(2.5)]}
        root.get_data_node("a").write_data([1.0], metadata={"setup": Setup(3.5)})
    with LOTDB(tmp_path, durability="process", plugins=plugins_with(TWO)) as db:
        with db.connection() as root:
            assert root.attrs["old"] == {"all": [Setup(1.5), Setup(2.5)]}
            assert root["a"].get_data().metadata == {"setup": Setup(3.5)}
            root.attrs["new"] = Setup(4.5, 7)
        with db.connection() as root:
            assert root.attrs["new"] == Setup(4.5, 7)
        assert db.verify() == []
    with LOTDB(tmp_path, durability="process", plugins=plugins_with(THREE)) as db, db.connection() as root:
        assert root.attrs["new"] == Setup(4.5, 7)
        unread = root.attrs["old"]["all"][0]
        assert (
            "it is of version 1, and value type 'lab.setup' of plugin 'lab' reads 2, 3 only" in unread.reason
        )
        assert "older=" in unread.reason


def test_a_later_version_than_the_plugin_knows_is_told_and_kept(tmp_path):
    with LOTDB(tmp_path, durability="process", plugins=plugins_with(THREE)) as db, db.connection() as root:
        root.attrs["x"] = Setup(1.5, 2)
        root.attrs["y"] = "beside it"
    for older in (ONE, TWO):
        with LOTDB(tmp_path, durability="process", plugins=plugins_with(older)) as db:
            with db.connection() as root:
                value = root.attrs["x"]
                assert isinstance(value, Undecodable)
                assert value.missing_plugin
                assert "it is of version 3, and value type 'lab.setup' of plugin 'lab'" in value.reason
                assert "update the plugin" in value.reason
                assert value.encoded[:3] == ("xv", "lab.setup", 3)
                assert root.attrs["y"] == "beside it"
                root.attrs["copy"] = value
                root.add_tree(root.get_node("a"), key="b", copy=True, if_exists="replace")
            assert db.verify() == []  # nothing is wrong with the data
    with LOTDB(tmp_path, durability="process", plugins=plugins_with(THREE)) as db, db.connection() as root:
        assert root.attrs["copy"] == root.attrs["x"] == Setup(1.5, 2)


def test_an_installed_plugin_is_told_with_its_distribution_and_version(tmp_path, monkeypatch):
    (tmp_path / "lab_of_a_test.py").write_text(
        "import pathlib\nfrom lotdb import ValueType, hookimpl\n"
        "@hookimpl\ndef lotdb_get_value_types():\n"
        "    return [ValueType('lab.slice', slice, lambda s: (s.start, s.stop), lambda s: slice(*s))]\n"
    )
    info = tmp_path / "lotdb_lab-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lotdb-lab\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[lotdb.node]\nlab = lab_of_a_test\n")
    monkeypatch.syspath_prepend(tmp_path)
    value = decode(("xv", "lab.slice", 4, 1), extra=Plugins())
    assert "it is of version 4, and value type 'lab.slice' of lotdb-lab 0.1 reads 1 only" in value.reason
    with pytest.raises(PluginError, match=r"value type 'lab.slice' of lotdb-lab 0.1 loses something"):
        BaseNode(plugins=Plugins()).attrs["x"] = slice(1, 2, 3)


@pytest.mark.parametrize(
    "stored",
    [
        ("x", "lab.setup"),
        ("x", "lab.setup", 1.5, "more"),
        ("xv", "lab.setup", 2),
        ("xv", "lab.setup", 2, ("t", 1.5, 3), "more"),
        ("xv", "lab.setup", "2", ("t", 1.5, 3)),
        ("xv", "lab.setup", True, ("t", 1.5, 3)),
        ("xv", "lab.setup", 0, ("t", 1.5, 3)),
        ("xv", "lab.setup", -1, ("t", 1.5, 3)),
        ("xv", 2, "lab.setup", ("t", 1.5, 3)),
        ("xv", "lab.setup", 2, ("of tomorrow", 3)),
    ],
)
def test_stored_forms_that_are_not_known_are_left_as_they_are(stored):
    plugins = plugins_with(TWO)
    value = decode(("l", 1, stored), extra=plugins)
    assert value[0] == 1
    assert isinstance(value[1], Undecodable)
    assert encode(value, name="x", extra=plugins) == ("l", 1, stored)


@given(st.one_of(st.integers(), st.text(), st.none(), st.floats(), st.booleans()), st.data())
def test_no_version_makes_decoding_fail(version, data):
    parts = data.draw(st.lists(st.one_of(st.integers(), st.text(), st.just(("t", 1, 2))), max_size=3))
    stored = ("xv", "lab.setup", version, *parts)
    value = decode(stored, extra=PLUGINS)
    assert isinstance(value, Setup) or value.encoded == stored


PLUGINS = plugins_with(TWO)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "name of a value type is ''"),
        ({"name": 5}, "name of a value type is 5"),
        ({"type": "Setup"}, "type of value type 'lab.setup' is 'Setup'"),
        ({"version": 0}, "version of value type 'lab.setup' is 0"),
        ({"version": True}, "version of value type 'lab.setup' is True"),
        ({"version": "2"}, "version of value type 'lab.setup' is '2'"),
        ({"older": {2: Setup}}, "use a mapping of versions below 2"),
        ({"older": {3: Setup}}, "use a mapping of versions below 2"),
        ({"older": [Setup]}, "use a mapping of versions below 2"),
        ({"older": {1: "Setup"}}, "cannot be called"),
        ({"encode": None}, "None of value type 'lab.setup' cannot be called"),
        ({"decode": 5}, "5 of value type 'lab.setup' cannot be called"),
        ({"equal": 5}, "5 of value type 'lab.setup' cannot be called"),
    ],
)
def test_a_value_type_that_cannot_be_is_refused_when_it_is_made(changes, said):
    with pytest.raises(InvalidOptionError, match=said):
        setup_type(**changes)


# -- the round trip -------------------------------------------------------------------------------


LOSSY = {
    "rounds": (lambda s: int(s.gain), lambda gain: Setup(gain), Setup(1.5)),
    "forgets a part": (lambda s: s.gain, lambda gain: Setup(gain), Setup(1.5, 3)),
    "gives another type": (lambda s: s.gain, lambda gain: gain, Setup(1.5)),
    "gives None": (lambda s: s.gain, lambda gain: None, Setup(1.5)),
    "narrows an array": (
        lambda s: s.gain.astype("f4"),
        lambda gain: Setup(gain.astype("f8")),
        Setup(np.array([0.1, 0.2])),
    ),
    "changes a dtype": (
        lambda s: s.gain.tolist(),
        lambda gain: Setup(np.array(gain)),
        Setup(np.ones(2, "f4")),
    ),
    "makes NaN None": (
        lambda s: None if math.isnan(s.gain) else s.gain,
        lambda gain: Setup(gain),
        Setup(math.nan),
    ),
    "loses the name of a list's item": (
        lambda s: list(s.gain.values()),
        lambda gain: Setup(dict(enumerate(gain))),
        Setup({"a": 1}),
    ),
}


@pytest.mark.parametrize("how", LOSSY)
def test_an_encoder_that_loses_something_is_refused_and_nothing_is_written(tmp_path, how):
    encoder, decoder, value = LOSSY[how]
    plugins = plugins_with(ValueType("lab.lossy", Setup, encoder, decoder))
    told = "attribute 'x': value type 'lab.lossy' of plugin 'lab' loses something: Setup"
    with LOTDB(tmp_path, durability="process", plugins=plugins) as db, db.connection() as root:
        node = root.get_data_node("a")
        for _ in range(2):  # each time
            with pytest.raises(PluginError, match=told):
                node.attrs.update(first=1, x=value, last=2)
            with pytest.raises(PluginError, match=told):
                node.attrs["x"] = [{"inside": value}]
        with pytest.raises(PluginError, match=r"metadata of payload 'data' of .*: value type 'lab.lossy'"):
            node.write_data([1.0], metadata={"x": value})
        assert list(node.attrs) == []
        assert not node.has_data()


FAITHFUL = {
    "NaN": Setup(math.nan),
    "NaN inside": Setup([math.nan, {"a": (math.nan,)}]),
    "array": Setup(np.arange(6.0).reshape(2, 3), np.array(["a", "b"])),
    "array with NaN": Setup(np.array([1.0, math.nan])),
    "NaT": Setup(np.array(["2020-01-01", "NaT"], "M8[s]"), np.datetime64("NaT", "s")),
    "structured array": Setup(np.array([(1, math.nan)], [("a", "i4"), ("b", "f8")])),
    "complex NaN": Setup(complex(math.nan, 1.0)),
    "empty": Setup(np.empty((0, 3)), ()),
    "sets": Setup({"a", "b"}, frozenset({1})),
    "infinity": Setup(-math.inf),
}


@pytest.mark.parametrize("what", FAITHFUL)
def test_what_comes_back_whole_is_taken(what):
    root, value = root_with(TWO), FAITHFUL[what]
    root.attrs["x"] = value
    assert came_back(value, root.attrs["x"])


class Slots:
    """Has no ``__eq__``, and no ``__dict__``."""

    __slots__ = ("items", "of")

    def __init__(self, of, items=()):
        self.of, self.items = of, items


class Extended(dict[str, float]):
    pass


class Unlike(Setup):
    """Says of no two that they are equal, and of arrays something that is neither true nor false."""

    def __eq__(self, other):
        return np.asarray(self.gain) == np.asarray(other.gain)

    __hash__ = None  # type: ignore[assignment]


def test_objects_without_a_comparison_are_compared_by_what_they_are_made_of():
    assert came_back(Slots(1, [math.nan]), Slots(1, [math.nan]))
    assert not came_back(Slots(1, [math.nan]), Slots(1, [0.0]))
    assert not came_back(Slots(1), Slots(2))
    assert came_back(Extended(a=math.nan), Extended(a=math.nan))
    assert not came_back(Extended(a=1), Extended(b=1))
    assert not came_back(Extended(a=1), {"a": 1})
    assert came_back(Unlike(np.array([1.0, math.nan])), Unlike(np.array([1.0, math.nan])))
    assert not came_back(Unlike(np.array([1.0, 2.0])), Unlike(np.array([1.0, 3.0])))
    assert not came_back(1, 1.0)
    assert not came_back(math.nan, 1.0)
    assert not came_back(lambda: 1, lambda: 1)


def test_a_value_within_itself_is_compared_in_finite_time():
    one, other = Slots(1), Slots(1)
    one.items, other.items = [one], [other]
    assert not came_back(one, other)


def test_a_type_may_say_itself_when_two_values_are_equal():
    calls = []

    def nearly(one, other):
        calls.append((one.gain, other.gain))
        return abs(one.gain - other.gain) < 1e-3

    rounded = ValueType("lab.rounded", Setup, lambda s: round(s.gain, 6), Setup, equal=nearly)
    root = root_with(rounded)
    root.attrs["x"] = Setup(1 / 3)
    assert calls == [(1 / 3, 0.333333)]
    with pytest.raises(PluginError, match=r"'lab.wrong' of plugin 'lab' loses something"):
        root_with(
            ValueType("lab.wrong", Setup, lambda s: s.gain, Setup, equal=lambda one, other: False)
        ).attrs["x"] = Setup(1.5)
    with pytest.raises(PluginError, match=r"'lab.fails' of plugin 'lab' cannot compare two values: ZeroDiv"):
        root_with(
            ValueType("lab.fails", Setup, lambda s: s.gain, Setup, equal=lambda one, other: 1 / 0)
        ).attrs["x"] = Setup(1.5)


def test_a_type_is_tried_once_for_what_its_values_are_encoded_to():
    decoded = []

    def decoder(parts):
        decoded.append(parts)
        return Setup(*parts)

    root = root_with(setup_type(decode=decoder))
    for number in range(100):
        root.attrs["x"] = Setup(number + 0.5, number)
    assert decoded == [(0.5, 0)]
    root.attrs["x"] = Setup(1.5, None)  # other types: an encoder may lose something there alone
    root.attrs["x"] = Setup(2.5, None)
    assert decoded == [(0.5, 0), (1.5, None)]


def test_what_is_lost_in_one_form_only_is_refused_there():
    zoned = ValueType("lab.zoned", Setup, lambda s: (s.gain, s.channel), lambda parts: Setup(parts[0], None))
    root = root_with(zoned)
    root.attrs["x"] = Setup(1.5, None)
    with pytest.raises(PluginError, match="loses something"):
        root.attrs["x"] = Setup(1.5, "zone")
    assert root.attrs["x"] == Setup(1.5, None)


# -- functions that fail ----------------------------------------------------------------------------


def failing(error):
    def fail(value):
        raise error

    return fail


def test_an_encoder_that_fails_is_named_and_nothing_is_written():
    root = root_with(setup_type(encode=failing(KeyError("gain"))))
    with pytest.raises(
        PluginError, match=r"'x': the encoder of value type 'lab.setup' of plugin 'lab' failed: KeyError"
    ):
        root.attrs.update(first=1, x=Setup(1.5))
    assert list(root.attrs) == []


def test_what_an_encoder_gives_and_no_attribute_holds_is_named():
    root = root_with(setup_type(encode=lambda setup: {"gain": object()}))
    with pytest.raises(UnsupportedValueError, match=r"object in  \(as 'lab.setup' encodes it\)\['gain'\]"):
        root.attrs["x"] = Setup(1.5)
    assert list(root.attrs) == []


def test_a_decoder_that_fails_at_the_first_write_is_named_and_nothing_is_written():
    root = root_with(setup_type(decode=failing(KeyError("gain"))))
    with pytest.raises(
        PluginError,
        match=r"'x': value type 'lab.setup' of plugin 'lab' cannot decode what it has encoded: Key",
    ):
        root.attrs["x"] = Setup(1.5)
    assert list(root.attrs) == []


def test_a_decoder_that_fails_at_a_read_leaves_the_value_reachable(tmp_path):
    with LOTDB(tmp_path, durability="process", plugins=plugins_with(TWO)) as db, db.connection() as root:
        root.attrs["x"] = Setup(1.5, 3)
        root.attrs["y"] = 5
    broken = plugins_with(setup_type(decode=failing(ValueError("no gain"))))
    with LOTDB(tmp_path, durability="process", plugins=broken) as db, db.connection() as root:
        value = root.attrs["x"]
        assert (
            value.reason
            == "the decoder of value type 'lab.setup' of plugin 'lab' failed: ValueError('no gain')"
        )
        assert value.encoded == ("xv", "lab.setup", 2, ("t", 1.5, 3))
        assert dict(root.attrs) == {"x": value, "y": 5}
        root.attrs["copy"] = value
        (damage,) = [each for each in db.verify() if each.name == "x"]
        assert "the decoder of value type 'lab.setup'" in damage.reason
    with LOTDB(tmp_path, durability="process", plugins=plugins_with(TWO)) as db, db.connection() as root:
        assert root.attrs["copy"] == root.attrs["x"] == Setup(1.5, 3)


def test_a_library_that_the_decoder_lacks_is_no_damage(tmp_path):
    with LOTDB(tmp_path, durability="process", plugins=plugins_with(TWO)) as db, db.connection() as root:
        root.attrs["x"] = Setup(1.5, 3)
    lacks = plugins_with(setup_type(decode=failing(ModuleNotFoundError("No module named 'pint'"))))
    with LOTDB(tmp_path, durability="process", plugins=lacks) as db:
        with db.connection() as root:
            assert root.attrs["x"].missing_plugin
        assert db.verify() == []


@pytest.mark.parametrize("how", ["encode", "decode"])
def test_an_error_of_the_system_says_nothing_about_the_data(how):
    full = failing(OSError(errno.EMFILE, "Too many open files"))
    plugins = plugins_with(setup_type(**{how: full}))
    with pytest.raises(FileSystemError, match=r"'lab.setup'"):
        if how == "encode":
            encode(Setup(1.5), name="x", extra=plugins)
        else:
            decode(("xv", "lab.setup", 2, ("t", 1.5, 3)), extra=plugins)


def test_memory_that_is_lacking_is_no_damage():
    plugins = plugins_with(setup_type(decode=failing(MemoryError())))
    with pytest.raises(MemoryError):
        decode(("xv", "lab.setup", 2, ("t", 1.5, 3)), extra=plugins)


# -- values that change -----------------------------------------------------------------------------


def test_what_is_stored_does_not_change_with_the_value(tmp_path):
    shares = ValueType("lab.shares", Setup, lambda s: [s.gain, s.channel], lambda parts: Setup(*parts))
    gain, channel = np.zeros(3), {"a": [1]}
    with LOTDB(tmp_path, durability="process", plugins=plugins_with(shares)) as db, db.connection() as root:
        for name in ("tried", "not tried any more"):
            root.attrs[name] = Setup(gain, channel)
        gain[:] = 9
        channel["a"].append(2)
        for name in root.attrs:
            for _ in range(2):
                value = root.attrs[name]
                assert value.gain.tolist() == [0, 0, 0]
                assert value.channel == {"a": [1]}
                value.gain[:] = 7
                value.channel["a"].clear()


# -- two of one name or type ------------------------------------------------------------------------


class Other(Setup):
    pass


@pytest.mark.parametrize(
    "second",
    [
        ValueType("lab.setup", Other, lambda s: s.gain, Other),
        ValueType("lab.other", Setup, lambda s: s.gain, Setup),
    ],
    ids=["name", "type"],
)
def test_two_types_of_one_name_or_for_one_class_are_told_and_none_is_used(second):
    plugins = plugins_with(ONE)
    encoded = encode(Setup(1.5), name="x", extra=plugins)
    plugins.register(Gives(second), name="other")
    told = "concern of both .* of plugin '.*' and .* of plugin '"
    if second.type is Setup:
        with pytest.raises(PluginError, match=f"attribute 'x': values of Setup are the {told}"):
            BaseNode(plugins=plugins).attrs["x"] = Setup(1.5)
        assert decode(encoded, extra=plugins) == Setup(1.5)  # the names tell them apart
    else:
        value = decode(encoded, extra=plugins)
        assert "concern of both" in value.reason
        assert value.missing_plugin
        with pytest.raises(PluginError, match=told):
            plugins.by_name("lab.setup")


def test_one_type_may_come_from_two_plugins():
    plugins = plugins_with(ONE)
    plugins.register(Gives(ONE), name="again")
    node = DataNode("n", plugins=plugins)
    node.attrs["x"] = Setup(1.5)
    assert node.attrs["x"] == Setup(1.5)
