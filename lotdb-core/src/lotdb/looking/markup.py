"""Nodes, payloads and trees as HTML for notebooks, without a script, in the colours of their page.

Every text is escaped. A part that cannot be shown is replaced by a sentence that says why, so that showing a
node never fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from itertools import islice
from typing import Any

from lotdb.looking.first_children import first_children
from lotdb.looking.looked_at import LookedNode, LookedPayload
from lotdb.looking.thumbnails import thumbnail
from lotdb.looking.wording import (
    COUNTED,
    about_node,
    count_text,
    duration_text,
    error_text,
    payload_text,
    plain,
    size_text,
    value_text,
)

__all__ = ["node_html", "payload_html", "tree_html"]

_ATTRIBUTES, _PAYLOADS, _PICTURES = 20, 12, 6
_VALUE_WIDTH = 200
_FEW = 3  # metadata are shown beside the facts, more are folded
_NODE_DEPTH, _NODE_CHILDREN = 2, 10
# Of a tree, so many nodes are shown, and so many levels: browsers do not nest deeper.
_TREE_NODES, _TREE_DEPTH = 500, 40

_FAINT = "opacity:.65"
_TABLE = "border-collapse:collapse;margin:0;border:none;font-size:inherit;color:inherit"
_CELL = "text-align:left;vertical-align:top;padding:1px 12px 1px 0;background:none;border:none"
_INDENT = "margin-left:1.2em"
_LEAF = "padding-left:1.1em"  # below the texts of those that open
_BESIDE = "display:flex;flex-wrap:wrap;align-items:flex-start"
_PICTURE = "margin:2px 24px 6px 0;max-width:100%;overflow-x:auto"
_REST = "flex:1 1 16em;min-width:0"


def node_html(node: LookedNode, place: str) -> str:
    """A node with its attributes, its payloads and what is directly below it; *place* says where it is."""
    parts = [f"<div><b>{_text(node.key)}</b> {_faint(place)}</div>"]
    for part in (_attributes, _payloads, _children):
        parts += _guarded(lambda part=part: list(part(node)))  # type: ignore[misc]
    return _framed(parts)


def payload_html(payload: LookedPayload) -> str:
    """A payload with all that is known of it, and a small picture."""
    title = _guarded(lambda: [f"<b>{_text(payload.name)}</b> {_faint(payload_text(payload))}"])
    return _framed([*title, *_payload(payload, with_picture=True)])


def tree_html(node: LookedNode, depth: int, max_children: int) -> str:
    """The tree below *node*, with parts that open and close."""
    return _framed(list(_tree(node, depth, max_children)))


def _framed(parts: list[str]) -> str:
    return f'<div style="line-height:1.5;text-align:left">{"".join(parts)}</div>'


def _text(text: object) -> str:
    return escape(plain(str(text)))


def _faint(text: object) -> str:
    return f'<span style="{_FAINT}">{_text(text)}</span>'


def _guarded(part: Callable[[], list[str]]) -> list[str]:
    """What *part* gives, or a sentence that says why it gives nothing."""
    try:
        return part()
    except Exception as error:
        return [f'<div style="{_FAINT}">cannot be shown: {escape(error_text(error))}</div>']


def _folded(summary: str, body: str, *, is_open: bool = False) -> str:
    begin = f"<details{' open' if is_open else ''}><summary>{summary}</summary>"
    return f'{begin}<div style="{_INDENT}">{body}</div></details>'


def _rows(rows: list[tuple[str, str]]) -> str:
    """A table of two columns, of texts that are escaped already."""
    body = "".join(
        f'<tr style="background:none"><td style="{_CELL};{_FAINT}">{name}</td>'
        f'<td style="{_CELL};overflow-wrap:anywhere">{value}</td></tr>'
        for name, value in rows
    )
    return f'<table style="{_TABLE}">{body}</table>'


# -- what a node has ------------------------------------------------------------------------------


def _attributes(node: LookedNode) -> Iterator[str]:
    payloads = node.payloads
    attributes = node.attrs
    count = len(attributes) - len(payloads)
    if not count:
        return
    # Those that LOTDB has noted itself come last.
    names = islice(sorted((name for name in attributes if name not in payloads), key=_is_noted), _ATTRIBUTES)
    rows = [(_text(name), _value(attributes, name)) for name in names]
    if count > len(rows):
        rows.append((_faint(f"… and {count - len(rows)} more"), ""))
    yield _folded(f"{count} attribute{'s' if count > 1 else ''}", _rows(rows), is_open=True)


def _is_noted(name: str) -> bool:
    return name.startswith("_")


def _value(mapping: Any, name: str) -> str:
    try:
        return escape(value_text(mapping[name], _VALUE_WIDTH))
    except Exception as error:
        return f'<span style="{_FAINT}">cannot be shown: {escape(error_text(error))}</span>'


def _payloads(node: LookedNode) -> Iterator[str]:
    payloads = node.payloads
    count = len(payloads)
    if not count:
        return
    shown = []
    for place, name in enumerate(islice(payloads, _PAYLOADS)):
        shown += _guarded(
            lambda name=name, place=place: [_payload_part(payloads[name], place)]  # type: ignore[misc]
        )
    if count > len(shown):
        shown.append(f"<div>{_faint(f'… and {count - len(shown)} more')}</div>")
    yield _folded(f"{count} payload{'s' if count > 1 else ''}", "".join(shown), is_open=True)


def _payload_part(payload: LookedPayload, place: int) -> str:
    summary = f"{_text(payload.name)} {_faint(payload_text(payload))}"
    body = "".join(_payload(payload, with_picture=place < _PICTURES))
    return _folded(summary, body, is_open=place == 0)


def _payload(payload: LookedPayload, *, with_picture: bool) -> list[str]:
    facts = _guarded(lambda: [_facts(payload)])
    if not with_picture:
        return facts
    picture = "".join(_guarded(lambda: [thumbnail(payload)]))
    side = f'<div style="{_PICTURE}">{picture}</div>'
    return [f'<div style="{_BESIDE}">{side}<div style="{_REST}">{"".join(facts)}</div></div>']


def _facts(payload: LookedPayload) -> str:
    """What is known of a payload, and its metadata: folded if they are many."""
    rate, duration = payload.samplerate_hz, payload.duration_s
    facts = [
        ("shape", _text(payload.shape)),
        ("dtype", escape(value_text(str(payload.dtype), _VALUE_WIDTH))),
        ("rate", "" if rate is None else f"{rate:g} Hz"),
        ("duration", "" if duration is None else escape(duration_text(duration))),
        ("size", escape(size_text(payload.nbytes))),
        ("backend", _text(payload.backend)),
        ("content type", _text(payload.content_type)),
    ]
    facts = [fact for fact in facts if fact[1]]
    metadata = payload.metadata
    shown = islice(sorted(metadata, key=_is_noted), _ATTRIBUTES)
    rows = [(_text(name), escape(value_text(metadata[name], _VALUE_WIDTH))) for name in shown]
    if len(metadata) > len(rows):
        rows.append((_faint(f"… and {len(metadata) - len(rows)} more"), ""))
    if len(rows) <= _FEW:
        return _rows([*facts, *rows])
    return _rows(facts) + _folded(f"{len(metadata)} metadata", _rows(rows))


def _children(node: LookedNode) -> Iterator[str]:
    if count := node._count_children(COUNTED):
        yield _folded(
            escape(count_text(count)), "".join(_below(node, _NODE_DEPTH, _NODE_CHILDREN)), is_open=True
        )


# -- trees ----------------------------------------------------------------------------------------


def _tree(node: LookedNode, depth: int, most: int) -> Iterator[str]:
    about = _guarded(lambda: [_faint(about_node(node))])
    head = f"{_text(_path(node) or '.')} {''.join(about)}"
    if not depth or not any(True for _ in islice(_some(node), 1)):
        yield f"<div>{head}</div>"
        return
    yield f'<details open><summary>{head}</summary><div style="{_INDENT}">'
    yield from _below(node, depth, most)
    yield "</div></details>"


def _path(node: LookedNode) -> str:
    try:
        return node.path
    except Exception:
        return node.key


def _some(node: LookedNode) -> Iterator[LookedNode]:
    try:
        yield from node.values()
    except Exception:
        return


def _below(node: LookedNode, depth: int, most: int) -> Iterator[str]:
    """The children of *node* down to *depth*; what is opened is closed, whatever happens."""
    left = _TREE_NODES
    stack = [_limited(node, most)]
    while stack:
        found = next(stack[-1], None)
        if found is None or left <= 0:
            stack.pop()
            if found is not None:
                yield f"<div>{_faint('… and more')}</div>"
            if stack:
                yield "</div></details>"
            continue
        child, said = found
        if child is None:
            yield f'<div style="{_LEAF}">{_faint(said)}</div>'
            continue
        left -= 1
        about = "".join(_guarded(lambda child=child: [_faint(about_node(child))]))  # type: ignore[misc]
        head = f"{_text(child.key)} {about}"
        if len(stack) < min(depth, _TREE_DEPTH) and next(_some(child), None) is not None:
            is_open = " open" if len(stack) < 2 else ""
            yield f'<details{is_open}><summary>{head}</summary><div style="{_INDENT}">'
            stack.append(_limited(child, most))
        else:
            yield f'<div style="{_LEAF}">{head}</div>'


def _limited(node: LookedNode, most: int) -> Iterator[tuple[LookedNode | None, str]]:
    try:
        for child, more, _ in first_children(node, most):
            yield child, more
    except Exception as error:
        yield None, f"cannot be shown: {error_text(error)}"
