"""Backends that break one promise each, and the good one that they are made from, which breaks none.

``test_broken_backends.py`` tells which tests of the kit notice.
"""

import contextlib
import dataclasses
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import ClassVar

import numpy as np

from lotdb import Backend, DamagedError, InvalidDataError, InvalidOptionError, open_part


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
            with self.open(locator) as file:
                file.seek(first_row * (out.nbytes // len(out)))
                read = file.readinto(out.reshape(-1).view(np.uint8))
        except FileNotFoundError as error:
            raise DamagedError(f"{self.path(locator)} is missing") from error
        if read != out.nbytes:
            raise DamagedError(f"{self.path(locator)} is too short")

    def open(self, locator):
        return open(self.path(locator), "rb", opener=open_part)

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


class FollowsLinks(GoodBackend):
    def open(self, locator):
        return open(self.path(locator), "rb")


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


class ClaimsToCheckWindows(GoodBackend):
    """It leaves no window to the core, and looks at none itself."""

    checks_windows = True


class SelectsTheWrongColumns(GoodBackend):
    checks_windows = True

    def read_selection(self, locator, selection, out):
        out[...] = 0


# -- more of them ---------------------------------------------------------------------------------


class InvertsBools(GoodBackend):
    """It packs bits, and reads them the wrong way round."""

    def write(self, locator, array, options):
        super().write(locator, ~array if array.dtype.kind == "b" else array, options)


class LosesPadding(GoodBackend):
    """It copies structures field by field."""

    def write(self, locator, array, options):
        copy = np.zeros(array.shape, array.dtype)
        for name in array.dtype.names or ():
            copy[name] = array[name]
        super().write(locator, copy if array.dtype.names else array, options)


class RefusesUsualDtypes(GoodBackend):
    @classmethod
    def check_dtype(cls, dtype):
        if dtype.kind == "c":
            raise InvalidDataError("no complex numbers")


class IsOffByOne(GoodBackend):
    def read_into(self, locator, first_row, out):
        super().read_into(locator, max(first_row - 1, 0), out)


class ReadsOtherRowsAgain(GoodBackend):
    def reader_of(self, locator, dtype, row_shape):
        return lambda first_row, out: self.read_into(locator, max(first_row - 1, 0), out)


class ClampsWindows(GoodBackend):
    """Beyond the end it repeats the rows before it."""

    def read_into(self, locator, first_row, out):
        while True:
            try:
                return super().read_into(locator, first_row, out)
            except DamagedError:
                if not self.path(locator).exists() or first_row == 0:
                    raise
                first_row -= 1


class WritesBeyondOut(GoodBackend):
    def read_into(self, locator, first_row, out):
        if out.base is not None and out.dtype == np.uint8 and out.base.flags.writeable:
            out.base[...] = 0
        super().read_into(locator, first_row, out)


class ChangesItsInput(GoodBackend):
    """It swaps bytes in place, and does not swap them back."""

    def write(self, locator, array, options):
        super().write(locator, array, options)
        if array.flags.writeable:
            array.byteswap(inplace=True)


class NeedsWritableArrays(GoodBackend):
    def write(self, locator, array, options):
        array.flags.writeable = True
        super().write(locator, array, options)


class WritesLater(GoodBackend):
    """It writes when it is closed."""

    def __init__(self, context):
        super().__init__(context)
        self.waiting = {}

    def write(self, locator, array, options):
        self.waiting[locator] = array.copy()

    def read_into(self, locator, first_row, out):
        if locator in self.waiting:
            super().write(locator, self.waiting.pop(locator), {})
        super().read_into(locator, first_row, out)

    def delete(self, locator):
        self.waiting.pop(locator, None)
        super().delete(locator)

    def locators(self):
        return [*super().locators(), *((locator, time.time()) for locator in self.waiting)]

    def close(self):
        for locator, array in self.waiting.items():
            super().write(locator, array, {})
        self.waiting.clear()


class SwallowsErrors(GoodBackend):
    def write(self, locator, array, options):
        with contextlib.suppress(OSError):
            super().write(locator, array, options)

    def read_into(self, locator, first_row, out):
        try:
            super().read_into(locator, first_row, out)
        except NotADirectoryError as error:
            raise DamagedError(f"{self.path(locator)} is missing") from error


class GathersBlocks(GoodBackend):
    def write_blocks(self, locator, blocks, shape, options):
        self.write(locator, np.concatenate(list(blocks)), options)


class LosesTheLastBlock(GoodBackend):
    def write_blocks(self, locator, blocks, shape, options):
        blocks = [block.copy() for block in blocks]
        blocks[-1][...] = blocks[0][: len(blocks[-1])] if len(blocks) > 1 else blocks[-1]
        self.write(locator, np.concatenate(blocks), options)


class SwallowsErrorsOfBlocks(GoodBackend):
    def write_blocks(self, locator, blocks, shape, options):
        with contextlib.suppress(OSError):
            super().write_blocks(locator, blocks, shape, options)


class DeletesTooMuch(GoodBackend):
    """It deletes all whose names begin alike."""

    def delete(self, locator):
        for path in self.context.folder.glob(f"{locator[:4]}*"):
            path.unlink()


class DeletesOnce(GoodBackend):
    def delete(self, locator):
        self.path(locator).unlink()


class ListsTimesInMilliseconds(GoodBackend):
    def locators(self):
        return [(name, 1000 * at) for name, at in super().locators()]


class ListsWhatIsGone(GoodBackend):
    def __init__(self, context):
        super().__init__(context)
        self.all = {}

    def write(self, locator, array, options):
        super().write(locator, array, options)
        self.all[locator] = time.time()

    def locators(self):
        return list(self.all.items()) or list(super().locators())


class RepeatsItsLocators(GoodBackend):
    def new_locator(self):
        return "seg-" + "0" * 32


class LosesOptions(GoodBackend):
    options = ({"level": 1},)

    @classmethod
    def check_options(cls, options, dtype, row_shape):
        for name in options:
            if name != "level":
                raise InvalidOptionError(f"no option {name!r}")
        return {}


class ChangesOptions(GoodBackend):
    options = ({"level": 1},)

    @classmethod
    def check_options(cls, options, dtype, row_shape):
        for name in options:
            if name != "level":
                raise InvalidOptionError(f"no option {name!r}")
        checked = {name: options[name] for name in options}
        if isinstance(options, dict):
            options.clear()
        return checked


class TakesAnySetting(GoodBackend):
    def __init__(self, context):
        Backend.__init__(self, dataclasses.replace(context, config={}))


class SharesItsPlace(GoodBackend):
    """Threads share the place at which it reads."""

    def read_into(self, locator, first_row, out):
        self.place = locator, first_row
        time.sleep(0.0005)
        super().read_into(*self.place, out)


class WaitsForItself(GoodBackend):
    """Its lock is held when it is asked for again."""

    def __init__(self, context):
        super().__init__(context)
        self.lock = threading.Lock()

    def write(self, locator, array, options):
        with self.lock:
            super().write(locator, array, options)

    def write_blocks(self, locator, blocks, shape, options):
        with self.lock:
            super().write_blocks(locator, blocks, shape, options)


class NeverComesBack(GoodBackend):
    def write(self, locator, array, options):
        threading.Event().wait()


class NeverCloses(GoodBackend):
    def close(self):
        threading.Event().wait()


class TouchesWhatItReads(GoodBackend):
    """It notes when something was read."""

    def read_into(self, locator, first_row, out):
        super().read_into(locator, first_row, out)
        os.utime(self.path(locator))


class RaisesOtherErrors(GoodBackend):
    def read_into(self, locator, first_row, out):
        if not self.path(locator).exists():
            raise KeyError(locator)
        super().read_into(locator, first_row, out)


class DescribesWhatIsThere(GoodBackend):
    def describe(self, locator):
        return f"{self.path(locator)}, {self.path(locator).stat().st_size} bytes"


class MistakesSizes(GoodBackend):
    def files(self, locator):
        return [(path, size // 2) for path, size in super().files(locator)]


class LosesLargeArrays(GoodBackend):
    """It writes the first mebibyte."""

    def write(self, locator, array, options):
        if array.nbytes > 1 << 20:
            array = array.copy()
            array.reshape(-1).view(np.uint8)[1 << 20 :] = 0
        super().write(locator, array, options)


class LeaksFiles(GoodBackend):
    """Each reading opens a file, and all are closed in the end."""

    def __init__(self, context):
        super().__init__(context)
        self.opened = []

    def read_into(self, locator, first_row, out):
        super().read_into(locator, first_row, out)
        self.opened.append(open(self.path(locator), "rb"))  # noqa: SIM115

    def close(self):
        for file in self.opened:
            file.close()


class KeepsOneList(GoodBackend):
    """Which arrays there are stands in a file that is emptied and written anew each time."""

    def listed(self):
        path = self.context.folder / "list"
        return set(path.read_text().split()) if path.exists() else set()

    def note(self, names):
        self.context.folder.mkdir(exist_ok=True)
        with open(self.context.folder / "list", "w") as file:
            file.write(" ".join(sorted(names)))

    def write(self, locator, array, options):
        super().write(locator, array, options)
        self.note(self.listed() | {locator})

    def read_into(self, locator, first_row, out):
        if locator not in self.listed():
            raise DamagedError(f"{self.path(locator)} is missing")
        super().read_into(locator, first_row, out)

    def delete(self, locator):
        super().delete(locator)
        if locator in self.listed():
            self.note(self.listed() - {locator})

    def locators(self):
        return [pair for pair in super().locators() if pair[0] != "list"]


class SyncsNoBlocks(GoodBackend):
    """What comes in blocks is on the disk some time later."""

    syncs = True

    def write_blocks(self, locator, blocks, shape, options):
        self.context.folder.mkdir(exist_ok=True)
        with open(self.path(locator), "xb") as file:
            for block in blocks:
                block.tofile(file)


class ListsTheTimeOfNow(GoodBackend):
    def locators(self):
        return [(locator, time.time()) for locator, _ in super().locators()]


class HidesThatItMayNotRead(GoodBackend):
    def read_into(self, locator, first_row, out):
        try:
            super().read_into(locator, first_row, out)
        except OSError:
            raise DamagedError(f"{self.path(locator)} cannot be read") from None


class SweepsWhenOpened(GoodBackend):
    """It takes what is not whole for what a killed process has left."""

    def __init__(self, context):
        super().__init__(context)
        for path in context.folder.glob("*.part"):
            path.unlink()

    def write_blocks(self, locator, blocks, shape, options):
        self.context.folder.mkdir(exist_ok=True)
        part = self.path(locator).with_suffix(".part")
        try:
            with open(part, "xb") as file:
                for block in blocks:
                    block.tofile(file)
                os.fsync(file.fileno())
            part.rename(self.path(locator))
        except BaseException:
            part.unlink(missing_ok=True)
            raise


class FlushesAfterSync(GoodBackend):
    """What it syncs is still in Python's buffer."""

    def write(self, locator, array, options):
        self.context.folder.mkdir(exist_ok=True)
        with open(self.path(locator), "xb") as file:
            for row in array:
                file.write(row.tobytes())
            os.fsync(file.fileno())
        self.context.sync_folder(self.context.folder)
        self.context.sync_folder(self.context.folder.parent)

    def write_blocks(self, locator, blocks, shape, options):
        self.write(locator, np.concatenate(list(blocks)), options)


class KeepsWindowsByTheirStart(GoodBackend):
    """A window that begins where an earlier one began is taken from that, whatever its length."""

    def __init__(self, context):
        super().__init__(context)
        self.kept = {}

    def read_into(self, locator, first_row, out):
        kept = self.kept.get((locator, first_row))
        if kept is None:
            super().read_into(locator, first_row, out)
            self.kept[locator, first_row] = out.copy()
            return
        rows = min(len(kept), len(out))
        out[:rows] = kept[:rows]
        out[rows:] = np.zeros((), out.dtype)


class ReadsWhatItDeleted(GoodBackend):
    """It keeps what it has read, and does not let go of it."""

    def __init__(self, context):
        super().__init__(context)
        self.kept = {}

    def read_into(self, locator, first_row, out):
        kept = self.kept.get((locator, first_row, out.shape))
        if kept is None:
            super().read_into(locator, first_row, out)
            self.kept[locator, first_row, out.shape] = out.copy()
        else:
            out.reshape(-1).view(np.uint8)[...] = kept.reshape(-1).view(np.uint8)


class ClosesWhatOthersRead(GoodBackend):
    """One file is open at a time, and a thread that wants another one closes it."""

    def __init__(self, context):
        super().__init__(context)
        self.opened = None, None

    def read_into(self, locator, first_row, out):
        known, file = self.opened
        if known != locator:
            if file is not None:
                file.close()
            try:
                file = open(self.path(locator), "rb")  # noqa: SIM115
            except FileNotFoundError as error:
                raise DamagedError(f"{self.path(locator)} is missing") from error
            self.opened = locator, file
        time.sleep(0.0005)
        file.seek(first_row * (out.nbytes // len(out)))
        if file.readinto(out.reshape(-1).view(np.uint8)) != out.nbytes:
            raise DamagedError(f"{self.path(locator)} is too short")

    def delete(self, locator):
        if self.opened[0] == locator:
            self.close()
        super().delete(locator)

    def close(self):
        if self.opened[1] is not None:
            self.opened[1].close()
        self.opened = None, None


class ListsTimesOfAnotherZone(GoodBackend):
    def locators(self):
        return [(name, at + 7200) for name, at in super().locators()]


class LosesNanoseconds(GoodBackend):
    """Its format has microseconds."""

    def write(self, locator, array, options):
        if array.dtype == "M8[ns]":
            array = array.astype("M8[us]").astype("M8[ns]")
        super().write(locator, array, options)


class StopsBeforeTheLastRow(GoodBackend):
    """What comes in blocks ends a row too early, and the file is made as long as it has to be."""

    def write_blocks(self, locator, blocks, shape, options):
        self.context.folder.mkdir(exist_ok=True)
        with open(self.path(locator), "xb") as file:
            at = 0
            for block in blocks:
                rows = block[: shape[0] - 1 - at]
                rows.tofile(file)
                at += len(rows)
            file.truncate(shape[0] * (block.nbytes // len(block)))
            file.flush()
            self.context.sync(file.fileno())


class TakesTheNameOfAPart(GoodBackend):
    """Its folder would be that of the core's backups."""

    name = "backup"


class SharesItsTemporaryFile(GoodBackend):
    """Each array is written under one name, and gets its own when it is whole."""

    def write(self, locator, array, options):
        self.context.folder.mkdir(exist_ok=True)
        unfinished = self.context.folder / "unfinished"
        with open(unfinished, "wb") as file:
            array.tofile(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, self.path(locator))
        self.context.sync_folder(self.context.folder)
        self.context.sync_folder(self.context.folder.parent)


class ListsOnceWhatIsThere(GoodBackend):
    """What others write after it was opened is not there for it."""

    def __init__(self, context):
        super().__init__(context)
        self.known = {path.name for path in context.folder.glob("*")}

    def write(self, locator, array, options):
        super().write(locator, array, options)
        self.known.add(locator)

    def read_into(self, locator, first_row, out):
        if locator not in self.known:
            raise DamagedError(f"{self.path(locator)} is missing")
        super().read_into(locator, first_row, out)


class Unpickles(GoodBackend):
    """It stores files of NumPy, and reads whatever they hold."""

    def write(self, locator, array, options):
        self.context.folder.mkdir(exist_ok=True)
        with open(self.path(locator), "xb") as file:
            np.save(file, array)
            file.flush()
            os.fsync(file.fileno())
        self.context.sync_folder(self.context.folder)
        self.context.sync_folder(self.context.folder.parent)

    def read_into(self, locator, first_row, out):
        try:
            with self.open(locator) as file:
                rows = np.load(file, allow_pickle=True)[first_row : first_row + len(out)]
            out.view(np.uint8)[...] = rows.view(np.uint8)
        except Exception as error:
            raise DamagedError(f"{self.path(locator)}: {error}") from error


class HasChunksOfNoRows(GoodBackend):
    def chunk_rows(self, locator):
        return 0


class LeavesTemporaryFiles(GoodBackend):
    def write(self, locator, array, options):
        descriptor, _ = tempfile.mkstemp()
        os.close(descriptor)
        super().write(locator, array, options)


class HidesItsFilesFromOthers(GoodBackend):
    """Its files were made by ``tempfile.mkstemp``."""

    def write(self, locator, array, options):
        super().write(locator, array, options)
        self.path(locator).chmod(0o600)


class NamesItsFilesByPaths(GoodBackend):
    def files(self, locator):
        return [(self.path(locator), size) for _, size in super().files(locator)]


class MakesUpRowsInItsReader(GoodBackend):
    def reader_of(self, locator, dtype, row_shape):
        def read(first_row, out):
            try:
                self.read_into(locator, first_row, out)
            except DamagedError:
                out[...] = 0

        return read


class FollowsTheWorkingFolder(GoodBackend):
    def __init__(self, context):
        super().__init__(context)
        self.at = os.path.relpath(context.folder)

    def path(self, locator):
        return Path(self.at, locator)
