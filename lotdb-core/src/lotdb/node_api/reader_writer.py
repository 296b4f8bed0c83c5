"""DataReader and DataWriter: reading and writing the payloads of any node."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from lotdb.content import payloads
from lotdb.content.payload import Payload
from lotdb.content.payloads import IfExists, Request
from lotdb.content.tables import as_table
from lotdb.errors import InvalidDataError
from lotdb.interfaces.options import MAX_BYTES
from lotdb.interfaces.row_blocks import Blocks
from lotdb.node_api.nodes import BaseNode
from lotdb.ranges import Number, Unit
from lotdb.renamed import answer
from lotdb.tree.graft import check_node

__all__ = ["DataReader", "DataWriter"]


class DataReader:
    """Reads the payloads of any node; *data_attribute* is the name of the payload."""

    @staticmethod
    def open(node: BaseNode, data_attribute: str = "data") -> Payload:
        """The payload, which you can inspect, slice and read."""
        return payloads.get(check_node(node), data_attribute)

    @staticmethod
    def read(node: BaseNode, data_attribute: str = "data") -> Any:
        """All of the payload's data."""
        return payloads.get(check_node(node), data_attribute).read()

    @staticmethod
    def read_interval(
        node: BaseNode,
        data_attribute: str = "data",
        start: Number | None = None,
        stop: Number | None = None,
        unit: Unit = "samples",
    ) -> Any:
        """The data from *start* to before *stop*; see :meth:`lotdb.Payload.read`."""
        return payloads.get(check_node(node), data_attribute).read(start, stop, unit=unit)

    @staticmethod
    def read_seconds(
        node: BaseNode,
        data_attribute: str = "data",
        start_second: Number | None = None,
        stop_second: Number | None = None,
    ) -> Any:
        """The data from *start_second* to before *stop_second*; see :meth:`lotdb.Payload.read`."""
        return payloads.get(check_node(node), data_attribute).read_seconds(start_second, stop_second)

    @staticmethod
    def iter_blocks(
        node: BaseNode,
        data_attribute: str = "data",
        block_size: Number = 1,
        block_unit: Unit = "samples",
        start: Number | None = None,
        stop: Number | None = None,
        range_unit: Unit = "samples",
    ) -> Iterator[Any]:
        """The data in consecutive blocks; see :meth:`lotdb.Payload.iter_blocks`."""
        return payloads.get(check_node(node), data_attribute).iter_blocks(
            block_size, block_unit=block_unit, start=start, stop=stop, range_unit=range_unit
        )


