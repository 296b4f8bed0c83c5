"""The first rows of a payload as a table of texts."""

from __future__ import annotations

from typing import Any

from lotdb.looking.heads import head_of
from lotdb.looking.looked_at import LookedPayload
from lotdb.looking.plot_axes import literal, title

__all__ = ["draw_table"]

_ROWS = 10


def draw_table(ax: Any, payload: LookedPayload, first: int, last: int) -> None:
    """Draw the head of the rows *first* to *last* on *ax*."""
    names, rows = head_of(payload, first, min(last, first + _ROWS))
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
    drawn.set_fontsize(8)
    drawn.auto_set_column_width(list(range(len(names))))
