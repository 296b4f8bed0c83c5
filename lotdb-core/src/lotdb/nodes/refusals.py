"""What data nodes have and plain nodes refuse, for those who check types.

A node that is found by its path may be of any type, so a type checker has to take it for one of data.
Really a plain node has none of it, and says so when it is asked; see ``LeftToDataNodes`` in ``nodes.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lotdb.tree.node import Node

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator, Mapping
    from typing import Any

    from lotdb.content.defaults import Default
    from lotdb.content.payload import Payload
    from lotdb.content.payloads import IfExists
    from lotdb.interfaces.options import MAX_BYTES
    from lotdb.ranges import Number, Unit

__all__ = ["RefusesData"]


class RefusesData(Node):
    """A handle that has the members of ``DataNode`` as far as types go; a test compares them."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def samplerate_hz(self) -> float | None: ...

        @property
        def backend(self) -> str: ...

        @property
        def data_attribute(self) -> str: ...

        def configure_data(
            self,
            *,
            samplerate_hz: float | None = None,
            backend: str | None = None,
            data_attribute: str | None = None,
            unset: Default | Collection[Default] = (),
        ) -> None: ...

        def write_data(
            self,
            data: Any,
            database: Any = None,
            *,
            data_attribute: str | None = None,
            backend: str | None = None,
            samplerate_hz: float | None = None,
            metadata: Mapping[str, Any] | None = None,
            content_type: str | None = None,
            if_exists: IfExists = "replace",
            **options: Any,
        ) -> Payload: ...

        def replace_data(self, data: Any, database: Any = None, **how: Any) -> Payload: ...

        def append_data(self, data: Any, database: Any = None, **how: Any) -> Payload: ...

        def attach_file(
            self,
            filepath: str | os.PathLike[str],
            database: Any = None,
            *,
            data_attribute: str | None = None,
            backend: str | None = None,
            samplerate_hz: float | Mapping[str, float | None] | None = None,
            format: str | None = None,
            metadata: Mapping[str, Any] | None = None,
            if_exists: IfExists = "replace",
            skip_unchanged: bool = False,
            max_bytes: int = MAX_BYTES,
            **options: Any,
        ) -> Payload: ...

        def ingest_file(
            self, filepath: str | os.PathLike[str], database: Any = None, **how: Any
        ) -> Payload: ...

        def compact_data(
            self,
            data_attribute: str | None = None,
            *,
            database: Any = None,
            backend: str | None = None,
            **options: Any,
        ) -> Payload: ...

        def delete_data(self, data_attribute: str | None = None, *, database: Any = None) -> None: ...

        def has_data(self, data_attribute: str | None = None) -> bool: ...

        def get_data(self, data_attribute: str | None = None) -> Payload: ...

        def read_data(
            self,
            start: Number | None = None,
            stop: Number | None = None,
            *,
            unit: Unit = "samples",
            data_attribute: str | None = None,
        ) -> Any: ...

        def read_seconds(
            self,
            start_second: Number | None = None,
            stop_second: Number | None = None,
            *,
            data_attribute: str | None = None,
        ) -> Any: ...

        def read_frame(
            self,
            start: Number | None = None,
            stop: Number | None = None,
            *,
            unit: Unit = "samples",
            data_attribute: str | None = None,
        ) -> Any: ...

        def iter_data_blocks(
            self,
            block_size: Number,
            block_unit: Unit = "samples",
            *,
            start: Number | None = None,
            stop: Number | None = None,
            range_unit: Unit = "samples",
            data_attribute: str | None = None,
        ) -> Iterator[Any]: ...
