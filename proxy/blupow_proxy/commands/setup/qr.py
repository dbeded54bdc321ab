"""A key as a QR code on a terminal."""

from typing import Final

import segno

_BORDER: Final = 2  # modules; scanners make do with half of what the standard asks for
_BLACK_ON_WHITE: Final = "\x1b[30;107m"  # whatever the terminal's colours are: scanners want dark on light
_PLAIN: Final = "\x1b[0m"
_BLOCKS: Final = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}  # two modules, one above the other


def key_as_qr(key: str, encoding: str) -> list[str]:
    """Return the lines of a QR code; none where the terminal can't show it."""
    try:
        "".join(_BLOCKS.values()).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return []
    rows = [list(row) for row in segno.make_qr(key, error="m").matrix_iter(border=_BORDER)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    lines = []
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        blocks = "".join(_BLOCKS[bool(above), bool(below)] for above, below in zip(upper, lower, strict=True))
        lines.append(f"{_BLACK_ON_WHITE}{blocks}{_PLAIN}")
    return lines
