"""A row of the tables of types of values without parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Leaf"]


class Leaf:
    """How values of one type are taken apart and made again.

    ``parts`` are the types of their parts, which *make* may rely on; ``object`` for what it tests itself.
    """

    __slots__ = ("make", "parts", "tag", "take")

    def __init__(
        self,
        tag: str,
        parts: tuple[type, ...],
        take: Callable[[Any], tuple[Any, ...]],
        make: Callable[..., object],
    ) -> None:
        self.tag = tag
        self.parts = parts
        self.take = take
        self.make = make
