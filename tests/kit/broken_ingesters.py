"""Ingesters that break one promise each, and the good ones that they are made from, which break none.

``test_broken_ingesters.py`` tells which tests of the kit notice.
"""

import json
import random
import tempfile
import time
from dataclasses import replace
from typing import IO, ClassVar

import numpy as np

from lotdb import Blocks, ExportError, Ingested, IngestedNode, IngestError, hookimpl


class GoodIngester:
    """Files of suffix .pair: how many numbers, then the numbers, as bytes."""

    rate = 5
    signature = b"pair"

    @hookimpl
    def lotdb_identify_file(self, source):
        return "pair" if source.head[:4] == b"\x04pair" else None

    @hookimpl
    def lotdb_ingest_file(self, source):
        if source.format != "pair":
            return None
        return self.read(source.file, source)

    @hookimpl
    def lotdb_export_file(self, target, payload):
        if target.format != "pair":
            return None
        return self.write(target, payload)

    def write(self, target, payload):
        if (payload.kind, payload.ndim, payload.dtype) != ("array", 1, np.uint8) or len(payload) > 255:
            raise ExportError("it holds up to 255 numbers of one byte")
        if payload.samplerate_hz != self.rate:
            raise ExportError(f"its rate is {self.rate} Hz")
        target.file.write(bytes([len(payload)]) + payload.read().tobytes())
        return True

    def read(self, file, source):
        content = file.read()
        if not content or len(content) != content[0] + 1:
            raise IngestError("its length is not the announced one")
        numbers = np.frombuffer(content[1:], np.uint8)
        return Ingested(numbers, format="pair", samplerate_hz=5, metadata={"unit": "mV"})


class TakesFilesOfOthers(GoodIngester):
    @hookimpl
    def lotdb_ingest_file(self, source):
        return Ingested(source.file.read(), format="pair")


class ForgetsAFormat(GoodIngester):
    @hookimpl
    def lotdb_get_ingest_formats(self):
        return ["paired"]


class OpensThePathAgain(GoodIngester):
    def read(self, file, source):
        with open(source.path, "rb") as again:
            return super().read(again, source)


class ReturnsWhatNobodyCanStore(GoodIngester):
    def read(self, file, source):
        try:
            return super().read(file, source)
        except IngestError:
            return Ingested({"no": "array"}, format="pair")


class Hangs(GoodIngester):
    def read(self, file, source):
        try:
            return super().read(file, source)
        except IngestError:
            time.sleep(60)
            raise


class IsNotMarked(GoodIngester):
    def lotdb_ingest_file(self, source):
        return self.read(source.file, source) if source.format == "pair" else None


class MistakesTheRate(GoodIngester):
    def read(self, file, source):
        found = super().read(file, source)
        return Ingested(found.data, format="pair", samplerate_hz=5.5, metadata=found.metadata)


class MistakesTheDtype(GoodIngester):
    def read(self, file, source):
        found = super().read(file, source)
        return Ingested(found.data.astype("i8"), format="pair", samplerate_hz=5, metadata=found.metadata)


class LosesMetadata(GoodIngester):
    def read(self, file, source):
        return Ingested(super().read(file, source).data, format="pair", samplerate_hz=5)


class ClosesTheFile(GoodIngester):
    def read(self, file, source):
        with file:
            return super().read(file, source)


class ChangesOptions(GoodIngester):
    def read(self, file, source):
        source.options["seen"] = True
        return super().read(file, source)


class LeavesAFileOpen(GoodIngester):
    left: ClassVar[list[IO[bytes]]] = []

    def read(self, file, source):
        if source.path.exists():
            self.left.append(open(source.path, "rb"))  # noqa: SIM115
        return super().read(file, source)


class MovesThePosition(GoodIngester):
    @hookimpl
    def lotdb_identify_file(self, source):
        return "pair" if source.file.read(5) == b"\x04pair" else None


class IdentifiesEverything(GoodIngester):
    @hookimpl
    def lotdb_identify_file(self, source):
        return "pair"


class GuessesNumbers(GoodIngester):
    def read(self, file, source):
        found = super().read(file, source)
        metadata = {**found.metadata, "note": random.random()}
        return Ingested(found.data, format="pair", samplerate_hz=5, metadata=metadata)


class ExportsAnotherRate(GoodIngester):
    """It writes whatever rate there is, and reads its own."""

    def write(self, target, payload):
        if (payload.kind, payload.ndim, payload.dtype) != ("array", 1, np.uint8):
            raise ExportError("it holds numbers of one byte")
        target.file.write(bytes([len(payload)]) + payload.read()[::-1].tobytes())
        return True


class ExportsWhatItCannotHold(GoodIngester):
    """It writes the numbers that fit, of whatever there is."""

    def write(self, target, payload):
        numbers = np.asarray(payload).reshape(-1).astype("u1")[:255] if payload.kind == "array" else b""
        target.file.write(bytes([len(numbers)]) + bytes(numbers))
        return True


