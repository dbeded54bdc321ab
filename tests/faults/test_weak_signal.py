"""A weak signal, on the real bluetoothd and in virtual time."""

import json
import os
from pathlib import Path

import pytest
from rig import NoRigError, run_inside

MINUTES = 20  # of ten, chance alone would miss the target once in fifty times


@pytest.mark.fault("R15")
async def test_a_weak_signal(tmp_path: Path, measured) -> None:
    program = Path(__file__).with_name("weak_signal.py")
    try:
        code = await run_inside(tmp_path, program, MINUTES, virtual_time=True)
    except NoRigError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no real BlueZ here: {error}")
    assert code == 0, (tmp_path / "main.log").read_text()
    result = json.loads((tmp_path / "share.json").read_text())
    measured("polls", 100 * result["share"], 90.0, "%", at_least=True)
    measured("wrong values", len(result["wrong"]), 0, "")
