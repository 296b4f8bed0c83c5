"""ValueTypeTests: everything that a type of attribute values promises."""

from __future__ import annotations

import contextlib
import functools
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lotdb import LOTDB, BaseNode, PluginError, Plugins, Undecodable, ValueType
from lotdb.testing.bench import NAME
from lotdb.testing.limits import at_once, switching_often
from lotdb.testing.plugin_fixtures import PluginFixtures
from lotdb.testing.promises import VALUE_TYPE, promise
from lotdb.values.values import encode, is_same

__all__ = ["ValueTypeTests"]

FIRST = "every_value_comes_back"


class ValueTypeTests(PluginFixtures):
    """The tests of types of attribute values; subclass it, and name the plugin and some values::

        class TestAddresses(ValueTypeTests):
            @pytest.fixture
            def plugin(self):
                return my_package.plugin

            @pytest.fixture
            def values(self):
                return [IPv4Address("10.0.0.1"), IPv4Address("255.255.255.255")]

    Fixtures to override
    --------------------
    plugin
        The module or object with the hook ``lotdb_get_value_types``.
    values
        Values of each of its types, the odd ones too: empty ones, negative ones, the largest and the
        smallest, those with a unit or a time zone.

    Methods to override
    -------------------
    same
        Whether two values are the same, for types whose ``==`` or ``repr`` does not tell.
    """

    @pytest.fixture
    def values(self) -> Sequence[Any]:
        """Values of each of the types."""
        raise NotImplementedError("a subclass of ValueTypeTests has a fixture values: a list of values")

    def same(self, got: Any, expected: Any) -> bool:
        """Whether *got* is what *expected* is: its type, what ``==`` says, and what it shows."""
        if type(got) is not type(expected):
            return False
        # Some are equal and not the same: an instant in another time zone, a length in another unit.
        if _shown(got) != _shown(expected):
            return False
        equal = got == expected
        alike = getattr(equal, "all", None)
        return bool(alike() if callable(alike) else equal) or got != got

    @pytest.fixture
    def types(self, plugin: Any, values: Sequence[Any]) -> list[ValueType]:
        """The types that the plugin gives."""
        return list(plugin.lotdb_get_value_types())

    @pytest.fixture
    def root(self, tmp_path: Path, plugins: Plugins) -> Iterator[BaseNode]:
        """The root of a new database."""
        with LOTDB(tmp_path / "database", NAME, plugins=plugins) as db:
            yield db.open_connection()

    # -- the plugin --------------------------------------------------------------------------------

    @promise(VALUE_TYPE)
    def test_the_plugin_gives_value_types(self, plugin: Any, plugins: Plugins) -> None:
        """lotdb_get_value_types() is marked with @hookimpl, and returns a list of ValueType, of types that
        attributes do not hold anyway.
        """
        assert hasattr(plugin.lotdb_get_value_types, "lotdb_impl"), "it is not marked with @lotdb.hookimpl"
        types = list(plugin.lotdb_get_value_types())
        assert types, "it gives no types"
        for each in types:
            assert isinstance(each, ValueType), f"it gives {each!r}"
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                taken = plugins.by_type(each.type)
            why = "; ".join(str(warning.message) for warning in said)
            assert taken is not None, f"LOTDB does not take {each.name!r} for {each.type.__name__}: {why}"

    @promise(VALUE_TYPE, "the_plugin_gives_value_types")
    def test_names_are_permanent_and_ones_own(self, types: Sequence[ValueType]) -> None:
        """ValueType.name begins with the name of the package and a dot, and no two types have one name."""
        names = [each.name for each in types]
        assert len({*names}) == len(names), f"two types have one name: {names}"
        for name in names:
            assert re.fullmatch(r"[\w-]+(\.[\w-]+)+", name), (
                f"the name {name!r} is not like 'my_package.thing'"
            )

    @promise(VALUE_TYPE, "the_plugin_gives_value_types")
    def test_earlier_versions_are_read(self, types: Sequence[ValueType]) -> None:
        """ValueType.older has a decoder for each version before the current one: databases hold them."""
        for each in types:
            missing = sorted({*range(1, each.version)} - {*each.older})
            assert not missing, (
                f"{each.name!r} is in version {each.version}, and older= has no decoder for {missing}"
            )

    @promise(VALUE_TYPE, "the_plugin_gives_value_types")
    def test_each_type_is_tried(self, types: Sequence[ValueType], values: Sequence[Any]) -> None:
        """The fixture values has values of each type that the plugin gives, and of no other."""
        tried, given = {type(value) for value in values}, {each.type for each in types}
        assert tried == given, f"values are of {tried}, the plugin gives {given}"

    # -- round trips -------------------------------------------------------------------------------

    @promise(VALUE_TYPE, "each_type_is_tried")
    def test_every_value_comes_back(self, plugins: Plugins, values: Sequence[Any]) -> None:
        """decode(encode(value)) is the value, with all that it says: its unit, its time zone, its digits."""
        node = BaseNode(plugins=plugins)
        for value in values:
            shown = _shown(value)
            node.attrs["value"] = value
            got = node.attrs["value"]
            assert not isinstance(got, Undecodable), f"{value!r} cannot be decoded: {got!r}"
            assert self.same(got, value), f"{value!r} comes back as {got!r}"
            if _is_constant(value) and got == value:
                assert hash(got) == hash(value), (
                    f"{value!r} comes back equal, and with another hash: it is not found in sets and dicts"
                )
            assert _shown(value) == shown, f"encode() changes the value: {shown} is now {value!r}"

    @promise(VALUE_TYPE, FIRST)
    def test_values_come_back_from_the_disk(
        self, root: BaseNode, plugins: Plugins, values: Sequence[Any], tmp_path: Path
    ) -> None:
        """A value that was committed is read by whoever opens the database again."""
        for number, value in enumerate(values):
            root.attrs[f"{number}"] = value
        root.attrs["all"] = [*values, {"in a dict": values[0]}, (values[-1],)]
        with LOTDB(tmp_path / "second", NAME, plugins=plugins) as db, db.connection() as second:
            second.add_tree(root, key="copied", copy=True)
        with LOTDB(tmp_path / "second", NAME, plugins=plugins) as db, db.connection() as again:
            node = again["copied"]
            for number, value in enumerate(values):
                got = node.attrs[f"{number}"]
                assert self.same(got, value), f"{value!r} comes back as {got!r} from the disk"
            *listed, there, within = node.attrs["all"]
            for got, value in zip(
                [*listed, there["in a dict"], within[0]], [*values, values[0], values[-1]], strict=True
            ):
                assert self.same(got, value), f"in a list, {value!r} comes back as {got!r}"

    @promise(VALUE_TYPE, FIRST)
    def test_encoding_is_repeatable(self, types: Sequence[ValueType], values: Sequence[Any]) -> None:
        """encode() gives the same for the same value, and for the value that decode() makes of it."""
        for value in values:
            known = next(each for each in types if each.type is type(value))
            first, second = (_stored(known.encode(value)) for _ in range(2))
            assert is_same(first, second), f"{value!r} is encoded as {first}, then as {second}"
            again = _stored(known.encode(known.decode(known.encode(value))))
            assert is_same(first, again), f"{value!r} is {first}, and after a round trip {again}"

    @promise(VALUE_TYPE, FIRST)
    def test_each_reading_gives_a_value_of_its_own(self, plugins: Plugins, values: Sequence[Any]) -> None:
        """decode() makes a new value each time: who changes it changes nothing that others read."""
        node = BaseNode(plugins=plugins)
        for value in values:
            node.attrs["value"] = value
            one, two = node.attrs["value"], node.attrs["value"]
            assert one is not two or _is_constant(value), f"decode() gives one and the same {value!r} to all"
            assert one is not value or _is_constant(value), f"what is read is the very {value!r} that was set"

    @promise(VALUE_TYPE, FIRST)
    def test_threads_may_encode_and_decode_at_once(self, plugins: Plugins, values: Sequence[Any]) -> None:
        """Several threads may call encode() and decode() at once."""

        def try_all() -> None:
            node = BaseNode(plugins=plugins)
            for _ in range(10):
                for value in values:
                    node.attrs["value"] = value
                    got = node.attrs["value"]
                    assert self.same(got, value), f"among threads, {value!r} comes back as {got!r}"

        with switching_often():
            at_once([try_all for _ in range(4)])

    # -- what is not its own -----------------------------------------------------------------------

    @promise(VALUE_TYPE, FIRST)
    def test_without_the_plugin_values_are_kept(
        self, plugins: Plugins, types: Sequence[ValueType], values: Sequence[Any], tmp_path: Path
    ) -> None:
        """Without the plugin a value is Undecodable, is kept as it is, and is there again with the plugin."""
        with LOTDB(tmp_path / "kept", NAME, plugins=plugins) as db, db.connection() as root:
            for number, value in enumerate(values):
                root.attrs[f"{number}"] = value
        missing = _Without({each.name for each in types})
        with LOTDB(tmp_path / "kept", NAME, plugins=missing) as db, db.connection() as root:
            for number, value in enumerate(values):
                got = root.attrs[f"{number}"]
                assert isinstance(got, Undecodable), f"{value!r} is stored as something that needs no plugin"
                root.attrs[f"copy of {number}"] = got
            assert db.verify() == [], "without the plugin verify() finds no damage"
        with LOTDB(tmp_path / "kept", NAME, plugins=plugins) as db, db.connection() as root:
            for number, value in enumerate(values):
                for name in (f"{number}", f"copy of {number}"):
                    got = root.attrs[name]
                    assert self.same(got, value), f"{value!r} was kept as {got!r} without the plugin"

    @promise(VALUE_TYPE, FIRST)
    def test_classes_are_not_in_the_file(
        self, plugins: Plugins, types: Sequence[ValueType], values: Sequence[Any], tmp_path: Path
    ) -> None:
        """encode() gives plain data: no class of the plugin is stored."""
        with LOTDB(tmp_path / "plain", NAME, plugins=plugins) as db, db.connection() as root:
            root.attrs["all"] = list(values)
        stored = (tmp_path / "plain" / NAME).read_bytes()
        for each in types:
            module = each.type.__module__
            assert len(module) < 4 or module in each.name or module.encode() not in stored, (
                f"the module {module!r} is in the data file; encode() is to give plain data"
            )

    @promise(VALUE_TYPE, FIRST)
    def test_decoding_runs_nothing_that_is_stored(
        self, types: Sequence[ValueType], values: Sequence[Any]
    ) -> None:
        """decode() neither unpickles nor evaluates what is stored, since a database may come from a
        stranger.
        """
        for value in values:
            known = next(each for each in types if each.type is type(value))
            encoded = known.encode(value)
            known.decode(encoded)  # the first time, modules may be imported
            with _heard() as events:
                known.decode(encoded)
            assert not events, f"decode() of {known.name!r} runs what is stored: {events}"

    @promise(VALUE_TYPE, FIRST)
    def test_what_is_altered_is_an_error(self, types: Sequence[ValueType]) -> None:
        """decode() raises an exception for what encode() never gave; it makes nothing up."""
        for each in types:
            for made_up in (None, "\0 no such value \0", ("no", "such", "value", -1), {"no": "such value"}):
                try:
                    got = each.decode(made_up)
                except Exception:
                    continue
                known = False
                try:
                    known = type(got) is each.type and is_same(_stored(each.encode(got)), _stored(made_up))
                except Exception:
                    known = False
                assert known, f"decode() of {each.name!r} makes {got!r} of {made_up!r}"

    @promise(VALUE_TYPE, FIRST)
    def test_a_value_that_cannot_be_encoded_changes_nothing(
        self, plugins: Plugins, values: Sequence[Any]
    ) -> None:
        """encode() gives what an attribute can hold; what it gives is stored whole or refused."""
        node = BaseNode(plugins=plugins)
        for value in values:
            try:
                node.attrs["value"] = [value] * 3
            except PluginError as error:
                pytest.fail(f"encode() fails for {value!r}: {error}")
            got = node.attrs["value"]
            assert len(got) == 3, "a list of three has three"
            assert all(map(partial(self.same, expected=value), got)), (
                f"in a list {value!r} comes back as {got}"
            )


