"""IngesterTests: everything that an ingester promises."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lotdb import (
    LOTDB,
    BaseNode,
    Blocks,
    DataNode,
    ExportError,
    Ingested,
    IngestedNode,
    IngestError,
    InvalidKeyError,
    InvalidOptionError,
    LotdbError,
    Payload,
    Plugins,
    SourceFile,
)
from lotdb.testing.bench import open_files_in
from lotdb.testing.limits import at_once, switching_often
from lotdb.testing.promises import INGESTER, Kit, promise
from lotdb.testing.seen import bytes_of, check_same, picture

__all__ = ["IngesterTests", "Sample"]

# Files of other kinds.
OTHERS = [b"", b"neither this nor that\n" * 20, bytes(range(256))]

# Of files below it an ingester may read everything at once.
LARGE_BYTES = 1 << 18

# What is exported, with its rate: of each form that a payload may have.
EXPORTED: list[tuple[Any, float | None]] = [
    (np.arange(12, dtype="int16").reshape(6, 2), None),
    (np.arange(12, dtype="int16"), 50.0),
    (np.linspace(-1, 1, 20), 100.0),
    (np.linspace(-1, 1, 21, dtype=">f4").reshape(7, 3), 0.1),
    (np.array([[7, 9]], "uint8"), 44_100.0),
    (np.array([1.5]), None),
    (np.empty((0, 2), "int32"), None),
    (np.array([2**63, 1], "uint64"), None),
    (np.array([True, False, True]), None),
    (np.array([np.nan, np.inf, -0.0]), 8.0),
    (np.arange(24, dtype="int8").reshape(2, 3, 4), None),
    (np.array("2024-02-29", "M8[D]"), None),
    ("a text, größer\n", None),
    ("", None),
    (b"\x00\xff", None),
]

ANY_OR_ERROR = "whatever is in a file, attach_file takes it in or raises an IngestError"


@dataclass(frozen=True)
class Sample:
    """A file of the ingester's kind, and what it holds.

    Parameters
    ----------
    name
        File name; its suffix says the format unless *format* does.
    content
        The bytes of the file.
    data
        The array, table (a masked structured array), text or bytes that it holds; a mapping of names to
        such for a file that becomes several payloads. One of a node below is named with its path, such as
        ``"left/imu"`` for payload ``"imu"`` of node ``"left"``, or ``"left"`` for the only one there.
    samplerate_hz
        The rate that it announces; of several payloads that of the first, or a mapping of names to rates,
        None for one without. Of several, None says nothing of theirs.
    metadata
        What the payload's metadata have at least; for several payloads, a mapping of their names to such, or
        what the first of them has.
    attributes
        What the attributes of the node are at least. One of a node below is named with its path, such as
        ``"left/side"`` for attribute ``"side"`` of node ``"left"``.
    node_types
        For a file that holds a tree: the types of its nodes below, by their paths, such as ``{"left":
        "data"}``. Name those without payloads, too: ``{"empty": ""}``.
    format
        What is passed to ``attach_file``, if anything.
    options
        Further arguments of ``attach_file``.
    beside
        The files that belong to it, as a mapping of their names to their bytes. One that is cut off must be
        an ``IngestError``.
    open_ended
        Names of those of them that may end anywhere, such as a text with notes: nothing says how long it is.
    exported
        Whether the plugin's ``lotdb_export_file``, if it has one, makes a file of the same data, and its
        ``lotdb_export_node`` one of all that the sample says. Formats that are lossy, or are only read, do
        not. Of several payloads each is exported on its own; some may be refused with ``ExportError``, not
        all.
    """

    name: str
    content: bytes = field(repr=False)
    data: Any = field(repr=False)
    samplerate_hz: float | Mapping[str, float | None] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    format: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    exported: bool = True
    beside: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    open_ended: Collection[str] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    node_types: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The format that the ingester is asked for."""
        return (self.format or self.name.rpartition(".")[2]).lower()

    @property
    def payloads(self) -> dict[str, Any]:
        """What each payload holds, by its name in the file; "" for the only one."""
        return dict(self.data) if isinstance(self.data, Mapping) else {"": self.data}

    def rates(self) -> dict[str, float | None]:
        """The rates of the payloads, as far as the sample says them."""
        said = self.samplerate_hz
        if isinstance(said, Mapping):
            return {name: said.get(name) for name in self.payloads}
        if isinstance(self.data, Mapping) and said is None:
            return {}
        return {next(iter(self.payloads)): said}

    def notes(self, name: str) -> Mapping[str, Any]:
        """What the metadata of the payload *name* have at least."""
        if not isinstance(self.data, Mapping):
            return self.metadata
        each = self.metadata
        if each and each.keys() <= self.data.keys() and all(isinstance(v, Mapping) for v in each.values()):
            notes: Mapping[str, Any] = each.get(name, {})
            return notes
        return each if name == next(iter(self.payloads)) else {}