class ExportsNothing(GoodIngester):
    def write(self, target, payload):
        raise ExportError("not today")


class KeepsWhatItReadByPath(GoodIngester):
    """It reads no path a second time."""

    known: ClassVar[dict[str, Ingested]] = {}

    def read(self, file, source):
        if source.path not in self.known:
            self.known[source.path] = super().read(file, source)
        found = self.known[source.path]
        return Ingested(found.data, format="pair", samplerate_hz=5, metadata=found.metadata)


class SharesWhatItReads(GoodIngester):
    """Threads share the bytes that it works on."""

    def read(self, file, source):
        mine = self.numbers = super().read(file, source).data
        # Until another thread has put its own there, however slow the machine is.
        until = time.monotonic() + 0.5
        while self.numbers is mine and time.monotonic() < until:
            time.sleep(0.001)
        return Ingested(self.numbers, format="pair", samplerate_hz=5, metadata={"unit": "mV"})


class MakesAnIndexBesideTheFile(GoodIngester):
    def read(self, file, source):
        if source.path.parent.exists():
            source.path.with_suffix(".index").write_text("1")
        return super().read(file, source)


class TouchesTheFile(GoodIngester):
    def read(self, file, source):
        if source.path.exists():
            source.path.write_bytes(source.path.read_bytes())
        return super().read(file, source)


# -- files beside it ------------------------------------------------------------------------------


class GoodBeside:
    """Files of suffix .head: how many numbers; the numbers, as bytes, are in the file .body beside it."""

    @hookimpl
    def lotdb_ingest_file(self, source):
        if source.format != "head":
            return None
        head, beside = source.file.read(), source.beside(".body")
        if len(head) != 1:
            raise IngestError("it is not one byte long")
        return self.numbers(head[0], beside)

    def numbers(self, count, beside):
        if beside.size != count:
            raise IngestError(f"{beside.name} has {beside.size} bytes, and not {count}")
        return Ingested(np.frombuffer(beside.file.read(), "u1"), format="head")


class IgnoresThatTheBodyIsShort(GoodBeside):
    def numbers(self, count, beside):
        return Ingested(np.frombuffer(beside.file.read(count), "u1"), format="head")


class FillsUpTheBody(GoodBeside):
    def numbers(self, count, beside):
        return Ingested(np.frombuffer(beside.file.read(count).ljust(count, b"\0"), "u1"), format="head")


# -- several payloads -----------------------------------------------------------------------------


class GoodSeveral:
    """Files of suffix .several: for each payload its rate, how many numbers, then the numbers, as bytes."""

    @hookimpl
    def lotdb_ingest_file(self, source):
        if source.format != "several":
            return None
        content, found = source.file.read(), {}
        while content:
            if len(content) < 2 or len(content) < 2 + content[1]:
                raise IngestError("it ends too early")
            rate, count = content[:2]
            data = np.frombuffer(content[2 : 2 + count], "u1")
            name = f"p{len(found)}"
            found[name] = Ingested(
                data, format="several", samplerate_hz=rate or None, metadata={"name": name}
            )
            content = content[2 + count :]
        if not found:
            raise IngestError("it is empty")
        return self.mend(found)

    def mend(self, found):
        return found

    @hookimpl
    def lotdb_export_file(self, target, payload):
        if target.format != "several":
            return None
        rate = payload.samplerate_hz or 0
        if (payload.kind, payload.ndim, payload.dtype) != ("array", 1, np.uint8) or rate not in range(256):
            raise ExportError("it holds numbers of one byte, at a whole rate")
        return self.write(target, payload, int(rate))

    def write(self, target, payload, rate):
        target.file.write(bytes([rate, len(payload)]) + payload.read().tobytes())
        return True


class GivesAllTheFirstRate(GoodSeveral):
    def mend(self, found):
        first = next(iter(found.values())).samplerate_hz
        return {
            name: Ingested(each.data, format="several", samplerate_hz=first, metadata=each.metadata)
            for name, each in found.items()
        }


class GivesAllTheFirstMetadata(GoodSeveral):
    def mend(self, found):
        first = next(iter(found.values())).metadata
        return {
            name: Ingested(each.data, format="several", samplerate_hz=each.samplerate_hz, metadata=first)
            for name, each in found.items()
        }


class LosesTheLastPayload(GoodSeveral):
    def mend(self, found):
        return dict(list(found.items())[:-1]) or found


class ExportsSeveralWithoutTheirRates(GoodSeveral):
    def write(self, target, payload, rate):
        return super().write(target, payload, 0)


# -- a tree ---------------------------------------------------------------------------------------


