"""NumPy's ``.npz`` files: zip archives of ``.npy`` files, each of which becomes a payload.

A large array is read in blocks, while the archive is unpacked; one in Fortran order is unpacked into a
temporary file before.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lotdb import Blocks, Ingested, IngestError, InvalidOptionError, Payload, SourceFile, TargetFile
from lotdb.hookspecs import hookimpl
from lotdb_ingest import signatures
from lotdb_ingest.npy.format import BLOCK_BYTES, Header, iter_rows, read_header, read_whole, write

SUFFIX = ".npy"
# The largest possible ratio of unpacked to packed size, by compression method. Numpy uses no other methods,
# and Python unpacks those without a limit.
RATIOS = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}
METHODS = {1: "shrinking", 6: "imploding", 9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "xz"}
# With the name of the payload before it, a longer name might be too long.
MAX_NAME_BYTES = 200


@hookimpl
def lotdb_identify_file(source: SourceFile) -> str | None:
    """``"npz"`` for a zip archive that begins with an ``.npy`` file."""
    return "npz" if signatures.is_npz(source.head) else None


@hookimpl
def lotdb_ingest_file(source: SourceFile) -> Ingested | Mapping[str, Ingested] | None:
    """The arrays of an ``.npz`` file by name, as payloads; with the option ``member``, just that one."""
    if source.format != "npz":
        return None
    source.check_options("member")
    wanted = source.options.get("member")
    if wanted is not None and not isinstance(wanted, str):
        raise InvalidOptionError(f"member is {wanted!r}; use the name of an array, such as 'arr_0'")
    if not source.head.startswith(b"PK"):
        raise IngestError(f"it does not begin as an .npz file does{signatures.content_or_raw(source.head)}")
    try:
        archive = zipfile.ZipFile(source.file)
    except Exception as error:
        raise IngestError(f"its list of members is invalid: {error}; {signatures.DAMAGED}") from error
    if wanted is not None:
        return _ingested(archive, _find(archive, wanted), source)
    return {name: _ingested(archive, info, source) for name, info in _members(archive, source).items()}


@hookimpl
def lotdb_get_ingest_formats() -> list[str]:
    """The formats that :func:`lotdb_ingest_file` reads."""
    return ["npz"]


@hookimpl
def lotdb_get_export_formats() -> list[str]:
    """The formats that :func:`lotdb_export_file` writes."""
    return ["npz"]


@hookimpl
def lotdb_export_file(target: TargetFile, payload: Payload) -> bool | None:
    """Write an array, or a table without missing cells, as the one member of an archive.

    Options are ``compressed`` (False), and ``member``, the array's name: by default the one that it came
    from, or the name of the payload.
    """
    if target.format != "npz" or payload.kind not in ("array", "table"):
        return None
    target.check_options("compressed", "member")
    compressed = target.options.get("compressed", False)
    if not isinstance(compressed, bool):
        raise InvalidOptionError(f"compressed is {compressed!r}; use True or False")
    name = _member_name(target, payload)
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with (
        zipfile.ZipFile(target.file, "w", method) as archive,
        archive.open(name + SUFFIX, "w", force_zip64=True) as file,
    ):
        write(file, payload)
    return True


def _member_name(target: TargetFile, payload: Payload) -> str:
    name = target.options.get("member")
    if name is None:
        noted = payload.metadata.get("member")
        return noted if isinstance(noted, str) and _is_name(noted) else payload.name
    if not isinstance(name, str) or not _is_name(name):
        raise InvalidOptionError(f"member is {name!r}; use the name of an array, such as 'arr_0'")
    return name


def _find(archive: zipfile.ZipFile, wanted: str) -> zipfile.ZipInfo:
    """The one member of that name, whatever else there is."""
    name = wanted.removesuffix(SUFFIX)
    found = [info for info in archive.infolist() if info.filename == name + SUFFIX]
    if len(found) == 1:
        return found[0]
    if found:
        raise IngestError(
            f"it has {len(found)} members {wanted!r}, and only one can be meant; pack the archive again"
        )
    there = [repr(info.filename.removesuffix(SUFFIX)[:100]) for info in archive.infolist()[:20]]
    raise IngestError(f"it has no member {wanted!r} (there: {', '.join(there) or 'none'})")


def _members(archive: zipfile.ZipFile, source: SourceFile) -> dict[str, zipfile.ZipInfo]:
    """The members by name; an error unless all are arrays that can be payloads beside each other."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        with _named(info):
            name = unicodedata.normalize("NFC", info.filename.removesuffix(SUFFIX))
            if not info.filename.endswith(SUFFIX):
                raise IngestError("it is not an .npy file; use member= to ingest a single array beside it")
            if not _is_name(name):
                raise IngestError("its name cannot be that of a payload; use member= to ingest it alone")
            if name in members:
                raise IngestError("there are two of that name; pack the archive again")
            members[name] = info
    if sum(info.compress_size for info in members.values()) > source.size:
        raise IngestError(f"its members are larger than its {source.size} bytes; {signatures.DAMAGED}")
    source.check_bytes(sum(info.file_size for info in members.values()))
    return members


