from pathlib import Path

import pytest

from blupow_proxy.host import cpu_temperature_c, wifi_signal_dbm

HEADER = """Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
"""


def zone(thermal: Path, number: int, kind: str, temperature: str) -> None:
    folder = thermal / f"thermal_zone{number}"
    folder.mkdir(parents=True)
    (folder / "type").write_text(kind + "\n")
    (folder / "temp").write_text(temperature + "\n")


def test_the_processor_is_preferred(tmp_path: Path) -> None:
    zone(tmp_path, 0, "acpitz", "27800")
    zone(tmp_path, 10, "cpu-thermal", "99000")
    zone(tmp_path, 2, "x86_pkg_temp", "51234")
    assert cpu_temperature_c(tmp_path) == 51.234


def test_where_none_is_called_so_the_first_counts(tmp_path: Path) -> None:
    zone(tmp_path, 1, "gpu", "60000")
    zone(tmp_path, 0, "acpitz", "27800")
    assert cpu_temperature_c(tmp_path) == 27.8


@pytest.mark.parametrize("temperature", ["-274000", "151000", "", "hot"])
def test_what_can_not_be_is_missing(tmp_path: Path, temperature: str) -> None:
    zone(tmp_path, 0, "cpu-thermal", temperature)
    assert cpu_temperature_c(tmp_path) is None


def test_a_machine_without_sensors(tmp_path: Path) -> None:
    assert cpu_temperature_c(tmp_path / "none") is None
    assert wifi_signal_dbm(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", None),
        (" wlan0: 0000   54.  -56.  -256        0      0      0      0     57        0\n", -56.0),
        (" wlan0: 0000    0.    0.     0        0      0      0      0      0        0\n", None),
        (" wlan0: 0000\n wlan1: 0000   70  -40  -95 0 0 0 0 0 0\n", -40.0),
    ],
)
def test_the_signal(tmp_path: Path, lines: str, expected: float | None) -> None:
    wireless = tmp_path / "wireless"
    wireless.write_text(HEADER + lines)
    assert wifi_signal_dbm(wireless) == expected
