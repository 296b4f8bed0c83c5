"""Writing the packed data file: what ZODB's packer keeps, with new checksums."""

from __future__ import annotations

import binascii
import errno
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import Any
from zlib import crc32

from ZODB.FileStorage.FileStorage import RedundantPackWarning
from ZODB.FileStorage.format import DATA_HDR_LEN, TRANS_HDR_LEN, DataHeader
from ZODB.FileStorage.fspack import GC, FileStoragePacker
from ZODB.utils import p64, z64

from lotdb.errors import DamagedError, FileSystemError
from lotdb.storage.sealing import is_intact, seal, unsealed
from lotdb.storage.states import outline
from lotdb.storage.transactions import seal_room, transaction_header
from lotdb.storage.watermark import EMPTY, End

__all__ = ["SealingPacker"]

_log = logging.getLogger(__name__)

# What a record has, on an average, of the header of its transaction and of its checksums.
_OF_TRANSACTION = 24
_SPARE = 4096
_NO_TREE = "the records that hold the children of a node do not make up a tree"

_Record = tuple[Any, bytes | None]


class _Reachable(GC):
    """What the packer keeps."""

    anew = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        #: Which bucket comes after which, of those that were not looked at yet.
        self._following: dict[bytes, bytes] = {}
        #: Whether the record that was looked at last holds children of a node.
        self._is_of_tree = False
        #: Whether what is looked at is the tree of the time of the pack, and not of several later times.
        self._is_of_one_time = True

    #: Bytes that the records take which are kept of the time before that of the pack.
    size = 0

    def findReachable(self) -> None:
        """Find what is kept, and refuse to go on if the disk has no room for it."""
        super().findReachable()
        # Of what is later, all is kept. The records of a transaction mostly stand together.
        needed = self.size + self.eof - self.packpos + _SPARE * (self.eof > self.packpos)
        free = shutil.disk_usage(os.path.dirname(self._name) or ".").free
        _log.info("packing %s writes about %d bytes; %d are free", self._name, needed, free)
        if free < needed:
            raise FileSystemError(
                errno.ENOSPC,
                f"a pack needs {needed} bytes of free disk space, since it writes what is kept beside what is"
                f" there, and {free} are free; nothing was packed",
                self._name,
            )

    def findrefs(self, pos: int) -> list[bytes]:
        """What the record at *pos* refers to, or the one that it has brought back."""
        header = self._read_data_header(pos)
        while header.back:
            header = self._read_data_header(header.back)
        self._is_of_tree = False
        self.size += DATA_HDR_LEN + header.plen + _OF_TRANSACTION
        if not header.plen:
            return []
        record = self._file.read(header.plen)
        found = outline(record) if is_intact(record) else None
        if found is None:
            return list(self.referencesf(record))  # which checks it, too
        self._look(header.oid, *found[:2])
        return found[2]

    def _look(self, oid: bytes, kind: Any, state: Any) -> None:
        """Refuse buckets that are chained in another way than the record above them has them."""
        self._is_of_tree = kind in ("Children", "Bucket")
        if not self._is_of_one_time:
            return
        if kind == "Bucket" and oid in self._following:
            following = state[1][0] if type(state) is tuple and len(state) > 1 else None
            if following != self._following.pop(oid):
                raise DamagedError(f"{self._name} was not packed: {_NO_TREE}")
        elif kind == "Children" and type(state) is tuple and len(state) == 2 and type(state[0]) is tuple:
            buckets = [each[0] for each in state[0][::2] if type(each) is tuple and each[1:] == ("Bucket",)]
            self._following.update(pairwise(buckets))

    def buildPackIndex(self) -> None:
        """List the records; a file that has no checksums yet is packed, though nothing has changed."""
        try:
            super().buildPackIndex()
        except RedundantPackWarning:
            if not self.anew:
                raise

    def findReachableAtPacktime(self, roots: Iterable[bytes]) -> None:
        """Mark what can be reached from *roots*, depth first, and refuse children that are below themselves.

        In a stranger's file a node may be.
        """
        reachable, positions = self.reachable, self.oid2curpos
        above: set[bytes] = set()
        stack: list[tuple[bytes, Iterator[bytes]]] = [(b"", iter(roots))]
        while stack:
            for oid in stack[-1][1]:
                if oid in above:
                    raise DamagedError(f"{self._name} was not packed: a node is below itself")
                if oid in reachable:
                    continue
                position = positions.get(oid)
                if position is None:
                    if oid == z64 and len(positions) == 0:
                        continue  # at that time there was nothing yet
                    raise KeyError(oid)
                reachable[oid] = position
                references = self.findrefs(position)
                if references:
                    if self._is_of_tree:
                        above.add(oid)
                    stack.append((oid, iter(references)))
                    break
            else:
                above.discard(stack.pop()[0])

    def findReachableFromFuture(self) -> None:
        """Mark what later records refer to, also if nothing referred to it at the time of the pack.

        ZODB takes it that what was once unreachable stays so. What was deleted may be brought back.
        """
        self._is_of_one_time = False  # a bucket that was split has been chained in several ways
        super().findReachableFromFuture()
        position = self.packpos
        while position < self.eof:
            transaction = self._read_txn_header(position)
            stop = position + transaction.tlen
            position += transaction.headerlen()
            while position < stop:
                header = self._read_data_header(position)
                there = [oid for oid in self.findrefs(position) if oid in self.oid2curpos]
                self.findReachableAtPacktime(there)
                position += header.recordlen()
            position += 8


