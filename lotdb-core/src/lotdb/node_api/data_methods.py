"""The methods of data nodes: they fill in the node's defaults, and ``content/payloads.py`` does the work.

The methods that need it import it: it needs numpy, which takes longer to load than all the rest.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lotdb.content import attributes
from lotdb.content.defaults import (
    BACKEND,
    DATA_ATTRIBUTE,
    SAMPLERATE,
    Default,
    check_kept,
    check_policy,
    check_unset,
)
from lotdb.interfaces.options import MAX_BYTES
from lotdb.ranges import Number, Unit
from lotdb.records import Own
from lotdb.records.entries import own_of, packed_values
from lotdb.records.own import get_value, position, with_values, without_value
from lotdb.tree.node import Node
from lotdb.tree.tree import Tree

if TYPE_CHECKING:
    from lotdb.content.payload import Payload
    from lotdb.content.payloads import IfExists
    from lotdb.segments.payload_record import PayloadRecord

__all__ = ["DataMethods"]


class DataMethods(Node):
    """The members that a data node has and a plain node does not have; ``lotdb.DataNode`` inherits them."""

    __slots__ = ("_found",)

    # The name that was asked for, the version of the tree, and what was found: payload, name and record.
    _found: tuple[str | None, int, Tree, Payload | None, str, PayloadRecord]

    # -- defaults ------------------------------------------------------------------------------------

    @property
    def samplerate_hz(self) -> float | None:
        """Sample rate of arrays that are written without one, in rows per second; None if not set."""
        return self._kept(SAMPLERATE)  # type: ignore[no-any-return]

    @property
    def backend(self) -> str:
        """Name of the backend for payloads that are written without one."""
        return self._kept(BACKEND) or self._tree.default_backend

    @property
    def data_attribute(self) -> str:
        """Name of the payload that methods use when no name is given."""
        return self._kept(DATA_ATTRIBUTE) or "data"

    def _kept(self, name: str) -> Any:
        return self._kept_in(own_of(self._entry()), name)

    def _kept_in(self, own: Own, name: str) -> Any:
        """The default *name* of the node, which holds *own*; None if it has none."""
        place = position(own[0], name)
        if place < 0:
            return None
        value = own[place + 1]
        if type(value) is tuple:
            value = attributes.as_read(self, name, value)
        if value is None or (isinstance(value, str) and not value):  # as 1.x stored what is not set
            return None
        return check_kept(self._place, name, value)

    def configure_data(
        self,
        *,
        samplerate_hz: float | None = None,
        backend: str | None = None,
        data_attribute: str | None = None,
        unset: Default | Collection[Default] = (),
    ) -> None:
        """Set the given defaults; existing payloads do not change.

        Parameters
        ----------
        samplerate_hz, backend, data_attribute
            The new defaults; None leaves one as it is.
        unset
            Name of a default to remove, such as ``"samplerate_hz"``, or several names.

        Raises
        ------
        InvalidOptionError
            If *unset* names no default, or one that is set at the same time.
        InvalidRangeError
            If the rate is not a positive number.
        MissingPluginError
            If no backend of that name is installed.
        """
        policy = check_policy(self._tree, samplerate_hz, backend, data_attribute)
        self._put_policy(policy, check_unset(unset, policy))

    def _put_policy(self, policy: Mapping[str, Any], gone: Collection[str] = ()) -> None:
        own = old = own_of(self._entry())
        for name in gone:
            if position(own[0], name) >= 0:
                own = without_value(own, name)
        changed = dict(policy)
        if own[0]:  # a new node has none
            changed = {name: value for name, value in policy.items() if get_value(own, name) != value}
        if changed or own is not old:
            self._put_own(with_values(own, changed) if changed else own)

    # -- writing -------------------------------------------------------------------------------------

    def write_data(
        self,
        data: Any,
        database: Any = None,
        *,
        data_attribute: str | None = None,
        backend: str | None = None,
        samplerate_hz: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        if_exists: IfExists = "replace",
        **options: Any,
    ) -> Payload:
        """Store *data* as a payload of this node.

        Parameters
        ----------
        data
            An array of any shape, rows first, and of any dtype without objects; or sequences of values of
            one type; or an object with ``__array__``; or a table, such as a pandas DataFrame; or a text; or
            bytes; or :class:`lotdb.Blocks` of rows, for what is larger than memory.
        database
            The database of this node, or None.
        data_attribute
            Name of the payload; by default the node's.
        backend
            Name of the backend; by default the node's.
        samplerate_hz
            Rows per second; by default the node's, for arrays and tables.
        metadata
            A mapping that is stored with the payload; its values are those that attributes can hold.
        content_type
            Media type of the data.
        if_exists : {"replace", "error", "append"}
            What to do if a payload of that name exists. Replacing overwrites nothing: open readers and
            copies keep the old data.
        **options
            The backend's own options.

        Returns
        -------
        Payload
            The new payload.

        Raises
        ------
        PayloadExistsError
            If the payload exists and *if_exists* is ``"error"``, or an attribute has its name.
        InvalidDataError
            If *data* cannot be stored, such as objects; or if a part of it would be lost, such as a mask,
            labels, units, or digits of large integers. To drop that part, pass ``numpy.asarray(data)``; to
            keep it, pass it in *metadata*.
        DataMismatchError
            If *data* is appended and does not fit.
        MissingPluginError, InvalidOptionError, InvalidRangeError, ReadOnlyError
        """
        from lotdb.content import payloads

        payloads.check_database(self, database)
        payloads.check_if_exists(if_exists)
        own = own_of(self._entry())
        name = self._kept_in(own, DATA_ATTRIBUTE) or "data" if data_attribute is None else data_attribute
        if if_exists != "append" or not self.has_data(name):
            # What is appended takes these from the payload that is there.
            if backend is None:
                backend = self._kept_in(own, BACKEND) or self._tree.default_backend
            if samplerate_hz is None and _has_rows(data):
                samplerate_hz = self._kept_in(own, SAMPLERATE)
        request = payloads.Request(name, backend, samplerate_hz, metadata, content_type, if_exists, options)
        return payloads.write(self, data, request)

    def replace_data(self, data: Any, database: Any = None, **how: Any) -> Payload:
        """:meth:`write_data` with ``if_exists="replace"``."""
        return self.write_data(data, database, **how, if_exists="replace")

    def append_data(self, data: Any, database: Any = None, **how: Any) -> Payload:
        """Add rows to a payload, or create it: :meth:`write_data` with ``if_exists="append"``.

        The cost depends on the new rows, not on the existing ones. Dtype and row shape must be those of the
        payload; nothing is converted.
        """
        return self.write_data(data, database, **how, if_exists="append")

    def attach_file(
        self,
        filepath: str | os.PathLike[str],
        database: Any = None,
        *,
        data_attribute: str | None = None,
        backend: str | None = None,
        samplerate_hz: float | Mapping[str, float | None] | None = None,
        format: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        if_exists: IfExists | None = None,
        skip_unchanged: bool = False,
        max_bytes: int = MAX_BYTES,
        **options: Any,
    ) -> Payload:
        """Ingest a file: store its contents as a payload, with notes about their source.

        The ingester of the file's format reads it; the file is not needed afterwards. The payload's metadata
        get ``_source_filepath`` (as given), ``_source_filename``, ``_source_format``,
        ``_source_samplerate_hz`` (if the file has a rate), ``_source_size_bytes``, ``_source_modified``
        (a datetime in UTC) and ``_source_sha256`` (hexadecimal). The node gets the first four as attributes,
        too. They describe its first payload that came from a file; ``_source_data_attribute`` is the name of
        that payload.

        A file that holds several arrays, such as an ``.npz``, becomes several payloads, named
        ``data_attribute.name``; the first one is returned. A file that holds a tree gives nodes below this
        one as well.

        Parameters
        ----------
        filepath
            The file.
        samplerate_hz
            Rows a second (Hz), instead of the file's. If several payloads of the file may have a rate, a
            mapping of their names to rates, such as ``{"eeg": 256, "ecg": 128}``; those that it does not
            name keep their own. The node's default is for arrays and tables of numbers without a rate in
            the file, not for images, events and texts.
        format
            Name of the format; by default the suffix of the file name; ``"auto"`` recognizes it by the
            content.
        skip_unchanged
            Do nothing if the payload came from a file with the same SHA-256, read with the same *format*,
            *samplerate_hz* and *options*, and is in the *backend* that is asked for; files that belong to it
            must be unchanged, too.
        max_bytes
            Largest number of bytes allowed for the file, with those that belong to it, and for all of the
            decoded data; 16 GiB by default.
        **options
            Options of the ingester, such as ``encoding``.
        if_exists
            As for :meth:`write_data`. By default what is there is replaced, unless rows were appended to what
            came from a file.
        database, data_attribute, backend, metadata
            As for :meth:`write_data`.

        Raises
        ------
        PayloadExistsError
            If rows were appended to a payload that the file would replace, and *if_exists* is not given.
        IngestError
            If the file cannot be read in its format; the node has not changed.
        InvalidOptionError
            If one rate is given for several payloads, or for a text or bytes; or for an option that the
            ingester does not know.
        DataMismatchError
            If only one payload of the file has a rate, that is not the node's, and *samplerate_hz* is not
            given; or if appended data do not fit.
        """
        from lotdb.content import payloads

        payloads.check_database(self, database)
        from lotdb.files.attach import attach_file  # which not every program needs

        return attach_file(
            self,
            filepath,
            payloads.Request(
                self._name(data_attribute),
                backend,
                metadata=metadata,
                if_exists="replace" if if_exists is None else if_exists,
                options=options,
            ),
            samplerate_hz=samplerate_hz,
            use_defaults=True,
            format=format,
            skip_unchanged=skip_unchanged,
            keeps_rows=if_exists is None,
            max_bytes=max_bytes,
        )

    def ingest_file(self, filepath: str | os.PathLike[str], database: Any = None, **how: Any) -> Payload:
        """The old name of :meth:`attach_file`."""
        return self.attach_file(filepath, database, **how)

    def compact_data(
        self,
        data_attribute: str | None = None,
        *,
        database: Any = None,
        backend: str | None = None,
        **options: Any,
    ) -> Payload:
        """Rewrite a payload as one segment, in its backend or another, in bounded memory.

        After many appends, this makes the payload faster to read. Open readers and copies keep the old
        segments; ``LOTDB.pack`` frees the space of those when nothing uses them any more.

        Parameters
        ----------
        data_attribute
            Name of the payload; by default the node's.
        database
            As for :meth:`write_data`.
        backend
            Name of the backend to move it to.
        **options
            The backend's own options; by default, in the same backend, the options of the payload.
        """
        from lotdb.content import payloads

        payloads.check_database(self, database)
        name = self._name(data_attribute)
        return payloads.compact(self, name, backend=backend, options=options)

    def delete_data(self, data_attribute: str | None = None, *, database: Any = None) -> None:
        """Delete a payload; ``PayloadNotFoundError`` if it does not exist."""
        from lotdb.content import payloads

        payloads.check_database(self, database)
        payloads.delete(self, self._name(data_attribute))

    def _name(self, data_attribute: str | None) -> str:
        return self.data_attribute if data_attribute is None else data_attribute

    # -- reading -------------------------------------------------------------------------------------

    def has_data(self, data_attribute: str | None = None) -> bool:
        """Whether a payload of that name exists."""
        return attributes.has_payload(self, self._name(data_attribute))

    def get_data(self, data_attribute: str | None = None) -> Payload:
        """A payload, which you can inspect, slice and read; ``PayloadNotFoundError`` if it does not exist."""
        # Programs read one window after another: until the next write, the payload found last is the one. It
        # is kept from the second time on. It names its node, so the two would live on until the garbage
        # collector comes, also those of nodes that are asked once. What is no text may have an odd "==".
        tree = self._tree
        tree.check()
        found = getattr(self, "_found", None)
        if (
            found is not None
            and (found[0] is data_attribute or (type(data_attribute) is str and found[0] == data_attribute))
            and found[1] == tree.version
            and found[2] is tree
        ):
            payload: Payload | None = found[3]
            if payload is None:
                from lotdb.content.payload import Payload

                payload = Payload(self, found[4], found[5])
                self._found = (*found[:3], payload, *found[4:])
            return payload
        from lotdb.content import payloads

        payload = self._default() if data_attribute is None else payloads.get(self, data_attribute)
        tree = self._tree
        self._found = data_attribute, tree.version, tree, None, payload.name, payload._record
        return payload

    def _default(self) -> Payload:
        """The payload that is meant if none is named; the tree remembers it for leaves."""
        from lotdb.content import payload as reading

        entry = self._entry()
        known = self._tree.defaults.get(id(entry))
        if known is not None:
            return reading.Payload(self, known[1], known[2])
        from lotdb.content import payloads

        name = self.data_attribute
        payload = payloads.get(self, name, by_default=True)
        if packed_values(entry) is not None:
            if len(self._tree.defaults) >= reading.DECODED:
                self._tree.defaults.clear()
            # The entry is kept, too, so that no other object gets its id meanwhile.
            self._tree.defaults[id(entry)] = entry, payload.name, payload._record
        return payload

    def read_data(
        self,
        start: Number | None = None,
        stop: Number | None = None,
        *,
        unit: Unit = "samples",
        data_attribute: str | None = None,
    ) -> Any:
        """A payload's data from *start* to before *stop*; see :meth:`lotdb.Payload.read`."""
        return self.get_data(data_attribute).read(start, stop, unit=unit)

    def read_seconds(
        self,
        start_second: Number | None = None,
        stop_second: Number | None = None,
        *,
        data_attribute: str | None = None,
    ) -> Any:
        """A payload's data from *start_second* to before *stop_second*; see :meth:`lotdb.Payload.read`."""
        return self.get_data(data_attribute).read_seconds(start_second, stop_second)

    def read_frame(
        self,
        start: Number | None = None,
        stop: Number | None = None,
        *,
        unit: Unit = "samples",
        data_attribute: str | None = None,
    ) -> Any:
        """A table's rows as a pandas DataFrame; see :meth:`lotdb.Payload.read_frame`."""
        return self.get_data(data_attribute).read_frame(start, stop, unit=unit)

    def iter_data_blocks(
        self,
        block_size: Number,
        block_unit: Unit = "samples",
        *,
        start: Number | None = None,
        stop: Number | None = None,
        range_unit: Unit = "samples",
        data_attribute: str | None = None,
    ) -> Iterator[Any]:
        """A payload's data in consecutive blocks; see :meth:`lotdb.Payload.iter_blocks`."""
        payload = self.get_data(data_attribute)
        return payload.iter_blocks(
            block_size, block_unit=block_unit, start=start, stop=stop, range_unit=range_unit
        )


def _has_rows(data: Any) -> bool:
    """Whether *data* have rows that could be so many a second; texts and bytes have none."""
    from lotdb.interfaces.row_blocks import Blocks

    if isinstance(data, Blocks):
        return not isinstance(data.kind, str) or data.kind not in ("text", "bytes")
    return not isinstance(data, str | bytes | bytearray | memoryview)
