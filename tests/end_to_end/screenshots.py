"""Pictures of what a user sees: discovery, pairing, a unit, the Energy dashboard, a repair issue.

usage: screenshots.py FOLDER      as root, in the companion's environment; needs Debian's chromium
"""

import asyncio
import json
from pathlib import Path
import subprocess
import sys
import tempfile
from typing import Any, Final

import energy_dashboard
from home_assistant import ROOT, HomeAssistant
from home_assistant_api import Api, Json, connect, onboard
from network import Network
from proxy import UNITS, Proxy

KEY: Final = "dGhlIGtleSBvZiB0aGUgdmFuISEhISEhISEhISEhISE="
BROWSER: Final = Path(__file__).with_name("browser.py")
ENVIRONMENT: Final = ROOT / ".cache" / "playwright"
NAMES: Final = ("Rover solar controller", "DC-DC charger", "House battery", "REGO inverter", "Smart shunt")
REPORT_AFTER_MIN: Final = 1


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    python = environment()
    with tempfile.TemporaryDirectory() as scratch, Network() as network:
        addresses = network.add("shed"), network.add("van")
        with network.entered("home"):
            asyncio.run(story(network, addresses, Path(scratch), python, folder))


def environment() -> str:
    """Make an environment with playwright; it is in no lock."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(ENVIRONMENT)], check=True)
        subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(python), "playwright"], check=True)
    return str(python)


async def story(network: Network, addresses: tuple[str, str], scratch: Path, python: str, folder: Path) -> None:
    options = ["--speed", "1", "--clock", f"{energy_dashboard.simulated_clock():.3f}"]
    units = dict(zip(NAMES, UNITS.values(), strict=True))
    shed = Proxy(
        "solar-shed", scratch, address=addresses[0], prefix=network.command("shed"), units=units, options=options
    )
    van = Proxy("van", scratch, address=addresses[1], prefix=network.command("van"), key=KEY, options=options)
    home = HomeAssistant(scratch / "home-assistant", prefix=network.command("home"))
    home.configure(name="Home")
    try:
        await asyncio.gather(shed.start(), van.start(), home.start())
        await asyncio.gather(shed.knows_its_units(), van.knows_its_units())
        tokens = await onboard(home.url)
        async with connect(home.url, tokens["access_token"]) as api:
            await api.follow_states()

            async def take(*pictures: Json) -> None:
                order = {"url": home.url, "tokens": tokens, "pictures": list(pictures)}
                browser = await asyncio.create_subprocess_exec(python, BROWSER, stdin=asyncio.subprocess.PIPE)
                await browser.communicate(json.dumps(order).encode())
                assert browser.returncode == 0

            def picture(name: str, path: str, *steps: list[Any], **more: Any) -> Json:
                return {"file": str(folder / f"{name}.png"), "path": path, "steps": list(steps), **more}

            await discovered(api)
            dashboard = "/config/integrations/dashboard"
            await take(
                picture("1-discovered", dashboard),
                picture("2-one-click", dashboard, ["click", "Add", 0]),
                picture("3-key", dashboard, ["click", "Add", 2], ["click", "Submit", 0]),
            )
            entry = await add(api, "Solar shed")
            await add_options(api, entry)
            await shed.units(address=UNITS["Battery"], silent=True)
            devices = {device["name"]: device["id"] for device in await api.devices(entry["entry_id"])}
            statistics = await energy_dashboard.statistics_of(api, entry, *NAMES[:4])
            await energy_dashboard.configure(api, statistics)
            await energy_dashboard.give_past(api, statistics)
            await take(
                picture("4-proxy", "/config/integrations/integration/blupow"),
                picture("5-proxy-device", f"/config/devices/device/{devices['Solar shed']}"),
                picture("6-inverter", f"/config/devices/device/{devices['REGO inverter']}", height=1600),
                picture("7-controller", f"/config/devices/device/{devices['Rover solar controller']}", height=2600),
                picture("8-energy", "/energy", ["wait", 5], height=1500),
            )
            async with asyncio.timeout(REPORT_AFTER_MIN * 60 + 60):
                while not (issues := await api.issues("blupow")):
                    await asyncio.sleep(1)
            print([one["translation_key"] for one in issues])
            await take(
                picture("9-repairs", "/config/repairs"),
                picture("10-repair", "/config/repairs", ["click text", "House battery can't be reached"]),
                picture("11-battery", f"/config/devices/device/{devices['House battery']}", height=1600),
            )
    finally:
        await asyncio.gather(home.stop(), shed.stop(), van.stop())


async def discovered(api: Api) -> None:
    async with asyncio.timeout(20):
        while len(await api.flows("blupow")) < 2:
            await asyncio.sleep(0.2)


async def add(api: Api, title: str) -> Json:
    (flow,) = [one for one in await api.flows("blupow") if title in one["context"]["title_placeholders"]["name"]]
    result = await api.step(flow)
    assert result["type"] == "create_entry", result
    entry: Json = result["result"]
    while len(await api.entities("blupow")) < 150 or len(await api.devices(entry["entry_id"])) <= len(NAMES):
        await asyncio.sleep(0.5)
    return entry


async def add_options(api: Api, entry: Json) -> None:
    """Let a unit that is out of reach be reported soon."""
    form = await api.start_options(entry["entry_id"])
    answers = {one["name"]: one.get("default") for one in form["data_schema"]} | {"report_after": REPORT_AFTER_MIN}
    done = await api.step_options(form, **answers)
    assert done["type"] == "create_entry", done
    await asyncio.sleep(3)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
