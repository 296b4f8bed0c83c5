"""An HDF5 file of any program: groups become nodes, and datasets payloads."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from lotdb import Blocks, Ingested, IngestedNode, IngestError, SourceFile
from lotdb_ingest.hdf5.library import check_inside, h5py, opened

__all__ = ["read"]

BLOCK_BYTES = 4 << 20


def read(source: SourceFile) -> IngestedNode:
    """The tree of *source*; rows are read later."""
    return _Reader(opened(source)).group("/", 0)


class _Reader:
    """One file: each object is taken in once, where its first link is."""

    def __init__(self, file: Any) -> None:
        self._file, self._seen = file, set[Any]()
        self._h5py = h5py()

    def group(self, name: str, level: int) -> IngestedNode:
        if level > 500:
            raise IngestError(f"group {name} is more than 500 levels deep")
        group = self._file[name]
        self._seen.add(self._h5py.h5o.get_info(group.id).addr)
        payloads: dict[str, Ingested] = {}
        children: dict[str, Any] = {}
        for key in group:
            link, path = group.get(key, getlink=True), f"{name.rstrip('/')}/{key}"
            if isinstance(link, self._h5py.ExternalLink):
                raise IngestError(
                    f"{path} is a link to another file, {link.filename!r}, which is not followed"
                )
            try:
                found = group[key]
            except KeyError as error:
                raise IngestError(f"{path} is a link that leads nowhere") from error
            address = self._h5py.h5o.get_info(found.id).addr
            if address in self._seen:
                continue
            if isinstance(found, self._h5py.Group):
                children[key] = self.group(path, level + 1)
            elif isinstance(found, self._h5py.Dataset):
                self._seen.add(address)
                payloads[key] = self.dataset(found, path)
        return IngestedNode(payloads, self.attributes(group, name), children=children)

    def attributes(self, of: Any, path: str) -> dict[str, Any]:
        """The attributes of an object, each under a name of its own; ``not_kept`` says what is lost."""
        named: dict[str, Any] = {}
        lost: list[str] = []
        # Names that begin with "_" are the core's own; those that do not keep theirs.
        for name in sorted(of.attrs, key=lambda name: name.startswith("_")):
            try:
                value = self.attribute(of, name)
            except (IngestError, TypeError) as error:
                lost.append(f"attribute {name!r} of {path}: {error}")
                continue
            named[_free(named, name.lstrip("_") or "attribute")] = value
        if lost:
            named[_free(named, "not_kept")] = lost
        return named

    def attribute(self, of: Any, name: str) -> Any:
        """The value of an attribute; ``IngestError`` or ``TypeError`` for one that cannot be kept."""
        kind = of.attrs.get_id(name).dtype
        if any(self._h5py.check_ref_dtype(each) or self.is_of_references(each) for each in _simple(kind)):
            raise IngestError("it holds references, which mean nothing outside of the file")
        return _value(of.attrs[name], self._h5py)

    def is_of_references(self, dtype: np.dtype[Any]) -> bool:
        """Whether elements of *dtype* are lists of references, such as those of dimension scales."""
        inner = self._h5py.check_vlen_dtype(dtype)
        return inner is not None and self._h5py.check_ref_dtype(np.dtype(inner)) is not None

    def names(self, dtype: np.dtype[Any]) -> Any:
        """The names of an enumeration with their numbers, or those of columns; None if there are none."""
        if dtype.names:
            of = {name: self.names(dtype[name]) for name in dtype.names}
            return {name: names for name, names in of.items() if names} or None
        found = self._h5py.check_enum_dtype(dtype)
        return {name: int(number) for name, number in found.items()} if found else None

    def dataset(self, dataset: Any, path: str) -> Ingested:
        metadata = self.attributes(dataset, path)
        rate = metadata.get("samplerate_hz")
        has_rate = isinstance(rate, int | float) and not isinstance(rate, bool) and 0 < rate < math.inf
        data = self.data(dataset, path)
        if not dataset.shape or isinstance(data, str | bytes):
            has_rate = False
        if has_rate:
            del metadata["samplerate_hz"]
        if names := self.names(dataset.dtype):
            metadata[_free(metadata, "enum")] = names
        return Ingested(data, "h5", float(rate) if has_rate and rate else None, metadata=metadata)

    def data(self, dataset: Any, path: str) -> Any:
        check_inside(dataset)
        dtype = dataset.dtype
        if self._h5py.check_ref_dtype(dtype):
            raise IngestError(f"dataset {path} holds references, which mean nothing outside of the file")
        if dataset.shape is None:
            return np.zeros(0, dtype if dtype.kind != "O" else "S1")
        if self._h5py.check_string_dtype(dtype) and dtype.kind == "O":
            return self.texts(dataset, path)
        if dtype.kind == "O":
            raise IngestError(f"dataset {path} holds rows of different lengths, which no array holds")
        if dtype.names and dataset.ndim == 1 and _is_flat(dtype) and self.has_texts(dtype):
            return self.table_with_texts(dataset, path)
        dtype = _without_notes(dtype, path)
        if not dataset.shape:
            return np.asarray(dataset[()], dtype)
        row_shape, rows = dataset.shape[1:], dataset.shape[0]
        kind = "table" if dtype.names and not row_shape and _is_flat(dtype) else "array"
        return Blocks(_blocks(dataset, dtype), dtype, row_shape, rows, kind)  # type: ignore[arg-type]

    def texts(self, dataset: Any, path: str) -> Any:
        """Texts of any length: the text itself, or an array of the longest."""
        if not dataset.shape:
            return _text(dataset[()])
        step, width = max(1, 65536 // max(1, math.prod(dataset.shape[1:]))), 1
        for first in range(0, len(dataset), step):  # a first time, for the length
            block = dataset[first : first + step].ravel()
            width = max(width, max((len(_text(each)) for each in block), default=1))

        def blocks() -> Iterator[np.ndarray[Any, Any]]:
            for first in range(0, len(dataset), step):
                block = dataset[first : first + step]
                flat = [_text(each) for each in block.ravel()]
                yield np.array(flat, f"U{width}").reshape(block.shape)

        return Blocks(blocks(), np.dtype(f"U{width}"), dataset.shape[1:], len(dataset))

    def has_texts(self, dtype: np.dtype[Any]) -> bool:
        """Whether a column is of texts of any length."""
        return any(_is_text(dtype[name], self._h5py) for name in dtype.names or ())

    def table_with_texts(self, dataset: Any, path: str) -> Any:
        """A table whose columns of texts are as wide as the longest text in them."""
        dtype, step = dataset.dtype, 4096
        texts = [name for name in dtype.names if _is_text(dtype[name], self._h5py)]
        widths = dict.fromkeys(texts, 1)
        for first in range(0, len(dataset), step):  # a first time, for the lengths
            block = dataset[first : first + step]
            for name in texts:
                widths[name] = max(widths[name], *(len(_text(each)) for each in block[name]))
        columns = np.dtype([
            (name, f"U{widths[name]}" if name in widths else _without_notes(dtype[name], path))
            for name in dtype.names
        ])

        def blocks() -> Iterator[np.ndarray[Any, Any]]:
            for first in range(0, len(dataset), step):
                block = dataset[first : first + step]
                rows = np.empty(len(block), columns)
                for name in dtype.names:
                    rows[name] = [_text(each) for each in block[name]] if name in widths else block[name]
                yield rows

        return Blocks(blocks(), columns, (), len(dataset), "table")


def _is_text(dtype: np.dtype[Any], library: Any) -> bool:
    return bool(dtype.kind == "O" and library.check_string_dtype(dtype))


def _simple(dtype: np.dtype[Any]) -> Iterator[np.dtype[Any]]:
    """*dtype*, or those of its fields."""
    if dtype.names:
        for name in dtype.names:
            yield from _simple(dtype[name])
    else:
        yield dtype.base


def _free(taken: Collection[str], name: str) -> str:
    """*name*, or one like it that is not *taken*."""
    while name in taken:
        name += "~"
    return name


def _blocks(dataset: Any, dtype: np.dtype[Any]) -> Iterator[np.ndarray[Any, Any]]:
    row_bytes = max(1, dtype.itemsize * math.prod(dataset.shape[1:]))
    step = max(1, BLOCK_BYTES // row_bytes)
    for first in range(0, len(dataset), step):
        yield dataset[first : first + step].astype(dtype, copy=False).view(dtype)


def _without_notes(dtype: np.dtype[Any], path: str) -> np.dtype[Any]:
    """*dtype* without what h5py notes in it, such as the names of an enumeration."""
    if dtype.subdtype:
        return np.dtype((_without_notes(dtype.subdtype[0], path), dtype.subdtype[1]))
    if dtype.names:
        return np.dtype([(name, _without_notes(dtype[name], path)) for name in dtype.names])
    if dtype.kind == "O":
        raise IngestError(f"dataset {path} has a column of texts or rows of different lengths, or references")
    return np.dtype(dtype.str)


def _is_flat(dtype: np.dtype[Any]) -> bool:
    return all(dtype[name].subdtype is None and not dtype[name].names for name in dtype.names or ())


def _text(value: Any) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _value(value: Any, library: Any) -> Any:
    """The value of an attribute, as attributes of nodes hold it."""
    if isinstance(value, library.Empty):
        return None
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return [each.tolist() if isinstance(each, np.ndarray) else _text(each) for each in value.ravel()]
    if isinstance(value, np.ndarray):
        return value.astype(_without_notes(value.dtype, "of an attribute"))
    if isinstance(value, np.generic):
        return value.item()
    return value
