"""What picture suits a payload: told by its dtype, shape, rate and content type, without reading data."""

from __future__ import annotations

from typing import Any, Literal

from lotdb.looking.channels import is_number, numeric_columns
from lotdb.looking.looked_at import LookedPayload

__all__ = ["Kind", "kind_of"]

Kind = Literal["bytes", "image", "table", "text", "value", "waveform"]

# An array without a rate whose rows and columns are at least so many is looked at as an image.
_IMAGE_SIDE = 16


def kind_of(payload: LookedPayload) -> Kind:
    """The kind of picture that suits *payload*."""
    if payload.kind == "text":
        return "text"
    if payload.kind == "bytes":
        return "bytes"
    if not payload.shape:
        return "value"
    if payload.dtype.names:
        return "waveform" if payload.samplerate_hz and numeric_columns(payload.dtype) else "table"
    if not is_number(payload.dtype):
        return "table"
    return "image" if _is_image(payload) else "waveform"


def _is_image(payload: LookedPayload) -> bool:
    shape: tuple[Any, ...] = payload.shape
    if len(shape) < 2 or 0 in shape:
        return False
    if payload.content_type.startswith("image/") or len(shape) > 2:
        return True
    return payload.samplerate_hz is None and min(shape) >= _IMAGE_SIDE
