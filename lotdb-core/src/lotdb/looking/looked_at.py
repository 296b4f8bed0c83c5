"""What is asked of the nodes and payloads that are looked at: public members, and one count with an end.

Nodes and payloads hand themselves to this room, which is below them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

__all__ = ["LookedNode", "LookedPayload"]


class LookedPayload(Protocol):
    """A payload, as ``content/payload.py`` defines it."""

    name: str

    @property
    def kind(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def samplerate_hz(self) -> float | None: ...

    @property
    def duration_s(self) -> float | None: ...

    @property
    def backend(self) -> str: ...

    @property
    def content_type(self) -> str: ...

    @property
    def metadata(self) -> dict[str, Any]: ...

    @property
    def _place(self) -> str: ...

    def read(self) -> Any: ...

    def __getitem__(self, index: Any) -> Any: ...

    def _window(self, start: Any, stop: Any, unit: Any) -> tuple[int, int]: ...


class LookedNode(Protocol):
    """A node, as ``node_api/nodes.py`` defines it."""

    @property
    def key(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def node_type(self) -> str: ...

    @property
    def attrs(self) -> Mapping[str, Any]: ...

    @property
    def payloads(self) -> Mapping[str, LookedPayload]: ...

    def values(self) -> Iterable[LookedNode]: ...

    def get(self, path: Any) -> LookedNode | None: ...

    def _keys_from(self, beginning: str) -> Iterator[str]: ...

    def _count_children(self, most: int) -> int: ...