class _Without(Plugins):
    """The installed plugins without some types of values."""

    def __init__(self, missing: set[str]) -> None:
        super().__init__()
        self._gone = missing

    def by_name(self, name: str) -> ValueType | None:
        """The type of that name, unless it is one of the missing ones."""
        return None if name in self._gone else super().by_name(name)


def _shown(value: Any) -> str:
    """What a value shows, unless that is only where it is in memory."""
    shown = repr(value)
    return type(value).__name__ if re.search(r" at 0x[0-9a-f]+", shown) else shown


def _stored(encoded: Any) -> Any:
    """What an encoder gave in the plain form in which attributes store it."""
    return encode(encoded, what=lambda: "what encode() gives")


def _is_constant(value: Any) -> bool:
    """Whether it cannot be changed, as far as can be seen: then it may be one and the same for all."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


_hearing: ContextVar[list[str] | None] = ContextVar("_hearing", default=None)


def _note(event: str, _: tuple[Any, ...]) -> None:
    events = _hearing.get()
    if events is not None and event in ("exec", "pickle.find_class"):
        events.append(event)


@functools.cache
def _listen() -> None:
    sys.addaudithook(_note)  # for good: Python takes no hook away


@contextlib.contextmanager
def _heard() -> Iterator[list[str]]:
    """What of stored data this thread runs meanwhile."""
    _listen()
    events: list[str] = []
    token = _hearing.set(events)
    try:
        yield events
    finally:
        _hearing.reset(token)
