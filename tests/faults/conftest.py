from dataclasses import dataclass
from typing import Final

import pytest
from catalogue import NOT_SHOWN, ROWS


@dataclass(frozen=True)
class Measurement:
    """One figure of a row, beside what it may be at most (or, for a share, at least)."""

    row: str
    what: str
    value: float
    limit: float
    unit: str
    at_least: bool

    @property
    def is_met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        verdict = "" if self.is_met else "  MISSED"
        return f"{self.what} {self.value:.4g} {self.unit}".rstrip() + f" ({sign} {self.limit:g}){verdict}"


_MEASURED: Final = pytest.StashKey[list[Measurement]]()


class Measured:
    """Notes what a test of one row has measured, and fails it where the target is missed."""

    def __init__(self, row: str, into: list[Measurement]) -> None:
        self._row = row
        self._into = into

    def __call__(self, what: str, value: float, limit: float, unit: str = "s", *, at_least: bool = False) -> None:
        measurement = Measurement(self._row, what, value, limit, unit, at_least)
        self._into.append(measurement)
        assert measurement.is_met, str(measurement)


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measured:
    """Of the row that the test is marked with: ``measured("data", seconds, 30.0)``."""
    (row,) = request.node.get_closest_marker("fault").args
    return Measured(row, request.config.stash[_MEASURED])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rows", help="only these rows of the catalogue: R6,M or so")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_MEASURED] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--rows")
    if wanted is None:
        return
    names = wanted.split(",")

    def is_wanted(item: pytest.Item) -> bool:
        rows = [marker.args[0] for marker in item.iter_markers("fault")]
        return any(name == row or (name.isalpha() and row.startswith(name)) for name in names for row in rows)

    items[:], others = filter(is_wanted, items), [item for item in items if not is_wanted(item)]
    config.hook.pytest_deselected(items=others)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    of_row: dict[str, list[Measurement]] = {}
    for measurement in config.stash[_MEASURED]:
        of_row.setdefault(measurement.row, []).append(measurement)
    terminalreporter.section("faults: target, measured")
    for row, (fault, target) in ROWS.items():
        if row in of_row or row in NOT_SHOWN:
            terminalreporter.line(f"{row:4}{fault}: {target}")
        for measurement in of_row.get(row, ()):
            terminalreporter.line(f"      {measurement}")
        if row in NOT_SHOWN:
            terminalreporter.line(f"      not shown here: {NOT_SHOWN[row]}")
    terminalreporter.line(f"{len(of_row)} of {len(ROWS)} rows were measured")
