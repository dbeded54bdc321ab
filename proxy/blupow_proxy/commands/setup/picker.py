"""A list of the units nearby that lives while it is picked from, with the arrow keys or by numbers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Point
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import HSplit, Layout, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.utils import get_cwidth

from blupow_proxy.commands.signal import COLOURS, judge_signal

if TYPE_CHECKING:
    from .nearby import HeardUnit, Nearby

REDRAW_S: Final = 0.25  # faster than a signal says anything new
HINT_AFTER_S: Final = 8.0  # whoever is there has been heard several times by then
ALL_KNOWN: Final = "Every Renogy unit that is heard is in the file already: {}"
NOTHING_YET: Final = (
    "No Renogy unit was heard yet. Is one on, and within a few metres? Is the phone app closed? A unit that is "
    "connected to something is silent."
)
_NAME_CELLS: Final = 19  # the longest of Renogy's own
_LABEL_CELLS: Final = 32  # the longest of those that are known by their names
_COLOURS: Final = {"green": "ansigreen", "yellow": "ansiyellow", "red": "ansired"}


class Picker:
    """Shows ``nearby`` until Enter; KeyboardInterrupt for Ctrl-C. ``trouble`` is what the adapter has."""

    def __init__(self, nearby: "Nearby", clock: Callable[[], float], title: str) -> None:
        self.trouble: str | None = None
        self.notes: list[str] = []
        self._nearby = nearby
        self._clock = clock
        self._since = clock()
        self._title = title
        self._picked: set[str] = set()
        self._cursor = 0

    async def run(self) -> list["HeardUnit"]:
        """Return what was picked, in the order of the list: at least one."""
        height = Window(FormattedTextControl(self._heading), dont_extend_height=True, wrap_lines=True)
        rows = Window(
            FormattedTextControl(self.rows, focusable=True, get_cursor_position=lambda: Point(0, self._cursor)),
            dont_extend_height=True,
        )
        footer = Window(FormattedTextControl(self._footer), dont_extend_height=True, wrap_lines=True)
        application: Application[list[HeardUnit]] = Application(
            layout=Layout(HSplit([height, rows, footer]), focused_element=rows),
            key_bindings=self._keys(),
            refresh_interval=REDRAW_S,
            erase_when_done=True,
        )
        application.output.hide_cursor()
        try:
            return await application.run_async()
        finally:
            application.output.show_cursor()

    def rows(self) -> StyleAndTextTuples:
        """Return the list."""
        shown: StyleAndTextTuples = []
        now = self._clock()
        for index, unit in enumerate(self._nearby.units):
            style = "reverse" if index == self._cursor else ""
            mark = "[x]" if unit.address in self._picked else "[ ]"
            shown.append((style, f"{'>' if index == self._cursor else ' '} {mark} {index + 1:>2} "))
            shown += _described(unit, silent=unit.is_silent(now))
            shown.append(("", "\n"))
        return shown[:-1] or [("", "  ...")]

    def _heading(self) -> StyleAndTextTuples:
        return [("bold", self._title)]

    def _footer(self) -> StyleAndTextTuples:
        units = self._nearby.units
        lines = list(self.notes)
        if self.trouble is not None:
            lines.append(self.trouble)
        elif not units and self._clock() - self._since > HINT_AFTER_S:
            lines.append(nothing_to_pick(self._nearby))
        shown: StyleAndTextTuples = [("ansiyellow", f"{line}\n") for line in lines]
        if not units:
            keys = "Listening ...  Ctrl-C: end"
        else:
            keys = f"Space or a number: pick   Enter: go on with {self._taken()}   Ctrl-C: end"
        return [*shown, ("ansigray", keys)]

    def _taken(self) -> str:
        taken = self._choice()
        return taken[0].title if len(taken) == 1 else f"these {len(taken)}"

    def _choice(self) -> list["HeardUnit"]:
        """Return what is picked, or else where the cursor is."""
        picked = [unit for unit in self._nearby.units if unit.address in self._picked]
        return picked or self._nearby.units[self._cursor : self._cursor + 1]

    def _toggle(self, index: int) -> None:
        if index < len(self._nearby.units):
            self._cursor = index
            self._picked ^= {self._nearby.units[index].address}

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        def move(step: int) -> Callable[[KeyPressEvent], None]:
            def moved(_: KeyPressEvent) -> None:
                self._cursor = max(0, min(self._cursor + step, len(self._nearby.units) - 1))

            return moved

        for key, step in (("up", -1), ("k", -1), ("down", 1), ("j", 1)):
            keys.add(key)(move(step))
        for number in range(1, 10):
            keys.add(str(number))(lambda _, index=number - 1: self._toggle(index))
        keys.add("space")(lambda _: self._toggle(self._cursor))

        @keys.add("enter")
        def _(event: KeyPressEvent) -> None:
            if chosen := self._choice():
                event.app.exit(result=chosen)

        @keys.add("c-c")
        @keys.add("c-d")
        def _(event: KeyPressEvent) -> None:
            event.app.exit(exception=KeyboardInterrupt())

        return keys


def nothing_to_pick(nearby: "Nearby") -> str:
    """Return why there is no unit to pick, of those that are heard."""
    return ALL_KNOWN.format(", ".join(sorted(nearby.left_out))) if nearby.left_out else NOTHING_YET


def _described(unit: "HeardUnit", *, silent: bool) -> StyleAndTextTuples:
    """Return a row: what a narrow terminal cuts off matters least."""
    rest = f"  {_padded(unit.title, _NAME_CELLS)}  {_padded(unit.label, _LABEL_CELLS)}  {unit.address}"
    if silent or unit.rssi is None:
        return [("ansigray", f"{'silent':<13}"), ("", rest)]
    return [(_COLOURS[COLOURS[judge_signal(unit.rssi)]], unit.signal), ("", rest)]


def _padded(text: str, cells: int) -> str:
    return text + " " * max(0, cells - get_cwidth(text))
