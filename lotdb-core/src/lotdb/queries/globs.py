"""Patterns of paths, as ``pathlib`` and ``glob`` have them, followed level by level.

``*`` stands for any characters of a key, ``?`` for one, ``[abc]`` and ``[!a-c]`` for one of some; ``**`` as a
whole level stands for any number of levels, none included. A :class:`Step` is a place in the pattern: which
children it leads on to, and whether what it has come to is found.
"""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections.abc import Callable
from typing import Any, TypeAlias

from lotdb.errors import InvalidConditionError, InvalidKeyError, shown
from lotdb.keys import check_key, split_path

__all__ = ["Step", "first_step"]

_MAGIC = re.compile(r"[*?[]")
_ANY = "**"

# A pattern may lead to many sets of places, but a tree of few levels comes to few of them.
_MOST_STEPS = 4096

_Match: TypeAlias = Callable[[str], Any]


class Step:
    """A place in a pattern, or several at once.

    Attributes
    ----------
    finds : bool
        Whether a node that is reached here is found.
    leads : bool
        Whether any child can be.
    same : Step or None
        The step that each child is at, whatever its key; None if the key matters.
    literal : str or None
        The key of the one child that is reached.
    prefix : str
        What the keys of all children that are reached begin with.
    """

    __slots__ = ("_known", "_places", "_route", "_tests", "finds", "leads", "literal", "prefix", "same")

    def __init__(self, route: _Route, places: frozenset[int]) -> None:
        levels = route.levels
        self._route = route
        self._places = places
        self.finds = len(levels) in places
        left = sorted(place for place in places if place < len(levels))
        self.leads = bool(left)
        self._tests: list[tuple[int, _Match | None]] = [(place, levels[place].match) for place in left]
        self._known: dict[tuple[bool, ...], Step] = {}
        self.same: Step | None = None
        alone = levels[left[0]] if len(left) == 1 else None
        self.literal = None if alone is None else alone.literal
        self.prefix = "" if alone is None else alone.prefix

    def prepare(self) -> None:
        """Find out whether keys matter; not when it is made, for it may lead to itself."""
        if self.same is None and all(match is None for _, match in self._tests):
            self.same = self._after(tuple(True for _ in self._tests))

    def after(self, key: str) -> Step | None:
        """The step that the child *key* is at; None if it is not reached."""
        fits = tuple([match is None or match(key) is not None for _, match in self._tests])
        step = self._known.get(fits)
        if step is None:
            step = self._known[fits] = self._after(fits)
        return step if step.finds or step.leads else None

    def _after(self, fits: tuple[bool, ...]) -> Step:
        return self._route.step(
            place if match is None else place + 1
            for (place, match), fit in zip(self._tests, fits, strict=True)
            if fit
        )


class _Level:
    """One level of a pattern."""

    __slots__ = ("literal", "match", "prefix")

    def __init__(self, text: str) -> None:
        self.literal: str | None = None
        self.prefix = ""
        self.match: _Match | None = None
        if text == _ANY:
            return
        if text == "*":
            self.match = _any_key
            return
        start = _MAGIC.search(text)
        if start is None:
            self.literal = self.prefix = text
            self.match = lambda key: True if key == text else None
            return
        self.prefix = text[: start.start()]
        self.match = re.compile(fnmatch.translate(text)).match


def _any_key(key: str) -> bool:
    """What ``*`` makes of a key."""
    return True


class _Route:
    """A whole pattern, and the steps on it that were come to."""

    def __init__(self, levels: list[_Level]) -> None:
        self.levels = levels
        self._steps: dict[frozenset[int], Step] = {}

    def step(self, places: Any) -> Step:
        found = set(places)
        for place in sorted(found):
            while place < len(self.levels) and self.levels[place].match is None:
                place += 1  # "**" may stand for no level at all
                found.add(place)
        key = frozenset(found)
        step = self._steps.get(key)
        if step is None:
            if len(self._steps) >= _MOST_STEPS:
                self._steps.clear()
            step = self._steps[key] = Step(self, key)
            step.prepare()
        return step


def first_step(pattern: object) -> Step:
    """The step at which the search for *pattern* begins.

    Parameters
    ----------
    pattern
        One text with ``"/"`` between the levels, or a sequence of levels.

    Raises
    ------
    InvalidConditionError
        If it is no pattern.
    """
    levels = _levels(pattern)
    return _Route([_Level(level) for level in levels]).step([0])


def _levels(pattern: object) -> list[str]:
    if isinstance(pattern, str):
        texts: list[object] = list(str.__str__(pattern).split("/"))
    else:
        try:
            # Checked as paths are: a pattern that is no text is a sequence of keys, numbers among them.
            texts = list(pattern) if isinstance(pattern, (list, tuple)) else list(split_path(pattern))
        except InvalidKeyError as error:
            raise InvalidConditionError(
                f"the pattern is {shown(pattern)}; use a text such as 'sensor_*/capture_*' or '**', or a "
                "sequence of levels"
            ) from error
    levels: list[str] = []
    for text in texts:
        level = _level(text, pattern)
        if level == _ANY and levels and levels[-1] == _ANY:
            continue
        levels.append(level)
    return levels


def _level(text: object, pattern: object) -> str:
    if not (isinstance(text, str) and _MAGIC.search(text)):
        try:
            return check_key(text)
        except InvalidKeyError as error:
            hint = "" if text else "; a pattern begins and ends without '/', and has no '//'"
            raise InvalidConditionError(
                f"the pattern {shown(pattern)} cannot match: {error}{hint}"
            ) from error
    level = unicodedata.normalize("NFC", str.__str__(text))
    if "/" in level:
        raise InvalidConditionError(
            f"the pattern {shown(pattern)} has '/' in {shown(level)}; give each level by itself"
        )
    if _ANY in level and level != _ANY and not _in_brackets(level):
        raise InvalidConditionError(
            f"the pattern {shown(pattern)} has '**' in {shown(level)}; '**' stands for whole levels, as in "
            "'**/capture_*', and '*' for a part of a key"
        )
    return level


def _in_brackets(level: str) -> bool:
    """Whether each ``**`` of *level* stands in brackets, as in ``[**]``."""
    return _ANY not in re.sub(r"\[!?\]?[^]]*\]", "", level)
