"""A survey on a terminal."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.text import Text

from blupow_proxy.commands.signal import COLOURS

from .survey import Line
from .window import HISTORY_S, WINDOW_S, level

_BAR_CELLS: Final = 30
_INDENT_CELLS: Final = 2
_FRAME_LINES: Final = 3  # the title, the blank line below it, and the one where the cursor stays
_LINES_EACH: Final = 4


class View:
    """The units below one another, as much of each as fits."""

    def __init__(self, lines: Sequence[Line], trouble: str | None) -> None:
        self._lines = lines
        self._trouble = trouble

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the title, and the lines of each unit."""
        yield Text.assemble(
            ("Survey", "bold"), (f"  move the proxy, wait {WINDOW_S:.0f} s in each place · Ctrl-C ends", "dim")
        )
        if self._trouble is not None:
            yield Text(self._trouble, "bold red")
        elif not self._lines:
            yield Text("Listening for Renogy units ...", "dim")
        roomy = len(self._lines) * _LINES_EACH + _FRAME_LINES <= console.height
        for line in self._lines:
            first, *more = _parts(line)
            first.truncate(options.max_width, overflow="ellipsis")
            yield first
            if roomy:
                yield from (Padding(part, (0, 0, 0, _INDENT_CELLS), expand=False) for part in more)


def _parts(line: Line) -> list[Text]:
    """Return a unit's lines: what matters first stands in the first."""
    colour = "dim" if line.verdict is None else COLOURS[line.verdict]
    share = _share(line)
    filled = round(share * _BAR_CELLS)
    first = Text.assemble(
        (f"{line.name or line.address:<20.20}", "bold"),
        (" " + "█" * filled, colour),
        ("░" * (_BAR_CELLS - filled), "dim"),
        (f" {_figure(line):>8}  ", ""),
        (line.verdict or "no signal", colour),
    )
    more = [Text(line.figures, "dim")] if line.figures else []
    chart = [Text.assemble(line.chart, (f"  {HISTORY_S} s", "dim"))] if line.chart.strip() else []
    advice = [Text(line.advice, "yellow" if line.trouble else "")] if line.advice else []
    return [first, *chart, *more, *advice]


def _share(line: Line) -> float:
    if line.link is not None:
        return (line.link.percent or 0.0) / 100
    return 0.0 if line.summary is None or line.trouble is not None else level(line.summary.mean)


def _figure(line: Line) -> str:
    if line.link is not None:
        return "" if line.link.percent is None else f"{line.link.percent:.0f} %"
    return "" if line.summary is None or line.trouble is not None else f"{line.summary.latest} dBm"
