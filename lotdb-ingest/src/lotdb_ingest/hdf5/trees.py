"""A subtree as an HDF5 file: what other programs read, and the index by which all comes back.

Each node is a group, and each payload a dataset in it. The dataset ``__lotdb__`` of the file's root holds the
index, as JSON. What HDF5 can say is there for other programs as well: attributes that are numbers, texts or
arrays of numbers, and the rate of a payload as ``samplerate_hz``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from lotdb import BaseNode, IngestedTree, IngestError, Payload, SourceFile, TargetFile, TreeIndex
from lotdb_ingest.hdf5.dtypes import from_file, in_file, to_file
from lotdb_ingest.hdf5.library import check_inside, h5py, opened

__all__ = ["INDEX", "read_tree", "write_tree"]

INDEX = "__lotdb__"
BLOCK_BYTES = 4 << 20
# No chunk is larger: a single row of more has no checksum.
CHUNK_BYTES = 1 << 32
# An attribute of more does not fit into the header of an object (HDF5 File Format Specification, IV.A.2.m).
ATTRIBUTE_BYTES = 32_000


def write_tree(target: TargetFile, node: BaseNode) -> None:
    """Write *node* with all below it."""
    with h5py().File(target.file, "w", track_order=True, libver=("v110", "latest")) as file:
        taken: dict[tuple[str, ...], Any] = {}

        def place(path: tuple[str, ...], payload: Payload, rows: Iterator[np.ndarray[Any, Any]]) -> str:
            group = taken[path]
            name = _free(group, payload.name)
            _write_rows(group, name, payload, rows)
            return str(group[name].name)

        # Groups first: a payload gives way to a child of the same name.
        start = len(node.path.split("/")) if node.path else 0
        for each in node.iterate_tree():
            path = tuple(each.path.split("/")[start:]) if each.path else ()
            if path:
                above = taken[path[:-1]]
                taken[path] = above.create_group(_free(above, path[-1]), track_order=True)
            else:
                taken[path] = file
            for name, value in each.attrs.items():
                if not isinstance(value, Payload):
                    _tell(taken[path], name, value)
        index = TreeIndex.of(node, place, target.options.get("progress"))
        name = _free(file, INDEX)
        if name != INDEX:
            file.move(INDEX, name)  # a child or payload of that name: the index is found by its own
            index = _moved(index, f"/{INDEX}", f"/{name}")
        text = np.frombuffer(index.to_bytes(), np.uint8)
        _create(file, INDEX, text.shape, text.dtype, BLOCK_BYTES)[:] = text


def _moved(index: TreeIndex, old: str, new: str) -> TreeIndex:
    for node in index.nodes:
        for payload in node["payloads"]:
            where = payload["where"]
            if where == old or where.startswith(f"{old}/"):
                payload["where"] = new + where[len(old) :]
    return index


def _free(group: Any, name: str) -> str:
    """A name for a link in *group*, like *name* as far as HDF5 allows."""
    text = name.encode("utf-8", "backslashreplace").decode()
    text = text.replace("\0", "\\0").replace("/", "\\") or "\\"
    text = "\\" + text if set(text) <= {"."} else text
    while text in group:
        text += "~"
    return text


def _write_rows(group: Any, name: str, payload: Payload, rows: Iterator[np.ndarray[Any, Any]]) -> None:
    done, dataset = 0, None
    shape = payload.shape or (1,)
    for block in rows:
        dtype = in_file(block.dtype)
        data = to_file(block, dtype)
        if dataset is None:
            whole = (shape[0], *data.shape[1:])
            dataset = _create(group, name, whole, data.dtype, len(data))
        if data.size:
            dataset[done : done + len(data)] = data
        done += len(data)
    if dataset is None:
        dataset = group.create_dataset(name, (0, *shape[1:]), in_file(payload.dtype) or np.uint8)
    _tell(dataset, "samplerate_hz", payload.samplerate_hz)
    _tell(dataset, "content_type", payload.content_type)
    _tell(dataset, "kind", payload.kind)
    for key, value in payload.metadata.items():
        if key not in dataset.attrs:
            _tell(dataset, key, value)


def _create(group: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], rows: int) -> Any:
    """A dataset with a checksum of each *rows* rows.

    Source: Fletcher-32, as in HDF5 File Format Specification, section IV.A.2.l.
    """
    chunk = (min(shape[0], max(1, rows)), *shape[1:])
    checked = 0 not in shape and math.prod(chunk) * dtype.itemsize < CHUNK_BYTES
    return group.create_dataset(name, shape, dtype, chunks=chunk if checked else None, fletcher32=checked)


def _tell(of: Any, name: Any, value: Any) -> None:
    """Write an attribute for other programs, if HDF5 can hold it."""
    if not isinstance(name, str) or not name or not _is_utf_8(name) or len(name) > 1000:
        return
    if isinstance(value, str):
        if not _is_utf_8(value) or len(value) > ATTRIBUTE_BYTES // 4:
            return
        value = str.__str__(value)  # h5py takes no texts of numpy
    elif isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf" or value.nbytes > ATTRIBUTE_BYTES or value.dtype.itemsize > 8:
            return
    elif type(value) is int:
        if not -(1 << 63) <= value < 1 << 63:
            return
    elif type(value) not in (bool, float):
        return
    of.attrs[name] = value


def _is_utf_8(text: str) -> bool:
    return "\0" not in text and text.encode("utf-8", "replace").decode() == text


def read_tree(source: SourceFile) -> IngestedTree | None:
    """What was exported to *source*; None if it holds no index."""
    file = opened(source)
    found = file.get(INDEX)
    if not isinstance(found, h5py().Dataset) or found.dtype != np.uint8 or found.ndim != 1:
        return None
    check_inside(found)
    try:
        text = found[()].tobytes()
    except (OSError, RuntimeError) as error:
        raise IngestError(f"its index, dataset {INDEX}, is damaged: {error}") from error
    if not text.startswith(b'{"format": "lotdb-tree"'):
        return None
    index = TreeIndex.from_bytes(text)

    def rows(where: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Iterator[np.ndarray[Any, Any]]:
        dataset = file.get(where)
        if not isinstance(dataset, h5py().Dataset) or not dataset.shape or len(dataset) != shape[0]:
            raise IngestError(f"dataset {where} is missing, or has not the shape of the index")
        check_inside(dataset)
        row_bytes = max(1, dtype.itemsize * math.prod(shape[1:]))
        step = max(1, BLOCK_BYTES // row_bytes)
        for first in range(0, shape[0], step):
            try:
                data = dataset[first : first + step]
            except (OSError, RuntimeError) as error:
                raise IngestError(f"dataset {where} is damaged: {error}") from error
            yield from_file(data, dtype, (len(data), *shape[1:]))

    return IngestedTree(index, rows)
