"""One call of a step at a node: whether its result is fresh, computing it, and storing it."""

from __future__ import annotations

import copy
import json
import os
import platform
import socket
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FunctionType
from typing import Any, Protocol

from lotdb.errors import text_of
from lotdb.node_api.outcomes import (
    CHECK,
    EVICTED,
    FACTS,
    PINNED,
    STEP,
    Fact,
    at_place,
    is_read_only,
    names_of,
    plain,
    result_below,
    run_watched,
    settled,
    store,
    stored_text,
    text_in,
)
from lotdb.public import (
    BaseNode,
    CodeChangedWarning,
    ConflictError,
    DataNode,
    DisconnectedError,
    LotdbError,
    NodeExistsError,
    StaleResultError,
    StepAccessError,
    StepError,
    StepFailedError,
    StepResultError,
)
from lotdb.steps import known
from lotdb.steps.arguments import setting_text
from lotdb.steps.fingerprint import Code, running
from lotdb.steps.origins import about_of, parsed
from lotdb.steps.returned import Parts, parts_of
from lotdb.steps.staleness import code_changes, reason, reason_of, stale_results, told
from lotdb.values import values
from lotdb.values.python_text import literal

__all__ = ["Call", "Outcome"]

# Facts that take more are replaced by those of all that is below a few nodes: an attribute holds no more than
# a MiB.
_MOST_CHARACTERS = 500_000

# Settings whose texts are short.
_SHORT = frozenset((float, bool, type(None)))

# Settings that nobody can change.
_KEPT = frozenset((float, int, bool, str, bytes, type(None)))

# Results for which these are the same have the same payloads.
_MADE_FROM = ("version", "settings", "digest", "reads")

# What the transaction has to be run again for, or the program ended; it is no failure of the step.
_NOT_OURS = (ConflictError, DisconnectedError, MemoryError)


class Called(Protocol):
    """A step, as far as a call of it matters; :class:`lotdb.steps.Step` is one."""

    name: str
    version: int | str | None
    module: str
    function: FunctionType

    def code(self) -> Code:
        """The code of the function as it is now."""


@dataclass(frozen=True)
class Outcome:
    """What a step has computed; all of it is plain, so another process may send it to who stores it.

    The notes are in the form in which they are stored, because many compute, and one stores.
    """

    parts: Parts
    #: What is compared to tell whether the result is stale, and what is noted for people.
    check: str
    about: values.Encoded
    seconds: float


