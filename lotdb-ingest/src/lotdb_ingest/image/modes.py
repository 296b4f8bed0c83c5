"""How Pillow opens our formats, and what arrays its modes are."""

from __future__ import annotations

from typing import IO, Any

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from lotdb import IngestError
from lotdb_ingest.image.tiff import BITS, COMPRESSION, HEIGHT, SAMPLES, WIDTH

__all__ = ["CHANNELS", "EXIF_DIRECTORIES", "OPENERS", "check_exact", "dtype_of", "last_axis", "opened"]

#: Channels and dtype of an image, by Pillow's mode.
CHANNELS: dict[str, tuple[int, str]] = {
    "1": (1, "bool"),
    "L": (1, "uint8"),
    "P": (1, "uint8"),
    "I;16": (1, "uint16"),
    "I;16L": (1, "uint16"),
    "I;16B": (1, "uint16"),
    "I": (1, "int32"),
    "F": (1, "float32"),
    "LA": (2, "uint8"),
    "La": (2, "uint8"),
    "PA": (2, "uint8"),
    "RGB": (3, "uint8"),
    "YCbCr": (3, "uint8"),
    "LAB": (3, "uint8"),
    "HSV": (3, "uint8"),
    "RGBA": (4, "uint8"),
    "RGBa": (4, "uint8"),
    "RGBX": (4, "uint8"),
    "CMYK": (4, "uint8"),
}
SAMPLE_FORMAT, ICC_PROFILE = 339, 34675
UNSIGNED, SIGNED = 1, 2
#: Where a TIFF has EXIF's own tags, and those of the place.
EXIF_DIRECTORIES = (34665, 34853)
#: Where a mode of Pillow's is not what a TIFF holds, by sample format and bits.
TIFF_DTYPES = {(SIGNED, 8): "int8", (SIGNED, 16): "int16", (UNSIGNED, 32): "uint32"}


#: White is zero in a file that says so, and the numbers stay what they are.
AS_STORED = {"1;I": "1", "1;IR": "1;R", "L;I": "L", "L;IR": "L;R"}
#: libtiff gives numbers in the order of the machine, whatever that of the file is, which Pillow forgets.
OF_LIBTIFF = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}


class _Tiff(TiffImagePlugin.TiffImageFile):
    """Pages as they are stored: Pillow would turn them as their orientation says.

    ``trouble`` is why Pillow cannot read the pixels of the page, or empty.
    """

    trouble = ""

    def load_prepare(self) -> None:
        """Without a look at Pillow's limit, which is that of the whole process; ours was looked at before."""
        for tag in EXIF_DIRECTORIES:
            if tag in self.tag_v2:
                self.getexif().get_ifd(tag)  # later there is no file any more to read it from
        ImageFile.ImageFile.load_prepare(self)

    def load_end(self) -> None:
        """Nothing: the pixels stay where they are."""

    def _setup(self) -> None:
        # Pillow keeps what the page before has said.
        for name in ("dpi", "icc_profile"):
            self.info.pop(name, None)
        self.trouble = ""
        try:
            super()._setup()  # type: ignore[no-untyped-call, unused-ignore]
        except Exception as error:
            # The page is another reader's, or comes before one that Pillow reads; its tags are read here.
            self.trouble = str(error) or type(error).__name__
            self._mode, self._size, self.tile = "L", (1, 1), []
            number = self.tag_v2.get(COMPRESSION, 1)
            self.info["compression"] = TiffImagePlugin.COMPRESSION_INFO.get(number, str(number))
            if ICC_PROFILE in self.tag_v2:
                self.info["icc_profile"] = self.tag_v2[ICC_PROFILE]
            return
        self._size = self.tag_v2[WIDTH], self.tag_v2[HEIGHT]
        rawmode = self.tile[0][3][0]  # type: ignore[index]
        names = AS_STORED | (OF_LIBTIFF if self.tile[0].codec_name == "libtiff" else {})
        if rawmode in names:
            self.tile = [
                each._replace(args=(names[rawmode], *each.args[1:]))  # type: ignore[index]
                for each in self.tile
            ]
        if self.tag_v2.get(SAMPLES) == 4 and rawmode in ("RGBa", "RGBX"):
            # Pillow would divide the colours by their alpha and round them, or leave out the fourth channel.
            self._mode = rawmode


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """A JPEG whose EXIF is not looked into: Pillow warns of what is wrong there, and guesses a resolution."""

    def _read_dpi_from_exif(self) -> None:
        pass


#: Image.open would warn of large images by a limit of the whole process, which is the user's.
OPENERS: dict[str, Any] = {
    "bmp": BmpImagePlugin.BmpImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "jpeg": _Jpeg,
    "png": PngImagePlugin.PngImageFile,
    "tiff": _Tiff,
    "webp": WebPImagePlugin.WebPImageFile,
}


def opened(format: str, file: IO[bytes]) -> Image.Image:
    """The image in *file*, from its start on; the file stays open when the image is closed."""
    file.seek(0)
    image: Image.Image = OPENERS[format](_Unclosed(file))
    return image


class _Unclosed:
    """A file that stays open when an image that reads from it is closed."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        """Nothing: others go on reading."""


def dtype_of(image: Image.Image) -> np.dtype[Any]:
    """The dtype of the samples in the file."""
    if image.mode not in CHANNELS:
        raise IngestError(f"it is of mode {image.mode!r}, which is not known here")
    if isinstance(image, _Tiff) and image.mode in ("L", "I"):
        kind = image.tag_v2.get(SAMPLE_FORMAT, (UNSIGNED,))[0]
        bits = image.tag_v2.get(BITS, (1,))[0]
        return np.dtype(TIFF_DTYPES.get((kind, bits), CHANNELS[image.mode][1]))
    return np.dtype(CHANNELS[image.mode][1])


def last_axis(mode: str) -> tuple[int, ...]:
    """The channels, as the last axis of an array, which an image of one channel does without."""
    channels = CHANNELS[mode][0]
    return (channels,) if channels > 1 else ()


def check_exact(image: Image.Image, head: bytes) -> None:
    """Raise ``IngestError`` if Pillow would give less than the file holds, which begins with *head*."""
    bits: tuple[int, ...] = ()
    channels = samples = CHANNELS.get(image.mode, (1, ""))[0]
    if isinstance(image, PngImagePlugin.PngImageFile) and head[24] == 16:
        if channels == 1 and image.is_animated:
            raise IngestError("its frames have 16 bits a pixel, which would be reduced to 8")
        # Pillow calls them RGB and the like, by the colour type in the header.
        bits = (16,) if channels > 1 else ()
    elif isinstance(image, _Tiff):
        samples = image.tag_v2.get(SAMPLES, channels)
        bits = image.tag_v2.get(BITS, (1,)) if samples > 1 else ()
    if bits and max(bits) > 8:
        raise IngestError(
            f"it has channels of {max(bits)} bits, which would be reduced to 8; "
            "read it with another library, and store the array with write_data"
        )
    if samples != channels:
        raise IngestError(
            f"it has {samples} channels, of which Pillow reads {channels}; "
            "read it with another library, and store the array with write_data"
        )
