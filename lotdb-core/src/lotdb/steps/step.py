"""``@step``: a function of a node, whose results are kept in the tree."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from importlib import import_module
from itertools import product
from types import FunctionType
from typing import Any, Literal, cast, overload

from lotdb.errors import shown
from lotdb.interfaces.options import is_several
from lotdb.node_api.watching import check_key, plain, watched_again
from lotdb.public import BaseNode, DataNode, InvalidKeyError, InvalidStepError, WrongNodeError
from lotdb.steps import known
from lotdb.steps.arguments import Parameters
from lotdb.steps.calls import Call, settings_of
from lotdb.steps.fingerprint import Code, code_of
from lotdb.steps.map_report import MapReport
from lotdb.steps.progress import Progress

__all__ = ["Step", "step"]

OnCodeChange = Literal["recompute", "warn", "ignore"]
# A version of more bits is nothing that somebody has counted up to, and Python may refuse to write it.
_MOST_BITS = 1024
_ON_CODE_CHANGE = ("recompute", "warn", "ignore")


class Step:
    """A function of a node, as :func:`step` makes it; called as such, it is the plain function.

    Attributes
    ----------
    name
        Its name, which is also the key of its results.
    version
        What was given as ``version=``.
    function
        The plain function.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        version: int | str | None = None,
        depends: Iterable[Any] = (),
        name: str | None = None,
        takes: Step | str | None = None,
        on_code_change: OnCodeChange = "recompute",
    ) -> None:
        self.function = _checked(function)
        self.name = function.__name__ if name is None else name
        try:
            self.name = check_key(self.name)
        except InvalidKeyError as error:
            raise InvalidStepError(f"a step cannot be called {self.name!r}: {error}").of(
                str(name), ""
            ) from error
        self.module = function.__module__
        if version is not None and not isinstance(version, (int, str)):
            raise InvalidStepError(
                f"version of step {self.name!r} is {version!r}; use a number or a text"
            ).of(self.name, "")
        if isinstance(version, int) and version.bit_length() > _MOST_BITS:
            raise InvalidStepError(f"version of step {self.name!r} is too large; use a text").of(
                self.name, ""
            )
        if isinstance(version, bool):
            version = int(version)  # as JSON would tell them apart
        self.version = version
        self.on_code_change = _check_on_code_change(on_code_change, self.name)
        self._depends = _listed(depends, self.name)
        self._parameters = Parameters(self.function, self.name)
        if takes is not None and not isinstance(takes, (Step, str)):
            raise InvalidStepError(f"step {self.name!r} takes {takes!r}; name a step").of(self.name, "")
        self.takes = takes.name if isinstance(takes, Step) else takes
        self._code: Code | None = None
        functools.update_wrapper(self, self.function)
        known.note(self.module, self.name, self)

    def __call__(self, *args: Any, **settings: Any) -> Any:
        return self.function(*args, **settings)

    def __repr__(self) -> str:
        version = "" if self.version is None else f", version {self.version}"
        return f"<Step {self.name!r}{version} of {self.module}>"

    def __reduce__(self) -> str:
        name: str = self.function.__qualname__
        return name  # as a function: by its name

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of its settings."""
        return self._parameters.names

    @property
    def node_argument(self) -> str:
        """The name under which its function takes the node."""
        return self._parameters.node

    def code(self) -> Code:
        """The code of the function and of what it calls, as it is now."""
        code = self._code
        if code is None or not code.is_current():
            code = self._code = code_of(self.function, self._depends)
        return code

    # -- results -------------------------------------------------------------------------------------

    def at(
        self,
        node: BaseNode,
        /,
        *,
        key: str | None = None,
        on_code_change: OnCodeChange | None = None,
        **settings: Any,
    ) -> DataNode:
        """The result for *node*: a child of it, which is computed if it is missing or stale.

        What is computed is part of the transaction of the node's connection, and you commit. Arrays, tables
        and texts are payloads of the result, and small values attributes.

        Parameters
        ----------
        node
            The node.
        key
            Key of the result below *node*; by default the name of the step. Each key keeps one result, so
            give each setting that you want to keep a key of its own; see :meth:`variants`.
        on_code_change : {"recompute", "warn", "ignore"}
            What to do with a result that other code or other packages have made; by default as the step says.
        **settings
            The settings of the function.

        Returns
        -------
        DataNode
            The result.

        Raises
        ------
        StepFailedError, StepResultError, StepAccessError
            If the function raises, returns what cannot be stored, or changes the tree. Nothing has changed.
        StaleResultError
            If it is stale or missing, and nothing can be written here, as at an earlier moment.
        NodeExistsError
            If something else is in its place.
        InvalidStepError
            If there is no such setting.
        """
        call = self.call(node, key=key, **settings)
        how = self._how(on_code_change)
        fresh = call.result_if_fresh(how)
        if fresh is None:
            fresh = call.freshened(how) or call.computed(call.why(how) or "it is stale")
        return watched_again(node, fresh)  # type: ignore[return-value]

    def why_stale(
        self,
        node: BaseNode,
        /,
        *,
        key: str | None = None,
        on_code_change: OnCodeChange | None = None,
        **settings: Any,
    ) -> str | None:
        """Why :meth:`at` would compute, in one sentence; None if the result is fresh.

        The arguments are those of :meth:`at`. Nothing is computed, and no data are read.
        """
        return self.call(node, key=key, **settings).why(self._how(on_code_change))

    def variants(
        self,
        node: BaseNode,
        /,
        *,
        key: str | None = None,
        on_code_change: OnCodeChange | None = None,
        **settings: Any,
    ) -> list[DataNode]:
        """A result for each value of the settings that are lists, and for each combination of several.

        Each has a node of its own, such as ``band_power_low_0.5``: the name of the step, or *key*, and name
        and value of each setting that is a list.

        Parameters
        ----------
        node, on_code_change
            As for :meth:`at`.
        key
            What the keys begin with.
        **settings
            Lists of values; or one value, which all have.

        Returns
        -------
        list of DataNode
            The results, in the order of the lists; the last list varies fastest.
        """
        varied = {name: value for name, value in settings.items() if isinstance(value, (list, tuple, range))}
        fixed = {name: value for name, value in settings.items() if name not in varied}
        beginning = self.name if key is None else check_key(key)
        several: dict[str, tuple[Call, dict[str, Any]]] = {}
        keys = []
        for chosen in product(*varied.values()):
            one = dict(zip(varied, chosen, strict=True))
            each = "_".join((beginning, *(f"{name}_{self._in_key(value)}" for name, value in one.items())))
            call = self.call(node, key=each, **fixed, **one)
            other, before = several.setdefault(each, (call, one))
            if other.texts != call.texts:  # the later one would take the place of the first
                raise InvalidStepError(
                    f"step {self.name!r} would keep two variants under {each!r}: those of {shown(before)} "
                    f"and {shown(one)}; call at() for each, with key="
                ).of(self.name, plain(node)._path())
            keys.append(each)
        how = on_code_change
        return [self.at(node, key=each, on_code_change=how, **fixed, **several[each][1]) for each in keys]

    def map(
        self,
        nodes: Iterable[BaseNode],
        /,
        *,
        workers: Any = None,
        key: str | None = None,
        on_code_change: OnCodeChange | None = None,
        on_error: Literal["collect", "raise"] = "collect",
        progress: Progress | Literal[False] | None = None,
        workers_store: bool = False,
        **settings: Any,
    ) -> MapReport:
        """Compute what is missing or stale at many nodes, and commit it in batches.

        The nodes' connection is committed first, and sees all results at the end. A map that was interrupted,
        or killed, goes on where it was when it is called again: it has lost one batch at most, of about a
        second. Nodes are taken one by one, so there may be any number of them.

        Parameters
        ----------
        nodes
            Nodes of one connection, such as ``root.find("**/capture_*")``.
        workers : int, concurrent.futures.Executor or dask.distributed.Client
            Who computes: so many processes, or who is given; by default this process. Workers read the nodes
            as they were when the map began, and this process stores what they send back. Processes import
            the module of the step.
        key, on_code_change, **settings
            As for :meth:`at`. A setting that is a node is of the same connection.
        on_error : {"collect", "raise"}
            Whether to go on when the step fails at a node, and report it, or to raise the error. What was
            computed before is stored.
        progress
            Called with how many nodes are done, how many there are (None if that is not known), and the path
            of the last one. By default a line in the terminal, if there is one; with False nothing is told.
        workers_store
            Whether workers store what they compute, each task in a transaction of its own, as may be worth it
            where results are large. The database's storage is one that many processes write.

        Returns
        -------
        MapReport
            How many results were computed, how many were fresh, and the errors by the paths of nodes.

        Raises
        ------
        StepError
            With ``on_error="raise"``, that of the first node that fails.
        StepFailedError
            If a worker was killed.
        StaleResultError
            If something is to be computed, and nothing can be written here, as at an earlier moment.
        InvalidStepError
            If other processes cannot import the step.
        InvalidOptionError
            If an argument is none of these, or workers cannot read a tree in memory.
        """
        report: MapReport = import_module("lotdb.steps.mapping").map_over(  # which stands above
            self,
            nodes,
            workers=workers,
            key=key,
            on_code_change=self._how(on_code_change),
            on_error=on_error,
            progress=progress,
            workers_store=workers_store,
            settings=settings,
        )
        return report

    def call(self, node: BaseNode, /, *, key: str | None = None, **settings: Any) -> Call:
        """A call of the step, of which :meth:`at` and :meth:`why_stale` are made."""
        if not isinstance(node, BaseNode):
            raise WrongNodeError(
                f"step {self.name!r} is asked for its result at {shown(node)}, which is no node"
            )
        inner = plain(node)
        inner._entry()  # right thread, and still there
        self._refuse_older(inner)
        bound = self._parameters.bind(settings, inner)
        return Call(self, inner, self.name if key is None else check_key(key), bound)

    def call_of(self, result: BaseNode) -> Call:
        """The call that has made *result*, to be made again."""
        source = result.parent
        assert source is not None
        return self.call(source, key=result._key, **settings_of(result))

    def _refuse_older(self, node: BaseNode) -> None:
        newest = self.function.__globals__.get(self.function.__name__)
        if (
            newest is not self
            and isinstance(newest, Step)
            and newest.name == self.name
            and newest.function.__qualname__ == self.function.__qualname__
        ):
            raise InvalidStepError(
                f"step {self.name!r} at {node._path()!r} is of an older definition: it was defined again in "
                f"{self.module!r}, as by a notebook cell that was run twice; use the newest one"
            ).of(self.name, node._path())

    def _how(self, on_code_change: str | None) -> OnCodeChange:
        if on_code_change is None:
            return self.on_code_change
        return _check_on_code_change(on_code_change, self.name)

    def _in_key(self, value: Any) -> str:
        if isinstance(value, (int, float, str)):
            try:
                text = str(value)
            except ValueError:  # an int of thousands of digits
                text = "/"
            if "/" not in text:
                return text
        raise InvalidStepError(
            f"step {self.name!r} cannot name a result after {shown(value)}; call at() for each value, with "
            "key="
        ).of(self.name, "")


def _checked(function: Any) -> FunctionType:
    if not isinstance(function, FunctionType):
        raise InvalidStepError(f"{shown(function)} is no function, so no step can be made of it").of(
            getattr(function, "__name__", ""), ""
        )
    if function.__name__ == "<lambda>":
        raise InvalidStepError(
            "a lambda cannot be a step, because its results need a name; write a function with def, in place "
            f"of that in line {function.__code__.co_firstlineno} of {function.__code__.co_filename}"
        ).of("<lambda>", "")
    if (
        inspect.iscoroutinefunction(function)
        or inspect.isgeneratorfunction(function)
        or inspect.isasyncgenfunction(function)
    ):
        raise InvalidStepError(
            f"step {function.__name__!r} is a generator or a coroutine; return the data"
        ).of(function.__name__, "")
    return function


def _check_on_code_change(how: Any, name: str) -> OnCodeChange:
    if not isinstance(how, str) or how not in _ON_CODE_CHANGE:
        raise InvalidStepError(
            f"on_code_change of step {name!r} is {shown(how)}; use 'recompute', 'warn' or 'ignore'"
        ).of(name, "")
    return cast("OnCodeChange", how)


def _listed(depends: Any, name: str) -> tuple[Any, ...]:
    if isinstance(depends, (str, bytes)) or not is_several(depends):
        raise InvalidStepError(
            f"step {name!r} depends on {shown(depends)}; give a list, such as [helper, numpy]"
        ).of(name, "")
    return tuple(depends)


@overload
def step(function: Callable[..., Any], /) -> Step: ...


@overload
def step(
    *,
    version: int | str | None = None,
    depends: Iterable[Any] = (),
    name: str | None = None,
    takes: Step | str | None = None,
    on_code_change: OnCodeChange = "recompute",
) -> Callable[[Callable[..., Any]], Step]: ...


def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    version: int | str | None = None,
    depends: Iterable[Any] = (),
    name: str | None = None,
    takes: Step | str | None = None,
    on_code_change: OnCodeChange = "recompute",
) -> Any:
    """Make a step of a function of a node: decorate it with ``@step``, or ``@step(version=2)``.

    The function returns an array, a table, a text, a number, or a mapping of such by name. It reads what it
    needs through the node, so that LOTDB knows what the result was made from. It changes nothing.

    Parameters
    ----------
    function
        The function. Its first argument is the node, and the others are settings.
    version
        A number or text; a result of another version is stale. For what the code does not show, such as a new
        table of constants in a file.
    depends
        Functions, classes and modules that are not in the module of the function, and matter: results are
        stale when their code changes, or the version of a package, such as ``numpy`` or ``"scipy"``.
    name
        Name of the step; by default that of the function.
    takes
        The step whose result the function takes as its node, for :func:`run`; by default that whose name its
        first argument has.
    on_code_change : {"recompute", "warn", "ignore"}
        What becomes of a result when code or packages have changed.

    Raises
    ------
    InvalidStepError
        If no step can be made of it: a lambda, a function without arguments, a generator.
    """

    def make(function: Callable[..., Any]) -> Step:
        if isinstance(function, Step):
            raise InvalidStepError(f"{function!r} is a step already").of(function.name, "")
        return Step(
            function, version=version, depends=depends, name=name, takes=takes, on_code_change=on_code_change
        )

    return make if function is None else make(function)
