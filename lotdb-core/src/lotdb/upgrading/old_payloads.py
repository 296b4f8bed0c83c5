"""Payloads of lotdb 1.x, read in blocks."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lotdb.errors import (
    DamagedError,
    InvalidRangeError,
    LotdbError,
    MissingPluginError,
    UnsupportedValueError,
)
from lotdb.extras import import_extra
from lotdb.interfaces.row_blocks import Blocks
from lotdb.ranges import check_rate
from lotdb.upgrading.old import OldDatabase
from lotdb.upgrading.old_values import path_of, plain
from lotdb.upgrading.pickles import Ref
from lotdb.values.python_text import again_if_disturbed

__all__ = ["CLASSES", "OldPayload", "check_pandas", "check_zarr", "needs_of", "payload_of"]

DATA_OBJECT, BLOB_OBJECT, BLOB = "lotdb.measurements.DataObject", "lotdb.blobs.BlobObject", "ZODB.blob.Blob"
#: The classes of values that become payloads.
CLASSES = frozenset({DATA_OBJECT, BLOB_OBJECT, BLOB})

# What lotdb 1.x noted of a payload for itself; a payload of this version knows it.
_OWN = frozenset({
    "backend", "byte_length", "columns", "dtype", "payload_kind", "samplerate_hz", "shape", "text_encoding",
    "time_axis", "zarr_chunks", "zarr_dataset_path", "zarr_store_path",
})  # fmt: skip
_BLOCK = 4 << 20


@dataclass
class OldPayload:
    """What is written of a payload: its data, how, and what was changed on the way."""

    data: Any
    backend: str
    samplerate_hz: float | None = None
    content_type: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def needs_of(state: Any, old: OldDatabase) -> set[str]:
    """The libraries without which a payload cannot be read: "zarr", "pandas"."""
    needs = set()
    if isinstance(state, dict) and state.get("backend") == "zarr":
        needs.add("zarr")
    if isinstance(state, dict) and state.get("content_type") == "text/csv":
        needs.add("pandas")
    return needs


def check_zarr() -> Any:
    """The module zarr.

    Raises
    ------
    MissingPluginError
        It is not installed.
    """
    import importlib

    try:
        return importlib.import_module("zarr")
    except ModuleNotFoundError as error:
        raise MissingPluginError(
            "the old database has data in zarr; install what reads them with: pip install lotdb-backend-zarr"
        ) from error


def check_pandas() -> Any:
    """The module pandas, with which lotdb 1.x read tables."""
    return import_extra("pandas", "lotdb-core[pandas]", "a table of lotdb 1.x")


def payload_of(old: OldDatabase, ref: Ref, name: str, state: Any) -> OldPayload:
    """The payload in the record *ref*, of the class *name*.

    Raises
    ------
    LotdbError
        It cannot be read; the message says why.
    """
    if name == BLOB:
        return OldPayload(_bytes(old.blob_file(ref)), "blob")
    if not isinstance(state, dict):
        raise DamagedError("it is no whole payload")
    if name == BLOB_OBJECT:
        found = _metadata(old, state)
        media = found.pop("content_type", None)
        path = old.blob_file(state.get("blob"))
        if found.get("format") == "npy":
            for own in ("format", "dtype", "shape"):
                found.pop(own, None)
            return _payload(old, _rows(path, None), "blob", found, media, None)
        return _payload(old, _bytes(path), "blob", found, media, None)
    return _of_data_object(old, state)


def _of_data_object(old: OldDatabase, state: dict[str, Any]) -> OldPayload:
    found = _metadata(old, state)
    kind = found.get("payload_kind", "array")
    kept = {key: value for key, value in found.items() if key not in _OWN}
    backend, media = state.get("backend"), state.get("content_type")
    if kind == "array":
        shape = found.get("shape", ())
        if backend == "zarr":
            data, note = _zarr_rows(old, state, shape)
        elif backend == "blob":
            data, note = _rows(_blob_of(old, state), shape[0] if shape else 0), ""
        else:
            raise UnsupportedValueError(f"its backend is {backend!r}, which lotdb 1.x could not read either")
        payload = _payload(old, data, str(backend), kept, media, state.get("samplerate_hz"))
        payload.notes += [note] if note else []
        return payload
    path = _blob_of(old, state)
    if kind == "bytes":
        return _payload(old, _bytes(path), "blob", kept, media, None)
    encoding = found.get("text_encoding", "utf-8")
    if kind not in ("text", "table"):
        raise UnsupportedValueError(f"it is of the kind {kind!r}, which lotdb 1.x could not read either")
    try:
        text = _read(path).decode(encoding)
    except (LookupError, ValueError, TypeError) as error:
        payload = _payload(old, _bytes(path), "blob", kept, media, None)
        payload.notes.append(f"its text cannot be decoded ({error}): it became bytes")
        return payload
    if kind == "text":
        return _payload(old, text, "blob", kept, media, None)
    return _table(old, text, kept)


def _table(old: OldDatabase, text: str, kept: dict[str, Any]) -> OldPayload:
    import io

    try:
        frame = check_pandas().read_csv(io.StringIO(text))
    except (ValueError, OSError) as error:
        payload = _payload(old, text, "blob", kept, "text/csv", None)
        payload.notes.append(f"its table cannot be read ({error}): it became its text")
        return payload
    return _payload(old, frame, "blob", kept, None, None)


def _payload(
    old: OldDatabase, data: Any, backend: str, kept: dict[str, Any], media: Any, rate: Any
) -> OldPayload:
    payload = OldPayload(data, backend, content_type=media if isinstance(media, str) and media else None)
    for key, value in kept.items():
        try:
            payload.metadata[key] = plain(old, value)
        except LotdbError as error:
            payload.notes.append(f"its metadata {key!r} were not carried: {error}")
    try:
        payload.samplerate_hz = check_rate(rate)
    except InvalidRangeError:
        payload.notes.append(f"its rate {rate!r} was not carried")
    return payload


def _metadata(old: OldDatabase, state: dict[str, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in old.items(state.get("metadata"))}


def _blob_of(old: OldDatabase, state: dict[str, Any]) -> str:
    ref = state.get("blob_object")
    if not isinstance(ref, Ref):
        raise DamagedError("it has no blob")
    inner = old.record(ref)[1]
    return old.blob_file(inner.get("blob") if isinstance(inner, dict) else None)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _bytes(path: str) -> Blocks:
    def blocks() -> Iterator[np.ndarray[Any, Any]]:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                yield np.frombuffer(block, "u1")

    return Blocks(blocks(), np.dtype("u1"), rows=os.path.getsize(path), kind="bytes")


def _step(row_bytes: int, unit: int = 1) -> int:
    """How many rows are read at once: a multiple of *unit*."""
    return max(_BLOCK // max(row_bytes, 1) // unit, 1) * unit


def _rows(path: str, count: int | None) -> Any:
    """The rows of an ``.npy`` file, as lotdb 1.x read them: no more than *count*."""
    try:
        try:
            array: Any = again_if_disturbed(lambda: np.lib.format.open_memmap(path, mode="r"))
        except ValueError:  # nothing can be mapped of an empty array, and objects are refused both ways
            array = again_if_disturbed(lambda: np.load(path, allow_pickle=False))
    except (ValueError, OSError) as error:
        raise DamagedError(
            f"its blob file {os.path.basename(path)} is no array of numbers: {error}"
        ) from error
    shape, dtype = array.shape, array.dtype
    if not shape:
        return np.asarray(array)
    total = shape[0] if count is None else min(shape[0], count)
    return _blocks(array, total, _step(math.prod(shape[1:]) * dtype.itemsize))


def _blocks(array: Any, total: int, step: int) -> Blocks:
    def blocks() -> Iterator[np.ndarray[Any, Any]]:
        for start in range(0, total, step):
            yield np.array(array[start : min(start + step, total)])

    return Blocks(blocks(), array.dtype, tuple(array.shape[1:]), rows=total)


def _zarr_rows(old: OldDatabase, state: dict[str, Any], shape: Any) -> tuple[Blocks, str]:
    zarr = check_zarr()
    places = []
    for each in ("store_path", "dataset_path"):
        ref = state.get(each)
        if not isinstance(ref, Ref):
            raise DamagedError("it does not say where its zarr array is")
        places.append(path_of(old, old.record(ref)[1]))
    store, inner = old.zarr_store(str(places[0])), places[1].as_posix().strip("/")
    if ".." in inner.split("/"):
        raise DamagedError(f"its zarr array {inner} leads out of the store")
    _check_codecs(os.path.join(store, *inner.split("/")))
    try:
        array = zarr.open_array(store=store, path=inner, mode="r")
        dtype = np.dtype(array.dtype)
    except Exception as error:  # of zarr, whose errors have no common class
        raise DamagedError(f"its zarr array {inner} cannot be opened: {error}") from error
    if dtype.hasobject:
        raise UnsupportedValueError("it holds Python objects, which were not run")
    total = min(array.shape[0], shape[0] if shape else 0)
    note = ""
    if tuple(array.shape) != tuple(shape):
        note = (
            f"its zarr array has the shape {tuple(array.shape)}, and its record says {tuple(shape)}:"
            " another node wrote to the same place; what lotdb 1.x read of it was carried"
        )
    step = _step(math.prod(array.shape[1:]) * dtype.itemsize, array.chunks[0])
    return _blocks(_Guarded(array, inner), total, step), note


class _Guarded:
    """A zarr array whose errors say what they are about."""

    def __init__(self, array: Any, inner: str) -> None:
        self._array, self._inner = array, inner
        self.dtype, self.shape = np.dtype(array.dtype), array.shape

    def __getitem__(self, rows: slice) -> Any:
        try:
            return self._array[rows]
        except Exception as error:
            raise DamagedError(f"its zarr array {self._inner} cannot be read: {error}") from error


def _check_codecs(folder: str) -> None:
    """Refuse an array whose data would be unpickled."""
    for name in ("zarr.json", ".zarray"):
        try:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                found = json.load(file)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise DamagedError(f"its zarr array cannot be opened: {error}") from error
        if isinstance(found, dict):
            found.pop("attributes", None)
        if any(each.lower().rpartition(".")[2] == "pickle" for each in _texts(found)):
            raise UnsupportedValueError("its zarr array is made of pickles, which were not run")
        return


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