class GoodTree:
    """Files of suffix .tree: JSON; a node is what it is called, an attribute, numbers, and nodes below."""

    @hookimpl
    def lotdb_ingest_file(self, source):
        if source.format != "tree":
            return None
        return self.node(json.load(source.file))

    def node(self, said):
        return IngestedNode(
            {"n": Ingested(np.array(said["n"], "i4"), format="tree", metadata={"unit": said["unit"]})},
            attributes={"side": said["side"]},
            children={key: self.below(each) for key, each in said["nodes"].items()},
        )

    def below(self, said):
        return self.node(said) if said else IngestedNode()

    @hookimpl
    def lotdb_export_node(self, target, node):
        if target.format != "tree":
            return None
        target.file.write(json.dumps(self.said(node)).encode())
        return True

    def said(self, node):
        payload = node.payloads.get("data.n")
        if payload is None:
            return None
        return {
            "n": payload.read().tolist(),
            "unit": payload.metadata.get("unit"),
            "side": node.attrs["side"],
            "nodes": {key: self.said(child) for key, child in node.items()},
        }


class LosesAttributesBelow(GoodTree):
    def below(self, said):
        return replace(self.node(said), attributes={}) if said else IngestedNode()


class LosesEmptyNodes(GoodTree):
    def node(self, said):
        return super().node({**said, "nodes": {key: each for key, each in said["nodes"].items() if each}})


class MakesDataNodesOfAll(GoodTree):
    def below(self, said):
        return self.node(said) if said else IngestedNode(node_type="data")


class ExportsNodesWithoutAttributes(GoodTree):
    def said(self, node):
        said = super().said(node)
        return said and {**said, "side": None}


class ExportsNodesWithoutMetadata(GoodTree):
    def said(self, node):
        said = super().said(node)
        return said and {**said, "unit": None}


# -- blocks ---------------------------------------------------------------------------------------


class GoodBlocks:
    """Files of suffix .long: rows of one byte, read in blocks."""

    @hookimpl
    def lotdb_ingest_file(self, source):
        if source.format != "long":
            return None
        return Ingested(Blocks(self.blocks(source.file), np.dtype("u1")), format="long")

    def blocks(self, file):
        while block := file.read(1 << 16):
            yield np.frombuffer(block, "u1")


class ReadsAllAtOnce(GoodBlocks):
    def blocks(self, file):
        return list(super().blocks(file))


class RepeatsABlock(GoodBlocks):
    """It gives out one buffer again and again, and keeps what it gave."""

    def blocks(self, file):
        first = None
        for block in super().blocks(file):
            first = block if first is None else first
            yield first[: len(block)]


# -- of the sort that happens -----------------------------------------------------------------------


class ReusesItsBuffer(GoodIngester):
    """What it gives looks into memory that the next file is read to."""

    buffer: ClassVar[bytearray] = bytearray(256)

    def read(self, file, source):
        found = super().read(file, source)
        count = len(found.data)
        self.buffer[:count] = found.data.tobytes()
        numbers = np.frombuffer(self.buffer, np.uint8, count)
        return Ingested(numbers, format="pair", samplerate_hz=5, metadata=found.metadata)


class GivesNothingAsFloats(GoodIngester):
    def read(self, file, source):
        found = super().read(file, source)
        data = found.data if len(found.data) else np.array([])
        return Ingested(data, format="pair", samplerate_hz=5, metadata=found.metadata)


class SaysThePeriod(GoodIngester):
    """Seconds a row in place of rows a second."""

    def read(self, file, source):
        found = super().read(file, source)
        return Ingested(found.data, format="pair", samplerate_hz=1 / 5, metadata=found.metadata)


class OpensTheBodyItself(GoodBeside):
    """Nobody learns that the body has changed."""

    @hookimpl
    def lotdb_ingest_file(self, source):
        if source.format != "head":
            return None
        head, body = source.file.read(), source.path.with_suffix(".body").read_bytes()
        if len(head) != 1 or len(body) != head[0]:
            raise IngestError("its body is of another length")
        return Ingested(np.frombuffer(body, "u1"), format="head")


class SwallowsItsErrors(GoodIngester):
    """What it cannot read it gives as a text that says so."""

    def read(self, file, source):
        try:
            return super().read(file, source)
        except IngestError as error:
            return Ingested(f"could not be read: {error}", format="pair")


class KeepsEarlierMetadata(GoodIngester):
    """All files share one dict of metadata."""

    def __init__(self):
        self.metadata = {}

    def read(self, file, source):
        ingested = super().read(file, source)
        if len(ingested.data):
            self.metadata["first"] = int(ingested.data[0])
        return replace(ingested, metadata={**ingested.metadata, **self.metadata})


class LooksAtTheName(GoodIngester):
    @hookimpl
    def lotdb_ingest_file(self, source):
        return self.read(source.file, source) if str(source.path).endswith(".pair") else None


class LeavesTemporaryFiles(GoodIngester):
    def read(self, file, source):
        with tempfile.NamedTemporaryFile(delete=False) as copy:
            copy.write(source.head)
        return super().read(file, source)


class TakesAnyOption(GoodIngester):
    """It hands its options on to a function that takes any."""

    def read(self, file, source):
        dict(**source.options)
        return super().read(file, source)