class Call:
    """A step, a node, settings, and the key of the result.

    ``result_if_fresh`` and ``why`` read what is stored; ``compute`` runs the function, in any process that
    has the node at the same moment; ``store`` writes, and the caller commits.
    """

    __slots__ = ("code", "key", "node", "settings", "step", "texts")

    def __init__(self, step: Called, node: BaseNode, key: str, settings: dict[str, Any]) -> None:
        self.step = step
        self.node = node
        self.key = key
        self.settings = settings
        self.texts = {
            name: repr(value) if type(value) in _SHORT else setting_text(name, value, node, step.name)
            for name, value in settings.items()
        }
        self.code: Code = step.code()

    @property
    def path(self) -> str:
        """Path of the node."""
        return self.node._path()

    @property
    def what(self) -> str:
        """The step and the node, for messages."""
        return f"step {self.step.name!r} at {self.path or 'the root'!r}"

    # -- what is there -------------------------------------------------------------------------------

    def existing(self) -> BaseNode | None:
        """The result node, be it fresh or not.

        Raises
        ------
        NodeExistsError
            If something else is in its place.
        """
        found = self._found()
        return None if found is None else found[0]

    def _found(self) -> tuple[BaseNode, Any, dict[str, Any]] | None:
        """The result node, what it holds itself, and what it is compared by."""
        below = result_below(self.node, self.key)
        if below is None:
            return None
        found, own = below
        text = text_in(own, CHECK)
        name = None if text is None else parsed(text, found)["name"]
        if text is None or name != self.step.name:
            held = "exists, and is no result of a step" if name is None else f"is a result of step {name!r}"
            raise NodeExistsError(
                f"{self.what}: its result would be {found._path()!r}, which {held}; give another key="
            )
        check = parsed(text, found)
        if known.is_of_another(check["module"], check["name"], self.step):
            raise NodeExistsError(
                f"{self.what}, of module {self.step.module!r}: its result would be {found._path()!r}, "
                f"which is a result of the step of that name of module {check['module']!r}; give another key="
            )
        return found, own, check

    def result_if_fresh(self, on_code_change: str) -> BaseNode | None:
        """The result node if it is fresh, or if it is to be used although its code has changed."""
        remembered = told(self.node)
        asked = (self.code, self.node._path(), self.key, on_code_change, *self.texts, *self.texts.values())
        fresh: BaseNode | None = remembered.fresh.get(asked)
        if fresh is None:
            found = self._found()
            if found is None or self._why(found, on_code_change) is not None:
                return None
            fresh = remembered.fresh[asked] = found[0]
            if on_code_change == "warn" and (changed := self._code_changed(found)) is not None:
                self._warn(changed)
        return fresh

    def why(self, on_code_change: str) -> str | None:
        """Why the result is stale or missing, in one sentence; None if it is fresh."""
        found = self._found()
        if found is None:
            return f"{self.key!r} was not computed yet"
        why = self._why(found, on_code_change)
        return self._code_changed(found) if why is None and on_code_change == "warn" else why

    def _code_changed(self, found: tuple[BaseNode, Any, dict[str, Any]]) -> str | None:
        return None if PINNED in found[1][0] else next(code_changes(found[2], self.code), None)

    def _why(
        self, found: tuple[BaseNode, Any, dict[str, Any]], on_code_change: str, *, of_results: bool = True
    ) -> str | None:
        result, own, check = found
        names = own[0]
        if PINNED in names:
            return None
        if EVICTED in names:
            return "its payloads were evicted"
        if check["version"] != self.step.version:
            return f"version was {check['version']!r} and is {self.step.version!r}"
        if check["settings"] != self.texts:
            return _setting_changed(check["settings"], self.texts)
        if on_code_change == "recompute" and check["digest"] != self.code.digest:
            changed = next(code_changes(check, self.code), None)
            if changed is not None:
                return changed
        for name in check["holds"]:
            if name not in names:
                return f"its {name!r} was deleted"
        return reason(result, check, of_results=of_results)

    def _warn(self, changed: str) -> None:
        warnings.warn(
            f"{self.what}: {changed}; its result is used all the same, as on_code_change is 'warn'",
            CodeChangedWarning,
            stacklevel=4,
        )

    # -- computing -----------------------------------------------------------------------------------

    def check_writable(self, why: str) -> None:
        """Raise ``StaleResultError`` if nothing can be stored here."""
        refused = is_read_only(self.node)
        if refused is not None:
            raise StaleResultError(f"{self.what} cannot be computed here, where {why}: {refused}").of(
                self.step.name, self.path
            ) from refused

    def compute(self, *, alone: bool = False) -> Outcome:
        """Run the function; nothing is stored.

        Results of other steps that it reads are computed anew where they are stale; if it is to be *alone*,
        they are not, and nothing at all is stored.

        Raises
        ------
        StepFailedError
            If the function raises; the cause is chained.
        StepAccessError
            If it changes the tree, which is undone.
        StepResultError
            If it returns what cannot be stored.
        StaleResultError
            If it reads a stale result, and is to be alone, or this process does not have the step.
        """
        if self.code.nodes:
            named = ", ".join(map(repr, self.code.nodes))
            raise StepAccessError(
                f"{self.what} would read {named}, which it was not given, so nobody would see what is read; "
                "start from the node that the function is given, or give another one as a setting"
            ).of(self.step.name, self.path)
        freshen = self._refuse_stale if alone else self._freshen
        own = (*self.node._keys(), self.key)
        for each in (self.node, *self.settings.values()):
            if isinstance(each, BaseNode) and CHECK in names_of(plain(each)):
                freshen(plain(each))  # now, rather than in the middle of the function
        # A function may change a list or a dict that it is given; what was asked for stays what it was.
        given = {
            name: value if type(value) in _KEPT or isinstance(value, BaseNode) else copy.deepcopy(value)
            for name, value in self.settings.items()
        }
        begin = time.perf_counter()
        try:
            with running(self.code):
                returned, facts = run_watched(
                    self.step.function,
                    self.node,
                    given,
                    own=own,
                    what=self.what,
                    on_result=freshen,
                    on_missing=self._make_missing,
                )
        except StepError as error:
            if not error.step:
                error.of(self.step.name, self.path)
            raise
        except _NOT_OURS:
            raise
        except Exception as error:
            raise StepFailedError(f"{self.what} failed: {type(error).__name__}: {text_of(error)}").of(
                self.step.name, self.path
            ) from error
        seconds = time.perf_counter() - begin
        try:
            parts = parts_of(returned, self.what)
        except StepError as error:
            error.of(self.step.name, self.path)
            raise
        return Outcome(parts, *self._notes(returned, parts, _fewer(facts, self.node, own), seconds), seconds)

    def _notes(
        self, returned: Any, parts: Parts, facts: Mapping[Fact, str | None], seconds: float
    ) -> tuple[str, values.Encoded]:
        """What is noted with the result: what is compared, and what is for people."""
        items, attributes, others = parts
        check = {
            "name": self.step.name,
            "version": self.step.version,
            "module": self.step.module,
            "settings": self.texts,
            "code": self.code.parts,
            "packages": self.code.packages,
            "digest": self.code.digest,
            "reads": [[*fact, identity] for fact, identity in facts.items()],
            "holds": [*items, *attributes, *(name for name, _ in others)],
            "mapping": isinstance(returned, Mapping),
            "python": platform.python_version(),
        }
        about = {
            "settings": {
                name: self.texts[name] if isinstance(value, BaseNode) else value
                for name, value in self.settings.items()
            },
            "nodes": [name for name, value in self.settings.items() if isinstance(value, BaseNode)],
            "seconds": seconds,
            "when": datetime.now(UTC),
            "process": f"{socket.gethostname()}:{os.getpid()}",
        }
        text = json.dumps(check, separators=(",", ":"))
        try:
            values.encode(text, name=CHECK)  # which may be too long
            return text, values.encode(about, name=STEP, extra=self.node._tree.plugins)
        except LotdbError as error:
            raise self._unstorable(error) from error

    def _make_missing(self, node: BaseNode, keys: tuple[str, ...]) -> bool:
        """Compute the result of another step of the pipeline that is looked for at *keys* below *node*."""
        wanted = known.wanted.get()
        if wanted is None or not keys or keys[-1] not in wanted[0] or keys[-1] == self.step.name:
            return False
        source = node.get(keys[:-1]) if keys[:-1] else node
        if source is None:
            return False
        step, settings = wanted[0][keys[-1]]
        step.at(source, **settings)
        return True

    def freshened(self, on_code_change: str) -> BaseNode | None:
        """The result node, if it is fresh once the results that were read for it are."""
        found = self._found()
        if found is None or self._why(found, on_code_change, of_results=False) is not None:
            return None
        if is_read_only(self.node) is not None:
            return None
        with settled(self.node):
            for each in stale_results(found[0], found[2]):
                self._freshen(each)
        return self.result_if_fresh(on_code_change)

    def _freshen(self, result: BaseNode, kind: str = "payload", name: str = "") -> None:
        """Compute anew a result of another step that is about to be read, if it is stale."""
        why = _why_not(result, kind)
        if why is None:
            return
        check = parsed(stored_text(result, CHECK) or "", result)
        step = known.find(check["module"], check["name"])
        if step is None or result.parent is None:
            raise StaleResultError(
                f"{self.what} reads result {result._path()!r} of step {check['name']!r}, stale as {why}, "
                f"and this process has no such step; import {check['module']!r}, or pin the result"
            ).of(self.step.name, self.path)
        step.call_of(result).computed()

    def _refuse_stale(self, result: BaseNode, kind: str = "payload", name: str = "") -> None:
        """Raise ``StaleResultError`` if a result of another step that is about to be read is stale."""
        why = _why_not(result, kind)
        if why is not None:
            raise StaleResultError(f"{self.what} reads result {result._path()!r}, which is stale ({why})").of(
                self.step.name, self.path
            )

    def store(self, outcome: Outcome) -> DataNode:
        """Store what was computed: all of it, or nothing if a part is refused.

        Raises
        ------
        StepResultError
            If a part cannot be stored.
        """
        items, attributes, others = outcome.parts
        found = self._found()  # nothing else is in its place
        repeats, holds = False, []
        if found is not None:
            check = parsed(outcome.check, self.node)
            holds = found[2]["holds"]
            repeats = all(check[name] == found[2][name] for name in _MADE_FROM)
        notes = {CHECK: outcome.check, STEP: outcome.about}
        try:
            return store(
                self.node, self.key, items, attributes, others, notes=notes, holds=holds, repeats=repeats
            )
        except (*_NOT_OURS, StepError):
            raise
        except (LotdbError, TypeError, ValueError) as error:
            if isinstance(error, OSError):
                raise  # no space, no connection: not what was returned
            raise self._unstorable(error) from error

    def _unstorable(self, error: Exception) -> StepError:
        return StepResultError(f"{self.what} returned what cannot be stored: {error}").of(
            self.step.name, self.path
        )

    def computed(self, why: str = "it is stale") -> DataNode:
        """Compute and store."""
        with settled(self.node):
            self.check_writable(why)
            result = self.store(self.compute())
        wanted = known.wanted.get()
        if wanted is not None:
            wanted[1].append((self.step.name, result._path(), why))
        return result


