"""Options that a user gives a plugin: which of them the plugin has looked at, and limits among them."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from lotdb.errors import InvalidOptionError, nearest, shown
from lotdb.ranges import is_whole

__all__ = [
    "MAX_BYTES",
    "Options",
    "UnknownOptionError",
    "check_choice",
    "check_flag",
    "check_known",
    "check_limit",
    "check_progress",
    "is_several",
    "pairs_of",
]

# Limit of the decoded data, unless the caller passes another: a small file can announce more than fits on a
# disk, and a compressed file can hold more.
MAX_BYTES = 16 << 30


class UnknownOptionError(InvalidOptionError):
    """An ``InvalidOptionError`` for an *option* that nobody knows. Users catch that class."""

    def __init__(self, message: str, option: str) -> None:
        super().__init__(message)
        self.option = option

    def __reduce__(self) -> Any:
        return type(self), (*self.args, self.option)


class Options(Mapping[str, Any]):
    """A user's options, which remember what they were asked for.

    A plugin that never looks at an option does not know it. One that takes all of them, to pass them on to
    a library, has looked at all.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = dict(given)
        #: Names that were asked for, whether they are given or not.
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return self.given[name]

    def __iter__(self) -> Iterator[str]:
        self.asked.update(self.given)
        return iter(self.given)

    def __len__(self) -> int:
        return len(self.given)

    def __repr__(self) -> str:
        return repr(self.given)

    def check(self, doing: str, arguments: Iterable[str]) -> None:
        """Raise ``InvalidOptionError`` for an option that was never looked at."""
        check_known(doing, self.given, self.asked, arguments)


def check_known(doing: str, given: Iterable[str], known: Iterable[str], arguments: Iterable[str]) -> None:
    """Raise ``InvalidOptionError`` for the first of the options *given* that is none of the *known* ones.

    *doing* is what takes the options, as messages name it; *arguments* are those of the call itself.
    """
    known = list(known)
    for option in given:
        if option not in known:
            takes = ", ".join(known) or "none"
            meant = nearest(option, [*known, *arguments])
            raise UnknownOptionError(
                f"{doing} takes no option {shown(option)} (it takes: {takes}){meant}", option
            )


def check_limit(option: str, value: Any) -> int:
    """*value* as a limit; ``InvalidOptionError`` if it is no whole number from 0 on."""
    if not is_whole(value) or value < 0:
        raise InvalidOptionError(f"{option} is {shown(value)}; use a whole number, such as {1 << 30}")
    return int(value)


def check_choice(option: str, value: Any, choices: Collection[str]) -> None:
    """Raise ``InvalidOptionError`` unless *value* is one of the texts *choices*.

    >>> check_choice("if_exists", "replace", ("error", "replace"))
    """
    # The type comes first: an array would be compared item by item.
    if not isinstance(value, str) or value not in choices:
        *others, last = map(repr, choices)
        raise InvalidOptionError(f"{option} is {shown(value)}; use {', '.join(others)} or {last}")


def pairs_of(what: str, other: Any, named: Mapping[str, Any]) -> dict[Any, Any]:
    """Names and values of *what*, such as ``"tags"``: those of *other*, as ``dict`` takes it, and *named*.

    >>> pairs_of("tags", [("first", 1)], {"last": 2})
    {'first': 1, 'last': 2}
    """
    try:
        pairs = dict(other)
    except (TypeError, ValueError) as error:
        raise InvalidOptionError(
            f"{what} are to be set from {shown(other)}; use a mapping, or pairs of name and value"
        ) from error
    return {**pairs, **named}


def check_flag(option: str, value: Any) -> bool:
    """*value* as True or False; ``InvalidOptionError`` if it is neither: each text would count as true.

    >>> check_flag("overwrite", True)
    True
    """
    if value is True or value is False:
        return bool(value)
    # It takes long to load, and has made the value if it is one of numpy's.
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.bool_):
        return bool(value)
    raise InvalidOptionError(f"{option} is {shown(value)}; use True or False")


def is_several(value: Any) -> bool:
    """Whether *value* can be gone through, item by item."""
    # An array without axes looks as if it could.
    return isinstance(value, Iterable) and getattr(value, "shape", None) != ()


def check_progress(progress: Any) -> None:
    """Raise ``InvalidOptionError`` unless *progress* can be called, or is None."""
    if progress is not None and not callable(progress):
        raise InvalidOptionError(f"progress is {shown(progress)}; use a function, or None")
