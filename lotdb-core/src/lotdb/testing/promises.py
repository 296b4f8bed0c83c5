"""Promises: what each test of a kit asks of a plugin, in words, in order, and within a time limit.

A kit is a class of tests. Each test is marked with :func:`promise`; its docstring says what the plugin must
do. Simple promises come first. Where one is broken, the tests that stand on it are skipped: what they would
say follows from it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import pytest

from lotdb.testing.limits import Overdue, is_of_the_kit, within

__all__ = [
    "CHECKS",
    "CLASS",
    "HOOKS",
    "INGESTER",
    "LISTENER",
    "NODE_TYPE",
    "STORAGE",
    "VALUE_TYPE",
    "Kit",
    "promise",
]

# Where promises are written.
CLASS = "docs/how-to-write-a-backend.md#the-class"
INGESTER = "docs/how-to.md#write-an-ingester"
NODE_TYPE = "docs/how-to.md#write-a-node-type"
CHECKS = "docs/how-to.md#check-what-is-written-to-a-node-type"
HOOKS = "docs/how-to.md#publish-a-plugin"
LISTENER = "docs/how-to.md#keep-an-index-right"
VALUE_TYPE = "docs/how-to.md#write-an-attribute-type"
STORAGE = "docs/design.md#promises"

# Of a message, which may show large arrays.
MOST_LINES = 12

Test = TypeVar("Test", bound=Callable[..., None])


@dataclass(frozen=True)
class Promise:
    """What one test tries."""

    name: str
    must: str
    page: str
    needs: tuple[str, ...]

    @property
    def title(self) -> str:
        """The test's name as words."""
        return self.name.removeprefix("test_").replace("_", " ")


def promise(page: str, *needs: str) -> Callable[[Test], Test]:
    """Mark a test of a kit, whose docstring says what the plugin must do.

    Parameters
    ----------
    page
        Where the promise is written: a page of the documentation, and the section.
    needs
        Names of tests, without ``test_``, whose promises this one stands on.
    """

    def mark(test: Test) -> Test:
        about = Promise(
            test.__name__, " ".join((test.__doc__ or "").split()), page, tuple(f"test_{n}" for n in needs)
        )

        @functools.wraps(test)
        def tried(self: Kit, *args: Any, **kwargs: Any) -> None:
            with self.trial(about):
                test(self, *args, **kwargs)

        tried.promise = about  # type: ignore[attr-defined]
        return tried  # type: ignore[return-value]

    return mark


class Kit:
    """What all kits have in common.

    Attributes
    ----------
    time_limit_s : float
        Seconds that a test may take before it is stopped and fails; with an *effort* of more than 1 as many
        times as long.
    effort : float
        Share of the random examples, damages and kills that are tried; the environment variable
        ``LOTDB_KIT_EFFORT`` sets it for all kits. 1 is meant for every change of a plugin, 10 for a release.
    """

    time_limit_s: ClassVar[float] = 60.0
    effort: ClassVar[float] = float(os.environ.get("LOTDB_KIT_EFFORT") or 1)

    # The tests that failed, or were skipped for it, each with the first that failed.
    _broken: ClassVar[dict[str, Promise]]
    _config: pytest.Config | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._broken = {}

    @pytest.fixture(autouse=True)
    def _stands(self, request: pytest.FixtureRequest) -> None:
        """Skip what stands on a promise that is broken."""
        self._config = request.config
        about: Promise | None = getattr(request.function, "promise", None)
        if about is None:
            return
        for need in about.needs:
            if first := self._broken.get(need):
                self._broken[about.name] = first
                pytest.skip(f"needs {first.title!r}, which is broken: see {first.name}")

    @contextlib.contextmanager
    def trial(self, about: Promise) -> Iterator[None]:
        """Try what *about* says; whatever is raised fails the test with a text that says what to do."""
        limit_s = self.time_limit_s * max(1, self.effort)
        said = f"{about.name} does not come back within {limit_s:g} s. {about.must}"
        try:
            with within(limit_s, said, self._config):
                yield
        except (pytest.skip.Exception, pytest.xfail.Exception, pytest.exit.Exception, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._broken[about.name] = about
            if self._config is not None and self._config.getoption("tbstyle") not in ("auto", None):
                raise  # the traceback was asked for
            raise pytest.fail.Exception(_text(about, error, limit_s), pytrace=False) from None

    @contextlib.contextmanager
    def needed_by_all(self, must: str, page: str) -> Iterator[None]:
        """Set up what the tests need; if that fails, the first one fails, and the others are skipped."""
        about = Promise("setting it up", must, page, ())
        if about.name in self._broken:
            pytest.skip(f"needs what failed before: {must}")
        with self.trial(about):
            yield

    @contextlib.contextmanager
    def closing(self, what: str) -> Iterator[None]:
        """Clean up in the block, which neither hangs nor hides what a test has found."""
        try:
            with within(min(self.time_limit_s, 10), f"{what} does not come back", self._config):
                yield
        except (Exception, Overdue) as error:
            if self._broken:
                return  # the first thing that is broken has been told
            about = Promise("closing", f"{what} comes back, and raises nothing.", "", ())
            raise pytest.fail.Exception(_text(about, error, 10), pytrace=False) from None

    @classmethod
    def amount(cls, usual: int, least: int = 1) -> int:
        """How many examples of something are tried, where *usual* is meant for an effort of 1."""
        return max(least, round(usual * cls.effort))


def _text(about: Promise, error: BaseException, limit_s: float) -> str:
    lines = [f"broken promise: {about.must or about.title}", f"  what it did: {_done(error, limit_s)}"]
    if place := _place(error):
        lines.append(f"  where: {place}")
    if about.page:
        lines.append(f"  written in: {about.page}")
    lines.append("  (--tb=long shows the traceback)")
    return "\n".join(lines)


def _done(error: BaseException, limit_s: float) -> str:
    """What the plugin did, as the error tells it."""
    if isinstance(error, Overdue):
        at = f" It was at {error}." if str(error) else " It waited for another process, or for the disk."
        return f"it did not come back within {limit_s:g} s; time_limit_s sets another limit.{at}"
    if isinstance(error, BaseExceptionGroup):
        return _done(error.exceptions[0], limit_s)
    said = str(error)
    if isinstance(error, AssertionError | pytest.fail.Exception):
        # What pytest shows of the values; the kit's own words are in front of it.
        words, _, values = said.partition("\nassert ")
        said = words or f"assert {values}"
    else:
        said = f"it raised {type(error).__name__}: {said}"
    notes = [note for note in getattr(error, "__notes__", ()) if "alsifying" in note]
    lines = [line for part in (said, *notes) for line in part.splitlines()[:MOST_LINES]]
    return "\n    ".join(line[:400] for line in lines)


def _place(error: BaseException) -> str:
    """The lines outside of the kit at which an error was raised; none for what the kit says itself."""
    if isinstance(error, BaseExceptionGroup):
        return _place(error.exceptions[0])
    if isinstance(error, AssertionError | pytest.fail.Exception | Overdue):
        return ""
    causes = [error]  # a plugin's may go in a circle
    while (cause := causes[-1].__cause__) is not None and cause not in causes:
        causes.append(cause)
    innermost = causes[-1]
    trace = traceback.extract_tb(innermost.__traceback__)
    lines = [line for line in trace if not is_of_the_kit(line.filename)]
    return ", ".join(f"{line.filename}:{line.lineno} in {line.name}" for line in lines[-3:])
