"""Value types of plugins, as attributes of nodes."""

import ipaddress

import pytest

from lotdb import LOTDB, BaseNode, Plugins, Undecodable, UnsupportedValueError, ValueType, hookimpl


class AddressPlugin:
    @hookimpl
    def lotdb_get_value_types(self):
        return [
            ValueType("test.ipv4", ipaddress.IPv4Address, encode=int, decode=ipaddress.IPv4Address),
        ]


def test_values_of_a_plugins_type_come_back(tmp_path):
    address, plugins = ipaddress.IPv4Address("10.0.0.1"), Plugins()
    plugins.register(AddressPlugin())
    with LOTDB(tmp_path, durability="process", plugins=plugins) as db:
        with db.connection() as root:
            root.attrs["hosts"] = [address]
        with db.connection() as root:
            assert root.attrs["hosts"] == [address]


def test_values_of_a_type_that_is_not_installed_are_undecodable_and_survive(tmp_path):
    address, plugins = ipaddress.IPv4Address("10.0.0.1"), Plugins()
    plugins.register(AddressPlugin())
    with LOTDB(tmp_path, durability="process", plugins=plugins) as db, db.connection() as root:
        root.attrs["host"] = address
    with LOTDB(tmp_path, durability="process", plugins=Plugins()) as db, db.connection() as root:
        value = root.attrs["host"]
        assert isinstance(value, Undecodable)
        assert "test.ipv4" in repr(value)
        root.attrs["again"] = value
    with LOTDB(tmp_path, durability="process", plugins=plugins) as db, db.connection() as root:
        assert root.attrs["again"] == root.attrs["host"] == address


def test_a_value_of_a_type_that_is_not_installed_is_refused_when_it_is_set():
    root = BaseNode(plugins=Plugins())
    with pytest.raises(UnsupportedValueError, match=r"'host' cannot hold ipaddress.IPv4Address"):
        root.attrs["host"] = ipaddress.IPv4Address("10.0.0.1")