def _why_not(result: BaseNode, kind: str) -> str | None:
    """Why a *result* cannot be read as it is, of which something of a *kind* is; None if it can."""
    why = reason_of(result)
    if why is None and EVICTED in names_of(result) and kind in ("payload", "all", "payloads"):
        why = "its payloads were evicted"
    return why


def _setting_changed(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    for name, text in now.items():
        if name not in then:
            return f"setting {name!r} is new ({_shown(text)})"
        if then[name] != text:
            if "#" in (then[name][0], text[0]):
                return f"setting {name!r} changed"
            return f"setting {name!r} was {_shown(then[name])} and is {_shown(text)}"
    gone = next(name for name in then if name not in now)
    return f"setting {gone!r} was {_shown(then[gone])} and is gone"


def _shown(text: str) -> str:
    """The text of a setting, as Python writes its value."""
    try:
        encoded = literal(text) if text.startswith("(") else None
    except (ValueError, SyntaxError):  # of a value such as NaN within
        encoded = None
    return text if encoded is None else repr(values.decode(encoded))


def _fewer(facts: Mapping[Fact, str | None], node: BaseNode, own: tuple[str, ...]) -> dict[Fact, str | None]:
    """The facts; very many become one of all that is below a node."""
    if sum(_length(fact) for fact in facts) <= _MOST_CHARACTERS:
        return dict(facts)
    fewer: dict[Fact, str | None] = {}
    for up in {fact[0] for fact in facts}:
        here = [(fact, identity) for fact, identity in facts.items() if fact[0] == up]
        top = at_place(node, (up, ()))
        if top is None:  # that nothing is above the root
            fewer.update(here)
            continue
        several = {"all": ""}
        # What is all below says neither where it is, nor whether a result in it is stale.
        if any(fact[2] == "path" for fact, _ in here):
            several["path"] = ""
        if any(fact[1:3] == ((), "key") for fact, _ in here):
            several["key"] = ""
        steps = {identity for fact, identity in here if fact[2] == "result" and identity is not None}
        for fact, _ in here:
            if fact[2] == "results":
                steps.update(json.loads(fact[3]))
        if steps:
            several["results"] = json.dumps(sorted(steps))
        for kind, name in several.items():
            fewer[up, (), kind, name] = FACTS[kind](top, name, own)
    return fewer


def _length(fact: Fact) -> int:
    """About how many characters a fact takes in the text that is kept."""
    return 60 + len(ascii(fact[1])) + len(ascii(fact[3]))


def settings_of(result: BaseNode) -> dict[str, Any]:
    """The settings with which *result* was computed."""
    about = about_of(result)
    settings = dict(about["settings"])
    source = result.parent
    assert source is not None
    for name in about["nodes"]:
        levels = [each for each in settings[name].removeprefix("node ").split("/") if each != "."]
        up = levels.count("..")
        node = at_place(source, (up, tuple(levels[up:])))
        if node is None:
            raise StaleResultError(f"setting {name!r} of result {result._path()!r} is a node that is gone")
        settings[name] = node
    return settings
