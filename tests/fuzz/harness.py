"""Fuzzing an ingester: files made by mutation, told by coverage, through ``attach_file``.

Whatever is in a file, ``attach_file`` takes it in or raises an ``IngestError`` and leaves the node as it was.
A find is anything else, and what takes more than 20 s or 500 MB.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import resource
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lotdb import DataNode, IngestError, Payload
from lotdb.testing.ingesters import OnlyThis
from lotdb.testing.seen import picture

SECONDS = 20
MEGABYTES = 500
# The branches that the fuzzer is to explore.
PACKAGE = "lotdb_ingest"


def run(
    plugin: Any,
    *,
    name: str,
    seeds: Iterable[bytes],
    options: Mapping[str, Any] | None = None,
    instrument: Iterable[types.ModuleType] = (),
    made: Callable[[bytes], bytes] = bytes,
) -> None:
    """Fuzz *plugin* with the arguments of the command line, those of libFuzzer; it ends the process.

    Parameters
    ----------
    plugin
        The module with ``lotdb_ingest_file``, and no other ingester is asked.
    name
        What each file is called; its suffix says the format.
    seeds
        Small valid files, one of each variety.
    options
        Arguments of ``attach_file``: ``format``, ``max_bytes``, and the format's own.
    instrument
        Modules whose branches count as well, such as the pure Python ones of the library that parses.
    made
        Makes the file of what was mutated, and of the seeds: puts checksums and lengths right, for example,
        which mutation alone would hardly ever do.
    """
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.exit("fuzzing needs atheris; install it with: pip install atheris")
    warnings.simplefilter("ignore")  # what a user would see on the terminal, and nothing more
    with tempfile.TemporaryDirectory(prefix="lotdb-fuzz-", ignore_cleanup_errors=True) as folder:
        if child := os.fork():
            # libFuzzer ends its process at once, so another one removes the folder.
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        path = Path(folder, name)
        check = _checked(plugin, path, dict(options or {}), made)
        kept = list(seeds)
        for seed in kept:
            check(seed)  # which imports what is imported late
        for function in _functions(instrument):
            atheris.instrument_func(function)
        atheris.Setup(_arguments(kept, Path(folder, "corpus")), check)
        _limit_memory()
        atheris.Fuzz()


def _checked(
    plugin: Any, path: Path, options: dict[str, Any], made: Callable[[bytes], bytes]
) -> Callable[[bytes], None]:
    """The function that takes a file in, and fails if it is a find."""
    plugins = OnlyThis(plugin)
    untouched = picture(_node(plugins))
    failures: set[str] = set()

    def check(mutated: bytes) -> None:
        content = made(mutated)
        path.write_bytes(content)
        node = _node(plugins)
        try:
            node.attach_file(path, **options)
            for value in node.attrs.values():
                if isinstance(value, Payload):
                    value.read()
        except IngestError as error:
            if any(isinstance(cause, MemoryError) for cause in _causes(error)):
                raise AssertionError(
                    f"more than {MEGABYTES} MB for a file of {len(content)} bytes"
                ) from error
            if picture(node) != untouched:
                raise AssertionError("the node is not as it was before") from error
            _tell_once(error, failures)

    return check


def _node(plugins: OnlyThis) -> DataNode:
    node = DataNode("node", plugins=plugins)
    node.attrs["label"] = "as before"
    node.write_data("as before", data_attribute="other")
    return node


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _tell_once(error: IngestError, told: set[str]) -> None:
    """Print what the plugin did not say itself: no find, but a message that could be better."""
    reason = str(error).partition(" failed: ")[2]
    kind = reason.partition(":")[0]
    if kind and kind not in told:
        told.add(kind)
        print(f"told by the core alone: {reason[:200]}", file=sys.stderr)


def _functions(more: Iterable[types.ModuleType]) -> Iterator[types.FunctionType]:
    ours = [module for name, module in sys.modules.items() if name.startswith(PACKAGE)]
    for module in (*ours, *more):
        here = [
            value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__
        ]
        inner = [value for each in here if isinstance(each, type) for value in vars(each).values()]
        yield from (value for value in (*here, *inner) if isinstance(value, types.FunctionType))


def _arguments(seeds: list[bytes], folder: Path) -> list[str]:
    """The command line, with defaults for what it does not say; the seeds lie in its first folder."""
    given = sys.argv[1:]
    files = [argument for argument in given if not argument.startswith("-")]
    if not any(Path(file).is_file() for file in files):  # else these files are tried, and no other
        corpus = Path(files[0]) if files else folder
        corpus.mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            (corpus / f"seed-{hashlib.sha256(seed).hexdigest()[:16]}").write_bytes(seed)
        given = given if files else [*given, str(corpus)]
    defaults = {"-timeout": SECONDS, "-rss_limit_mb": 0, "-max_len": max(4096, *map(len, seeds))}
    said = {argument.partition("=")[0] for argument in given}
    return [
        sys.argv[0],
        *(f"{name}={value}" for name, value in defaults.items() if name not in said),
        *given,
    ]


def _limit_memory() -> None:
    # Of addresses, so that memory which is asked for and never touched counts as well.
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (MEGABYTES << 20), resource.RLIM_INFINITY))
