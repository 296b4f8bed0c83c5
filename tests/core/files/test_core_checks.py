"""What the core checks of every ingester and exporter, whoever wrote it."""

import numpy as np
import pytest
from tests.core.files.rig_plugin import MARK, InstalledOnce, numbers, rig, with_rigs

from lotdb import (
    BaseNode,
    Blocks,
    DataNode,
    ExportError,
    Ingested,
    IngestedNode,
    IngestError,
    InvalidOptionError,
    Plugins,
    hookimpl,
)


class Declines:
    """It knows its files by their mark, and takes only whole ones; of others it says nothing."""

    @hookimpl
    def lotdb_identify_file(self, source):
        return "odd" if source.head.startswith(b"ODD") else None

    @hookimpl
    def lotdb_ingest_file(self, source):
        if source.format != "odd" or not source.head.endswith(b"END"):
            return None
        return Ingested(source.file.read(), format="odd")


class TakesAll:
    """Another one, which takes anything."""

    @hookimpl(trylast=True)
    def lotdb_ingest_file(self, source):
        return Ingested(b"anything", format="any")


class OnlyThese(Plugins):
    """None of those that are installed."""

    def _load_all(self, group):
        pass


def node_with(*plugins, only=False):
    found = OnlyThese() if only else InstalledOnce()
    for number, plugin in enumerate(plugins):
        found.register(plugin, name=f"acme{number or ''}")
    return DataNode("node", plugins=found)


# -- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.odd", "x.ODD", "x.unknown"])
@pytest.mark.parametrize("others", [(), (TakesAll(),)])
def test_what_is_recognized_and_not_read_is_given_to_no_other(tmp_path, name, others):
    (tmp_path / name).write_bytes(b"ODD and cut")
    node = node_with(Declines(), *others)
    how = {"format": "auto"} if name == "x.unknown" else {}
    with pytest.raises(IngestError, match=rf"{name}' as odd: .*ingester 'acme', which recognizes it"):
        node.attach_file(tmp_path / name, **how)
    assert list(node.attrs) == []
    assert node.attach_file(tmp_path / name, format="raw").kind == "bytes"


def test_nor_if_there_is_no_other(tmp_path):
    (tmp_path / "x.odd").write_bytes(b"ODD and cut")
    with pytest.raises(IngestError, match=r"ingester 'acme', which recognizes it, does not read it"):
        node_with(Declines(), only=True).attach_file(tmp_path / "x.odd")


def test_what_is_whole_is_read_and_what_is_not_recognized_is_kept(tmp_path):
    (tmp_path / "x.odd").write_bytes(b"ODD END")
    node = node_with(Declines())
    assert node.attach_file(tmp_path / "x.odd").read() == b"ODD END"
    (tmp_path / "y.odd").write_bytes(b"something else")
    assert node.attach_file(tmp_path / "y.odd").metadata["_source_format"] == "odd"
    (tmp_path / "x.other").write_bytes(b"ODD and cut")  # of another name, and nobody asked for its content
    assert node.attach_file(tmp_path / "x.other").read() == b"ODD and cut"


def test_an_ingester_that_comes_first_may_take_what_another_recognizes(tmp_path):
    class First:
        @hookimpl(tryfirst=True)
        def lotdb_ingest_file(self, source):
            return Ingested("mine", format="npy") if source.format == "npy" else None

    np.save(tmp_path / "x.npy", np.arange(3))
    assert node_with(First()).attach_file(tmp_path / "x.npy").read() == "mine"


def test_a_folder_tells_of_damage_and_keeps_no_bytes_of_it(tmp_path):
    (tmp_path / "x.odd").write_bytes(b"ODD and cut")
    root = BaseNode("root", plugins=node_with(Declines())._tree.plugins)
    report = root.ingest_tree(tmp_path, "{name}.odd")
    assert "'acme'" in str(report.failed["x.odd"])
    assert list(root) == []


