"""The command ``lotdb-ingest``: ingests a folder of files into a database, and shows its progress."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any

from lotdb import LOTDB, BaseNode, IngestReport, LotdbError

BAR_WIDTH = 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 if all files are stored, 1 if some are not or none exist, 2 if it could not run."""
    asked = _parser().parse_args(arguments)
    if not os.path.isdir(asked.folder):
        # Before there is a database: the two may have been given the wrong way round.
        return _say(f"{asked.folder!r} is not a folder; the folder of the files comes after the database")
    if len({bool(name) for name, _ in asked.samplerate_hz}) > 1:
        return _say("--samplerate-hz is given with a name and without; name all of them, or give one rate")
    bar = _Bar()
    how = {
        "backend": asked.backend,
        "samplerate_hz": _rates(asked.samplerate_hz),
        "format": asked.format,
    }

    def take_in(root: BaseNode, **more: Any) -> IngestReport:
        return (root.get_node_path(asked.at) if asked.at else root).ingest_tree(
            asked.folder,
            asked.pattern,
            to=asked.to,
            data_attribute=asked.data_attribute,
            attributes=asked.attributes or asked.attribute,
            sidecar=asked.sidecar,
            **more,
            **{name: value for name, value in how.items() if value is not None},
        )

    try:
        if not os.path.lexists(os.path.join(asked.database, "lotdb.fs.lotdb")):
            # Whatever is wrong before the first file makes no empty database. That file is not read.
            with contextlib.suppress(_Begun):
                report = take_in(BaseNode(), batch_size=None, max_bytes=0, progress=_begun)
                if not report.failed:
                    print(report)
                    return _say(_nothing(asked.pattern, report.unmatched), 1)
        with LOTDB(asked.database, timeout=asked.timeout) as db:
            is_stored = False
            try:
                with db.connection() as root:
                    if asked.at:
                        root.get_node_path(asked.at)
                        db.commit(root)  # ingest_tree refuses to start with uncommitted changes
                    report = take_in(
                        root,
                        skip_unchanged=not asked.again,
                        always_hash=asked.always_hash,
                        on_error="raise" if asked.stop_on_error else "report",
                        batch_size=asked.batch_size,
                        progress=bar.show,
                    )
                is_stored = bool(report.added or report.replaced or report.unchanged)
            finally:
                if not is_stored:
                    db.discard()  # no empty database is left, if it was made here
    except (LotdbError, OSError) as error:
        bar.end()
        return _say(str(error))
    except KeyboardInterrupt:
        bar.end()
        return _say("interrupted; run it again to continue where it stopped", 130)
    bar.end()
    print(report)
    if not (report.added or report.replaced or report.unchanged or report.failed):
        return _say(_nothing(asked.pattern, report.unmatched), 1)
    return 1 if report.failed else 0


class _Begun(Exception):
    """Nothing was wrong before the first file."""


def _begun(*_: Any) -> None:
    raise _Begun


def _nothing(pattern: str | None, unmatched: Sequence[str]) -> str:
    """Why no file was ingested."""
    if not unmatched:
        return "there are no files in the folder"
    return f"no file matches the pattern {pattern!r}; paths look like {unmatched[0]!r}"


def _say(message: str, code: int = 2) -> int:
    print(f"lotdb-ingest: {message}", file=sys.stderr)
    return code


def _rate(text: str) -> tuple[str, float]:
    """The name of a payload, if one is given, and a rate."""
    name, _, rate = text.rpartition("=")
    try:
        return name, float(rate)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate: write 256, or eeg=256") from None


def _rates(given: Sequence[tuple[str, float]]) -> float | dict[str, float] | None:
    """What is said of rates, as ``attach_file`` takes it."""
    if not given:
        return None
    rates = dict(given)
    return rates.get("") if "" in rates else rates


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lotdb-ingest",
        description="Ingest the files of a folder into a LOTDB database. Files that are already stored, with "
        "the same size and time or the same contents, are skipped, so an interrupted run continues where it "
        "stopped.",
    )
    parser.add_argument("database", help="folder of the database; created if it does not exist")
    parser.add_argument("folder", help="folder whose files are ingested")
    parser.add_argument("pattern", nargs="?", help="form of the paths: '{speaker}/{session}_{take}.wav'")
    parser.add_argument("--at", metavar="PATH", help="node below which the files are stored (the root)")
    parser.add_argument("--to", metavar="PATH", help="nodes of the files: '{speaker}/{session}/{take}'")
    parser.add_argument("--data-attribute", metavar="NAME", help="name of the payloads (data)")
    parser.add_argument(
        "--attributes", action="store_true", help="store all fields as attributes of the nodes"
    )
    parser.add_argument(
        "--attribute", action="append", default=[], metavar="FIELD", help="store this one; may be repeated"
    )
    parser.add_argument(
        "--sidecar", metavar="PATH", help="csv, tsv or json file with metadata: 'notes.csv', '{take}.json'"
    )
    parser.add_argument("--backend", help="where payloads are stored: blob or zarr (blob)")
    parser.add_argument(
        "--samplerate-hz",
        action="append",
        default=[],
        type=_rate,
        metavar="[NAME=]HZ",
        help="rows per second, instead of the file's; of files that become several payloads, that of payload "
        "NAME: may be repeated",
    )
    parser.add_argument("--format", help="name of a format, or auto: by content (default: by suffix)")
    parser.add_argument("--batch-size", type=int, default=100, metavar="N", help="files per commit (100)")
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds to wait for another writer (0)")
    parser.add_argument(
        "--always-hash", action="store_true", help="compare contents even if sizes and times are the same"
    )
    parser.add_argument("--again", action="store_true", help="ingest unchanged files again")
    parser.add_argument("--stop-on-error", action="store_true", help="stop at the first file that fails")
    return parser


class _Bar:
    """How many files are done, on one line of a terminal; nothing if the output goes elsewhere."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._shown = 0.0

    def show(self, done: int, total: int, path: str) -> None:
        now = time.monotonic()
        if not self._on or (now - self._shown < 0.1 and done < total):
            return
        self._shown = now
        filled = BAR_WIDTH * done // total
        line = "█" * filled + "·" * (BAR_WIDTH - filled) + f" {done}/{total} "
        room = max(1, shutil.get_terminal_size().columns - len(line) - 1)
        path = "".join(each if each.isprintable() else "?" for each in path[-room:])
        print(f"\r\x1b[K{line}{path}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._on and self._shown:
            print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
