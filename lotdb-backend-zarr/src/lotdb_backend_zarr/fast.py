"""Reading through ``zarrs``, a codec pipeline in Rust, where it is installed: ``lotdb-backend-zarr[fast]``.

zarr chooses its pipeline by a setting of the whole process, which is the user's. Here it is given to
single arrays. It serves reading only: when writing it leaves out chunks that hold nothing but the fill
value, whatever the array's configuration says, and we want every chunk to be there.
"""

from __future__ import annotations

import functools
from typing import Any

import zarr
from zarr.abc.store import Store
from zarr.storage import LocalStore

__all__ = ["accelerate"]


@functools.cache
def _zarrs() -> Any:
    try:
        from zarrs import pipeline
    except ImportError:
        return None
    return pipeline


def accelerate(array: zarr.Array[Any], store: Store) -> bool:
    """Have *array* read through zarrs, if that is installed and can read it; whether it will be.

    zarrs reads the files itself and takes an absent one for the fill value; the caller has to look.
    """
    zarrs = _zarrs()
    if zarrs is None or not isinstance(store, LocalStore):
        return False
    try:
        reader = zarrs.get_codec_pipeline_impl(array.metadata, store, strict=True)
        pipeline = zarrs.ZarrsCodecPipeline(
            metadata=array.metadata,
            store=store,
            impl=reader,
            python_impl=zarrs.get_codec_pipeline_fallback(array.metadata, strict=False),
        )
    except Exception:  # a codec that zarrs does not know, or another version of it
        return False
    # The array is a frozen dataclass; zarr itself sets this attribute in the same way.
    object.__setattr__(array._async_array, "codec_pipeline", pipeline)
    return True
