"""Objects in a store at the other end of a network, such as S3; what backends share of it.

A store is named by a URL and opened by obstore. Credentials and endpoint are those of this process's
environment (``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_ENDPOINT_URL``, ``AWS_REGION``, ...), and
stand in no message. The tests have servers for ``s3://`` only.

Source: https://developmentseed.org/obstore/latest/
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np

from lotdb.errors import DamagedError, InvalidOptionError, LotdbError, UnavailableError, WrongThreadError
from lotdb.extras import crc32_of, import_extra
from lotdb.interfaces.at_once import at_once
from lotdb.interfaces.checksums import checksum, combined

__all__ = ["SCHEMES", "ObjectStore"]

T = TypeVar("T")
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

# The schemes of URLs, with what a process has in its environment to use such a store.
_AWS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_AZURE = "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
SCHEMES = {
    "s3": _AWS,
    "s3a": _AWS,
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": _AZURE,
    "azure": _AZURE,
    "abfs": _AZURE,
}

# Objects of up to so many bytes are sent in one request, which needs them in memory; larger ones in parts.
_WHOLE_BYTES = 32 << 20
_PART_BYTES = 16 << 20
_PARTS = 9000  # S3 takes 10 000
_PARTS_AT_ONCE = 4
# Of up to so many bytes, one request brings all, as a stream of pieces of this size.
_STREAM_BYTES = 16 << 20
_PIECE_BYTES = 1 << 20
# More are asked for in ranges, so many at once: a store limits what it sends over one connection.
_RANGE_BYTES = 8 << 20
_RANGES_AT_ONCE = 6

# An answer that does not come is waited for so long, and asked for again for so long.
_CLIENT = {"connect_timeout": "5s", "read_timeout": "30s", "timeout": "10m"}
_RETRY = {"max_retries": 10, "retry_timeout": timedelta(seconds=30)}

_CLOCK = "lotdb.clock"

# What may stand in a text of obstore and is nobody's business.
_SECRETS = re.compile("AWS|AZURE|GOOGLE")
_OF_A_URL = re.compile(r"(?<=//)[^/@\s]+@|\?\S+")

# obstore's threads do not live on in a forked child, where it would wait for them or panic.
_used_by = 0


class ObjectStore:
    """The objects below one URL, each written once as a whole.

    Parameters
    ----------
    url
        Such as ``s3://bucket/prefix``.
    extra
        What brings obstore, as pip is told, such as ``"lotdb-backend-blob[s3]"``.

    Attributes
    ----------
    native
        obstore's own object, for libraries that know it. It holds the credentials: never pickle or print it.
    url : str
        The URL, for messages.

    Raises
    ------
    InvalidOptionError
        If *url* names no store, or holds a password.
    MissingPluginError
        If obstore is not installed.
    """

    def __init__(self, url: str, *, extra: str) -> None:
        global _used_by
        self.url = _checked(url)
        self._keys = SCHEMES[urlsplit(self.url).scheme]
        self._obstore = import_extra("obstore", extra, f"a store at {self.url}")
        open_url = import_extra("obstore.store", extra, f"a store at {self.url}").from_url
        self._pid = _used_by = _used_by or os.getpid()
        self._check()
        settings: dict[str, Any] = {"client_options": dict(_CLIENT), "retry_config": _RETRY}
        if _is_plain_http():
            settings["client_options"]["allow_http"] = True
        self.native = self._ask("open", "", lambda: open_url(self.url, **settings))

    def __repr__(self) -> str:
        return f"ObjectStore({self.url!r})"

    def where(self, key: str) -> str:
        """The URL of the object *key*, for messages."""
        return f"{self.url}/{key}" if key else self.url

    # -- writing -----------------------------------------------------------------------------------

    def put(self, key: str, parts: Iterable[Bytes], size: int) -> None:
        """Store *parts*, together *size* bytes, as one object; nobody sees it before it is whole.

        What *parts* raises is passed on, and nothing is stored.
        """
        raised: list[BaseException] = []

        def copied() -> Iterator[bytes]:
            try:
                for part in parts:
                    # A copy: it is sent while the next one comes, perhaps in the same memory.
                    yield part.tobytes()
            except BaseException as error:
                raised.append(error)
                raise

        def send() -> None:
            if size <= _WHOLE_BYTES:
                self._obstore.put(self.native, key, b"".join(copied()), use_multipart=False)
            else:
                part = max(_PART_BYTES, -(-size // _PARTS))
                self._obstore.put(self.native, key, copied(), chunk_size=part, max_concurrency=_PARTS_AT_ONCE)

        try:
            self._ask("write", key, send)
        except LotdbError:
            if raised:
                raise raised[0] from None
            raise

    def put_new(self, key: str, content: bytes) -> bytes:
        """Store *content* unless there is an object *key*; returns what is stored."""

        def create() -> bytes:
            try:
                self._obstore.put(self.native, key, content, mode="create")
            except self._obstore.exceptions.AlreadyExistsError:
                return b""
            except (NotImplementedError, self._obstore.exceptions.NotSupportedError):
                self._obstore.put(self.native, key, content)
            return content

        return self.get(key) or self._ask("write", key, create) or self.get(key) or b""

    def delete(self, keys: list[str]) -> None:
        """Delete objects, which may be missing."""
        if keys:
            with contextlib.suppress(DamagedError):  # they are missing
                what = keys[0] if len(keys) == 1 else keys
                self._ask("delete", keys[0], partial(self._obstore.delete, self.native, what))

    # -- reading -----------------------------------------------------------------------------------

    def get(self, key: str) -> bytes | None:
        """All of a small object, or None if it is missing."""
        try:
            return self._ask("read", key, lambda: bytes(self._obstore.get(self.native, key).bytes()))
        except DamagedError:
            return None

    def start_of(self, key: str, size: int) -> tuple[Any, int]:
        """The first *size* bytes of an object, or fewer if it is smaller, and the size of the whole."""

        def read() -> tuple[Any, int]:
            result = self._obstore.get(self.native, key, options={"range": (0, size)})
            return result.bytes(), int(result.meta["size"])

        return self._ask("read", key, read)

    def get_range(self, key: str, start: int, size: int) -> Any:
        """*size* bytes of an object from *start* on, as a buffer.

        Raises
        ------
        DamagedError
            If they are not there.
        UnavailableError
            If the store cannot be reached, or does not let this process read.
        """
        obstore, native = self._obstore, self.native
        data = self._ask("read", key, lambda: obstore.get_range(native, key, start=start, length=size))
        if len(data) != size:
            raise DamagedError(f"{self.where(key)} ends too early")
        return data

    def end_of(self, key: str, size: int) -> Any:
        """The last *size* bytes of an object, as a buffer.

        Raises
        ------
        DamagedError, UnavailableError
            As :meth:`get_range`.
        """

        def read() -> Any:
            return self._obstore.get(self.native, key, options={"range": {"suffix": size}}).bytes()

        data = self._ask("read", key, read)
        if len(data) != size:
            raise DamagedError(f"{self.where(key)} ends too early")
        return data

    def read_into(self, key: str, start: int, out: Bytes, *, is_rest: bool = False) -> int:
        """Fill *out* with the bytes of an object from *start* on, as they come.

        If *is_rest*, they are all that the object has from there on: it is then asked for as a whole if that
        is little more. Many bytes are asked for in several requests at once, and a limited number of them
        waits in memory. Returns their CRC-32, which is computed while one waits for more of them.

        Raises
        ------
        DamagedError, UnavailableError
            As :meth:`get_range`.
        """
        if len(out) > _STREAM_BYTES:
            return self._read_ranges(key, start, out)
        if is_rest and start <= _PIECE_BYTES:
            return self._stream(key, {}, out, skip=start)
        return self._stream(key, {"range": (start, start + len(out))}, out)

    def _read_ranges(self, key: str, start: int, out: Bytes) -> int:
        """Fill *out* range by range, several at once; the sum."""
        # Stores keep objects in pieces, and the borders of these are round.
        first = _RANGE_BYTES - start % _RANGE_BYTES
        edges = [0, *range(first, len(out), _RANGE_BYTES), len(out)]
        parts = [out[low:high] for low, high in pairwise(edges)]
        sums = [0] * len(parts)

        def read(number: int) -> None:
            part = parts[number]
            data = self.get_range(key, start + edges[number], len(part))
            part[:] = np.frombuffer(data, np.uint8)
            sums[number] = checksum(part)

        self.at_once(read, range(len(parts)))
        summed = 0
        for each, part in zip(sums, parts, strict=True):
            summed = combined(summed, each, len(part))
        return summed

    @staticmethod
    def at_once(job: Callable[[T], object], several: Sequence[T]) -> None:
        """Call *job*, which asks the store for much, with each of *several*: as many at once as is useful.

        What a job raises is passed on, once all that were under way have ended.
        """
        at_once(job, several, _RANGES_AT_ONCE)

    def _stream(self, key: str, options: dict[str, Any], out: Bytes, skip: int = 0) -> int:
        """Fill *out* with what is answered, but for the first *skip* bytes of it; the sum."""

        def read() -> tuple[int, int]:
            at, running = -skip, 0
            for piece in self._obstore.get(self.native, key, options=options).stream(_PIECE_BYTES):
                low = max(at, 0)
                data = np.frombuffer(piece, np.uint8)[low - at :][: len(out) - low]
                out[low : low + len(data)] = data
                running = crc32_of(out[low : low + len(data)].data, running)
                at += len(piece)
            return at, running

        size, running = self._ask("read", key, read)
        if size != len(out):
            raise DamagedError(f"{self.where(key)} ends too early")
        return running

    def size(self, key: str) -> int | None:
        """Size of an object in bytes, or None if it is missing."""
        try:
            return int(self._ask("read", key, lambda: self._obstore.head(self.native, key))["size"])
        except DamagedError:
            return None

    def list(self, prefix: str = "") -> Iterator[tuple[str, int, float]]:
        """Key, size in bytes and time of the last change of each object below *prefix*, a whole folder.

        The times are told by the store's clock, in seconds since the epoch.
        """
        found = self._ask("list", prefix, lambda: list(self._obstore.list(self.native, prefix or None)))
        for several in found:
            for each in several:
                yield each["path"], int(each["size"]), each["last_modified"].timestamp()

    def folders(self) -> set[str]:
        """The names that end in a slash in the keys right below the URL."""
        obstore, native = self._obstore, self.native
        found = self._ask("list", "", lambda: obstore.list_with_delimiter(native)["common_prefixes"])
        return {each.strip("/").rpartition("/")[2] for each in found}

    def now(self) -> float:
        """The time by the store's clock, in seconds since the epoch; it writes an object to see it."""

        def look() -> float:
            self._obstore.put(self.native, _CLOCK, b"lotdb")
            changed = self._obstore.head(self.native, _CLOCK)["last_modified"]
            return float(changed.timestamp())

        return self._ask("write", _CLOCK, look)

    # -- errors ------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._pid != os.getpid():
            raise WrongThreadError(
                f"obstore was used by process {self._pid} before this one was forked from it, and does not "
                "live on in a child; start processes by 'spawn' or 'forkserver'"
            )

    def _ask(self, what: str, key: str, call: Callable[[], T]) -> T:
        """What *call* returns; its failure as an error of ours, which leads to nothing that it holds."""
        self._check()
        try:
            return call()
        except Exception as error:
            failure = self.error_of(what, key, error)
        raise failure

    def error_of(self, what: str, key: str, error: Exception) -> LotdbError:
        """What to raise, out of its ``except``, for an *error* of obstore: it may hold what is secret.

        *what* was to be done with the object *key*: ``"read"`` it, ``"write"`` it, and so on.
        """
        where = self.where(key)
        if isinstance(error, LotdbError):
            return error
        text = str(error)
        code = found[1] if (found := re.search(r"<Code>(\w+)</Code>", text)) else ""
        status = found[1] if (found := re.search(r"status code: (\d+)", text)) else ""
        is_missing = isinstance(error, FileNotFoundError) or status == "404"
        if is_missing and what != "write" and code != "NoSuchBucket":
            return DamagedError(f"{where} is missing")
        if status == "416":
            return DamagedError(f"{where} ends too early")
        about = f"cannot {what} the object"
        if code == "NoSuchBucket":
            reason = "there is no such bucket"
        elif status in ("401", "403") or isinstance(error, PermissionError):
            answer = code or status or "it says no more"
            reason = (
                f"the store refuses the credentials of this process's environment ({answer}): {self._keys}"
            )
        else:
            said = text.partition("\n")[0].partition("<")[0].strip()
            reason = _without_secrets(said) or type(error).__name__
            if what == "open":
                reason += f"; it is opened with what this process's environment says: {self._keys}"
        return UnavailableError(None, f"{about}: {reason}", where)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        holds_secret = "@" in parts.netloc or bool(parts.query)
    except ValueError:
        parts, holds_secret = None, False
    if holds_secret:
        raise InvalidOptionError(
            "the URL of a store holds a name, a password or settings; leave them out, as in "
            "'s3://bucket/prefix': credentials come from the environment, such as AWS_ACCESS_KEY_ID"
        )
    if parts is None or parts.scheme not in SCHEMES or not parts.netloc:
        raise InvalidOptionError(
            f"store is {url!r}; use the URL of an object store, such as 's3://bucket/prefix' "
            f"(there are {', '.join(f'{each}://' for each in SCHEMES)})"
        )
    return url.rstrip("/")


def _is_plain_http() -> bool:
    # Whoever names an endpoint by http:// has said so; obstore wants to hear it twice.
    return any(
        os.environ.get(name, "").startswith("http://")
        for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    )


def _without_secrets(text: str) -> str:
    for name, value in os.environ.items():
        if _SECRETS.match(name) and len(value) > 5 and re.search("KEY|SECRET|TOKEN", name):
            text = text.replace(value, "...")
    return _OF_A_URL.sub("", text)