class SealingPacker(FileStoragePacker):
    """Copies the transactions that are kept; ``end`` is where the packed file ends.

    Parameters
    ----------
    anew : bool
        Whether there are transactions that have no checksums yet.
    """

    _file: Any
    _tfile: Any

    def __init__(self, storage: Any, references: Any, stop: bytes, gc: bool, *, anew: bool) -> None:
        super().__init__(storage, references, stop, gc)
        self.gc = _Reachable(self._file, self.file_end, stop, gc, references)
        self.gc.anew = anew
        self.end = EMPTY

    def copyToPacktime(self) -> tuple[int, int]:
        """Copy the records that can be reached, of the transactions up to the time of the pack."""
        position = self._metadata_size
        while position < self.gc.packpos:
            transaction = self._read_txn_header(position)
            stop = position + transaction.tlen
            self._write(transaction, self._reachable(position + transaction.headerlen(), stop), packed=True)
            position = stop + 8
        return position, self._tfile.tell()

    def copyRest(self, ipos: int) -> None:
        """Copy the transactions from *ipos* on, with those that are committed meanwhile."""
        while ipos < self._storage.getSize():  # the commit lock is held; ZODB goes on to the end of the file
            ipos = self.copyOne(ipos)

    def copyOne(self, ipos: int) -> int:
        """Copy the whole transaction at *ipos*, behind the time of the pack; gives where the next begins."""
        transaction = self._read_txn_header(ipos)
        stop: int = ipos + transaction.tlen
        self._commit_lock.release()  # as long as the copying takes
        self.locked = False
        self._write(transaction, self._all(ipos + transaction.headerlen(), stop), packed=False)
        self._commit_lock.acquire()
        self.locked = True
        return stop + 8

    def _all(self, position: int, stop: int) -> Iterator[_Record]:
        while position < stop:
            header = self._read_data_header(position)
            position += header.recordlen()
            yield header, self._data(header)

    def _reachable(self, position: int, stop: int) -> Iterator[_Record]:
        while position < stop:
            header = self._read_data_header(position)
            if self.gc.isReachable(header.oid, position):
                yield header, self._data(header)
            elif self.pack_blobs:
                self._note_blob(header)
            position += header.recordlen()

    def _data(self, header: Any) -> bytes | None:
        data: bytes | None
        data = self._file.read(header.plen) if header.plen else self._brought_back(header)
        if data is not None and not is_intact(data):
            raise DamagedError(f"{self._path} was not packed, because a record in it is damaged")
        return data

    def _brought_back(self, header: Any) -> bytes | None:
        data: bytes | None = self.fetchDataViaBackpointer(header.oid, header.back)
        return data

    def _note_blob(self, header: Any) -> None:
        """List the blob file of a record that is dropped, for removal, unless another record has the same."""
        data = self._file.read(header.plen) if header.plen else self._brought_back(header)
        if not data or not self._storage.is_blob_record(data):
            return
        kept = self.gc.reachable.get(header.oid)
        if kept and self._read_data_header(kept).tid == header.tid:
            return
        revision = b"" if header.oid not in self.gc.reachable else header.tid
        self.blob_removed.write(binascii.hexlify(header.oid + revision) + b"\n")

    def _write(self, transaction: Any, records: Iterator[_Record], *, packed: bool) -> None:
        """Write a transaction with these records; none at all if it was packed and has none."""
        first = next(records, None)
        if first is None and packed:
            return
        start, total = self._tfile.tell(), 0
        texts = transaction.user, transaction.descr, seal_room(transaction.ext)
        self._tfile.write(bytes(TRANS_HDR_LEN + sum(map(len, texts))))  # written below, with the length
        for header, data in chain([first] if first else [], records):
            before = 0 if packed else self.index.get(header.oid, 0)
            total = crc32(self._write_record(header, data, start, before), total)
        self.index.update(self.tindex)
        self.tindex.clear()
        stop = self._tfile.tell()
        self._tfile.write(p64(stop - start))
        self._tfile.seek(start)
        status = b"p" if packed else transaction.status.encode()
        self._tfile.write(transaction_header(transaction.tid, stop - start, status, texts, total))
        self._tfile.seek(stop + 8)
        self.end = End(stop + 8, transaction.tid, self.end.transactions + 1)

    def _write_record(self, header: Any, data: bytes | None, start: int, before: int) -> bytes:
        """Write a record, without positions of data elsewhere; gives its header."""
        sealed = b"" if data is None else seal(unsealed(data), header.oid, header.tid)
        written: bytes = DataHeader(header.oid, header.tid, before, start, 0, len(sealed)).asString()
        if not sealed:
            written += bytes(8)  # the creation of the object was undone
        self.tindex[header.oid] = self._tfile.tell()
        self._tfile.write(written)
        self._tfile.write(sealed)
        return written
