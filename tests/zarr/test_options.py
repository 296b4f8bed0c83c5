"""zarr's own options: what is taken, what is kept, and what is refused at the call."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec
from zarr.storage import MemoryStore

from lotdb import LOTDB, BaseNode, DamagedError, DataNode, InvalidOptionError

ROWS = np.arange(12_000, dtype="f4").reshape(6000, 2)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[DataNode]:
    with LOTDB(tmp_path, default_backend="zarr") as db, db.connection() as root:
        yield root.get_data_node("capture")


def stored_array(node: DataNode) -> Any:
    """The zarr array of the node's only segment, opened by plain zarr."""
    [segment] = node.get_data().segments()
    metadata = next(Path(path) for path, _ in segment.files if path.endswith("zarr.json"))
    return zarr.open_array(metadata.parent, mode="r")


def write(node: DataNode, **options: Any) -> Any:
    node.write_data(np.repeat(ROWS, 25, axis=0), **options)  # over 1 MiB, so in an array of its own
    return stored_array(node)


def test_plain_zarr_reads_a_segment(node: DataNode) -> None:
    array = write(node)
    assert np.array_equal(array[...], np.repeat(ROWS, 25, axis=0))
    assert np.isnan(array.fill_value)


def test_every_chunk_has_a_checksum_whatever_the_compressors(node: DataNode) -> None:
    for compressors in (
        None,
        [],
        GzipCodec(),
        [ZstdCodec(level=1), Crc32cCodec()],
        {"name": "gzip", "configuration": {}},
    ):
        array = write(node, compressors=compressors)
        assert sum(isinstance(codec, Crc32cCodec) for codec in array.compressors) == 1


def test_chunks_and_shards_are_those_that_were_asked_for(node: DataNode) -> None:
    array = write(node, chunks=1000, shards=(5000, 2), compressors=BloscCodec(cname="zstd"))
    assert (array.chunks, array.shards) == ((1000, 2), (5000, 2))
    assert array.compressors[0].to_dict()["configuration"]["cname"] == "zstd"


def test_the_default_chunks_are_equal_parts_of_at_most_64_kib(node: DataNode) -> None:
    assert write(node).chunks == (7896, 2)  # 150 000 rows of 8 bytes


@pytest.mark.sampled(3)
@pytest.mark.parametrize("columns", [1, 3, 8])
@pytest.mark.parametrize("dtype", ["i2", "i4", "f8"])
def test_any_number_of_rows_is_compressed_as_well(node: DataNode, dtype: str, columns: int) -> None:
    walk = np.random.default_rng(1).integers(-3, 4, (600_001, columns)).cumsum(axis=0).astype(dtype)
    sizes = []
    for rows in (600_000, 600_001, 599_999):
        [segment] = node.write_data(walk[:rows]).segments()
        sizes.append(segment.bytes_on_disk)
    assert max(sizes) < 1.05 * min(sizes)
    assert max(sizes) < 0.7 * walk.nbytes


def test_what_a_codec_leaves_open_is_settled_for_the_dtype(node: DataNode) -> None:
    for codec in (BloscCodec(), BloscCodec(cname="lz4")):
        [blosc, _] = write(node, compressors=codec).compressors
        settled = blosc.to_dict()["configuration"]
        assert (settled["typesize"], settled["shuffle"]) == (4, "shuffle")


