"""Data on any node: DataReader, DataWriter and taking in files. Thin calls on ``payloads.py``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from lotdb import attributes, payloads
from lotdb.errors import DataMismatchError, InvalidDataError, InvalidKeyError
from lotdb.graft import check_node
from lotdb.ingester import ingest_file
from lotdb.keys import check_name
from lotdb.nodes import BaseNode
from lotdb.payload import Payload
from lotdb.payloads import IfExists
from lotdb.ranges import Unit, check_rate

__all__ = ["DataReader", "DataWriter", "attach_file"]


class DataReader:
    """Reads the payloads of any node, data node or not."""

    @staticmethod
    def open(node: BaseNode, data_attribute: str = "data") -> Payload:
        """The payload, to be looked at, sliced and read."""
        return payloads.get(check_node(node), data_attribute)

    @staticmethod
    def read(node: BaseNode, data_attribute: str = "data") -> Any:
        """All of the payload's data."""
        return payloads.get(check_node(node), data_attribute).read()

    @staticmethod
    def read_interval(
        node: BaseNode,
        data_attribute: str = "data",
        start: Any = None,
        stop: Any = None,
        unit: Unit = "samples",
    ) -> Any:
        """The data from *start* to before *stop*; see :meth:`lotdb.Payload.read`."""
        return payloads.get(check_node(node), data_attribute).read(start, stop, unit=unit)

    @staticmethod
    def read_seconds(
        node: BaseNode, data_attribute: str = "data", start_second: Any = None, stop_second: Any = None
    ) -> Any:
        """The data from *start_second* to before *stop_second*; see :meth:`lotdb.Payload.read`."""
        return payloads.get(check_node(node), data_attribute).read_seconds(start_second, stop_second)

    @staticmethod
    def iter_blocks(
        node: BaseNode,
        data_attribute: str = "data",
        block_size: Any = 1,
        block_unit: Unit = "samples",
        start: Any = None,
        stop: Any = None,
        range_unit: Unit = "samples",
    ) -> Iterator[Any]:
        """The data in consecutive blocks; see :meth:`lotdb.Payload.iter_blocks`."""
        return payloads.get(check_node(node), data_attribute).iter_blocks(
            block_size, block_unit=block_unit, start=start, stop=stop, range_unit=range_unit
        )


class DataWriter:
    """Writes payloads to any node, data node or not.

    The arguments mean what they mean in :meth:`lotdb.DataNode.write_data`, but nothing comes from
    defaults of the node.
    """

    @staticmethod
    def write_array(
        node: BaseNode,
        array: Any,
        samplerate_hz: float | None = None,
        *,
        data_attribute: str = "data",
        backend: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        if_exists: IfExists = "replace",
        **options: Any,
    ) -> Payload:
        """Store an array."""
        if isinstance(array, str | bytes | bytearray | memoryview):
            raise InvalidDataError(f"{type(array).__name__} is no array; use write_text or write_bytes")
        return payloads.write(
            check_node(node),
            data_attribute,
            array,
            backend=backend,
            samplerate_hz=samplerate_hz,
            metadata=metadata,
            content_type=content_type,
            if_exists=if_exists,
            options=options,
        )

    @staticmethod
    def append_array(
        node: BaseNode,
        array: Any,
        *,
        data_attribute: str = "data",
        metadata: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Payload:
        """Add rows to an array, or make it."""
        return payloads.append(check_node(node), data_attribute, array, metadata=metadata, options=options)

    @staticmethod
    def write_text(
        node: BaseNode,
        text: str,
        *,
        data_attribute: str = "data",
        backend: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        if_exists: IfExists = "replace",
    ) -> Payload:
        """Store a text."""
        if not isinstance(text, str):
            raise InvalidDataError(f"{type(text).__name__} is no text")
        return payloads.write(
            check_node(node),
            data_attribute,
            text,
            backend=backend,
            metadata=metadata,
            content_type=content_type,
            if_exists=if_exists,
        )

    @staticmethod
    def write_bytes(
        node: BaseNode,
        data: bytes,
        *,
        data_attribute: str = "data",
        backend: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        if_exists: IfExists = "replace",
    ) -> Payload:
        """Store bytes."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise InvalidDataError(f"{type(data).__name__} is no bytes")
        return payloads.write(
            check_node(node),
            data_attribute,
            data,
            backend=backend,
            metadata=metadata,
            content_type=content_type,
            if_exists=if_exists,
        )

    @staticmethod
    def attach_file(
        node: BaseNode,
        filepath: str | os.PathLike[str],
        data_attribute: str = "data",
        *,
        backend: str | None = None,
        samplerate_hz: float | None = None,
        format: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        if_exists: IfExists = "replace",
        **options: Any,
    ) -> Payload:
        """Take in a file; see :meth:`lotdb.DataNode.attach_file`."""
        return attach_file(
            node,
            filepath,
            data_attribute=data_attribute,
            backend=backend,
            samplerate_hz=samplerate_hz,
            format=format,
            metadata=metadata,
            if_exists=if_exists,
            options=options,
        )

    @staticmethod
    def has_data(node: BaseNode, data_attribute: str = "data") -> bool:
        """Whether there is a payload of that name."""
        return payloads.has(check_node(node), data_attribute)

    @staticmethod
    def delete_data(node: BaseNode, data_attribute: str = "data") -> None:
        """Remove a payload; ``PayloadNotFoundError`` if there is none of that name."""
        payloads.delete(check_node(node), data_attribute)


def attach_file(
    node: BaseNode,
    filepath: str | os.PathLike[str],
    *,
    data_attribute: str,
    backend: str | None = None,
    samplerate_hz: Any = None,
    default_rate: float | None = None,
    format: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    if_exists: IfExists = "replace",
    options: Mapping[str, Any],
) -> Payload:
    """Have a file read by its ingester, and store what it gives; the node is as it was if that fails."""
    data_attribute = check_name(data_attribute, "payload")
    rate = check_rate(samplerate_hz)
    check_node(node)._tree.check_writable()
    payloads.check_metadata(node, metadata)
    payloads.find(node, data_attribute)
    ingested = ingest_file(filepath, format=format, options=options, plugins=node._tree.plugins)
    if rate is None:
        rate = _agreed_rate(filepath, ingested.samplerate_hz, default_rate)
    about = {
        **ingested.attributes,
        "_source_filepath": os.fspath(filepath),
        "_source_filename": os.path.basename(filepath),
        "_source_format": ingested.format,
    }
    if data_attribute in about:
        raise InvalidKeyError(f"{data_attribute!r} cannot be the payload: it says where the file came from")
    stored = attributes.encode(node, about)
    payload = payloads.write(
        node,
        data_attribute,
        ingested.data,
        backend=backend,
        samplerate_hz=rate,
        metadata={**ingested.metadata, **(metadata or {})},
        content_type=ingested.content_type if if_exists != "append" else None,
        if_exists=if_exists,
    )
    attributes.put(node, stored)
    return payload


def _agreed_rate(filepath: Any, announced: float | None, default: float | None) -> float | None:
    if announced is not None and default is not None and announced != default:
        raise DataMismatchError(
            f"{os.fspath(filepath)!r} is sampled at {announced:g} Hz, the node's default is {default:g} Hz; "
            "pass samplerate_hz= to decide"
        )
    return default if announced is None else announced
