"""Python's own parser, asked so that other threads cannot make it fail.

Before Python 3.11.8 all threads of a process share one counter of how deep a syntax tree is nested. When
another one parses in the middle, as it can whenever memory is collected, the first fails with a SystemError,
although its text is good: https://github.com/python/cpython/issues/106905
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["again_if_disturbed", "literal", "syntax_tree"]

T = TypeVar("T")

# Two threads that do nothing but parse disturb each other a few times in a row at most.
_ATTEMPTS = 100


def syntax_tree(text: str, mode: str = "exec") -> Any:
    """The syntax tree of *text*; errors as of ``ast.parse``."""
    return again_if_disturbed(lambda: ast.parse(text, mode=mode))


def literal(text: str) -> Any:
    """The value that *text* writes; errors as of ``ast.literal_eval``."""
    return again_if_disturbed(lambda: ast.literal_eval(text))


def again_if_disturbed(read: Callable[[], T]) -> T:
    """What *read* gives, which parses Python's literals or source, and may be called again."""
    for _ in range(_ATTEMPTS):
        try:
            return read()
        except SystemError:
            pass
    return read()
