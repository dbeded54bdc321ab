import json
from pathlib import Path
from typing import Any

import pytest

from blupow_proxy.renogy import PROBES, Family, identify_advertisement, identify_model

ADVERTS = json.loads((Path(__file__).parents[2] / "data" / "vectors.json").read_text())["adverts"]
EXPECTED = {
    "BT-TH-": ({Family.CONTROLLER, Family.DCC, Family.BATTERY, Family.INVERTER}, None),
    "RNGC": ({Family.BATTERY}, "pro"),
    "RNGRBP": ({Family.BATTERY}, "pro"),
    "RTMShunt300": ({Family.SHUNT300}, None),
    "BTRIC": ({Family.INVERTER}, None),
}


@pytest.mark.parametrize("advert", ADVERTS, ids=lambda a: a["name"].strip())
def test_advert(advert: dict[str, Any]) -> None:
    candidate = identify_advertisement(advert["name"], advert.get("services", ()))
    assert candidate is not None
    families, variant = next(value for prefix, value in EXPECTED.items() if advert["name"].startswith(prefix))
    assert set(candidate.families) == families
    assert candidate.variant == variant


def test_without_a_name_the_service_tells() -> None:
    bt2 = identify_advertisement(None, ["0000FFD0-0000-1000-8000-00805F9B34FB"])
    assert bt2 is not None
    assert len(bt2.families) == 4
    shunt = identify_advertisement("", ["0000c011-0000-1000-8000-00805f9b34fb"])
    assert shunt is not None
    assert shunt.families == (Family.SHUNT300,)


def test_strangers_are_left_alone() -> None:
    assert identify_advertisement("Thermometer", ["0000180a-0000-1000-8000-00805f9b34fb"]) is None
    assert identify_advertisement(None, []) is None


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("RNG-CTRL-RVR40", Family.CONTROLLER),
        ("RCC60REGO-G2", Family.CONTROLLER),
        ("ML2440", Family.CONTROLLER),
        ("MT4830", Family.CONTROLLER),
        ("RBC50D1S-G6", Family.DCC),
        ("RBT100LFP12S-G1", Family.BATTERY),
        ("RIV4835CSH1S", Family.INVERTER),
        ("RINVTPGH110111S", Family.INVERTER),
        ("RSHST-B02P300-G1", Family.SHUNT300),
        ("TOASTER", None),
    ],
)
def test_model(model: str, family: Family | None) -> None:
    assert identify_model(model) is family


def test_probes_start_with_the_universal_address() -> None:
    assert PROBES[0].address == 0xFF
    assert len(set(PROBES)) == len(PROBES)
