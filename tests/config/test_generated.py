"""What is generated from the schema is up to date."""

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "script" / "generate"
GENERATED = runpy.run_path(str(SCRIPT))["generated"]()


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_it_is_up_to_date(path: Path) -> None:
    assert path.read_text() == GENERATED[path], "run script/generate"
