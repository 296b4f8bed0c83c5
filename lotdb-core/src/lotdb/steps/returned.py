"""What a step returns: what becomes a payload of the result, and what an attribute."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np

from lotdb.node_api.outcomes import Item
from lotdb.node_api.watching import check_name
from lotdb.public import BaseNode, Blocks, InvalidKeyError, Payload, StepResultError

__all__ = ["Data", "Parts", "parts_of"]

# The names of what a step returns alone.
PAYLOAD, VALUE = "data", "value"
# A longer text in a mapping is a payload.
_LONG = 64 << 10
# Names that begin so are those of the result's own notes.
_NOTES = "_step"

#: What is stored of a result: payloads, attributes, and objects of xarray by their names.
Parts = tuple[dict[str, Item], dict[str, Any], list[tuple[str, Any]]]


class Data:
    """An array, table, text or bytes that a step returns, with what is stored beside it.

    ::

        return Data(power, samplerate_hz=10, unit="V²", metadata={"band": [low, high]})

    Parameters
    ----------
    data
        As for ``DataNode.write_data``.
    samplerate_hz
        Rows a second (Hz).
    unit
        Unit of the values; it is stored as ``"unit"`` of the metadata.
    metadata
        A mapping that is stored with the payload.
    backend
        Name of the backend; by default the database's.
    content_type
        Media type of the data.
    **options
        The backend's own options.
    """

    __slots__ = ("item",)

    def __init__(
        self,
        data: Any,
        *,
        samplerate_hz: float | None = None,
        unit: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        backend: str | None = None,
        content_type: str | None = None,
        **options: Any,
    ) -> None:
        if unit is not None:
            metadata = {**(metadata or {}), "unit": unit}
        self.item = Item(data, samplerate_hz, metadata, backend, content_type, options)

    def __repr__(self) -> str:
        return f"<Data {type(self.item.data).__name__}>"


def parts_of(returned: Any, what: str) -> Parts:
    """What is stored of what a step has *returned*; *what* names the step and the node.

    Raises
    ------
    StepResultError
        If it is of a kind that cannot be stored.
    """
    items: dict[str, Item] = {}
    attributes: dict[str, Any] = {}
    others: list[tuple[str, Any]] = []
    if returned is None:
        raise StepResultError(
            f"{what} returned None; return an array, a table, a text, a number, or a mapping"
        )
    named = returned if isinstance(returned, Mapping) else None
    if named is None:
        name = PAYLOAD if _is_payload(returned) or isinstance(returned, (str, bytes)) else VALUE
        named = {name: Data(returned) if isinstance(returned, (str, bytes)) else returned}
    names: set[str] = set()
    for given, value in named.items():
        if not isinstance(given, str) or given.startswith(_NOTES):
            raise StepResultError(
                f"{what} returned a mapping with {given!r}; names are texts that do not begin with {_NOTES!r}"
            )
        try:
            name = check_name(given)  # which may have another spelling for it
        except InvalidKeyError as error:
            raise StepResultError(f"{what} returned what cannot be stored: {error}") from error
        if name in names:
            raise StepResultError(f"{what} returned a mapping with two spellings of the name {name!r}")
        names.add(name)
        is_dataset = _is_xarray(value) and type(value).__name__ != "DataArray"
        if isinstance(value, (BaseNode, Generator)) or callable(value) or is_dataset:
            raise StepResultError(
                f"{what} returned {value!r}{_under(name, returned)}, of type {type(value).__name__}; return "
                "arrays, tables, texts, numbers, or a mapping of such"
            )
        if isinstance(value, Data):
            items[name] = value.item
        elif _is_xarray(value):
            others.append((name, value))
        elif _is_payload(value):
            items[name] = _item(value)
        else:
            attributes[name] = value
    return items, attributes, others


def _under(name: str, returned: Any) -> str:
    return f" under {name!r}" if isinstance(returned, Mapping) else ""


def _is_payload(value: Any) -> bool:
    if isinstance(value, (str, bytes)):
        return len(value) > _LONG
    if isinstance(value, (np.ndarray, Payload, Blocks, Data, bytearray, memoryview)):
        return True
    if isinstance(value, np.generic):
        return False
    return hasattr(value, "__array__") or _is_table(value)


def _is_table(value: Any) -> bool:
    return hasattr(value, "columns") and hasattr(value, "dtypes")


def _is_xarray(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "xarray"


def _item(value: Any) -> Item:
    if isinstance(value, Payload):
        return Item(value, value.samplerate_hz, value.metadata or None)
    if isinstance(value, (bytearray, memoryview)):
        return Item(bytes(value))
    return Item(value)