def test_an_error_of_an_ingester_names_the_file_and_the_ingester(tmp_path):
    (tmp_path / "x.rig").write_bytes(b"RUG1")
    node = DataNode("node", plugins=with_rigs())
    with pytest.raises(IngestError, match=r"x\.rig' as rig: it does not begin with RIG1 \(ingester 'rigs'\)"):
        node.attach_file(tmp_path / "x.rig")
    (tmp_path / "x.rig").write_bytes(MARK + b"{")
    with pytest.raises(IngestError, match=r"x\.rig' as rig: plugin 'rigs' failed: JSONDecodeError"):
        node.attach_file(tmp_path / "x.rig")


# -- options --------------------------------------------------------------------------------------


class Ignores:
    """It looks at no option but gain, and that late."""

    @hookimpl
    def lotdb_ingest_file(self, source):
        if source.format != "odd":
            return None

        def blocks():
            yield np.arange(3.0) * source.options.get("gain", 1)

        return Ingested(Blocks(blocks(), np.dtype("f8")), format="odd")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("gian", r"format 'odd' takes no option 'gian' \(it takes: gain\); did you mean 'gain'\?"),
        ("bogus", r"takes no option 'bogus' \(it takes: gain\)$"),
        ("sampelrate_hz", "did you mean 'samplerate_hz'"),
    ],
)
def test_an_option_that_no_ingester_looks_at_is_an_error(tmp_path, option, message):
    (tmp_path / "x.odd").write_bytes(b"x")
    node = node_with(Ignores())
    with pytest.raises(InvalidOptionError, match=message):
        node.attach_file(tmp_path / "x.odd", **{option: 2})
    assert list(node.attrs) == []
    assert node.attach_file(tmp_path / "x.odd", gain=2).read().tolist() == [0, 2, 4]


def test_options_that_are_passed_on_are_looked_at(tmp_path):
    class PassesOn:
        @hookimpl
        def lotdb_ingest_file(self, source):
            return Ingested(repr(dict(**source.options)), format="odd") if source.format == "odd" else None

    (tmp_path / "x.odd").write_bytes(b"x")
    assert node_with(PassesOn()).attach_file(tmp_path / "x.odd", a=1, b=2).read() == "{'a': 1, 'b': 2}"


def test_what_another_ingester_looked_at_does_not_count(tmp_path):
    class Curious:
        @hookimpl(tryfirst=True)
        def lotdb_ingest_file(self, source):
            source.options.get("bogus")

    (tmp_path / "x.odd").write_bytes(b"x")
    with pytest.raises(InvalidOptionError, match="no option 'bogus'"):
        node_with(Curious(), Ignores()).attach_file(tmp_path / "x.odd", bogus=2)


@pytest.mark.parametrize("name", ["x.npy", "x.csv", "x.txt", "x.unknown"])
def test_our_own_ingesters_name_the_nearest(tmp_path, name):
    (tmp_path / name).write_bytes(b"a,b\n1,2\n")
    with pytest.raises(InvalidOptionError, match=r"no option 'skip_unchangd'.*did you mean 'skip_unchanged'"):
        DataNode("node").attach_file(tmp_path / name, skip_unchangd=True)


