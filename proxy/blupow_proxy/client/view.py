"""A snapshot on a terminal: columns of devices, as many rows of each as fit."""

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from .snapshot import Group, Row, Snapshot

_COLUMN_CELLS: Final = 36  # a name of two or three words and a value with its unit
_GAP_CELLS: Final = 2
_FRAME_LINES: Final = 3  # the title, the last line, and the one where the cursor stays
_HEADING_LINES: Final = 2  # a device's name, and the blank line that parts it from the next
_ORDER: Final = {"": 0, "diagnostic": 1, "config": 2}
_CLASSES: Final = {"battery": 0, "power": 1, "voltage": 2, "current": 3}  # what people look at first
_HIDDEN: Final = frozenset({"button"})  # a button has nothing to show
_ALERT: Final = "bold red"
_GOOD: Final = "green"


def render(snapshot: Snapshot, *, note: str = "", cut: bool = True) -> "View":
    """Return ``snapshot`` as a rich renderable that fits the terminal; whole, however long, when not ``cut``."""
    return View(snapshot, note, cut=cut)


class View:
    """Lays a snapshot out for the size that it is rendered at."""

    def __init__(self, snapshot: Snapshot, note: str, *, cut: bool) -> None:
        self._snapshot = snapshot
        self._note = note
        self._cut = cut
        self._groups = [(group.name, _ordered(group)) for group in snapshot.groups if _ordered(group)]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the title, the columns and the last line."""
        width = options.max_width
        yield _title(self._snapshot, width)
        count = max(1, min(len(self._groups), (width + _GAP_CELLS) // (_COLUMN_CELLS + _GAP_CELLS)))
        cells = (width + _GAP_CELLS) // count - _GAP_CELLS
        lines = max(_HEADING_LINES, console.height - _FRAME_LINES) if self._cut else None
        columns = [_column(column, cells, lines) for column in _distribute(self._groups, count)]
        grid = Table.grid(padding=(0, _GAP_CELLS, 0, 0), pad_edge=False)
        for _ in columns:
            grid.add_column(width=cells, no_wrap=True)
        grid.add_row(*columns)
        yield grid
        if self._note:
            yield Text(self._note, style="dim", no_wrap=True, overflow="ellipsis")


def _title(snapshot: Snapshot, width: int) -> Text:
    shown = sum(len(group.rows) for group in snapshot.groups)
    parts = [
        f"{len(snapshot.groups)} devices, {shown} entities",
        "encrypted" if snapshot.encrypted else "not encrypted",
        f"API {snapshot.api_version}",
    ]
    title = Text(snapshot.friendly_name, style="bold")
    if not snapshot.connected:
        title.append("  connection lost, trying again", style=_ALERT)
    title.append("  " + " · ".join(parts), style="not bold dim")
    title.truncate(width, overflow="ellipsis")
    return title


def _ordered(group: Group) -> list[Row]:
    rows = [row for row in group.rows if row.kind not in _HIDDEN]
    return sorted(rows, key=lambda row: (row.disabled, _ORDER.get(row.category, len(_ORDER))))


def _distribute(groups: Sequence[tuple[str, list[Row]]], count: int) -> list[list[tuple[str, list[Row]]]]:
    columns: list[list[tuple[str, list[Row]]]] = [[] for _ in range(count)]
    for group in groups:
        shortest = min(columns, key=lambda column: sum(len(rows) + _HEADING_LINES for _, rows in column))
        shortest.append(group)
    return columns


def _column(groups: Sequence[tuple[str, list[Row]]], cells: int, lines: int | None) -> Text:
    wanted = [len(rows) for _, rows in groups]
    allowed = wanted if lines is None else _share(wanted, lines - _HEADING_LINES * len(groups) + 1)
    text: list[Text] = []
    for (name, rows), limit in zip(groups, allowed, strict=True):
        if text:
            text.append(Text())
        text.append(_heading(name, cells))
        cut = len(rows) > limit
        kept = _foremost(rows, max(0, limit - 1)) if cut else rows
        text += [_line(row, cells) for row in kept]
        if cut:
            text.append(Text(f"+{len(rows) - len(kept)} more", style="dim italic"))
    return Text("\n").join(text)


def _foremost(rows: Sequence[Row], count: int) -> list[Row]:
    """Return the ``count`` rows that matter most, in their own order; those of a numbered series come later."""

    def rank(i: int) -> tuple[bool, int, bool, int, int]:
        row = rows[i]
        category = _ORDER.get(row.category, len(_ORDER))
        return row.disabled, category, row.name[-1:].isdigit(), _CLASSES.get(row.device_class, len(_CLASSES)), i

    return [rows[i] for i in sorted(sorted(range(len(rows)), key=rank)[:count])]


def _share(wanted: Sequence[int], lines: int) -> list[int]:
    """Return how many lines each gets: all equally many, except those that need fewer."""
    shares = [0] * len(wanted)
    left = max(lines, len(wanted))  # at least the line that says how many more there are
    while left > 0 and (open_ := [i for i, want in enumerate(wanted) if shares[i] < want]):
        for i in open_[:left]:
            shares[i] += 1
        left -= min(left, len(open_))
    return shares


def _heading(name: str, cells: int) -> Text:
    name = _fit(name, cells - 2)
    return Text.assemble((name, "bold cyan"), (" " + "─" * (cells - cell_len(name) - 1), "dim cyan"))


def _line(row: Row, cells: int) -> Text:
    value = _fit(row.shown, cells // 2 if cell_len(row.name) > cells // 3 else cells * 2 // 3)
    name = _fit(row.name, cells - cell_len(value) - 1)
    gap = " " * (cells - cell_len(name) - cell_len(value))
    dim = "dim" if row.category or row.missing else ""
    return Text.assemble((name + gap, dim), (value, _style(row) or dim))


def _style(row: Row) -> str:
    if isinstance(row.value, bool) and row.device_class in ("problem", "connectivity"):
        return _GOOD if row.value == (row.device_class == "connectivity") else _ALERT
    return ""


def _fit(text: str, cells: int) -> str:
    return text if cell_len(text) <= cells else set_cell_size(text, max(0, cells - 1)).rstrip() + "…"
