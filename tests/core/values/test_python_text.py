"""Reading Python's source and literals while others do so, too."""

import ast

import pytest
from tests.services.disturbed import disturbed_parser

from lotdb.values.python_text import again_if_disturbed, literal, syntax_tree


def test_a_literal_is_read():
    with disturbed_parser():
        assert literal("{'a': [1, (2.5, None)]}") == {"a": [1, (2.5, None)]}


def test_source_is_read():
    with disturbed_parser():
        read = syntax_tree("def f(x):\n    return [x, {'a': (1, 2)}]\n")
    assert isinstance(read.body[0], ast.FunctionDef)


@pytest.mark.parametrize("text", ["(1,", "f(1)"])
def test_what_is_no_literal_is_told_as_python_tells_it(text):
    with pytest.raises((SyntaxError, ValueError)):
        literal(text)


def test_a_parser_that_always_fails_is_not_asked_for_ever():
    def fail():
        raise SystemError("always")

    with pytest.raises(SystemError, match="always"):
        again_if_disturbed(fail)
