"""DataNode: a node that owns payloads. Policy only; the work is done in ``payloads.py``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from lotdb import attributes, payloads
from lotdb.attach import attach_file
from lotdb.ingester import MAX_BYTES
from lotdb.nodes import BaseNode, LeftToDataNodes
from lotdb.payload import Payload
from lotdb.payloads import IfExists
from lotdb.plugins import BUILT_IN_NODE_TYPES
from lotdb.policy import BACKEND, DATA_ATTRIBUTE, SAMPLERATE, check_policy
from lotdb.ranges import Unit
from lotdb.records import get_value, own_of

if TYPE_CHECKING:
    from lotdb.plugins import Plugins

__all__ = ["DataNode"]


class DataNode(BaseNode):
    """A node with payloads: arrays, texts or bytes, each under a name.

    It stores three defaults for them: the sample rate, the backend, and the name of the payload that methods
    use when no name is given. Methods that write accept ``database=``, which must be the node's own.

    Parameters
    ----------
    key
        Key of the new tree's root.
    samplerate_hz
        Rows a second of payloads that are written without a rate.
    backend
        Name of the backend of payloads that are written without one.
    data_attribute
        Name of the payload that is meant when none is given.
    plugins
        The plugins to use; by default those that are installed.
    """

    __slots__ = ("_found",)

    _found: tuple[str | None, int, Payload]  # name, version of the tree, and what was found

    node_type_name: ClassVar[str] = "data"

    def __init__(
        self,
        key: str | int = "data",
        *,
        samplerate_hz: float | None = None,
        backend: str | None = None,
        data_attribute: str | None = None,
        plugins: Plugins | None = None,
    ) -> None:
        super().__init__(key, plugins=plugins)
        self.configure_data(samplerate_hz=samplerate_hz, backend=backend, data_attribute=data_attribute)

    # -- defaults ------------------------------------------------------------------------------------

    @property
    def samplerate_hz(self) -> float | None:
        """Rows a second of payloads that are written without a rate."""
        return attributes.read(self, SAMPLERATE, None)  # type: ignore[no-any-return]

    @property
    def backend(self) -> str:
        """Name of the backend of payloads that are written without one."""
        return attributes.read(self, BACKEND, None) or self._tree.default_backend

    @property
    def data_attribute(self) -> str:
        """Name of the payload that is meant when none is given."""
        return attributes.read(self, DATA_ATTRIBUTE, None) or "data"

    def configure_data(
        self,
        *,
        samplerate_hz: float | None = None,
        backend: str | None = None,
        data_attribute: str | None = None,
    ) -> None:
        """Set the given defaults; existing payloads do not change.

        Raises
        ------
        InvalidRangeError
            If the rate is not a positive number.
        MissingPluginError
            If no backend of that name is installed.
        """
        self._put_policy(check_policy(self._tree, samplerate_hz, backend, data_attribute))

    def _put_policy(self, policy: dict[str, Any]) -> None:
        own = own_of(self._entry())
        changed = {name: value for name, value in policy.items() if get_value(own, name) != value}
        if changed:
            attributes.write(self, changed)

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
            An array of any dtype without objects and of any shape, rows first; or sequences of values of
            one type; or what has ``__array__``; or a table, such as a pandas DataFrame; or a text; or bytes.
        database
            The database of this node, or None.
        data_attribute
            Name of the payload; by default the node's.
        backend
            Name of the backend; by default the node's.
        samplerate_hz
            Rows a second; by default the node's, for arrays.
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
            If *data* cannot be stored, such as objects, or would lose a part, such as a mask, labels, units,
            or digits of large integers. To drop the part, pass ``numpy.asarray(data)``; to keep it, pass it
            in *metadata*.
        DataMismatchError
            If *data* is appended and does not fit.
        MissingPluginError, InvalidOptionError, InvalidRangeError, ReadOnlyError
        """
        payloads.check_database(self, database)
        name = self._name(data_attribute)
        if if_exists != "append" or not self.has_data(name):
            # What is appended takes these from the payload that is there.
            backend = self.backend if backend is None else backend
            if samplerate_hz is None and not isinstance(data, str | bytes | bytearray | memoryview):
                samplerate_hz = self.samplerate_hz
        return payloads.write(
            self,
            name,
            data,
            backend=backend,
            samplerate_hz=samplerate_hz,
            metadata=metadata,
            content_type=content_type,
            if_exists=if_exists,
            options=options,
        )

    def replace_data(self, data: Any, database: Any = None, **how: Any) -> Payload:
        """:meth:`write_data` with ``if_exists="replace"``."""
        return self.write_data(data, database, **how, if_exists="replace")

    def append_data(self, data: Any, database: Any = None, **how: Any) -> Payload:
        """Add rows to a payload, or create it: :meth:`write_data` with ``if_exists="append"``.

        The cost depends on the new rows, not on existing ones. The dtype and the shape of a row must be
        those of the payload; nothing is converted.
        """
        return self.write_data(data, database, **how, if_exists="append")

    def attach_file(
        self,
        filepath: str | os.PathLike[str],
        database: Any = None,
        *,
        data_attribute: str | None = None,
        backend: str | None = None,
        samplerate_hz: float | None = None,
        format: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        if_exists: IfExists = "replace",
        skip_unchanged: bool = False,
        max_bytes: int = MAX_BYTES,
        **options: Any,
    ) -> Payload:
        """Ingest a file: store its contents as a payload, with notes about their source.

        The ingester of the file's format reads it; the file is not needed afterwards. The payload's metadata
        get ``_source_filepath`` (as given), ``_source_filename``, ``_source_format``,
        ``_source_samplerate_hz`` (if the file has a rate), ``_source_size_bytes``, ``_source_modified``
        (a datetime in UTC) and ``_source_sha256`` (hexadecimal). The first four are attributes of the
        node as well, for the payload that came from a file first, which ``_source_data_attribute`` names.

        A file that holds several arrays, such as an ``.npz``, becomes several payloads, named
        ``data_attribute.name``; the first one is returned.

        Parameters
        ----------
        filepath
            The file.
        format
            Name of the format; by default the suffix of the file name; ``"auto"`` recognizes it by the
            content.
        skip_unchanged
            Do nothing if the payload came from a file with the same SHA-256.
        max_bytes
            Largest number of bytes allowed for the file, and for its decoded data; 16 GiB by default.
        **options
            Options of the ingester, such as ``encoding``.
        database, data_attribute, backend, samplerate_hz, metadata, if_exists
            As for :meth:`write_data`.

        Raises
        ------
        IngestError
            If the file cannot be read in its format; the node has not changed.
        DataMismatchError
            If the file's sample rate is not the node's and *samplerate_hz* is not given; or if appended data
            do not fit.
        """
        payloads.check_database(self, database)
        name = self._name(data_attribute)
        default_rate = None
        if if_exists != "append" or not self.has_data(name):
            backend = self.backend if backend is None else backend
            default_rate = self.samplerate_hz
        return attach_file(
            self,
            filepath,
            data_attribute=name,
            backend=backend,
            samplerate_hz=samplerate_hz,
            default_rate=default_rate,
            format=format,
            metadata=metadata,
            if_exists=if_exists,
            skip_unchanged=skip_unchanged,
            max_bytes=max_bytes,
            options=options,
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

        After many appends, this makes the payload faster to read. Readers and copies keep the old segments;
        ``LOTDB.pack`` frees their space when nothing uses them any more.

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
        payloads.check_database(self, database)
        name = self._name(data_attribute)
        return payloads.compact(self, name, backend=backend, options=options)

    def delete_data(self, data_attribute: str | None = None, *, database: Any = None) -> None:
        """Delete a payload; ``PayloadNotFoundError`` if it does not exist."""
        payloads.check_database(self, database)
        payloads.delete(self, self._name(data_attribute))

    def _name(self, data_attribute: str | None) -> str:
        return self.data_attribute if data_attribute is None else data_attribute

    # -- reading -------------------------------------------------------------------------------------

    def has_data(self, data_attribute: str | None = None) -> bool:
        """Whether a payload of that name exists."""
        return payloads.has(self, self._name(data_attribute))

    def get_data(self, data_attribute: str | None = None) -> Payload:
        """A payload, which you can inspect, slice and read; ``PayloadNotFoundError`` if none exists."""
        # Windows are read one after another: the payload that was found last is the one until a write.
        tree = self._tree
        tree.check()
        try:
            name, version, payload = self._found
        except AttributeError:
            version = -1
        if version != tree.version or name != data_attribute or payload._tree is not tree:
            payload = payloads.get(self, self._name(data_attribute))
            self._found = data_attribute, self._tree.version, payload
        return payload

    def read_data(
        self,
        start: Any = None,
        stop: Any = None,
        *,
        unit: Unit = "samples",
        data_attribute: str | None = None,
    ) -> Any:
        """A payload's data from *start* to before *stop*; see :meth:`lotdb.Payload.read`."""
        return self.get_data(data_attribute).read(start, stop, unit=unit)

    def read_seconds(
        self, start_second: Any = None, stop_second: Any = None, *, data_attribute: str | None = None
    ) -> Any:
        """A payload's data from *start_second* to before *stop_second*; see :meth:`lotdb.Payload.read`."""
        return self.get_data(data_attribute).read_seconds(start_second, stop_second)

    def read_frame(
        self,
        start: Any = None,
        stop: Any = None,
        *,
        unit: Unit = "samples",
        data_attribute: str | None = None,
    ) -> Any:
        """A table's rows as a pandas DataFrame; see :meth:`lotdb.Payload.read_frame`."""
        return self.get_data(data_attribute).read_frame(start, stop, unit=unit)

    def iter_data_blocks(
        self,
        block_size: Any,
        block_unit: Unit = "samples",
        *,
        start: Any = None,
        stop: Any = None,
        range_unit: Unit = "samples",
        data_attribute: str | None = None,
    ) -> Iterator[Any]:
        """A payload's data in consecutive blocks; see :meth:`lotdb.Payload.iter_blocks`."""
        payload = self.get_data(data_attribute)
        return payload.iter_blocks(
            block_size, block_unit=block_unit, start=start, stop=stop, range_unit=range_unit
        )


BUILT_IN_NODE_TYPES[DataNode.node_type_name] = DataNode

# A newcomer's first mistake is to ask a plain node for its data: it says what to do.
for _member in [name for name in vars(DataNode) if not name.startswith("_") and not hasattr(BaseNode, name)]:
    setattr(BaseNode, _member, LeftToDataNodes(_member))
