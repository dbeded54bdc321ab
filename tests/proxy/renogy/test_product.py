import pytest

from blupow_proxy.renogy import product_name


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("RNG-CTRL-RVR40", "Rover 40 A"),
        ("  RNG-CTRL-RVRPG60", "Rover 60 A"),
        ("RNG-CTRL-WND10", "Wanderer 10 A"),
        ("RCC40RVRE", "Rover Elite 40 A"),
        ("RCC60REGO-G2", "REGO controller 60 A"),
        ("RBC50D1S-G1", "DC-DC charger 50 A"),
        ("DCC30S", "DC-DC charger 30 A"),
        ("RBT100LFP12S-G1", "Battery 100 Ah"),
        ("RBT50LFP48S", "Battery 50 Ah"),
        ("RBT12200LFP-BT", "Battery 200 Ah"),
        ("RIV1230RCH-SPS", "Inverter 3000 W"),
        ("RIV4835CSH1S", "Inverter 3500 W"),
        ("RSHST-B02P300-G1", "Smart Shunt 300"),
        ("ML2440", None),
        ("", None),
    ],
)
def test_a_model_is_called_as_in_a_shop(model: str, name: str | None) -> None:
    assert product_name(model) == name
