import re
from pathlib import Path

from catalogue import NOT_SHOWN, ROWS

MARK = re.compile(r'@pytest\.mark\.fault\("(\w+)"\)')


def test_each_row_is_shown_or_says_why_not() -> None:
    tests = (path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    shown = {row for text in tests for row in MARK.findall(text)}
    assert shown <= set(ROWS)
    assert shown.isdisjoint(NOT_SHOWN)
    assert set(ROWS) == shown | set(NOT_SHOWN)
