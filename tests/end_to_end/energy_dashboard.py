"""Home Assistant's Energy dashboard on simulated units, with a past."""

from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
import subprocess
from typing import Final

from home_assistant_api import Api, Json
from proxy import PYTHON

DAY: Final = Path(__file__).with_name("simulated_day.py")
HISTORY_H: Final = 48
DAYLIGHT_H: Final = range(8, 18)
NOON_H: Final = 11.0  # the simulated time when it is dark outside: a panel at night is nothing to look at


def simulated_clock() -> float:
    """Return the hour of the day at which a simulation starts that somebody looks at."""
    now = datetime.now().astimezone()
    return now.hour + now.minute / 60 if now.hour in DAYLIGHT_H else NOON_H


async def statistics_of(api: Api, entry: Json, rover: str, charger: str, battery: str, inverter: str) -> dict[str, str]:
    """Return the energy sensors of units, by what flows."""
    names = {device["id"]: device["name"] for device in await api.devices(entry["entry_id"])}
    ids = {
        (names[one["device_id"]], one["unique_id"].rpartition("-")[2]): one["entity_id"]
        for one in await api.entities("blupow")
        if one["config_entry_id"] == entry["entry_id"]
    }
    return {
        "solar": ids[rover, "energy_generated_total"],
        "charger": ids[charger, "energy_charged_total"],
        "load": ids[rover, "energy_consumed_total"],
        "inverter": ids[inverter, "load_energy_total"],
        "charged": ids[battery, "battery_energy_charged"],
        "discharged": ids[battery, "battery_energy_discharged"],
    }


async def configure(api: Api, statistics: dict[str, str]) -> None:
    """Set up the dashboard."""
    await api.call(
        "energy/save_prefs",
        energy_sources=[
            {"type": "solar", "name": "Roof", "stat_energy_from": statistics["solar"]},
            {"type": "solar", "name": "DC-DC charger, solar and alternator", "stat_energy_from": statistics["charger"]},
            {
                "type": "battery",
                "name": "House battery",
                "stat_energy_from": statistics["discharged"],
                "stat_energy_to": statistics["charged"],
            },
        ],
        device_consumption=[
            {"stat_consumption": statistics["load"], "name": "Lights and pumps"},
            {"stat_consumption": statistics["inverter"], "name": "Inverter"},
        ],
    )


async def give_past(api: Api, statistics: dict[str, str]) -> None:
    """Let the sensors have had two days before now, with the sun at noon."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    command = [str(PYTHON), str(DAY), str(hour.astimezone().hour), str(HISTORY_H)]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=30).stdout)
    for name, statistic_id in statistics.items():
        await _import(api, statistic_id, [row[name] / 1000 for row in rows], hour)


async def _import(api: Api, statistic_id: str, hourly_kwh: list[float], end: datetime) -> None:
    """Import statistics whose sums end with zero, where Home Assistant begins with its own."""
    now = float(api.states.now(statistic_id) or 0)
    left = sum(hourly_kwh)
    stats = []
    for number, kwh in enumerate(hourly_kwh):
        left -= kwh
        start = end - timedelta(hours=len(hourly_kwh) - number)
        stats.append({"start": start.isoformat(), "state": max(0.0, now - left), "sum": -left})
    metadata = {
        "mean_type": 0,
        "has_sum": True,
        "name": None,
        "source": "recorder",
        "statistic_id": statistic_id,
        "unit_class": "energy",
        "unit_of_measurement": "kWh",
    }
    await api.call("recorder/import_statistics", metadata=metadata, stats=stats)