# Each method names its keywords, so that type checkers and editors know them. A TypedDict could name them all
# at once. But Unpack[...] allows no others beside them, and the options of backends and formats are open.
class DataWriter:
    """Writes payloads to any node.

    The arguments are those of :meth:`lotdb.DataNode.write_data`, but the node's defaults are not used.
    ``database=`` is the node's own or None; any other is a ``WrongNodeError``.
    """

    @staticmethod
    def write_array(
        node: BaseNode,
        array: Any,
        samplerate_hz: float | None = None,
        data_attribute: str = "data",
        backend: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        database: Any = None,
        *,
        content_type: str | None = None,
        if_exists: IfExists = "replace",
        **options: Any,
    ) -> Payload:
        """Store an array."""
        _check(node, database)
        if isinstance(array, str | bytes | bytearray | memoryview):
            raise InvalidDataError(f"{type(array).__name__} is not an array; use write_text or write_bytes")
        request = Request(data_attribute, backend, samplerate_hz, metadata, content_type, if_exists, options)
        return payloads.write(node, array, request)

    @staticmethod
    def append_array(
        node: BaseNode,
        array: Any,
        data_attribute: str = "data",
        database: Any = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        samplerate_hz: float | None = None,
        backend: str | None = None,
        content_type: str | None = None,
        **options: Any,
    ) -> Payload:
        """Add rows to an array, or create the array."""
        _check(node, database)
        request = Request(data_attribute, backend, samplerate_hz, metadata, content_type, "append", options)
        return payloads.write(node, array, request)

    @staticmethod
    def write_table(
        node: BaseNode,
        table: Any,
        *,
        data_attribute: str = "data",
        backend: str | None = None,
        samplerate_hz: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        database: Any = None,
        if_exists: IfExists = "replace",
        **options: Any,
    ) -> Payload:
        """Store a table: named columns, each of one type, in which cells may be missing.

        Parameters
        ----------
        table
            A structured array with one axis, in which masked cells are missing; or a mapping of column names
            to sequences, in which None is a missing cell; or a pandas DataFrame.
        node, data_attribute, backend, samplerate_hz, metadata, content_type, database, if_exists, **options
            As for :meth:`write_array`. An appended table must have the same columns; its texts may be shorter
            than the existing ones.

        Raises
        ------
        InvalidDataError
            If *table* has another type, or a column has a type that no table can hold.
        """
        _check(node, database)
        rows = as_table(table, said=set(metadata) if isinstance(metadata, Mapping) else ())
        request = Request(data_attribute, backend, samplerate_hz, metadata, content_type, if_exists, options)
        return payloads.write(node, Blocks([rows], rows.dtype, rows=len(rows), kind="table"), request)

    @staticmethod
    def write_text(
        node: BaseNode,
        text: str,
        *,
        data_attribute: str = "data",
        backend: str | None = None,
        samplerate_hz: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        database: Any = None,
        if_exists: IfExists = "replace",
        **options: Any,
    ) -> Payload:
        """Store a text."""
        _check(node, database)
        if not isinstance(text, str):
            raise InvalidDataError(f"{type(text).__name__} is not a text")
        request = Request(data_attribute, backend, samplerate_hz, metadata, content_type, if_exists, options)
        return payloads.write(node, text, request)

    @staticmethod
    def write_bytes(
        node: BaseNode,
        data: bytes,
        *,
        data_attribute: str = "data",
        backend: str | None = None,
        samplerate_hz: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        database: Any = None,
        if_exists: IfExists = "replace",
        **options: Any,
    ) -> Payload:
        """Store bytes."""
        _check(node, database)
        if not isinstance(data, bytes | bytearray | memoryview):
            raise InvalidDataError(f"{type(data).__name__} is not bytes")
        request = Request(data_attribute, backend, samplerate_hz, metadata, content_type, if_exists, options)
        return payloads.write(node, data, request)

    @staticmethod
    def attach_file(
        node: BaseNode,
        filepath: str | os.PathLike[str],
        data_attribute: str = "data",
        backend: str | None = None,
        samplerate_hz: float | Mapping[str, float | None] | None = None,
        database: Any = None,
        *,
        format: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        if_exists: IfExists | None = None,
        skip_unchanged: bool = False,
        max_bytes: int = MAX_BYTES,
        **options: Any,
    ) -> Payload:
        """Ingest a file; see :meth:`lotdb.DataNode.attach_file`."""
        _check(node, database)
        from lotdb.files.attach import attach_file  # which not every program needs

        return attach_file(
            node,
            filepath,
            Request(
                data_attribute,
                backend,
                metadata=metadata,
                if_exists="replace" if if_exists is None else if_exists,
                options=options,
            ),
            samplerate_hz=samplerate_hz,
            format=format,
            skip_unchanged=skip_unchanged,
            keeps_rows=if_exists is None,
            max_bytes=max_bytes,
        )

    @staticmethod
    def ingest_file(
        node: BaseNode, filepath: str | os.PathLike[str], data_attribute: str = "data", **how: Any
    ) -> Payload:
        """The old name of :meth:`attach_file`."""
        return DataWriter.attach_file(node, filepath, data_attribute, **how)

    @staticmethod
    def compact_data(
        node: BaseNode,
        data_attribute: str = "data",
        *,
        database: Any = None,
        backend: str | None = None,
        **options: Any,
    ) -> Payload:
        """Rewrite a payload as one segment; see :meth:`lotdb.DataNode.compact_data`."""
        _check(node, database)
        return payloads.compact(node, data_attribute, backend=backend, options=options)

    @staticmethod
    def has_data(node: BaseNode, data_attribute: str = "data", *, database: Any = None) -> bool:
        """Whether a payload of that name exists."""
        _check(node, database)
        return payloads.has(node, data_attribute)

    @staticmethod
    def delete_data(node: BaseNode, data_attribute: str = "data", *, database: Any = None) -> None:
        """Delete a payload; ``PayloadNotFoundError`` if it does not exist."""
        _check(node, database)
        payloads.delete(node, data_attribute)


def _check(node: object, database: Any) -> None:
    payloads.check_database(check_node(node), database)


answer(DataWriter)
