"""Every captured frame gives exactly the values that its source states."""

import json
from pathlib import Path
from typing import Any

import pytest

from blupow_proxy.renogy import Family, decode_block, decode_push, to_json

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data" / "vectors.json").read_text())
READS = [v for v in VECTORS["vectors"] if v["kind"] == "read"]
PUSHES = [v for v in VECTORS["vectors"] if v["kind"] == "push"]


@pytest.mark.parametrize("vector", READS, ids=lambda v: v["id"])
def test_read(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["response_hex"])[3:-2]
    readings = decode_block(Family(vector["family"]), vector["register"], data, variant=vector["variant"])
    assert {key: to_json(value) for key, value in readings.items()} == vector["expected"]


@pytest.mark.parametrize("vector", PUSHES, ids=lambda v: v["id"])
def test_push(vector: dict[str, Any]) -> None:
    readings = decode_push(bytes.fromhex(vector["response_hex"]))
    assert {key: readings[key] for key in vector["expected"]} == vector["expected"]
