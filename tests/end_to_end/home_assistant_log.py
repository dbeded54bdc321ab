"""What Home Assistant has logged."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import re
from typing import Final

_RECORD: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\S+ (\w+) \([^)]*\) \[([\w.]+)\] (.*)")
_OURS: Final = re.compile(r"custom_components[./]blupow|(?:integration|[Pp]latform|[Dd]omain|for) blupow\b")
# what Home Assistant says of every custom integration
_USUAL: Final = "has not been tested by Home Assistant"


@dataclass(slots=True)
class Record:
    """One record; ``text`` with the traceback, if there is one."""

    level: str
    logger: str
    text: str

    @property
    def ours(self) -> bool:
        """Whether the companion has logged it, or had a part in it."""
        return bool(_OURS.search(f"{self.logger} {self.text}")) and _USUAL not in self.text


def records(file: Path) -> Iterator[Record]:
    """Yield all records in a log."""
    record = None
    for line in file.read_text(errors="replace").splitlines():
        if found := _RECORD.match(line):
            if record is not None:
                yield record
            record = Record(*found.groups())
        elif record is not None:
            record.text += f"\n{line}"
    if record is not None:
        yield record