def _is_name(name: str) -> bool:
    kinds = {unicodedata.category(letter) for letter in name}
    return not kinds & {"Cc", "Cs"} and len(name.encode()) <= MAX_NAME_BYTES


def _check(info: zipfile.ZipInfo, size: int) -> None:
    """Raise ``IngestError`` for a member that is not read, or announces more than it can hold."""
    if info.flag_bits & 0x1:
        raise IngestError("it is encrypted; unpack the archive with its password, and ingest the .npy files")
    if info.compress_type not in RATIOS:
        raise IngestError(
            f"it is compressed by method {info.compress_type}; numpy stores (0) or deflates (8) its arrays, "
            f"and this is {METHODS.get(info.compress_type, 'unknown')}. Unpack it, and ingest the .npy files"
        )
    if info.compress_size > size:
        raise IngestError(
            f"it announces {info.compress_size} bytes, the file has {size} in all; {signatures.DAMAGED}"
        )
    if info.file_size > info.compress_size * RATIOS[info.compress_type]:
        raise IngestError(
            f"it announces {info.file_size} bytes, more than {info.compress_size} compressed ones can give; "
            f"{signatures.DAMAGED}"
        )


def _ingested(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: SourceFile) -> Ingested:
    with _named(info):
        _check(info, source.size)
        source.check_bytes(info.file_size)
    with _named(info), archive.open(info) as member:
        header = read_header(member, info.file_size)
        data: Any = _blocks(archive, info, header)
        if not header.shape or header.nbytes == 0:
            data = read_whole(member, header)
            member.read(1)  # at its end its checksum is compared
    about: dict[str, Any] = {"member": info.filename.removesuffix(SUFFIX)}
    comments = {"the comment of the archive": archive.comment, "the comment of the member": info.comment}
    if lost := sorted(what for what, comment in comments.items() if comment):
        about["not_kept"] = lost
    return Ingested(data, format="npz", content_type="application/x-npy", metadata=about)


def _blocks(archive: zipfile.ZipFile, info: zipfile.ZipInfo, header: Header) -> Blocks:
    rows, *row_shape = header.shape or (0,)
    return Blocks(_iter_blocks(archive, info, header), header.dtype, row_shape=tuple(row_shape), rows=rows)


def _iter_blocks(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, header: Header
) -> Iterator[np.ndarray[Any, Any]]:
    with _named(info), archive.open(info) as member, contextlib.ExitStack() as stack:
        member.read(header.start)  # to seek would switch its checksum off
        if header.nbytes <= BLOCK_BYTES:
            yield np.ascontiguousarray(read_whole(member, header))
            return
        file: Any = member
        if header.fortran_order:
            file = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(member, file, BLOCK_BYTES)
            file.seek(0)
        yield from iter_rows(file, header)


@contextlib.contextmanager
def _named(info: zipfile.ZipInfo) -> Iterator[None]:
    """Turns what a member raises into an ``IngestError`` that names it."""
    name = info.filename[:100]
    try:
        yield
    except IngestError as error:
        raise IngestError(f"member {name!r}: {error}") from error
    except Exception as error:
        # Of zipfile, zlib and struct, for what is damaged.
        raise IngestError(
            f"member {name!r}: {type(error).__name__}: {error}; the archive is damaged: get it again, ingest "
            "the other arrays with member=, or keep its bytes with format='raw'"
        ) from error
