"""Reading the pages of a TIFF, each with the reader that is exact; equal pages become one array."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from lotdb import Blocks, Ingested, IngestError, SourceFile
from lotdb_ingest.image.about import about, of_pages
from lotdb_ingest.image.modes import check_exact, dtype_of, last_axis, opened
from lotdb_ingest.image.parts import decoding, ingested, pixels_of
from lotdb_ingest.image.plan import Plan, plan, shown, subsampling
from lotdb_ingest.image.tags import OF_YCBCR, other_tags
from lotdb_ingest.image.tiff import Page
from lotdb_ingest.image.tifffile import INSTALL, Reader, tifffile

__all__ = ["read_tiff"]

#: Notes of Pillow about pixels that another reader reads.
OF_PILLOW = ("mode", "palette", "palette_mode", "white_is_zero")
#: Where several pixels share a colour, there are no three numbers of each.
SUBSAMPLED = "YCbCr numbers, whose colours are subsampled: the pixels are RGB, as libtiff computes them"


@dataclass(frozen=True)
class _Part:
    """A page: the shape of a plane of it, how many there are (None: it is one image), how to get them."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    planes: int | None
    said: dict[str, Any]
    frames: Callable[[], Iterator[np.ndarray[Any, Any]]]

    @property
    def likeness(self) -> Any:
        palette = np.asarray(self.said.get("palette", ())).tobytes()
        mode = self.said.get("mode", self.said.get("photometric"))
        return self.shape, self.dtype, self.planes, mode, self.said.get("white_is_zero"), palette

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize * (self.planes or 1)


def read_tiff(source: SourceFile, pages: Sequence[Page]) -> dict[str, Ingested]:
    """The pixels of *pages*, and what the file says beside them."""
    reader = _Pages(source, pages)
    parts, size = [], 0
    for number in range(len(pages)):
        parts.append(reader.part(number))
        size += parts[-1].nbytes
        source.check_bytes(size)
    first = parts[0]
    if len(parts) == 1:
        if first.planes is not None:
            return ingested("tiff", _stack(parts), {**first.said, "frames": first.planes})
        return ingested("tiff", next(first.frames())[0], first.said)
    if len({part.likeness for part in parts}) == 1 and first.planes is None:
        said = of_pages([part.said for part in parts])
        return ingested("tiff", _stack(parts), {**said, "frames": len(parts)})
    return {
        f"page_{number}.{name}".rstrip("."): each
        for number, part in enumerate(parts, 1)
        for name, each in _alone(part).items()
    }


def _alone(part: _Part) -> dict[str, Ingested]:
    if part.planes is not None:
        return ingested("tiff", _stack([part]), {**part.said, "frames": part.planes})
    rows = (frame[0] for frame in _frames([part]))
    return ingested("tiff", Blocks(rows, part.dtype, part.shape[1:], rows=part.shape[0]), part.said)


def _stack(parts: Sequence[_Part]) -> Blocks:
    first = parts[0]
    return Blocks(_frames(parts), first.dtype, first.shape, rows=sum(part.planes or 1 for part in parts))


def _frames(parts: Sequence[_Part]) -> Iterator[np.ndarray[Any, Any]]:
    with decoding():
        for part in parts:
            yield from part.frames()


class _Pages:
    """The pages of *source*, which are opened with what reads them when that is first asked for."""

    def __init__(self, source: SourceFile, pages: Sequence[Page]) -> None:
        self._source, self._pages = source, pages
        self._plans = plan(pages, source.file, source.size)
        # One to be asked what it says, another one to be read from later.
        self._image: Any
        self._image, self._again = opened("tiff", source.file), opened("tiff", source.file)

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self._source.file)

    def part(self, number: int) -> _Part:
        page, plan = self._pages[number], self._plans[number]
        self._image.seek(number)
        said = about(self._image, self._source.head)
        shared = subsampling(page, self._source.file)
        kept, left = other_tags(page, self._source.file, OF_YCBCR if shared == (1, 1) else ())
        more: dict[str, Any] = {"tags": kept} if kept else {}
        more |= {"not_kept": left} if left else {}
        by_tifffile = plan.reader == "tifffile" or (plan.reader == "pillow" and self._image.trouble)
        if plan.reader == "pillow" and not by_tifffile:
            if shared not in (None, (1, 1)):
                more["not_kept"] = sorted({*left, SUBSAMPLED})
            return self._of_pillow(number, {**said, **more})
        more |= {name: value for name, value in said.items() if name not in OF_PILLOW}
        if tifffile is None and by_tifffile:
            raise IngestError(
                f"page {number + 1} is {shown(page.tags)}, which Pillow does not give exactly as it is; "
                f"install what does: {INSTALL}"
            )
        if plan.reader == "planes":
            return self._of_planes(plan, {**more, **_white(page)})
        shape, dtype, colours = self._reader.about(number, page)
        more |= colours
        planes = more.pop("frames", None)
        read = partial(self._with_tifffile, number, page, shape, planes)
        return _Part(shape[planes is not None :], dtype, planes, more, read)

    def _of_pillow(self, number: int, said: dict[str, Any]) -> _Part:
        image = self._image
        check_exact(image, self._source.head)
        shape = (image.height, image.width, *last_axis(image.mode))
        return _Part(shape, dtype_of(image), None, said, partial(self._with_pillow, number))

    def _of_planes(self, plan: Plan, said: dict[str, Any]) -> _Part:
        assert plan.dtype is not None
        read = partial(plan.planes, self._source.file)
        return _Part(plan.shape[1:], plan.dtype.newbyteorder("="), plan.shape[0], said, read)

    def _with_pillow(self, number: int) -> Iterator[np.ndarray[Any, Any]]:
        with decoding(shown(self._pages[number].tags)):
            self._again.seek(number)
            pixels = pixels_of(self._again)
        yield pixels[np.newaxis]

    def _with_tifffile(
        self, number: int, page: Page, shape: tuple[int, ...], planes: int | None
    ) -> Iterator[np.ndarray[Any, Any]]:
        pixels = self._reader.read(number, page, shape)
        yield pixels if planes is not None else pixels[np.newaxis]


def _white(page: Page) -> dict[str, Any]:
    return {"white_is_zero": True} if page.tags.get(262, (1,))[0] == 0 else {}
