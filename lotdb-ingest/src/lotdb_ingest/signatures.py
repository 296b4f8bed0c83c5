"""The first bytes of formats, for the message when a file is not what its name says."""

from __future__ import annotations

__all__ = ["DAMAGED", "content_is", "content_or_raw"]

#: The end of a message about a file that can only be fetched again.
DAMAGED = "it is cut or damaged: get it again, or keep its bytes with format='raw'"

#: Files that our plugins read, so that format='auto' ingests them.
READ = {
    b"\x93NUMPY": "a .npy file",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"fLaC": "a FLAC file",
    b"OggS": "an Ogg file",
    b"RF64": "an RF64 file",
    b"caff": "a CAF file",
    b".snd": "an AU file",
    b"ID3": "an mp3 file",
}
RIFF = {b"WAVE": "a WAV file", b"WEBP": "a WebP image"}
HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
OTHERS = {
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"Obj\x01": "an Avro file",
    b"CDF\x01": "a netCDF file",
    b"CDF\x02": "a netCDF file",
    b"CDF\x05": "a netCDF file",
    b"MATLAB 5.0 MAT-file": "a MATLAB file",
    b"SIMPLE  =": "a FITS file",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Office document, such as an .xls workbook",
    b"0       ": "an EDF recording",
    b"\xffBIOSEMI": "a BDF recording",
    b"XDF:": "an XDF recording",
    b"TDSm": "a TDMS recording",
    b"MDF     ": "an MDF recording",
    b"PK\x03\x04": "a zip archive",
    b"PK\x05\x06": "an empty zip archive",
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\0": "an xz file",
    b"(\xb5/\xfd": "a Zstandard file",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3\0": "an SQLite database",
    b"\x80\x04": "a pickle",
    b"\x7fELF": "an ELF program",
    b"wvpk": "a WavPack file, which ffmpeg converts to wav or flac",
    b"MAC ": "a Monkey's Audio file, which ffmpeg converts to wav or flac",
    b"MPCK": "a Musepack file, which ffmpeg converts to wav",
    b"MP+": "a Musepack file, which ffmpeg converts to wav",
    b"TTA1": "a True Audio file, which ffmpeg converts to wav or flac",
    b"DSD ": "a DSF file of one-bit sound, which ffmpeg converts to wav",
    b"FRM8": "a DSDIFF file of one-bit sound, which ffmpeg converts to wav",
    b"MThd": "a MIDI file, which holds notes and no sound",
    b"#!AMR": "an AMR file, which ffmpeg converts to wav",
    b"\x30\x26\xb2\x75": "a WMA or other ASF file, which ffmpeg converts to wav",
    b"\x1aE\xdf\xa3": "a Matroska or WebM file, which ffmpeg converts to wav or flac",
    b"\xff\xf1": "AAC in ADTS frames, which ffmpeg converts to wav",
    b"\xff\xf9": "AAC in ADTS frames, which ffmpeg converts to wav",
}


def content_is(head: bytes) -> str:
    r"""The kind of content that *head* begins, as the end of a sentence; an empty text if it is not known.

    >>> content_is(b"\x89PNG\r\n\x1a\n")
    "; its content is a PNG image, and format='auto' reads it as one"
    >>> content_is(b"once upon a time")
    ''
    """
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "; its content is an AIFF file, and format='auto' reads it as one"
    what = _named(head, READ) or (RIFF.get(head[8:12]) if head[:4] == b"RIFF" else None)
    if is_npz(head):
        what = "an .npz file"
    if what:
        return f"; its content is {what}, and format='auto' reads it as one"
    other = _named(head, OTHERS)
    if other and b"[Content_Types].xml" in head[:64]:
        other = "an Office document, such as an .xlsx workbook"
    if head[4:8] == b"ftyp" and head[8:12] in HEIF:
        other = "a HEIF or AVIF image"
    elif head[4:8] == b"ftyp":
        other = "an MP4, M4A or QuickTime file, which ffmpeg converts to wav or flac"
    return f"; its content is {other}" if other else ""


def content_or_raw(head: bytes) -> str:
    """The kind of content, as the end of a sentence; if it is not known, what to do with the file."""
    what = content_is(head)
    return what if "format=" in what or not head else f"{what}; format='raw' keeps its bytes"


def is_npz(head: bytes) -> bool:
    """Whether *head* begins a zip archive whose first member is called ``*.npy``."""
    # A local file header: 30 bytes, of which the last four are the lengths of the name and of the extra
    # field, which follow (APPNOTE.TXT, 4.3.7).
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    return head[:4] == b"PK\x03\x04" and name.endswith(b".npy")


def _named(head: bytes, signatures: dict[bytes, str]) -> str | None:
    return next((what for signature, what in signatures.items() if head.startswith(signature)), None)