def test_options_are_kept_by_append(node: DataNode) -> None:
    node.write_data(ROWS, chunks=(500, 2), compressors=GzipCodec(level=3))
    before = node.get_data().options
    node.append_data(np.repeat(ROWS, 400, axis=0))
    assert node.get_data().options == before
    files = [path for path, _ in node.get_data().segments()[-1].files if path.endswith("zarr.json")]
    array = zarr.open_array(Path(files[0]).parent, mode="r")
    assert array.chunks == (500, 2)
    assert array.compressors[0] == GzipCodec(level=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chunk": 5}, "takes no option 'chunk'"),
        ({"chunks": 0}, "chunks is 0"),
        ({"chunks": (10,)}, r"chunks is \(10,\), the rows have shape \(2,\)"),
        ({"chunks": "all"}, "chunks is 'all'"),
        ({"chunks": True}, "chunks is True"),
        ({"chunks": (2.5, 2)}, "chunks is"),
        ({"chunks": 10, "shards": 25}, "no multiple of chunks"),
        ({"compressors": "zstd"}, "compressors is 'zstd'"),
        ({"compressors": [{"name": "nonesuch"}]}, "nonesuch"),
        ({"compressors": [{"name": "gzip", "configuration": {"level": 99}}]}, "gzip"),
        ({"compressors": [5]}, "compressors has 5"),
        ({"compressors": zarr.codecs.BytesCodec()}, "bytes-to-bytes"),
    ],
)
def test_what_does_not_fit_is_refused_at_the_call(
    node: DataNode, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidOptionError, match=message):
        node.write_data(ROWS, **options)
    assert not node.has_data()


def test_a_number_of_rows_holds_also_for_rows_without_elements(node: DataNode) -> None:
    for rows in np.zeros((5, 0)), np.zeros((0, 3, 0), "c8"), np.zeros((2, 0), "U2"):
        node.write_data(rows, chunks=3, shards=6)
        node.append_data(rows)
        assert node.get_data().shape == (2 * len(rows), *rows.shape[1:])
        assert node.read_data().dtype == rows.dtype


def test_the_message_names_as_many_lengths_as_the_rows_have(node: DataNode) -> None:
    for rows, wanted in (
        (ROWS, "use a number of rows, or 2 lengths, each from 1 on"),
        (ROWS[:, 0], "use a number of rows from 1 on"),
    ):
        for chunks in 0, "all":
            with pytest.raises(InvalidOptionError, match=f"{wanted}$"):
                node.write_data(rows, chunks=chunks)


def test_a_tree_in_memory_refuses_what_its_database_would_refuse() -> None:
    node = BaseNode().get_data_node("capture", backend="zarr")
    with pytest.raises(InvalidOptionError, match="chunks is 0"):
        node.write_data(ROWS, chunks=0)


def test_options_given_in_memory_are_used_when_the_tree_is_added(node: DataNode) -> None:
    memory = BaseNode("memory").get_data_node("capture", backend="zarr")
    memory.write_data(np.repeat(ROWS, 25, axis=0), chunks=1234)
    node.add_tree(memory)
    assert stored_array(memory).chunks == (1234, 2)


def test_the_store_may_be_any_zarr_store(tmp_path: Path) -> None:
    store = MemoryStore()
    configured: dict[str, Any] = {"default_backend": "zarr", "backends": {"zarr": {"store": store}}}
    with LOTDB(tmp_path, **configured) as db:
        with db.connection() as root:
            root.get_data_node("capture").write_data(ROWS)
        assert not (tmp_path / "lotdb.fs.zarr").exists()
    with LOTDB(tmp_path, **configured) as db, db.connection() as root:
        assert np.array_equal(root["capture"].read_data(), ROWS)


def test_an_unknown_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError, match=r"no setting 'stoer' .*; did you mean 'store'"):
        LOTDB(tmp_path, backends={"zarr": {"stoer": 1}})
    assert list(tmp_path.iterdir()) == []


def test_swapped_segments_are_noticed(tmp_path: Path) -> None:
    with LOTDB(tmp_path, default_backend="zarr") as db:
        with db.connection() as root:
            for key in "ab":
                root.get_data_node(key).write_data(np.full(400_000, ord(key), "f4"))
        first, second = (path for path in (tmp_path / "lotdb.fs.zarr").iterdir() if path.is_dir())
        first.rename(tmp_path / "aside")
        second.rename(first)
        (tmp_path / "aside").rename(second)
    with LOTDB(tmp_path) as db, db.connection() as root:
        for key in "ab":
            with pytest.raises(DamagedError, match=f"payload 'data' of node '{key}'.*checksum"):
                root[key].read_data()