def test_other_options_than_before_are_no_unchanged_file(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    node = DataNode("node")
    read = []
    for how in ({}, {"delimiter": ";"}, {"delimiter": ";"}, {"format": "txt"}, {"format": "txt"}, {}):
        before = node._tree.version
        payload = node.attach_file(tmp_path / "x.csv", skip_unchanged=True, **how)
        columns = 0 if payload.kind == "text" else len(payload.read().dtype.names)
        read.append((columns, node._tree.version != before))
    assert read == [(2, True), (1, True), (1, False), (0, True), (0, False), (2, True)]


def test_an_option_that_cannot_be_kept_is_never_taken_for_the_same(tmp_path):
    class Calls:
        @hookimpl
        def lotdb_ingest_file(self, source):
            return Ingested(source.options["make"](), format="odd") if source.format == "odd" else None

    (tmp_path / "x.odd").write_bytes(b"x")
    node = node_with(Calls())
    assert node.attach_file(tmp_path / "x.odd", make=lambda: "one", skip_unchanged=True).read() == "one"
    assert node.attach_file(tmp_path / "x.odd", make=lambda: "two", skip_unchanged=True).read() == "two"


def test_an_exporter_that_ignores_an_option_is_found_out(tmp_path):
    class Writes:
        @hookimpl
        def lotdb_export_file(self, target, payload):
            target.file.write(b"x")
            return True

    payload = node_with(Writes()).write_data(np.arange(3))
    with pytest.raises(InvalidOptionError, match="writing 'odd' takes no option 'fast'"):
        payload.export(tmp_path / "x.odd", fast=True)
    assert list(tmp_path.iterdir()) == []


# -- limits ---------------------------------------------------------------------------------------


def gives(answer):
    class Gives:
        @hookimpl
        def lotdb_ingest_file(self, source):
            return answer() if source.format == "odd" else None

    return node_with(Gives())


def blocks(rows):
    return Blocks([np.zeros(50, "u1"), np.zeros(50, "u1")], np.dtype("u1"), rows=rows)


def part(data):
    return Ingested(data, format="odd")


@pytest.mark.parametrize(
    "answer",
    [
        lambda: part(np.zeros(100, "u1")),
        lambda: part("x" * 100),
        lambda: part([b"12345"] * 20),
        lambda: part(blocks(100)),
        lambda: part(blocks(None)),
        lambda: {"a": part(np.zeros(60, "u1")), "b": part(b"x" * 40)},
        lambda: {"a": part(blocks(100)), "b": part(np.zeros(0))},
        lambda: IngestedNode(part(np.zeros(50, "u1")), children={"a": part(np.zeros(50, "u1"))}),
        lambda: IngestedNode(children={"a": IngestedNode(children={"b": {"c": part(blocks(None))}})}),
    ],
)
def test_all_that_a_file_becomes_is_limited(tmp_path, answer):
    (tmp_path / "x.odd").write_bytes(b"x")
    node = gives(answer)
    with pytest.raises(IngestError, match=r"x\.odd' as odd: it announces \d+ bytes of data, the limit is 99"):
        node.attach_file(tmp_path / "x.odd", max_bytes=99)
    assert (list(node), list(node.attrs)) == ([], [])
    node.attach_file(tmp_path / "x.odd", max_bytes=100)


# -- exporting nodes ------------------------------------------------------------------------------


def test_a_node_goes_to_the_exporter_of_nodes(tmp_path):
    node = DataNode("node", plugins=with_rigs())
    node.write_data(np.arange(3.0), samplerate_hz=4)
    node.write_data(np.arange(2.0), samplerate_hz=8, data_attribute="data.b")
    node.export(tmp_path / "x.rig")
    again = DataNode("node", plugins=with_rigs())
    again.attach_file(tmp_path / "x.rig")
    assert [again.get_data(name).samplerate_hz for name in ("data", "data.b")] == [4, 8]
    with pytest.raises(ExportError, match="file already exists"):
        node.export(tmp_path / "x.rig")


def test_a_node_that_nobody_writes_is_told(tmp_path):
    node = DataNode("node", plugins=with_rigs())
    with pytest.raises(ExportError, match="no installed plugin writes a node with all that it has as 'wav'"):
        node.export(tmp_path / "x.wav")
    node.write_data("text")
    with pytest.raises(ExportError, match=r"the root.*it holds numbers only"):
        node.export(tmp_path / "x.rig")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InvalidOptionError, match="takes no option 'fast'"):
        DataNode("node", plugins=with_rigs()).export(tmp_path / "y.rig", fast=True)


def test_the_kind_of_file_does_not_matter_for_the_rates_of_lists(tmp_path):
    (tmp_path / "x.rig").write_bytes(rig(payloads={"": numbers(1, 2, kind="list")}))
    node = DataNode("node", plugins=with_rigs(), samplerate_hz=4)
    assert node.attach_file(tmp_path / "x.rig").samplerate_hz == 4
