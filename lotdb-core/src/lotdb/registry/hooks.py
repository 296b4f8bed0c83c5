"""What hook functions have to be, so that none is accepted and then never called as it is meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pluggy

__all__ = ["fault_of"]

_GENERATES = ("lotdb_get_value_types",)  # what it gives is gone through, so that it may be a generator


def fault_of(plugin: object, manager: pluggy.PluginManager, wrappable: frozenset[str]) -> str | None:
    """Why *plugin* cannot be registered, as the end of a sentence; None if nothing is wrong with it.

    Parameters
    ----------
    plugin
        A module or an object with hook functions.
    manager
        The manager that knows the specifications of the hooks.
    wrappable
        The hooks that may have wrappers.
    """
    # Left out are those that only plugins of other versions know, for which they are marked optional.
    hooks = {name: hook.spec for name, hook in vars(manager.hook).items() if hook.spec is not None}
    found = list(_implementations(plugin, manager))
    for name, options, function in found:
        if name not in hooks:
            if options.get("optionalhook"):
                continue
            return _unknown(name, hooks)
        fault = _fault_of_options(options) or _fault_of_kind(name, options, function, name in wrappable)
        if fault := fault or _fault_of_arguments(function, hooks[name].argnames):
            return f"its {name} {fault}"
        if inspect.isclass(plugin) and next(iter(inspect.signature(function).parameters), "") == "self":
            return f"it is the class {plugin.__name__}, not an object; register {plugin.__name__}()"
    marked = {name for name, _, _ in found}
    for name in hooks.keys() - marked:
        if inspect.isroutine(inspect.getattr_static(plugin, name, None)):
            return f"its {name} is not marked as a hook; put @lotdb.hookimpl above it"
    return None if found else "it implements no hook; mark its functions with @lotdb.hookimpl"


def _implementations(
    plugin: object, manager: pluggy.PluginManager
) -> Iterator[tuple[str, Mapping[str, Any], Callable[..., Any]]]:
    """The hook, the options and the function of each marked function."""
    for attribute in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, attribute)
        if options is not None:
            yield options.get("specname") or attribute, options, getattr(plugin, attribute)


def _unknown(name: str, hooks: Mapping[str, Any]) -> str:
    import difflib  # wanted for this message alone

    alike = difflib.get_close_matches(name, hooks, n=1)
    there = f"did you mean {alike[0]}?" if alike else f"there are {', '.join(sorted(hooks))}"
    return f"it implements {name}, and there is no such hook; {there}"


def _fault_of_options(options: Mapping[str, Any]) -> str | None:
    for one, other in (("wrapper", "hookwrapper"), ("tryfirst", "trylast")):
        if options.get(one) and options.get(other):
            return f"is marked {one}=True and {other}=True; use one of them"
    return None


def _fault_of_kind(
    name: str, options: Mapping[str, Any], function: Callable[..., Any], may_wrap: bool
) -> str | None:
    wraps = options.get("wrapper") or options.get("hookwrapper")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "is an async function, and nothing awaits it; use a plain one"
    generates = inspect.isgeneratorfunction(function)
    if wraps and not may_wrap:
        return (
            "is a wrapper, and LOTDB calls the plugins one by one there, so that it knows which of them "
            "answers or fails; use a plain hook function, with tryfirst=True or trylast=True if order matters"
        )
    if wraps and not generates:
        return "is a wrapper without a yield, at which the others would be called"
    if generates and not wraps and name not in _GENERATES:
        instead = "mark it @hookimpl(wrapper=True)" if may_wrap else "return the result"
        return f"has a yield in it, so that calling it would run nothing; {instead}"
    return None


def _fault_of_arguments(function: Callable[..., Any], known: tuple[str, ...]) -> str | None:
    """What is wrong with the arguments of a hook that has those *known*."""
    there = f"it may take {', '.join(map(repr, known))}" if known else "it takes none"
    for parameter in inspect.signature(function).parameters.values():
        name, kind, default = parameter.name, parameter.kind, parameter.default
        if kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or name == "self":
            continue
        if name in known and default is not parameter.empty:
            return f"has a default for {name!r}, which would be used always; leave the default out"
        if name in known and kind is parameter.KEYWORD_ONLY:
            return f"takes {name!r} by keyword only; take the * away"
        if name not in known and default is parameter.empty:
            return f"takes an argument {name!r}, which that hook does not have; {there}"
    return None