class OnlyThis(Plugins):
    """The installed plugins, of whose ingesters only one is asked."""

    def __init__(self, plugin: Any) -> None:
        super().__init__()
        self.plugin = plugin
        if hasattr(plugin, "lotdb_get_value_types"):  # what it gives may hold values of its own types
            self.register(plugin, name="lotdb.testing")

    def ingesters(self, hook: str) -> list[tuple[str, Callable[..., Any]]]:
        """The plugin's function for *hook*, if it has one."""
        function = getattr(self.plugin, hook, None)
        return [] if function is None else [("tested", partial(_with_its_arguments, function))]


class IngesterTests(Kit):
    """The tests of an ingester; subclass it, and name the plugin and some files::

        class TestTraces(IngesterTests):
            @pytest.fixture
            def plugin(self):
                return my_package.plugin

            @pytest.fixture
            def samples(self):
                return [Sample("two_rows.trace", content=b"TRC1...", data=np.eye(2), samplerate_hz=64)]

    Fixtures to override
    --------------------
    plugin
        The module or object with the hook ``lotdb_ingest_file``.
    samples
        A list of :class:`Sample`: small files, one of each variety of the format.
    backends
        Names of installed backends into which the samples are taken in as well; none by default.

    Attributes
    ----------
    seconds : float
        Longer than this no file may take, however damaged it is.
    """

    seconds: ClassVar[float] = 20

    @pytest.fixture
    def plugin(self) -> Any:
        """The module or object with the hook implementation."""
        raise NotImplementedError("a subclass of IngesterTests has a fixture plugin that returns the plugin")

    @pytest.fixture
    def samples(self) -> Sequence[Sample]:
        """Files and what they hold."""
        raise NotImplementedError("a subclass of IngesterTests has a fixture samples: a list of Sample")

    @pytest.fixture
    def backends(self) -> Sequence[str]:
        """Names of installed backends to try besides that of trees in memory."""
        return []

    @pytest.fixture
    def node(self, plugin: Any) -> DataNode:
        """A data node that has something already, in a tree that asks no other ingester."""
        node = DataNode("node", plugins=OnlyThis(plugin))
        node.attrs["label"] = "as before"
        node.write_data("as before")
        node.write_data(np.arange(3), data_attribute="other")
        node.get_node("child")
        return node

    # -- what files hold ---------------------------------------------------------------------------

    @promise(INGESTER)
    def test_the_plugin_registers(self, plugin: Any) -> None:
        """lotdb_ingest_file() is marked with @hookimpl, and takes source."""
        Plugins().register(plugin, name="lotdb.testing")
        assert hasattr(plugin.lotdb_ingest_file, "lotdb_impl"), (
            "lotdb_ingest_file is not marked with @lotdb.hookimpl, so nobody calls it"
        )

    @promise(INGESTER, "the_plugin_registers")
    def test_a_file_gives_just_what_it_holds(
        self, node: DataNode, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """lotdb_ingest_file() returns Ingested with just the data that the file holds: its dtype, byte
        order, shape and every value.
        """
        for sample in samples:
            _attach(node, sample, sample.content, tmp_path)
            _check_holds(node, sample, f"{sample.name} gives what it holds")

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_rates_and_metadata_are_those_of_the_file(
        self, node: DataNode, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """Ingested has the rate in Hz and the metadata that the file says, each payload its own."""
        for sample in samples:
            _attach(node, sample, sample.content, tmp_path)
            for name, payload in _payloads(node, sample).items():
                about = f"{sample.name}, payload {name!r}"
                if payload.kind in ("text", "bytes"):
                    assert payload.samplerate_hz is None, f"{about} is {payload.kind}, and has a rate"
                said = sample.rates().get(name, payload.samplerate_hz)
                assert payload.samplerate_hz == said, (
                    f"Ingested.samplerate_hz of {about} is {payload.samplerate_hz}, the sample says {said}; "
                    "of several payloads, Sample(samplerate_hz={name: rate}) says it"
                )
            _check_metadata(node, sample, f"{sample.name}: Ingested.metadata")

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_attributes_and_nodes_are_those_of_the_file(
        self, node: DataNode, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """Ingested and IngestedNode have the attributes that the file says, and the nodes of a tree are all
        there, each with its type.
        """
        for sample in samples:
            _attach(node, sample, sample.content, tmp_path)
            _check_tree(node, sample, sample.name)

    @promise(INGESTER, "the_plugin_registers")
    def test_it_names_the_formats_that_it_reads(self, plugin: Any, samples: Sequence[Sample]) -> None:
        """lotdb_get_ingest_formats(), if there is one, returns the names of all formats that it reads."""
        if not hasattr(plugin, "lotdb_get_ingest_formats"):
            pytest.skip("the plugin names no formats")
        named = plugin.lotdb_get_ingest_formats()
        assert not isinstance(named, str), f"it names several formats, and returned the text {named!r}"
        for sample in samples:
            # The last resort also reads files of other names, if nobody names a format.
            if sample.format or not plugin.lotdb_ingest_file.lotdb_impl["trylast"]:
                assert sample.kind in named, f"format={sample.kind!r} is refused unless it names that"

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_the_payload_knows_where_it_came_from(
        self, node: DataNode, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """Ingested.format is the name of the format that was read."""
        for sample in samples:
            _attach(node, sample, sample.content, tmp_path)
            notes = next(iter(_payloads(node, sample).values())).metadata
            assert notes["_source_filename"] == sample.name, "the payload knows the file's name"
            assert notes["_source_filepath"] == str(tmp_path / sample.name), "it knows the file's path"
            said = notes["_source_format"]
            assert isinstance(said, str), "Ingested.format is the name of the format that was read"
            assert said, "Ingested.format is the name of the format that was read"
            assert node.attrs["label"] == "as before", "other attributes of the node are left alone"

    @promise(INGESTER, "the_plugin_registers")
    def test_it_reads_the_open_file_that_it_is_given(
        self, plugin: Any, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """It reads source.file, which it neither closes nor opens anew by its path, and leaves
        source.options alone.
        """
        for sample in samples:
            path = tmp_path / "moved" / sample.name
            _write_beside(sample, path.parent)
            source = _source(sample.content, sample.kind, sample.options, path)
            with contextlib.closing(source._together):
                answer = plugin.lotdb_ingest_file(source=source)
                for each in _all_of(answer):
                    assert isinstance(each, Ingested), f"{sample.name} is its kind, it answered {answer!r}"
                    for _ in each.data.blocks if isinstance(each.data, Blocks) else ():
                        pass  # the path does not exist: whatever opens it anew fails here
            assert source.options == dict(sample.options), "the ingester changes source.options"
            assert not source.file.closed, "the ingester closes source.file, which is not its own"

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_what_it_gave_stays_what_it_was(
        self, plugin: Any, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """The arrays that it returns are its caller's: the next file is not read to the same memory."""
        given: list[tuple[str, np.ndarray[Any, Any], bytes]] = []
        for sample in samples:
            _write_beside(sample, tmp_path)
            altered = sample.content[:-1] + bytes(255 - byte for byte in sample.content[-1:])
            for content in (sample.content, altered):  # what is read next has other data
                source = _source(content, sample.kind, sample.options, tmp_path / sample.name)
                with contextlib.closing(source._together):
                    try:
                        answer = plugin.lotdb_ingest_file(source=source)
                    except Exception:
                        continue  # the altered one need not be readable
                    arrays = [each.data for each in _all_of(answer) if isinstance(each, Ingested)]
                given += [
                    (sample.name, each, bytes_of(each)) for each in arrays if isinstance(each, np.ndarray)
                ]
        changed = [name for name, array, before in given if bytes_of(array) != before]
        assert not changed, (
            f"what it returned of {changed[0]} was changed when it read the next file: give each file memory "
            "of its own, or a copy"
        )

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_blocks_are_read_when_they_are_needed(
        self, plugin: Any, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """Blocks are read when they are asked for, since they may be larger than memory."""
        for sample in samples:
            if len(sample.content) < LARGE_BYTES:
                continue  # that much may be read at once
            file = _Counting(sample.content)
            source = _source(sample.content, sample.kind, sample.options, tmp_path / sample.name)
            source = dataclasses.replace(source, file=file)
            ingested = plugin.lotdb_ingest_file(source=source)
            if isinstance(ingested, Ingested) and isinstance(ingested.data, Blocks):
                assert file.read_bytes < 0.9 * len(sample.content), (
                    f"{sample.name}: {file.read_bytes} of {len(sample.content)} bytes are read before the "
                    "first block is asked for; make Blocks of a generator"
                )

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_no_file_is_left_open(
        self, node: DataNode, samples: Sequence[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It closes what it has opened, and removes its temporary files, also when the file is damaged."""
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        for sample in samples:
            for content in (sample.content, sample.content[: len(sample.content) // 2]):
                with contextlib.suppress(LotdbError):
                    _attach(node, sample, content, tmp_path)
                still = open_files_in(tmp_path)
                assert not still, f"{sample.name} is left open: {still}"
                left = [path.name for path in temporary.iterdir()]
                assert not left, f"reading {sample.name} leaves temporary files: {left}"

    @promise(INGESTER, "the_plugin_registers")
    def test_its_signature_is_its_own(self, plugin: Any, samples: Sequence[Sample], tmp_path: Path) -> None:
        """lotdb_identify_file() returns the name of the format for files that begin with its signature, None
        for others, and leaves the position in the file.
        """
        if not hasattr(plugin, "lotdb_identify_file"):
            pytest.skip("it has no lotdb_identify_file")
        for sample in samples:
            source = _source(sample.content, sample.kind, {}, tmp_path / sample.name)
            answer = plugin.lotdb_identify_file(source=source)
            assert answer is None or isinstance(answer, str), f"it answers {answer!r} for {sample.name}"
            assert source.file.tell() == 0, "it moves the position in the file; use source.head"
        for content in OTHERS:
            answer = plugin.lotdb_identify_file(source=_source(content, "", {}, tmp_path / "other"))
            assert answer is None, f"it takes {content[:20]!r}... for {answer!r}"

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_it_gives_the_same_every_time(
        self, plugin: Any, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """The same file gives the same every time, whichever file was read before."""
        pictures: dict[int, Any] = {}
        numbered = [*enumerate(samples)]
        for number, sample in (*reversed(numbered), *numbered):
            node = DataNode("node", plugins=OnlyThis(plugin))
            _attach(node, sample, sample.content, tmp_path)
            assert pictures.setdefault(number, picture(node)) == picture(node), (
                f"{sample.name} gives something else the second time, or after another file"
            )

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_the_format_is_what_is_asked_for_whatever_the_file_is_called(
        self, plugin: Any, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """It looks at source.format, which is what the user asked for, and not at the name of the file."""
        for sample in samples:
            if sample.beside:
                continue  # those are called after it
            if not sample.format and plugin.lotdb_ingest_file.lotdb_impl["trylast"]:
                continue  # the last resort also reads files of other names, if nobody names a format
            node = DataNode("node", plugins=OnlyThis(plugin))
            (tmp_path / "renamed").write_bytes(sample.content)
            node.attach_file(tmp_path / "renamed", format=sample.kind, **sample.options)
            _check_holds(node, sample, f"{sample.name} under another name, with format={sample.kind!r}")

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_an_unknown_option_is_refused(
        self, node: DataNode, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """An option that it does not know is an InvalidOptionError: call source.check_options(), or look only
        at the options that there are.
        """
        for sample in samples:
            mistaken = dataclasses.replace(sample, options={**sample.options, "no_such_option": 1})
            with pytest.raises(InvalidOptionError):
                _attach(node, mistaken, sample.content, tmp_path)
                pytest.fail("an option that it does not know is an InvalidOptionError")

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_files_are_left_alone(self, node: DataNode, samples: Sequence[Sample], tmp_path: Path) -> None:
        """It changes no file, and makes none: folders of recordings are often shared, or read-only."""
        for sample in samples:
            folder = tmp_path / f"folder of {sample.name}"
            folder.mkdir(exist_ok=True)
            _write_beside(sample, folder)
            _write(folder / sample.name, sample.content)
            before = _files_in(folder)
            _attach(node, sample, sample.content, folder)
            after = _files_in(folder)
            more = sorted(after.keys() - before.keys())
            assert not more, f"reading {sample.name} makes {more} beside it; use a temporary folder"
            changed = sorted(path for path in before if after.get(path) != before[path])
            assert not changed, f"reading {sample.name} changes {changed}"

    @promise(INGESTER, "it_gives_the_same_every_time")
    def test_threads_may_take_files_in_at_once(
        self, plugin: Any, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """Several threads may take files in at once, each into a tree of its own."""
        for sample in samples:
            _write_beside(sample, tmp_path)
            _write(tmp_path / sample.name, sample.content)
        pairs = [(sample, number) for number in range(2) for sample in samples]

        def take(sample: Sample) -> None:
            for _ in range(self.amount(3, 2)):
                node = DataNode("node", plugins=OnlyThis(plugin))
                node.attach_file(tmp_path / sample.name, format=sample.format, **sample.options)
                _check_holds(node, sample, f"among threads, {sample.name} gives what it holds")

        with switching_often():
            at_once([partial(take, sample) for sample, _ in pairs[:6]])

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_what_files_hold_goes_into_any_backend(
        self, plugin: Any, samples: Sequence[Sample], backends: Sequence[str], tmp_path: Path
    ) -> None:
        """What a file holds goes into any backend."""
        if not backends:
            pytest.skip("no backends are given")
        for backend in backends:
            with LOTDB(tmp_path / backend, plugins=OnlyThis(plugin)) as db:
                with db.connection() as root:
                    for number, sample in enumerate(samples):
                        node = root.get_data_node(f"{number}")
                        _attach(node, sample, sample.content, tmp_path, backend=backend)
                with db.connection() as root:
                    for number, sample in enumerate(samples):
                        node = root.get_data_node(f"{number}", create=False)
                        _check_holds(node, sample, f"{sample.name} in {backend}")
                        used = {payload.backend for payload in _payloads(node, sample).values()}
                        assert used == {backend}, f"{sample.name} is in {used}, not in {backend}"

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_what_came_in_goes_out_again(
        self, plugin: Any, node: DataNode, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """What lotdb_export_file() writes is taken in again as it was, with its rate; a sample whose format
        cannot keep it has exported=False.
        """
        if not hasattr(plugin, "lotdb_export_file"):
            pytest.skip("the plugin writes no files")
        for sample in samples:
            if sample.exported:
                self._export(node, OnlyThis(plugin), sample, tmp_path)

    def _export(self, node: DataNode, plugins: Plugins, sample: Sample, folder: Path) -> None:
        _attach(node, sample, sample.content, folder)
        refused = []
        for number, (name, payload) in enumerate(_payloads(node, sample).items()):
            path = folder / f"exported-{number}-{sample.name}"
            try:
                payload.export(path, format=sample.kind)
            except ExportError as error:
                refused.append(error)
                continue
            about = f"{sample.name}, payload {name!r}, exported and taken in again"
            again = DataNode("again", plugins=plugins)
            options = {} if isinstance(sample.data, Mapping) else sample.options
            again.attach_file(path, format=sample.format, **options)
            there = dict(again.payloads)
            got = there.get(f"data.{name}") or there.get("data") or next(iter(there.values()))
            check_same(got.read(), sample.payloads[name], about)
            assert got.samplerate_hz == payload.samplerate_hz, f"{about}: the rate is {got.samplerate_hz}"
        if len(refused) == len(sample.payloads):
            raise refused[0]

    @promise(INGESTER, "what_came_in_goes_out_again")
    def test_what_is_exported_comes_back_or_is_refused(
        self, plugin: Any, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """lotdb_export_file() writes what comes back just as it was, or raises ExportError; it returns None
        for what is not its format.
        """
        if not hasattr(plugin, "lotdb_export_file"):
            pytest.skip("the plugin writes no files")
        plugins = OnlyThis(plugin)
        lossy = {sample.kind for sample in samples if not sample.exported}
        named = {sample.kind: sample.format for sample in samples}
        for kind in sorted(named.keys() - lossy):
            for number, (held, rate) in enumerate(EXPORTED):
                made = DataNode("made", plugins=plugins)
                made.write_data(held, samplerate_hz=rate)
                path = tmp_path / f"made-{number}.{kind}"
                try:
                    made.get_data().export(path, format=kind)
                except ExportError:
                    assert not path.exists(), "a refused export leaves a file"
                    continue
                again = DataNode("again", plugins=plugins)
                again.attach_file(path, format=named[kind])
                got = next(iter(again.payloads.values()))
                about = f"{_described(held)} at {rate} Hz, exported to {kind!r}"
                if got.kind == made.get_data().kind:  # others are another view of it, such as a table
                    check_same(
                        _native(got.read()),
                        _native(held),
                        f"{about}; refuse with ExportError what would change",
                    )
                assert got.samplerate_hz in (rate, None), f"{about}: the rate is {got.samplerate_hz}"

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_a_node_that_came_in_goes_out_again(
        self, plugin: Any, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """A node that is exported and taken in again has the same payloads, with the same rates, and all else
        that the sample says.
        """
        if not hasattr(plugin, "lotdb_export_node"):
            pytest.skip("the plugin writes no nodes")
        for sample in samples:
            if not sample.exported or sample.beside:
                continue
            node = DataNode("node", plugins=OnlyThis(plugin))
            _attach(node, sample, sample.content, tmp_path)
            before = {name: each.samplerate_hz for name, each in _payloads(node, sample).items()}
            path = tmp_path / f"exported-{sample.name}"
            node.export(path, format=sample.kind)
            again = DataNode("node", plugins=OnlyThis(plugin))
            _attach(again, sample, path.read_bytes(), tmp_path)
            _check_holds(again, sample, f"{sample.name}, exported as a node and taken in again")
            after = {name: each.samplerate_hz for name, each in _payloads(again, sample).items()}
            assert after == before, f"{sample.name} keeps its rates when its node is exported"
            about = f"{sample.name}, exported as a node and taken in again"
            _check_metadata(again, sample, about)
            _check_tree(again, sample, about)

    # -- what is not its kind ----------------------------------------------------------------------

    @pytest.mark.parametrize("content", OTHERS)
    @promise(INGESTER)
    def test_a_file_of_another_kind_is_answered_none(
        self, plugin: Any, content: bytes, tmp_path: Path
    ) -> None:
        """lotdb_ingest_file() returns None for files of other formats."""
        if plugin.lotdb_ingest_file.lotdb_impl["trylast"]:
            pytest.skip("it is marked as the last resort, and takes any file")
        source = _source(content, "no-such-format", {}, tmp_path / "file.no-such-format")
        answer = plugin.lotdb_ingest_file(source=source)
        assert answer is None, f"a file that is not its kind is left to others; it answered {answer!r}"

    # -- damage ------------------------------------------------------------------------------------

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_an_empty_file_is_taken_in_or_refused(
        self, node: DataNode, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """An empty file is taken in as one, or is an IngestError; it comes back in time."""
        for sample in samples:
            _attach(node, sample, sample.content, tmp_path)
            before = dict(_payloads(node, sample))
            self._check(node, sample, b"", tmp_path)
            for name, payload in _payloads(node, sample).items():
                is_new = payload.metadata.get("_source_sha256") != before[name].metadata["_source_sha256"]
                assert not (is_new and payload.nbytes), (
                    f"{sample.name}, emptied, gives {payload.nbytes} bytes of data: raise IngestError for "
                    "what cannot be read, and keep nothing of what an earlier file at its path held"
                )

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_a_truncated_file_is_taken_in_or_refused(
        self, node: DataNode, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """A file that is cut off is taken in, or is an IngestError: compare what the header says with
        source.size.
        """
        for sample in samples:
            for length in self._places(len(sample.content)):
                self._check(node, sample, sample.content[:length], tmp_path)

    @pytest.mark.parametrize("garbage", [b"\0", b"\xff" * 3, b"garbage " * 1000])
    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_a_file_with_more_behind_it_is_taken_in_or_refused(
        self, node: DataNode, samples: Sequence[Sample], tmp_path: Path, garbage: bytes
    ) -> None:
        """A file with something behind its end is taken in, or is an IngestError."""
        for sample in samples:
            self._check(node, sample, sample.content + garbage, tmp_path)

    @pytest.mark.parametrize("byte", [0x00, 0x7F, 0x80, 0xFF])
    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_a_file_with_an_altered_byte_is_taken_in_or_refused(
        self, node: DataNode, samples: Sequence[Sample], tmp_path: Path, byte: int
    ) -> None:
        """A file with an altered byte is taken in, or is an IngestError; what is returned can be stored."""
        for sample in samples:
            for place in self._places(len(sample.content)):
                altered = bytearray(sample.content)
                altered[place : place + 1] = bytes([byte])
                self._check(node, sample, bytes(altered), tmp_path)

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_a_file_with_flipped_bits_is_taken_in_or_refused(
        self, node: DataNode, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """A file with flipped bits is taken in, or is an IngestError; whatever is returned can be stored."""
        for sample in samples:
            if sample.content:
                self._try_flipped_bits(node, sample, tmp_path)

    def _try_flipped_bits(self, node: DataNode, sample: Sample, folder: Path) -> None:
        changes = st.tuples(st.integers(0, len(sample.content) - 1), st.integers(1, 255))

        @settings(max_examples=self.amount(60, 4), deadline=None)
        @given(st.lists(changes, min_size=1, max_size=6))
        def check(flips: list[tuple[int, int]]) -> None:
            altered = bytearray(sample.content)
            for place, bits in flips:
                altered[place] ^= bits
            self._check(node, sample, bytes(altered), folder)

        check()

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_random_bytes_are_taken_in_or_refused(
        self, node: DataNode, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """Random bytes are taken in, or are an IngestError; whatever is returned can be stored."""
        for sample in samples:
            self._try_random_bytes(node, sample, tmp_path)

    def _try_random_bytes(self, node: DataNode, sample: Sample, folder: Path) -> None:
        @settings(max_examples=self.amount(60, 4), deadline=None)
        @given(st.integers(0, 20), st.binary(max_size=300))
        def check(kept: int, content: bytes) -> None:
            self._check(node, sample, sample.content[:kept] + content, folder)

        check()

    def _places(self, length: int) -> list[int]:
        """Up to a hundred places in a file: each of its first bytes, where headers are, then some."""
        first = range(0, min(length, 60), max(1, round(1 / self.effort)))
        return sorted({*first, *map(int, np.linspace(0, max(length - 1, 0), self.amount(40, 4)))})

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_files_beside_that_are_missing_or_cut_are_taken_in_or_refused(
        self, node: DataNode, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """A file beside it that is cut off is an IngestError: compare what the header says with beside.size.
        One that is missing may be left out, if it need not be there.
        """
        for sample in samples:
            for name, content in sample.beside.items():
                for length in [None, 0, *self._places(len(content))]:
                    damaged = {**sample.beside, name: None if length is None else content[:length]}
                    is_taken = self._check(node, sample, sample.content, tmp_path, damaged)
                    if is_taken and length is not None and length < len(content):
                        assert name in sample.open_ended, (
                            f"{name} beside {sample.name} was cut to {length} of {len(content)} bytes and "
                            "taken in; compare what the header says with beside.size, and raise "
                            "IngestError. If nothing says how long it is: Sample(open_ended=[name])"
                        )

    @promise(INGESTER, "a_file_gives_just_what_it_holds")
    def test_a_change_of_a_file_beside_is_noticed(
        self, node: DataNode, samples: Sequence[Sample], tmp_path: Path
    ) -> None:
        """It opens what lies beside its file with source.beside, so that a change of it is noticed."""
        for sample in samples:
            for name in sample.beside:
                first = _attach(node, sample, sample.content, tmp_path)
                assert name in first.metadata.get("_source_beside", {}), (
                    f"{sample.name}: ask for {name} with source.beside, so that a change of it is noticed"
                )

    def _check(
        self,
        node: DataNode,
        sample: Sample,
        content: bytes,
        folder: Path,
        beside: Mapping[str, bytes | None] | None = None,
    ) -> bool:
        """Whether it was taken in; what is neither that nor an ``IngestError`` fails the test."""
        before = picture(node)
        failure: LotdbError | None = None

        def attach() -> None:
            nonlocal failure
            try:
                _attach(node, sample, content, folder, beside=beside)
                # Altered, it may give several payloads in place of one, or others.
                for each in node.iterate_tree():
                    for payload in each.payloads.values():
                        payload.read()
            except LotdbError as error:
                failure = error
            if failure is None:
                return
            cause = failure.__cause__
            # An error of ours behind it tells that the core refused what the plugin returned. Names, which
            # come from the file, are left to the core.
            refused = not isinstance(cause, LotdbError) or isinstance(cause, IngestError | InvalidKeyError)
            refused = refused and isinstance(failure, IngestError)
            assert refused, f"{ANY_OR_ERROR}; what it returned could not be stored: {failure!r}"
            assert sample.name in str(failure), "an IngestError names the file"
            assert picture(node) == before, "after an IngestError the node is as it was"

        _within(self.seconds, attach)
        return failure is None


def _files_in(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time of change and contents of each file below *folder*."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _with_its_arguments(function: Callable[..., Any], **about: Any) -> Any:
    # As pluggy does: a hook's implementation takes those arguments that it names.
    return function(**{name: about[name] for name in inspect.signature(function).parameters})


def _native(held: Any) -> Any:
    """The same with the byte order of this machine, which is the only one that some formats have."""
    return held.astype(held.dtype.newbyteorder("=")) if isinstance(held, np.ndarray) else held


def _described(held: Any) -> str:
    return f"{held.dtype} {held.shape}" if isinstance(held, np.ndarray) else type(held).__name__


class _Counting(io.BytesIO):
    """A file that counts what is read of it."""

    read_bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.read_bytes += len(data)
        return data

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer)
        self.read_bytes += count
        return count


def _all_of(answer: Any) -> Iterator[Any]:
    """All payloads that an ingester gave, those of the nodes below too."""
    waiting = [answer]
    while waiting:
        given = waiting.pop()
        if isinstance(given, IngestedNode):
            waiting += [given.payloads, *given.children.values()]
        elif isinstance(given, Mapping):
            yield from given.values()
        else:
            yield given


def _payloads(node: DataNode, sample: Sample) -> dict[str, Payload]:
    """The payloads of a sample that are there, by their names in it."""
    if not isinstance(sample.data, Mapping):
        return {"": node.get_data()}
    found = {name: _payload(node, name) for name in sample.data}
    return {name: payload for name, payload in found.items() if payload is not None}


def _payload(node: DataNode, name: str) -> Payload | None:
    """The payload that a file names *name*, with "/" behind the keys of nodes."""
    if f"data.{name}" in node.payloads:
        return node.payloads[f"data.{name}"]
    *path, last = name.split("/")
    places = [((*path, last), "data"), (tuple(path), f"data.{last}")]
    for keys, own in places if all(name.split("/")) else []:
        if keys in node and own in node[keys].payloads:
            return node[keys].payloads[own]
    return node.payloads.get("data") if name in ("", "data") else None


def _check_holds(node: DataNode, sample: Sample, promised: str) -> None:
    several = dict(sample.data) if isinstance(sample.data, Mapping) else {"": sample.data}
    found = _payloads(node, sample)
    missing = [name for name in several if name not in found]
    assert not missing, f"{promised}: there is no payload {missing[0]!r}"
    for name, expected in several.items():
        check_same(found[name].read(), expected, f"{promised}, payload {name!r}")


def _check_metadata(node: DataNode, sample: Sample, promised: str) -> None:
    for name, payload in _payloads(node, sample).items():
        for key, value in sample.notes(name).items():
            got = payload.metadata.get(key)
            assert got == value, f"{promised}, payload {name!r}: {key!r} is {got!r}, not {value!r}"


def _check_tree(node: DataNode, sample: Sample, promised: str) -> None:
    """Attributes, and the types of the nodes below, are those of the sample."""
    for path, node_type in sample.node_types.items():
        assert path in node, f"{promised}: there is no node {path!r}"
        got = node[path].node_type
        assert got == node_type, f"{promised}: node {path!r} has the type {got!r}, not {node_type!r}"
    for name, expected in sample.attributes.items():
        path, slash, last = name.rpartition("/")
        at: BaseNode = node
        own = name
        if name not in node.attrs and slash and path in node:
            at, own = node[path], last
        assert own in at.attrs, f"{promised}: there is no attribute {name!r}"
        check_same(at.get_attribute(own), expected, f"{promised}, attribute {name!r}")


def _attach(
    node: DataNode,
    sample: Sample,
    content: bytes,
    folder: Path,
    *,
    beside: Mapping[str, bytes | None] | None = None,
    backend: str | None = None,
) -> Any:
    _write_beside(sample, folder, beside)
    _write(folder / sample.name, content)
    return node.attach_file(folder / sample.name, backend=backend, format=sample.format, **sample.options)


def _write_beside(sample: Sample, folder: Path, beside: Mapping[str, bytes | None] | None = None) -> None:
    for name, content in (sample.beside if beside is None else beside).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            (folder / name).unlink(missing_ok=True)
        else:
            _write(folder / name, content)


def _write(path: Path, content: bytes) -> None:
    if not path.exists() or path.read_bytes() != content:  # it keeps its time of modification otherwise
        path.write_bytes(content)


def _source(content: bytes, format: str, options: Mapping[str, Any], path: Path) -> SourceFile:
    return SourceFile(
        path=path, file=io.BytesIO(content), size=len(content), format=format, options=dict(options)
    )


def _within(seconds: float, job: Callable[[], None]) -> None:
    """Do *job*, in a thread: one that hangs could not be stopped, but is told."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            job()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"a damaged file keeps the ingester busy for more than {seconds} s"
    if raised:
        assert isinstance(raised[0], AssertionError | pytest.fail.Exception), f"{ANY_OR_ERROR}: {raised[0]!r}"
        raise raised[0]
