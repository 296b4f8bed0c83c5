"""Reading through ``zarrs``, a codec pipeline in Rust, where it is installed: ``lotdb-backend-zarr[fast]``.

zarr chooses its pipeline by a setting of the whole process, which is the user's. Here it is given to
single arrays, and to whole reads of them only. When it writes, it leaves out chunks of nothing but the
fill value, whatever the array's configuration says. When it reads a part of a shard, it does not look at
the checksums of the chunks. A whole read is checked against the segment's own checksum by the core.
"""

from __future__ import annotations

import functools
from typing import Any

import zarr
from zarr.abc.store import Store
from zarr.storage import LocalStore

from lotdb_backend_zarr import compat

__all__ = ["open_with_zarrs"]


@functools.cache
def _zarrs() -> Any:
    try:
        from zarrs import pipeline
    except ImportError:
        return None
    return pipeline


def open_with_zarrs(store: Store, path: str) -> zarr.Array[Any] | None:
    """The array at *path* as zarrs reads it; None if it is not installed, or cannot read that one.

    zarrs reads the files itself and takes an absent one for the fill value; the caller has to look.
    """
    zarrs = _zarrs()
    if zarrs is None or not isinstance(store, LocalStore):
        return None
    try:
        array = zarr.open_array(store, path=path, mode="r", zarr_format=3)
        pipeline = zarrs.ZarrsCodecPipeline(
            metadata=array.metadata,
            store=store,
            impl=zarrs.get_codec_pipeline_impl(array.metadata, store, strict=True),
            python_impl=zarrs.get_codec_pipeline_fallback(array.metadata, strict=False),
        )
    except Exception:  # a codec that zarrs does not know, another version of it, or altered metadata
        return None
    return array if compat.set_pipeline(array, pipeline) else None
