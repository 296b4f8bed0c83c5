"""docs/reference.md names everything that lotdb.steps offers, with its arguments."""

import inspect
import re
from pathlib import Path

import pytest

from lotdb import steps

TEXT = (Path(__file__).parents[2] / "docs/reference.md").read_text(encoding="utf-8")
SECTION = TEXT.partition("\n## Steps\n")[2].partition("\n## ")[0]


def signature(function, *, bound=False):
    parameters = list(inspect.signature(function).parameters.values())[bound:]
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in parameters]
    return str(inspect.Signature(plain))


@pytest.mark.parametrize("name", [name for name in steps.__all__ if inspect.isfunction(getattr(steps, name))])
def test_functions(name):
    assert f"`{name}{signature(getattr(steps, name))}`" in SECTION


@pytest.mark.parametrize("name", [name for name in steps.__all__ if inspect.isclass(getattr(steps, name))])
def test_classes(name):
    assert re.search(rf"`{name}[`(]", SECTION)


@pytest.mark.parametrize("name", [name for name in vars(steps.Step) if name[0] != "_" and name != "call"])
def test_methods_of_a_step(name):
    member = getattr(steps.Step, name)
    if inspect.isfunction(member) and name not in ("code", "call_of"):
        assert f"`{name}{signature(member, bound=True)}`" in SECTION
