"""Who computes for ``Step.map``: this process, processes of its own, or an executor of the user's.

A worker gets references to nodes, computes, and sends back what is to be stored. It reads at the moment that
the nodes were sent from, and changes nothing.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from lotdb.database.references import keys_of, open_to_write
from lotdb.errors import shown
from lotdb.node_api.outcomes import plain
from lotdb.public import (
    BaseNode,
    InvalidOptionError,
    InvalidStepError,
    LotdbError,
    NodeExistsError,
    NodeNotFoundError,
    StaleResultError,
    StepError,
)
from lotdb.steps.calls import Outcome
from lotdb.steps.step import OnCodeChange, Step

__all__ = ["Computed", "Task", "compute", "opened", "sent"]

E = TypeVar("E", bound=LotdbError)


@dataclass(frozen=True)
class Task:
    """A step, nodes at which it is to be computed, and what else it takes; all of it can be pickled."""

    step: Step
    key: str | None
    settings: Mapping[str, Any]
    #: The root, and the keys of the nodes from there down.
    root: BaseNode
    nodes: tuple[tuple[str, ...], ...]
    #: What to do about other code, if the worker is to store what it computes; else None.
    stores: OnCodeChange | None = None


@dataclass(frozen=True)
class Computed:
    """What came out at one node: an outcome, or an error, or neither if other results are needed first."""

    outcome: Outcome | None = None
    error: LotdbError | None = None
    #: Whether the worker has stored it, and how long that took.
    stored: bool = False
    seconds: float = 0.0


class _InThisThread(Executor):
    """Computes when it is asked to, and is done when it answers."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **options))
        except Exception as error:
            future.set_exception(error)
        return future


@contextlib.contextmanager
def opened(workers: Any, step: Step) -> Iterator[tuple[Executor, int]]:
    """The executor that *workers* means, and how many tasks it works on at once; 0 for this thread.

    Raises
    ------
    InvalidOptionError
        If it means none.
    InvalidStepError
        If other processes cannot have the step.
    """
    if workers is None or (isinstance(workers, int) and not isinstance(workers, bool) and workers == 1):
        yield _InThisThread(), 0
    elif isinstance(workers, int) and not isinstance(workers, bool) and workers > 1:
        _check_can_be_sent(step)
        context = multiprocessing.get_context("forkserver")
        try:
            pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)
        except (ValueError, OverflowError) as error:  # more than the system can count
            raise InvalidOptionError(f"workers is {shown(workers)}; use a number of processes") from error
        try:
            yield pool, workers
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    elif hasattr(workers, "get_executor"):  # a client of dask
        with workers.get_executor(pure=False) as pool:
            yield pool, sum(workers.nthreads().values()) or 1
    elif hasattr(workers, "submit"):
        many = getattr(workers, "_max_workers", None)
        yield workers, many if isinstance(many, int) else os.cpu_count() or 1
    else:
        raise InvalidOptionError(
            f"workers is {shown(workers)}; use a number of processes, an executor of concurrent.futures, or "
            "a client of dask"
        )


def _check_can_be_sent(step: Step) -> None:
    main = sys.modules.get("__main__")
    if step.module == "__main__" and not hasattr(main, "__file__"):
        why = "it is defined at a prompt, or in a notebook, which other processes cannot import"
    else:
        try:
            pickle.dumps(step)
            return
        except (pickle.PicklingError, AttributeError) as error:
            why = str(error)
    raise InvalidStepError(
        f"step {step.name!r} cannot be sent to other processes ({why}); define it at the top of a module, or "
        "leave out workers="
    ).of(step.name, "")


def _end_with_parent() -> None:
    """Have this worker end when the process ends that has started it, even if that is killed.

    Ctrl-C reaches all processes of a terminal; the one that has started it says what becomes of it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_for_end, args=(parent,), daemon=True).start()


def _wait_for_end(parent: Any) -> None:
    parent.join()
    os._exit(1)


def sent(node: BaseNode, workers: int) -> BaseNode:
    """*node* as it is given to the workers."""
    return node.reference() if workers else node


# -- in the worker ---------------------------------------------------------------------------------


def compute(task: Task) -> list[Computed]:
    """What the step gives at each node of *task*; errors of the step are results, too."""
    if task.stores is not None:
        database = open_to_write(task.root)
        note = f"step {task.step.name}"
        return database.run(lambda root: [_store(task, keys, root) for keys in task.nodes], note=note)
    root = plain(task.root)
    return [_compute(task, _below(root, keys)) for keys in task.nodes]


def _store(task: Task, keys: tuple[str, ...], root: BaseNode) -> Computed:
    began = time.perf_counter()
    try:
        settings = {
            name: _below(root, keys_of(value)) if isinstance(value, BaseNode) else value
            for name, value in task.settings.items()
        }
        task.step.at(_below(root, keys), key=task.key, on_code_change=task.stores, **settings)
    except (StepError, NodeExistsError, NodeNotFoundError) as error:
        return Computed(error=_to_send(error))
    return Computed(stored=True, seconds=time.perf_counter() - began)


def _below(root: BaseNode, keys: tuple[str, ...]) -> BaseNode:
    return root.get_node_path(keys, False) if keys else root


def _compute(task: Task, node: BaseNode) -> Computed:
    try:
        settings = {
            name: plain(value) if isinstance(value, BaseNode) else value
            for name, value in task.settings.items()
        }
        return Computed(task.step.call(node, key=task.key, **settings).compute(alone=True))
    except StaleResultError:
        return Computed()
    except StepError as error:
        return Computed(error=_to_send(error))


def _to_send(error: E) -> E:
    if error.__cause__ is not None:  # which is not pickled
        error.add_note("".join(traceback.format_exception(error.__cause__)).rstrip())
    return error
