"""Plugins that break one promise each, and the good ones that they are made from, which break none.

``test_the_kit_itself.py`` tells which tests of the kit notice.
"""

import os
import time
from typing import ClassVar

import numpy as np

from lotdb import Backend, BaseNode, DamagedError, Ingested, IngestError, InvalidOptionError, hookimpl


class GoodBackend(Backend):
    """Each array as a file of its bytes."""

    name = "good"

    def __init__(self, context):
        super().__init__(context)
        for setting in context.config:
            raise InvalidOptionError(f"no setting {setting!r}")

    def path(self, locator):
        return self.context.folder / locator

    def write(self, locator, array, options):
        self.context.folder.mkdir(exist_ok=True)
        with open(self.path(locator), "xb") as file:
            array.tofile(file)
            os.fsync(file.fileno())
        for folder in (self.context.folder, self.context.folder.parent):
            descriptor = os.open(folder, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

    def read_into(self, locator, first_row, out):
        try:
            with open(self.path(locator), "rb") as file:
                file.seek(first_row * (out.nbytes // len(out)))
                read = file.readinto(out.reshape(-1).view(np.uint8))
        except FileNotFoundError as error:
            raise DamagedError(f"{self.path(locator)} is missing") from error
        if read != out.nbytes:
            raise DamagedError(f"{self.path(locator)} is too short")

    def delete(self, locator):
        self.path(locator).unlink(missing_ok=True)

    def locators(self):
        for path in self.context.folder.glob("*"):
            yield path.name, path.stat().st_mtime

    def files(self, locator):
        path = self.path(locator)
        return [(str(path), path.stat().st_size)] if path.exists() else []

    def describe(self, locator):
        return str(self.path(locator))


class LosesBytesOnReopen(GoodBackend):
    """It keeps arrays in memory, and files only for show."""

    def __init__(self, context):
        super().__init__(context)
        self.arrays = {}

    def write(self, locator, array, options):
        super().write(locator, np.zeros_like(array), options)
        self.arrays[locator] = array.copy()

    def read_into(self, locator, first_row, out):
        super().read_into(locator, first_row, out)
        if locator in self.arrays:
            out[...] = self.arrays[locator][first_row : first_row + len(out)]


class KeepsTheCallersArray(GoodBackend):
    def __init__(self, context):
        super().__init__(context)
        self.arrays = {}

    def write(self, locator, array, options):
        super().write(locator, array, options)
        self.arrays[locator] = array

    def read_into(self, locator, first_row, out):
        super().read_into(locator, first_row, out)
        if locator in self.arrays:
            out[...] = self.arrays[locator][first_row : first_row + len(out)]


class Overwrites(GoodBackend):
    """All arrays go into one file."""

    def path(self, locator):
        return self.context.folder / "all"

    def write(self, locator, array, options):
        self.delete(locator)
        super().write(locator, array, options)


class ForgetsToDelete(GoodBackend):
    def delete(self, locator):
        pass


class ReadsWrongRows(GoodBackend):
    """It reads from the start when the window is long."""

    def read_into(self, locator, first_row, out):
        super().read_into(locator, first_row if len(out) < 50 else 0, out)


class ListsNoLocators(GoodBackend):
    def locators(self):
        return []


class SwallowsMissingFiles(GoodBackend):
    def read_into(self, locator, first_row, out):
        if not self.path(locator).exists():
            out[...] = np.zeros((), out.dtype)
            return
        super().read_into(locator, first_row, out)


class FillsUpShortFiles(GoodBackend):
    def read_into(self, locator, first_row, out):
        out.reshape(-1).view(np.uint8)[:] = 0
        try:
            super().read_into(locator, first_row, out)
        except DamagedError:
            if not self.path(locator).exists():
                raise


class NamesNoFileInErrors(GoodBackend):
    def read_into(self, locator, first_row, out):
        try:
            super().read_into(locator, first_row, out)
        except DamagedError as error:
            raise DamagedError("something is wrong") from error

    def describe(self, locator):
        return "somewhere"


class DoesNotSync(GoodBackend):
    def write(self, locator, array, options):
        self.context.folder.mkdir(exist_ok=True)
        array.tofile(self.path(locator))


class SyncsNoFolder(GoodBackend):
    """Its files are on the disk, but after a power cut their folder may not have them."""

    def write(self, locator, array, options):
        self.context.folder.mkdir(exist_ok=True)
        with open(self.path(locator), "xb") as file:
            array.tofile(file)
            os.fsync(file.fileno())


class ClaimsToSync(DoesNotSync):
    syncs = True


class ClaimsToCheckWindows(GoodBackend):
    """It leaves no window to the core, and looks at none itself."""

    checks_windows = True


class SelectsTheWrongColumns(GoodBackend):
    checks_windows = True

    def read_selection(self, locator, selection, out):
        out[...] = 0


class MakesUpItsLocators(GoodBackend):
    """Unique, but not to be found in records: pack would delete everything."""

    count = 0

    def new_locator(self):
        MakesUpItsLocators.count += 1
        return f"array_{os.getpid()}_{MakesUpItsLocators.count}"


class StoresItsPath(GoodBackend):
    """It remembers in a file where it was opened first, and stays there."""

    def path(self, locator):
        note = self.context.folder / "place"
        if note.exists():
            return type(note)(note.read_text(encoding="utf-8")) / locator
        return super().path(locator)

    def write(self, locator, array, options):
        super().write(locator, array, options)
        (self.context.folder / "place").write_text(str(self.context.folder), encoding="utf-8")

    def locators(self):
        return [pair for pair in super().locators() if pair[0] != "place"]


class MakesItsFolderAtOnce(GoodBackend):
    def __init__(self, context):
        super().__init__(context)
        context.folder.mkdir(exist_ok=True)


class KeepsFilesOpen(GoodBackend):
    open_files: ClassVar[list[int]] = []

    def read_into(self, locator, first_row, out):
        super().read_into(locator, first_row, out)
        self.open_files.append(os.open(self.path(locator), os.O_RDONLY))


class TakesAnyOption(GoodBackend):
    @classmethod
    def check_options(cls, options, dtype, row_shape):
        return options


class TurnsBytesAround(GoodBackend):
    """It stores numbers in the byte order of this machine."""

    def write(self, locator, array, options):
        super().write(locator, array.astype(array.dtype.newbyteorder("=")), options)


class LeavesHalfWritten(GoodBackend):
    """It writes piece by piece to a file of another name, and does not delete that."""

    def write_blocks(self, locator, blocks, shape, options):
        self.context.folder.mkdir(exist_ok=True)
        part = self.path(locator).with_suffix(".part")
        with open(part, "xb") as file:
            for block in blocks:
                block.tofile(file)
            os.fsync(file.fileno())
        part.rename(self.path(locator))


# -- ingesters ------------------------------------------------------------------------------------


class GoodIngester:
    """Files of suffix .pair: how many numbers, then the numbers, as bytes."""

    @hookimpl
    def lotdb_ingest_file(self, source):
        if source.format != "pair":
            return None
        return self.read(source.file, source)

    def read(self, file, source):
        content = file.read()
        if not content or len(content) != content[0] + 1:
            raise IngestError("its length is not the announced one")
        return Ingested(np.frombuffer(content[1:], np.uint8), format="pair", samplerate_hz=5)


class TakesFilesOfOthers(GoodIngester):
    @hookimpl
    def lotdb_ingest_file(self, source):
        return Ingested(source.file.read(), format="pair")


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


# -- node types -----------------------------------------------------------------------------------


class GoodNode(BaseNode):
    __slots__ = ()
    node_type_name = "good.node"


class ForgetsItsName(BaseNode):
    __slots__ = ()


class CarriesState(BaseNode):
    node_type_name = "good.node"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.opened = time.time()


class NodePlugin:
    def __init__(self, cls):
        self.cls = cls

    @hookimpl
    def lotdb_get_node_type(self, name):
        return self.cls if name == "good.node" else None


class AnswersToEveryName(NodePlugin):
    @hookimpl
    def lotdb_get_node_type(self, name):
        return self.cls
