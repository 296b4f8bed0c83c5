"""``Step.map``: computing what is missing or stale at many nodes, and storing it in batches.

Workers compute, and this process stores. The nodes are looked at through the user's connection, which stays
at its moment as long as the map runs; what is computed is stored through another one, and committed in
batches. So an iteration over nodes never meets what the map itself has stored, and a map that is interrupted,
or killed, has lost no more than the last batch.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import Any, Literal

from lotdb.errors import shown, text_of
from lotdb.interfaces.options import check_choice, check_flag, is_several
from lotdb.node_api.outcomes import begin_again, database_of, plain
from lotdb.public import (
    BaseNode,
    InvalidOptionError,
    LotdbError,
    NodeExistsError,
    NodeNotFoundError,
    StepAccessError,
    StepError,
    StepFailedError,
    WrongNodeError,
)
from lotdb.steps.calls import Call, Outcome
from lotdb.steps.map_report import MapReport
from lotdb.steps.progress import Told, teller
from lotdb.steps.step import OnCodeChange, Step
from lotdb.steps.workers import Computed, Task, compute, opened, sent

__all__ = ["OnError", "map_over"]

OnError = Literal["collect", "raise"]

#: The keys of a node from the root down.
Keys = tuple[str, ...]
#: What is to be stored at a node; None is what needs other results first, and is computed when it is stored.
_Stored = tuple[Keys, Outcome | None]

# What is wrong with one node, and does not keep the others from being computed.
_OF_A_NODE = (StepError, NodeExistsError)

# A batch is committed when one of these is reached: results, bytes, seconds since the last one.
_BATCH, _BATCH_BYTES, _BATCH_S = 1000, 64 << 20, 1.0
# A task is made of so many nodes that it takes so long, and that what it sends back is no longer than that.
_TASK_S, _TASK_BYTES = 0.2, 8 << 20
_MOST_IN_TASK = 256
# So many errors are kept, that there may be any number of nodes.
_MOST_ERRORS = 1000
# So many tasks wait for each worker.
_AHEAD = 3


def map_over(
    step: Step,
    nodes: Iterable[BaseNode],
    *,
    workers: Any,
    key: str | None,
    on_code_change: OnCodeChange,
    on_error: OnError,
    progress: Any,
    workers_store: bool,
    settings: Mapping[str, Any],
) -> MapReport:
    """See ``Step.map``."""
    if isinstance(nodes, (BaseNode, str, bytes)) or not is_several(nodes):
        raise WrongNodeError(f"nodes is {shown(nodes)}; give several, such as root.find('**/capture_*')")
    check_choice("on_error", on_error, ("collect", "raise"))
    if progress is not None and progress is not False and not callable(progress):
        raise InvalidOptionError(f"progress is {shown(progress)}; use a function, or False for none")
    workers_store = check_flag("workers_store", workers_store)
    began = time.monotonic()
    tell, end_telling = teller(progress, step.name)
    with opened(workers, step) as (executor, many):
        done = _Map(step, key, on_code_change, settings, executor, many, on_error, tell)
        done.workers_store = workers_store
        done.total = len(nodes) if isinstance(nodes, Sized) else None
        try:
            done.run(iter(nodes))
        finally:
            end_telling()
    done.report.seconds = time.monotonic() - began
    return done.report


class _Map:
    """One map while it runs."""

    def __init__(
        self,
        step: Step,
        key: str | None,
        how: OnCodeChange,
        settings: Mapping[str, Any],
        executor: Executor,
        workers: int,
        on_error: OnError,
        tell: Told,
    ) -> None:
        self._step, self._key, self._how, self._settings = step, key, how, dict(settings)
        self._executor, self._workers = executor, workers
        self._on_error, self._tell = on_error, tell
        self.total: int | None = None
        self.workers_store = False
        self.report = MapReport()
        self._top: Any = None
        self._is_writable = False
        self._given: Mapping[str, Any] = {}
        # Nodes that are to be computed; tasks that are, with their nodes; and what is to be stored.
        self._waiting: list[Keys] = []
        self._running: dict[Future[list[Computed]], list[Keys]] = {}
        self._batch: list[_Stored] = []
        self._batch_bytes = 0
        self._committed = time.monotonic()
        # What a node takes, as it was seen last.
        self._node_s, self._node_bytes = _TASK_S, 0.0

    def run(self, nodes: Iterator[BaseNode]) -> None:
        """Compute at all of *nodes*."""
        try:
            first = next(nodes, None)
            if first is None:
                return
            self._begin(self._checked(first))
            for node in chain([first], nodes if database_of(self._top) else list(nodes)):
                self._take(self._checked(node))
            self._submit()
            while self._running:
                self._collect()
        except BaseException:  # also Ctrl-C: what has come back is not lost
            for future in self._running:
                future.cancel()
            self._keep_done()
            raise
        finally:
            if self._top is not None:
                self._flush()
                # Else what is known of the fresh ones stays known; and what is not committed stays, too.
                if self.report.computed and not self._top._tree.has_changes():
                    begin_again(self._top)

    def _checked(self, node: Any) -> BaseNode:
        if not isinstance(node, BaseNode):
            raise WrongNodeError(f"{shown(node)} is no node")
        inner = plain(node)
        if inner is not node and inner._tree.steps is not None:
            raise StepAccessError(
                f"step {self._step.name!r} cannot be mapped within another step, which changes nothing itself"
            ).of(self._step.name, inner._path())
        if self._top is not None and inner._tree is not self._top._tree:
            raise WrongNodeError(f"{inner._place()} is of another connection than the nodes before it")
        return inner

    def _begin(self, node: BaseNode) -> None:
        """See the first node: workers, and the other connection, see what is committed."""
        tree = node._tree
        tree.check()
        # Also what was taken back counts as a change, of which no reference is made.
        if tree.has_changes() or (tree.touched is not None and tree.touched.has(())):
            tree.commit()
        if self._workers and database_of(node) is None:
            raise InvalidOptionError(
                f"workers cannot read {tree}, which is in this process; leave out workers="
            )
        if self.workers_store and not (self._workers and database_of(node)._storage.many_writers):
            where = f"{tree} has one process that writes" if self._workers else "there are no workers"
            raise InvalidOptionError(f"workers cannot store: {where}; leave out workers_store=")
        self._given = {
            name: sent(plain(value), self._workers) if isinstance(value, BaseNode) else value
            for name, value in self._settings.items()
        }
        top: Any = node
        while top._parent is not None:
            top = top._parent
        self._top = top

    def _take(self, node: BaseNode) -> None:
        """Have the result at *node* be computed, unless it is fresh."""
        if node._tree.has_changes():
            raise StepAccessError(
                f"{node._tree} has changes that are not committed, made since step {self._step.name!r} is "
                "mapped over its nodes; commit() them before the next node is given"
            ).of(self._step.name, node._path())
        call = self._call(node)
        try:
            fresh = call.result_if_fresh(self._how)
        except NodeExistsError as error:
            self._fail(node._keys(), error)
            return
        if fresh is not None:
            self.report.fresh += 1
            self._say(node)
            return
        if not self._is_writable:
            call.check_writable(call.why(self._how) or "it is stale")
            self._is_writable = True
        self._waiting.append(node._keys())
        if len(self._waiting) >= self._task_size():
            self._submit()

    def _call(self, node: BaseNode) -> Call:
        return self._step.call(node, key=self._key, **self._settings)

    def _say(self, place: BaseNode | Keys) -> None:
        report = self.report
        done = report.computed + len(self._batch) + report.fresh + report.failed
        self._tell(done, self.total, place)

    # -- computing -----------------------------------------------------------------------------------

    def _task_size(self) -> int:
        if not self._workers:
            return 1
        by_time = _TASK_S / max(self._node_s, 1e-6)
        by_bytes = _TASK_BYTES / max(self._node_bytes, 1.0)
        return max(1, min(_MOST_IN_TASK, int(min(by_time, by_bytes))))

    def _submit(self) -> None:
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        # One reference for all: to make one takes longer than the path does.
        root = sent(self._top, self._workers)
        how = self._how if self.workers_store else None
        task = Task(self._step, self._key, self._given, root, tuple(waiting), how)
        while len(self._running) >= max(1, _AHEAD * self._workers):
            self._collect()
        try:
            future = self._executor.submit(compute, task)
        except BrokenProcessPool as error:
            raise self._broken(error, chain(self._running.values(), [waiting])) from error
        except RuntimeError as error:  # it was shut down, or one of its threads could not begin
            raise InvalidOptionError(
                f"the workers of step {self._step.name!r} take nothing any more ({error}); what was computed "
                "before is stored. Use an executor that is not shut down"
            ) from error
        self._running[future] = waiting
        if not self._workers:
            self._collect()

    def _collect(self) -> None:
        """Wait until a task has ended, and take what has come out."""
        ended, _ = wait(self._running, return_when=FIRST_COMPLETED)
        for future in [each for each in self._running if each in ended]:  # as they were begun
            self._take_in(future, self._running.pop(future))
        if (
            len(self._batch) >= _BATCH
            or self._batch_bytes >= _BATCH_BYTES
            or time.monotonic() - self._committed >= _BATCH_S
        ):
            self._flush()

    def _take_in(self, future: Future[list[Computed]], nodes: list[Keys]) -> None:
        try:
            found = future.result()
        except BrokenProcessPool as error:
            raise self._broken(error, chain([nodes], self._running.values())) from error
        except Exception as error:  # the task, or what came out, could not be sent
            what = f"step {self._step.name!r} could not be computed at {_shown(nodes)}"
            failure = StepFailedError(f"{what}: {type(error).__name__}: {text_of(error)}")
            failure.__cause__ = error
            found = [Computed(error=failure.of(self._step.name, "/".join(keys))) for keys in nodes]
        seconds = size = 0.0
        for each, keys in zip(found, nodes, strict=True):
            if each.error is not None:
                self._fail(keys, each.error)
                continue
            if each.stored:
                self.report.computed += 1
                seconds += each.seconds
                self._say(keys)
                continue
            if each.outcome is not None:
                seconds += each.outcome.seconds
                size += _size_of(each.outcome)
            self._batch.append((keys, each.outcome))
            self._say(keys)
        self._batch_bytes += int(size)
        self._node_s = (self._node_s + seconds / len(nodes)) / 2
        self._node_bytes = (self._node_bytes + size / len(nodes)) / 2

    def _fail(self, keys: Keys, error: LotdbError) -> None:
        if self._on_error == "raise":
            raise error
        self.report.failed += 1
        if len(self.report.errors) < _MOST_ERRORS:
            for each in (error, error.__cause__):  # whose frames would keep what the function had read
                if each is not None:
                    each.__traceback__ = None
            self.report.errors["/".join(keys)] = error
        self._say(keys)

    def _broken(self, error: BrokenProcessPool, lost: Iterable[list[Keys]]) -> StepFailedError:
        # Tasks are begun in this order. Nobody knows which of the first ones the worker had that was killed.
        nodes = list(chain.from_iterable(islice(lost, max(1, self._workers))))
        return StepFailedError(
            f"a worker of step {self._step.name!r} was killed, or could not start ({error}); the workers "
            f"were at {_shown(nodes)}. What was computed before is stored. A program that uses workers= "
            "needs `if __name__ == '__main__':` around what it runs"
        ).of(self._step.name, "/".join(nodes[0]))

    def _keep_done(self) -> None:
        for future, nodes in list(self._running.items()):
            if future.done() and not future.cancelled() and future.exception() is None:
                for each, keys in zip(future.result(), nodes, strict=True):
                    if each.outcome is not None:
                        self._batch.append((keys, each.outcome))
        self._running.clear()

    # -- storing -------------------------------------------------------------------------------------

    def _flush(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if batch:
            database = database_of(self._top)
            if database is None:
                failed = self._store(self._top, batch)
            else:
                failed = database.run(lambda root: self._store(root, batch), note=f"step {self._step.name}")
            self.report.computed += len(batch) - len(failed)
            for keys, error in failed:
                self._fail(keys, error)
        self._committed = time.monotonic()

    def _store(self, root: BaseNode, batch: list[_Stored]) -> list[tuple[Keys, LotdbError]]:
        """Store a batch below *root*; the errors of what cannot be stored."""
        failed: list[tuple[Keys, LotdbError]] = []
        for keys, outcome in batch:
            try:
                self._store_one(root, keys, outcome)
            except _OF_A_NODE as error:
                failed.append((keys, error))
        return failed

    def _store_one(self, root: BaseNode, keys: Keys, outcome: Outcome | None) -> None:
        try:
            node = root.get_node_path(keys, False) if keys else root
        except NodeNotFoundError as error:
            what = f"step {self._step.name!r} at {'/'.join(keys)!r}"
            raise StepFailedError(f"{what}: the node was deleted while it was computed").of(
                self._step.name, "/".join(keys)
            ) from error
        settings = {
            name: root.get_node_path(plain(value)._keys(), False) if isinstance(value, BaseNode) else value
            for name, value in self._settings.items()
        }
        call = self._step.call(node, key=self._key, **settings)
        if outcome is not None:
            call.store(outcome)
        elif call.result_if_fresh(self._how) is None:
            call.computed(call.why(self._how) or "it is stale")  # and the results that it needs first


def _size_of(outcome: Outcome) -> int:
    return sum(int(getattr(item.data, "nbytes", 0)) for item in outcome.parts[0].values())


def _shown(nodes: list[Keys]) -> str:
    others = f" and {len(nodes) - 1} others" if len(nodes) > 1 else ""
    return f"{'/'.join(nodes[0]) or 'the root'!r}{others}"
