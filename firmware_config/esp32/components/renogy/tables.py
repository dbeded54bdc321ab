"""A unit's register map as C++: what ``registers.h`` declares. Knows nothing of ESPHome."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

NAMINGS = ("enum", "bits", "pairs")
_NAMING_NAMES = {"enum": "CODES", "bits": "BITS", "pairs": "PAIRS"}


class UnknownRowError(ValueError):
    """A row that no register map has."""


def row_place(rows: Sequence[Mapping[str, Any]], key: str) -> int:
    """Return the place of a row; UnknownRowError."""
    for place, row in enumerate(rows):
        if row["row"] == key:
            return place
    raise UnknownRowError(f"no register is called {key!r}")


def decimals(scale: float | None) -> int:
    """Return how many decimals a register of this scale resolves: 0.1 gives 1, none gives 0."""
    return 0 if not scale else len(f"{scale:f}".rstrip("0").partition(".")[2])


def cpp_map(name: str, unit: Mapping[str, Any]) -> str:
    """Return the definition of a namespace ``name`` with the constant MAP of ``unit``."""
    tables = _Tables()
    rows = unit["registers"]
    row_table = tables.add("Row", "rows", (tables.row(row, rows) for row in rows))
    block_table = tables.add("Block", "blocks", (tables.block(block, rows) for block in unit["blocks"]))
    kin = (f"{{{_text(entry['match'])}, {_text(entry['family'])}}}" for entry in unit["models"])
    keys = [row["row"] for row in rows]
    fields = {
        "family": _text(unit["family"]),
        "addresses": tables.add("uint8_t", "addresses", map(str, unit["addresses"])),
        "interval": unit["update_interval"],
        "gap": unit["gap"],
        "timeout": unit["timeout"],
        "kin": tables.add("Kin", "kin", kin),
        "blocks": block_table,
        "rows": row_table,
        "model_row": keys.index("model") if "model" in keys else None,
    }
    return "\n".join(
        (
            f"namespace {name} {{",
            "using namespace esphome::renogy;",
            *tables.lines,
            f"constexpr Map MAP{_init(fields)};",
            "}",
        )
    )


class _Tables:
    """The arrays that rows and blocks point to."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, kind: str, stem: str, items: Iterable[str]) -> str | None:
        """Define an array and return its name; None for an empty one."""
        content = list(items)
        if not content:
            return None
        name = f"{stem.upper()}_{len(self.lines)}"
        self.lines.append(f"constexpr {kind} {name}[] = {{{', '.join(content)}}};")
        return name

    def row(self, row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
        """Return the initializer of a row."""

        def place(key: str) -> int | None:
            return row_place(rows, row[key]) if key in row else None

        naming = next((kind for kind in NAMINGS if kind in row), None)
        names = (f"{{{code}u, {_text(text)}}}" for code, text in row[naming].items()) if naming else ()
        low, high = row.get("range", (None, None))
        limit_from, limit = row.get("at_most", (None, None))
        return _init(
            {
                "key": _text(row["row"]),
                "first": row["register"],
                "words": row.get("words"),
                "type": f"Type::{row['type'].upper()}",
                "shift": row.get("shift"),
                "mask": row.get("mask"),
                "scale": row.get("scale"),
                "decimals": decimals(row.get("scale")),
                "has_range": "true" if "range" in row else None,
                "low": low,
                "high": high,
                "missing": self.add("uint32_t", "missing", (f"{word}u" for word in row.get("missing", ()))),
                "naming": naming and f"Naming::{_NAMING_NAMES[naming]}",
                "names": self.add("Name", "names", names),
                "millivolts_from": row.get("millivolts_from"),
                "count_from": place("count_from"),
                "bank_from": place("bank_from"),
                "limit_from": None if limit_from is None else row_place(rows, limit_from),
                "limit": limit,
                "is_unsure": "true" if row.get("unsure") else None,
                "is_problem": "true" if "problem_bits" in row else None,
                "problem_bits": f"{row['problem_bits']}u" if row.get("problem_bits") else None,
                "total": f"Total::{row['total'].upper()}" if "total" in row else None,
                "inverted_on": self.models(row, "inverted_on"),
                "doubtful_on": self.models(row, "doubtful_on"),
            }
        )

    def block(self, block: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
        """Return the initializer of a block."""
        limits = (
            f"{{{row_place(rows, key)}, {low}, {high}}}" for key, (low, high) in block.get("plausible", {}).items()
        )
        return _init(
            {
                "first": block["register"],
                "words": block["words"],
                "schedule": f"Schedule::{block['schedule'].upper()}",
                "plausible": self.add("Limits", "plausible", limits),
                "only_on": self.models(block, "only_on"),
                "not_on": self.models(block, "not_on"),
            }
        )

    def models(self, entry: Mapping[str, Any], column: str) -> str | None:
        """Define a list of globs."""
        return self.add("const char *const", column, map(_text, entry.get(column, ())))


def _init(fields: Mapping[str, Any]) -> str:
    return "{" + ", ".join(_designated(fields)) + "}"


def _designated(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, value in fields.items():
        if value is not None:
            yield f".{name} = {value}"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
