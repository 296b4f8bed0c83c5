"""Conditions as texts, as a shell passes them: ``label == "walk" and subject.height_m > 1.7``.

The text is Python's syntax of expressions. It is parsed and translated node by node; nothing of it is run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from lotdb.errors import InvalidConditionError, InvalidKeyError, shown
from lotdb.queries.conditions import Both, Condition, Either, Field, PayloadFields, attr, payload
from lotdb.values.python_text import syntax_tree

__all__ = ["parse", "parse_field"]

# Python's parser, too, takes some of the stack for each level.
_LONGEST = 4096

_ALLOWED = (
    "allowed are comparisons such as label == 'walk', subject.height_m > 1.7, label in ('walk', 'run'), "
    "label.matches('^w'), label.exists(), attr('any name') != 3 and payload('imu').dtype == 'float32', "
    "joined by and, or and not"
)

_OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Is: "==",
    ast.IsNot: "!=",
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda field, value: field == value,
    "!=": lambda field, value: field != value,
    "<": lambda field, value: field < value,
    "<=": lambda field, value: field <= value,
    ">": lambda field, value: field > value,
    ">=": lambda field, value: field >= value,
}
T = TypeVar("T")

_METHODS = ("exists", "is_in", "matches", "contains")

_OPERATIONS = (ast.BinOp, ast.UnaryOp)
_NO_VALUE = "it is no plain value; a text stands in quotes"
# What ast.literal_eval raises.
_NO_LITERAL = (ValueError, TypeError, SyntaxError, RecursionError, MemoryError)


def parse(text: str) -> Condition:
    """The condition that *text* says.

    Raises
    ------
    InvalidConditionError
        If it says none; the message names the column, and what is allowed.

    Examples
    --------
    >>> parse("1.5 < height_m <= 1.8 and not label in ('walk', 'run')")
    (attr('height_m') > 1.5) & (attr('height_m') <= 1.8) & ~attr('label').is_in(['walk', 'run'])
    """
    return _translated(text, _Translator.condition)


def parse_field(text: str) -> Field:
    """The field that *text* names, such as ``payload('imu').dtype``.

    Raises
    ------
    InvalidConditionError
        If it names none.
    """
    return _translated(text, _Translator.field)


def _translated(text: str, translate: Callable[[_Translator, ast.expr], T]) -> T:
    text = str.__str__(text).strip()
    if not text:
        raise InvalidConditionError(f"the condition is empty; {_ALLOWED}")
    if len(text) > _LONGEST:
        raise InvalidConditionError(
            f"the condition is a text of {len(text)} characters; at most {_LONGEST} are allowed, longer ones "
            "are written in Python, with lotdb.attr"
        )
    try:
        parsed = syntax_tree(text, "eval").body
    except SyntaxError as error:
        reason = f"{error.msg} at column {error.offset}" if error.offset else error.msg
        raise InvalidConditionError(
            f"the condition {shown(text)} cannot be read: {reason}; {_ALLOWED}"
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise InvalidConditionError(f"the condition {shown(text)} cannot be read: {error}") from None
    try:
        return translate(_Translator(text), parsed)
    except RecursionError:
        raise InvalidConditionError(f"the condition {shown(text)} is nested too deeply") from None


class _Translator:
    def __init__(self, text: str) -> None:
        self._text = text

    def condition(self, node: ast.expr) -> Condition:
        match node:
            case ast.BoolOp(op=ast.And()) | ast.BoolOp(op=ast.Or()):
                parts = [self.condition(part) for part in node.values]
                return (Both if isinstance(node.op, ast.And) else Either)(*parts)
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
                both = self.condition(node.left), self.condition(node.right)
                return (Both if isinstance(node.op, ast.BitAnd) else Either)(*both)
            case ast.UnaryOp(op=ast.Not() | ast.Invert()):
                return ~self.condition(node.operand)
            case ast.Compare():
                return self._comparisons(node)
            case ast.Call():
                found = self._call(node)
                if isinstance(found, Condition):
                    return found
        if self._is_field(node):
            self._refuse(node, "by itself it is no condition; compare it with a value, or write .exists()")
        self._refuse(node, "it is no condition")

    def _is_field(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript)

    def _comparisons(self, node: ast.Compare) -> Condition:
        parts, left = [], node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            parts.append(self._comparison(node, left, operator, right))
            left = right
        return parts[0] if len(parts) == 1 else Both(*parts)

    def _comparison(
        self, node: ast.Compare, left: ast.expr, operator: ast.cmpop, right: ast.expr
    ) -> Condition:
        if isinstance(operator, ast.In | ast.NotIn):
            if self._is_field(left):
                field, value = self.field(left), self._literal(right)
                condition: Condition = self._made(node, lambda: field.is_in(value))
            else:
                self._check_a_field(node, left, right)
                field, value = self.field(right), self._literal(left)
                condition = self._made(node, lambda: field.contains(value))
            return ~condition if isinstance(operator, ast.NotIn) else condition
        sign = _OPERATORS[type(operator)]
        if not self._is_field(left):
            self._check_a_field(node, left, right)
            left, right, sign = right, left, _TURNED[sign]
        if self._is_field(right):
            self._refuse(right, "both sides are fields; a text stands in quotes")
        field, value = self.field(left), self._literal(right)
        made: Condition = self._made(node, lambda: _COMPARE[sign](field, value))
        return made

    def _check_a_field(self, node: ast.Compare, left: ast.expr, right: ast.expr) -> None:
        """Refuse a comparison without a field: the side that is no value was meant for one."""
        if self._is_field(right):
            return
        for side in (left, right):
            if not _is_literal(side):
                self._refuse(side, _no_field(side))
        self._refuse(node, "neither side is an attribute or what a payload is like")

    # -- fields and methods ------------------------------------------------------------------------

    def field(self, node: ast.expr) -> Field:
        found: object = None
        match node:
            case ast.Name() | ast.Attribute():
                name = self._dotted(node)
                if name is not None:
                    found = self._made(node, lambda: attr(name))
                elif isinstance(node, ast.Attribute):
                    above, part = self._payload_or_field(node.value), self._spelled(node, node.attr)
                    found = self._made(node, lambda: getattr(above, part))
            case ast.Subscript():
                inner, part = self.field(node.value), self._literal(node.slice)
                found = self._made(node, lambda: inner[part])
            case ast.Call():
                found = self._call(node)
        if isinstance(found, PayloadFields):
            self._refuse(node, f"say what of it, such as {found!r}.dtype or {found!r}.exists()")
        if not isinstance(found, Field):
            self._refuse(node, _no_field(node))
        return found

    def _payload_or_field(self, node: ast.expr) -> PayloadFields | Field:
        if isinstance(node, ast.Call):
            found = self._call(node)
            if not isinstance(found, Condition):
                return found
        return self.field(node)

    def _dotted(self, node: ast.expr) -> str | None:
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(self._spelled(node, node.attr))
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        return ".".join([self._spelled(node, node.id), *reversed(names)])

    def _spelled(self, node: ast.expr, name: str) -> str:
        """The *name* at the end of *node* as it is written.

        Python's parser puts names into the form NFKC, in which the sign for micro is the Greek letter.
        """
        if self._text.isascii():
            return name
        from unicodedata import normalize  # which few programs need

        written = (ast.get_source_segment(self._text, node) or "").rpartition(".")[2].strip()
        return written if normalize("NFKC", written) == name else name

    def _call(self, node: ast.Call) -> Condition | PayloadFields | Field:
        if node.keywords:
            self._refuse(node, "arguments have no names here")
        match node.func:
            case ast.Name(id="attr" | "payload" as which):
                values = [self._literal(each) for each in node.args]
                if len(values) != 1:
                    self._refuse(node, f"{which}(...) takes one name in quotes")
                found: Field | PayloadFields = self._made(
                    node, lambda: (attr if which == "attr" else payload)(values[0])
                )
                return found
            case ast.Name(id="len") if len(node.args) == 1:
                found = self._payload_or_field(node.args[0])
                if isinstance(found, PayloadFields):
                    return found.rows
                self._refuse(node, "len(...) is of a payload: len(payload('imu'))")
            case ast.Name(id=name) if name in _METHODS and node.args:
                return self._method(node, node.args[0], name, node.args[1:])
            case ast.Attribute(value=value, attr=name) if name in _METHODS:
                return self._method(node, value, name, node.args)
        name = ast.unparse(node.func)
        self._refuse(node, f"there is no {shown(name)} to call")

    def _method(self, node: ast.Call, of: ast.expr, name: str, arguments: list[ast.expr]) -> Condition:
        if len(arguments) != (0 if name == "exists" else 1):
            self._refuse(node, f"{name} takes {'nothing' if name == 'exists' else 'one value'}")
        found = self._payload_or_field(of)
        values = [self._literal(each) for each in arguments]
        made: Condition = self._made(node, lambda: getattr(found, name)(*values))
        return made

    # -- values and errors -------------------------------------------------------------------------

    def _literal(self, node: ast.expr) -> Any:
        try:
            return ast.literal_eval(node)
        except _NO_LITERAL:
            self._refuse(node, _computed(node, "write the value") or _NO_VALUE)

    def _made(self, node: ast.expr, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except (InvalidConditionError, InvalidKeyError) as error:
            self._refuse(node, str(error), allowed=False)

    def _refuse(self, node: ast.expr, why: str, *, allowed: bool = True) -> NoReturn:
        line = self._text.splitlines()[node.lineno - 1].encode()
        column = len(line[: node.col_offset].decode(errors="replace")) + 1
        part = ast.get_source_segment(self._text, node) or ""
        where = f"at column {column}" if node.lineno == 1 else f"at line {node.lineno}, column {column}"
        hint = f"; {_ALLOWED}" if allowed else ""
        raise InvalidConditionError(f"the condition fails {where}, {shown(part)}: {why}{hint}")


def _no_field(node: ast.expr) -> str:
    """Why *node* is no field."""
    what = "it is neither an attribute nor what a payload is like"
    return _computed(node, "compare an attribute itself with a value") or what


def _computed(node: ast.expr, instead: str) -> str:
    """Why *node* cannot stand where it is, if it would be computed, and what to do *instead*."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
        return "& and | come before the comparisons beside them; write and, or"
    return f"nothing is computed in a condition; {instead}" if isinstance(node, _OPERATIONS) else ""


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except _NO_LITERAL:
        return False
    return True
