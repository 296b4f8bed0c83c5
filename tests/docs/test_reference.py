"""docs/reference.md names everything that is public, as it is, and nothing that is not."""

import builtins
import dataclasses
import inspect
import re
from itertools import takewhile
from pathlib import Path

import pytest

import lotdb
from lotdb import LOTDB, StorageContext, hookspecs

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
ERRORS = [name for name in lotdb.__all__ if name.endswith("Error")]
CLASSES = [name for name in lotdb.__all__ if inspect.isclass(getattr(lotdb, name)) and name not in ERRORS]
SPECS = (
    hookspecs.BackendSpec,
    hookspecs.IngesterSpec,
    hookspecs.NodeSpec,
    hookspecs.CommandSpec,
    hookspecs.StorageSpec,
)
MEMBER = re.compile(r"`(\w+)(\(.*?\))?`")


def sections():
    """Text of each section below a heading that is a name in code."""
    parts = re.split(r"^(#+ .*)$", TEXT, flags=re.MULTILINE)
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return {match[1]: text for heading, text in pairs if (match := re.fullmatch(r"### `(\w+)`", heading))}


def members_in_reference(name):
    """Each member in the table of a class, with its arguments if it is a method."""
    table = sections()[name].partition("| member | |\n")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    return {member: arguments for row in rows for member, arguments in MEMBER.findall(row)}


def arguments_of(function, *, bound):
    """The arguments of a function, without annotations and, if it is *bound*, without the first."""
    parameters = list(inspect.signature(function).parameters.values())[bound:]
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(plain))


def is_part(cls):
    """Whether it is a class of ours that has no section of its own."""
    return cls.__module__.startswith("lotdb.") and cls.__name__ not in lotdb.__all__


def members_of(cls):
    """Each public member that a class defines itself, with its arguments if it is a method."""
    members = {}
    # With what it is made of, up to a class that has a section of its own.
    own = [cls, *takewhile(is_part, cls.__mro__[1:])]
    for name, value in (each for part in reversed(own) for each in vars(part).items()):
        if not name.startswith("_") and hasattr(cls, name):
            bound = not isinstance(value, staticmethod)
            function = inspect.unwrap(getattr(value, "__func__", value))
            members[name] = arguments_of(function, bound=bound) if inspect.isfunction(function) else ""
    if dataclasses.is_dataclass(cls):
        members |= {field.name: "" for field in dataclasses.fields(cls) if not field.name.startswith("_")}
    if cls is StorageContext:  # which has what it is made with
        members |= dict.fromkeys(inspect.signature(cls).parameters, "")
    return members


def attributes_of_instances(cls, folder):
    """What only instances have, and is meant to be used."""
    if cls is not LOTDB:
        return set()
    with LOTDB(folder) as db:
        return {name for name in vars(db) if not name.startswith("_")}


@pytest.mark.parametrize("name", lotdb.__all__)
def test_every_public_name_is_in_the_reference(name):
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_member_of_a_class_is_in_the_reference_with_its_arguments(name):
    there = members_in_reference(name)
    expected = members_of(getattr(lotdb, name))
    assert {member: there.get(member) for member in expected} == expected


@pytest.mark.parametrize("name", CLASSES)
def test_the_reference_names_no_member_that_does_not_exist(name, tmp_path):
    cls = getattr(lotdb, name)
    known = set(members_of(cls)) | attributes_of_instances(cls, tmp_path)
    assert set(members_in_reference(name)) <= known


def test_the_reference_has_a_section_for_each_public_class_and_for_nothing_else():
    assert set(sections()) == {*CLASSES, "hookimpl"}


@pytest.mark.parametrize("name", CLASSES)
def test_the_call_that_makes_an_object_is_as_it_is(name):
    call = re.search(rf"^`{name}(\(.*?\))`$", sections()[name], re.MULTILINE | re.DOTALL)
    if call:  # those that users do not make have none
        assert re.sub(r"\s+", " ", call[1]) == arguments_of(getattr(lotdb, name), bound=False)


def test_every_error_is_listed_with_the_builtin_that_it_also_is():
    rows = dict(re.findall(r"^\| `(\w+Error)` \| (`[^|]+`) \|", TEXT, re.MULTILINE))
    assert set(rows) == set(ERRORS)
    for name, bases in rows.items():
        names = {f"{cls.__module__}.{cls.__qualname__}" for cls in getattr(lotdb, name).__mro__}
        for base in re.findall(r"`([\w.]+)`", bases):
            assert names & {base, f"builtins.{base}", f"lotdb.errors.{base}"}, name


def test_every_hook_is_listed_with_its_group_and_arguments():
    rows = re.findall(r"^\| `(lotdb\.\w+)` \| `(lotdb_\w+)(\(.*?\))` \|", TEXT, re.MULTILINE)
    specs = {
        "lotdb.backend": hookspecs.BackendSpec,
        "lotdb.ingester": hookspecs.IngesterSpec,
        "lotdb.node": hookspecs.NodeSpec,
        "lotdb.command": hookspecs.CommandSpec,
        "lotdb.storage": hookspecs.StorageSpec,
    }
    there = {(group, hook, arguments) for group, hook, arguments in rows}
    assert there == {
        (group, hook, arguments_of(function, bound=True))
        for group, spec in specs.items()
        for hook, function in vars(spec).items()
        if hook.startswith("lotdb_")
    }


def test_code_names_no_error_and_no_hook_that_does_not_exist():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    hooks = {hook for spec in SPECS for hook in vars(spec) if hook.startswith("lotdb_")}
    packages = {"lotdb_backend_blob", "lotdb_backend_zarr", "lotdb_ingest", "lotdb_backend_npyfolder"}
    assert set(re.findall(r"\blotdb_\w+", text)) <= hooks | packages
    known = {*ERRORS, "TransientError", *(name for name in dir(builtins) if name.endswith("Error"))}
    assert set(re.findall(r"\b[A-Z]\w+Error\b", text)) <= known
