"""What is used of zarr beyond its public names. Each is looked for here; without it the public way is taken.

Nothing here depends on a release number: releases are patched, and the next one is not known yet.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import zarr

__all__ = ["NDBuffer", "own_pipeline", "run", "set_pipeline"]


def _find(module: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        return None


#: An array to read into, as zarr's ``out=`` takes it. Without it, zarr makes an array, which is copied.
NDBuffer: Any = _find("zarr.buffer.cpu", "NDBuffer") or _find("zarr.core.buffer.cpu", "NDBuffer")

#: Runs a coroutine in the loop that zarr's stores live in. Without it, members are deleted through a group.
run: Callable[[Coroutine[Any, Any, Any]], Any] | None = _find("zarr.core.sync", "sync")


def own_pipeline() -> AbstractContextManager[object]:
    """A context in which arrays that are opened get zarr's own pipeline, whatever the process has set.

    Other pipelines leave out chunks of nothing but the fill value, whatever an array's configuration says,
    and do not look at the checksums of chunks when they read a part of a shard.
    """
    defaults: Any = next((each for each in zarr.config.defaults if "codec_pipeline" in each), {})
    path = defaults.get("codec_pipeline", {}).get("path")
    return nullcontext() if path is None else zarr.config.set({"codec_pipeline.path": path})


def set_pipeline(array: Any, pipeline: Any) -> bool:
    """Let *array*, which was opened for this alone, read through *pipeline*; False if that cannot be done."""
    inner: Any = getattr(array, "_async_array", None)
    if not hasattr(inner, "codec_pipeline"):
        return False
    try:
        # The array is a frozen dataclass; zarr itself sets this attribute in the same way.
        object.__setattr__(inner, "codec_pipeline", pipeline)
    except AttributeError:
        return False
    return bool(inner.codec_pipeline is pipeline)
