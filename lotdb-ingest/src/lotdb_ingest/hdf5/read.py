"""An HDF5 file of any program: groups become nodes, and datasets payloads."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

import numpy as np

from lotdb import Blocks, Ingested, IngestedNode, IngestError, SourceFile
from lotdb_ingest.hdf5.library import check_inside, h5py, opened
from lotdb_ingest.hdf5.rows import STEP, Plan, fill, plain_dtype, ragged, row_of, text_of

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
        lost: list[str] = []
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
                for more, payload in self.dataset(found, path, lost).items():
                    payloads[_free({*payloads, *group} if more else payloads, key + more)] = payload
        return IngestedNode(payloads, self.attributes(group, name, lost), children=children)

    def attributes(self, of: Any, path: str, lost: list[str]) -> dict[str, Any]:
        """The attributes of an object, each under a name of its own; ``not_kept`` is what is *lost*."""
        named: dict[str, Any] = {}
        lost = [*lost]
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
        value, inner = of.attrs[name], self._h5py.check_vlen_dtype(kind)
        if inner is not None and isinstance(value, np.ndarray):
            row_dtype = plain_dtype(np.dtype(inner))
            if value.dtype.kind != "O":
                value = row_of(value, row_dtype, self._h5py)
            elif not row_dtype.hasobject:
                return [row_of(each, row_dtype, self._h5py).tolist() for each in value.ravel()]
        return _value(value, self._h5py)

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

    def dataset(self, dataset: Any, path: str, lost: list[str]) -> dict[str, Ingested]:
        """The payloads of a dataset, by what follows its name in theirs; *lost* is told what is no payload.

        There is one, named as the dataset. Rows of different lengths become their values one behind the
        other, and a second one, ``.lengths``, of how many each row has. A column of such rows is named, too.
        """
        check_inside(dataset)
        plan = Plan(dataset.dtype, self._h5py)
        if dataset.dtype.hasobject and dataset.shape:
            for block in _rows(dataset, STEP):
                plan.widen(block)
        elif dataset.dtype.hasobject and dataset.shape is not None:
            plan.widen(_single(dataset))
        dtype = plan.settle()
        if dtype is None and not plan.ragged:
            lost += [f"dataset {path}: {each}" for each in plan.lost]
            return {}
        metadata = self.attributes(dataset, path, plan.lost)
        rate = metadata.get("samplerate_hz")
        has_rate = isinstance(rate, int | float) and not isinstance(rate, bool) and 0 < rate < math.inf
        data = None if dtype is None else self.data(dataset, dtype)
        if not dataset.shape or data is None or isinstance(data, str | bytes):
            has_rate = False
        if has_rate:
            del metadata["samplerate_hz"]
        if names := self.names(dataset.dtype):
            metadata[_free(metadata, "enum")] = names
        found = {}
        if data is not None:
            found[""] = Ingested(data, "h5", float(rate) if has_rate and rate else None, metadata=metadata)
        for column, of_values in plan.ragged.items():
            name = f".{column}" if column else ""
            blocks = partial(_column, dataset, column)
            values, lengths = ragged(blocks, dataset.shape or (), of_values, self._h5py)
            own = {} if found else metadata
            about = {**own, _free(own, "lengths"): f"{path.rpartition('/')[2]}{name}.lengths"}
            found[name] = Ingested(values, "h5", metadata=about)
            found[f"{name}.lengths"] = Ingested(lengths, "h5")
        return found

    def data(self, dataset: Any, dtype: np.dtype[Any]) -> Any:
        """The rows of *dataset*, or its single value, as of *dtype*."""
        if dataset.shape is None:
            return np.zeros(0, "S1" if dataset.dtype.kind == "O" else dtype)
        has_objects = dataset.dtype.hasobject
        if not dataset.shape:
            if dtype.kind == "U" and has_objects:
                return text_of(dataset[()])
            if has_objects:
                return fill(np.zeros(1, dtype), _single(dataset)).reshape(())
            return np.asarray(dataset[()], dtype)
        row_shape, rows = dataset.shape[1:], dataset.shape[0]
        kind = "table" if dtype.names and not row_shape and _is_flat(dtype) else "array"
        blocks = _filled(dataset, dtype) if has_objects else _blocks(dataset, dtype)
        return Blocks(blocks, dtype, row_shape, rows, kind)  # type: ignore[arg-type]


def _single(dataset: Any) -> np.ndarray[Any, Any]:
    """The value of a dataset without axes, as the only one of an array."""
    single = np.empty(1, dataset.dtype)
    single[0] = dataset[()]
    return single


def _rows(dataset: Any, values: int) -> Iterator[np.ndarray[Any, Any]]:
    """The rows of *dataset*, of which about so many *values* are in memory."""
    step = max(1, values // max(1, math.prod(dataset.shape[1:])))
    for first in range(0, len(dataset), step):
        yield dataset[first : first + step]


def _filled(dataset: Any, dtype: np.dtype[Any]) -> Iterator[np.ndarray[Any, Any]]:
    for block in _rows(dataset, STEP):
        yield fill(np.zeros(block.shape, dtype), block)


def _column(dataset: Any, column: str) -> Iterator[np.ndarray[Any, Any]]:
    """A column of a dataset, or all of it without a name, as objects."""
    for block in _rows(dataset, STEP) if dataset.shape else [_single(dataset)]:
        yield block[column] if column else block


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


def _is_flat(dtype: np.dtype[Any]) -> bool:
    return all(dtype[name].subdtype is None and not dtype[name].names for name in dtype.names or ())


def _value(value: Any, library: Any) -> Any:
    """The value of an attribute, as attributes of nodes hold it."""
    if isinstance(value, library.Empty):
        return None
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return [each.tolist() if isinstance(each, np.ndarray) else text_of(each) for each in value.ravel()]
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise IngestError("it has columns of texts or rows of different lengths, or references")
        return value.astype(plain_dtype(value.dtype))
    if isinstance(value, np.generic):
        return value.item()
    return value
