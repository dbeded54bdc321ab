"""A corpus of broken configurations: for each exactly the lines that are said of it.

Each file of ``broken`` ends with comments: the expected lines, without the file's name, and before them, where the
schema for editors can't see the mistake, why.
"""

from pathlib import Path

import pytest

from blupow_config import ConfigErrors, load_config

FOLDER = Path(__file__).parent / "broken"
BEYOND = "# beyond JSON Schema: "
CASES = sorted(FOLDER.glob("*.yaml"))


def expected(case: Path) -> list[str]:
    lines = case.read_text().splitlines()
    return [line.removeprefix("# ") for line in lines if line.startswith("# ") and not line.startswith(BEYOND)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_every_mistake_is_said_where_it_is(case: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load_config(case)
    assert [str(error).removeprefix(f"{case}:") for error in caught.value.errors] == expected(case)


def test_there_are_enough() -> None:
    assert len(CASES) >= 60
    assert any(len(expected(case)) >= 10 for case in CASES)
