"""A zarr store of any program, v2 or v3: groups become nodes, and arrays payloads."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import LocalStore

from lotdb import Blocks, Ingested, IngestedNode, IngestError

__all__ = ["read_others"]

BLOCK_BYTES = 4 << 20


def read_others(folder: Path) -> IngestedNode:
    """The tree of the store at *folder*; rows are read later."""
    with warnings.catch_warnings():
        # Of files that are no part of the store, and of types whose names are not settled.
        warnings.simplefilter("ignore")
        found = zarr.open(LocalStore(folder, read_only=True), mode="r")
        if isinstance(found, zarr.Array):
            return IngestedNode({"data": _array(found, "data")})
        return _group(found, "", 0)


def _group(group: Any, path: str, level: int) -> IngestedNode:
    if level > 500:
        raise IngestError(f"group {path} is more than 500 levels deep")
    payloads: dict[str, Ingested] = {}
    children: dict[str, Any] = {}
    for name, member in sorted(group.members()):
        place = f"{path}/{name}" if path else name
        if isinstance(member, zarr.Array):
            payloads[name] = _array(member, place)
        else:
            children[name] = _group(member, place, level + 1)
    return IngestedNode(payloads, _attributes(group.attrs, payloads), children=children)


def _attributes(attrs: Mapping[str, Any], taken: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes under names that a node can have, each under one of its own."""
    named: dict[str, Any] = {}
    # Names that begin with "_" are the core's own; those that do not keep theirs.
    for name, value in sorted(dict(attrs).items(), key=lambda one: one[0].startswith("_")):
        free = name.lstrip("_") or "attribute"
        while free in named or free in taken:
            free += "~"
        named[free] = value
    return named


def _array(array: Any, path: str) -> Ingested:
    for codec in _codecs(array.metadata.to_dict()):
        if "pickle" in codec.lower():
            raise IngestError(f"array {path} holds pickles, which would run code when they are read")
    metadata = dict(array.attrs)
    names = array.metadata.dimension_names if array.metadata.zarr_format == 3 else None
    names = metadata.pop("_ARRAY_DIMENSIONS", names)
    metadata = _attributes(metadata, {})
    if names and all(isinstance(name, str) and name for name in names):
        metadata["dims"] = list(names)
    rate = metadata.get("samplerate_hz")
    has_rate = isinstance(rate, int | float) and not isinstance(rate, bool) and 0 < rate < math.inf
    if not array.shape:
        has_rate = False
    if has_rate:
        del metadata["samplerate_hz"]
    data = _data(array, path)
    return Ingested(data, "zarr", float(rate) if has_rate and rate else None, metadata=metadata)


def _codecs(value: Any) -> Iterator[str]:
    """The names of all codecs in an array's metadata, of filters and compressors, also inner ones."""
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        if key in ("attributes", "fill_value"):
            continue
        if hasattr(each, "to_dict"):
            each = each.to_dict()
        elif hasattr(each, "get_config"):
            each = each.get_config()
        if key in ("name", "id", "codec_id") and isinstance(each, str):
            yield each
        elif isinstance(each, dict | list | tuple):
            yield from _codecs(each)


def _data(array: Any, path: str) -> Any:
    dtype = array.dtype
    if dtype.kind in "OT":
        return _texts(array, path)
    if not array.shape:
        return np.asarray(array[()], dtype)
    kind = "table" if dtype.names and array.ndim == 1 and _is_flat(dtype) else "array"
    return Blocks(_blocks(array), dtype, array.shape[1:], array.shape[0], kind)  # type: ignore[arg-type]


def _blocks(array: Any) -> Iterator[np.ndarray[Any, Any]]:
    row_bytes = max(1, array.dtype.itemsize * math.prod(array.shape[1:]))
    unit = max(1, array.chunks[0])  # no chunk is read twice
    step = max(unit, BLOCK_BYTES // row_bytes // unit * unit)
    for first in range(0, array.shape[0], step):
        yield np.asarray(array[first : first + step])


def _texts(array: Any, path: str) -> Any:
    """Texts of any length: an array of the longest."""
    if not array.shape:
        return _text(np.asarray(array[()]).item(), path)
    step = max(1, array.chunks[0])
    width = 1
    for first in range(0, array.shape[0], step):  # a first time, for the length
        block = np.asarray(array[first : first + step]).ravel().tolist()
        width = max(width, max((len(_text(each, path)) for each in block), default=1))

    def blocks() -> Iterator[np.ndarray[Any, Any]]:
        for first in range(0, array.shape[0], step):
            block = np.asarray(array[first : first + step])
            flat = [_text(each, path) for each in block.ravel().tolist()]
            yield np.array(flat, f"U{width}").reshape(block.shape)

    return Blocks(blocks(), np.dtype(f"U{width}"), array.shape[1:], array.shape[0])


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        what = type(value).__name__
        raise IngestError(f"array {path} holds {what} of different lengths, which no array holds")
    return value


def _is_flat(dtype: np.dtype[Any]) -> bool:
    return all(dtype[name].subdtype is None and not dtype[name].names for name in dtype.names or ())
