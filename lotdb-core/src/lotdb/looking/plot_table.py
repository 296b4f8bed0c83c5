"""The first rows of a payload as a table of texts."""

from __future__ import annotations

from typing import Any

from lotdb.looking.heads import Head, head_of
from lotdb.looking.looked_at import LookedPayload
from lotdb.looking.plot_axes import literal, pixels_across, title

__all__ = ["draw_table"]

_ROWS, _POINTS = 10, 8
# Width of a character and of a gap between columns, in parts of the size of the font: generous.
_CHARACTER, _GAP = 0.55, 2


def draw_table(ax: Any, payload: LookedPayload, first: int, last: int) -> None:
    """Draw the head of the rows *first* to *last* on *ax*."""
    names, rows = _fitting(*head_of(payload, first, min(last, first + _ROWS)), _characters(ax))
    more = last - first - len(rows)
    ax.axis("off")
    title(ax, payload, f"the first {len(rows)} of {last - first} rows" if more > 0 else "")
    texts = [[literal(cell) for cell in row] for row in rows or [[""] * len(names)]]
    drawn = ax.table(
        cellText=texts,
        colLabels=[literal(name) for name in names],
        loc="upper center",
        cellLoc="left",
        edges="horizontal",
    )
    for (row, column), cell in drawn.get_celld().items():
        cell.set(linewidth=0.3, edgecolor="gray")
        cell.get_text().set_weight("bold" if row == 0 else "normal")
        if row == 0:
            cell.get_text().set_horizontalalignment("left")
        elif column == 0:  # the index
            cell.get_text().set_color("gray")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(_POINTS)
    drawn.set_in_layout(False)  # what does not fit is cut, and does not push the axes together
    drawn.auto_set_column_width(list(range(len(names))))


def _characters(ax: Any) -> int:
    """How many characters stand side by side."""
    return int(pixels_across(ax)[0] * 72 / ax.figure.dpi / (_POINTS * _CHARACTER))


def _fitting(names: list[str], rows: list[list[str]], characters: int) -> Head:
    """As many of the columns as fit, and a mark for the others."""
    widths = [max(map(len, column)) + _GAP for column in zip(names, *rows, strict=True)]
    count = len(widths)
    while count > 2 and sum(widths[:count]) > characters:
        count -= 1
    if count == len(widths):
        return names, rows
    return [*names[:count], "…"], [[*row[:count], "…"] for row in rows]
