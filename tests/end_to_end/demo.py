"""A real Home Assistant with the companion, and the proxy on simulated units: something to look at in a browser."""

import argparse
import asyncio
from collections.abc import Iterator
import contextlib
from contextlib import contextmanager
import json
import os
from pathlib import Path
import signal
import socket
import sys
import tempfile
from typing import Any, Final

import energy_dashboard
from home_assistant import LOCALHOST, RESTART_CODE, HomeAssistant, StartError
from home_assistant_api import PASSWORD, USERNAME, Api, ApiError, connect, long_lived_token, onboard
from proxy import UNITS, Proxy, ProxyStartError

NAMES: Final = ("Rover solar controller", "DC-DC charger", "House battery", "REGO inverter", "Smart shunt")
FOUND_S: Final = 60.0


class DemoError(Exception):
    """The demo can't go on; the text says why."""


def main() -> int:
    """Run until Ctrl-C or SIGTERM; 69 when it can't start."""
    parser = argparse.ArgumentParser(prog="script/demo --home-assistant", description=__doc__)
    parser.add_argument("--port", type=int, default=8123, help="Home Assistant's (default: 8123)")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep everything in FOLDER, and go on with it later"
    )
    args = parser.parse_args()
    try:
        with _folder(args.keep) as folder:
            asyncio.run(_demo(folder, args.port))
    except asyncio.CancelledError:
        return os.EX_OK  # Ctrl-C or SIGTERM
    except (DemoError, StartError, ProxyStartError, ApiError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    return os.EX_OK


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="blupow-demo-") as folder:
            yield Path(folder)
    else:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()


async def _demo(folder: Path, port: int) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    if not _is_free(port):
        raise DemoError(f"port {port} is taken, perhaps by another Home Assistant: choose another --port")
    notes = _Notes(folder / "demo.json")
    proxy = _proxy(folder, notes)
    home = HomeAssistant(folder / "home-assistant", port=port)
    home.configure(name="BluPow demo", time_zone=_time_zone(), adapters=["lo"])  # not a word to this network
    try:
        _say("Starting Home Assistant and the simulated units ...")
        await asyncio.gather(home.start(), proxy.start())
        await proxy.knows_its_units()
        if "token" not in notes:
            notes["token"] = await long_lived_token(home.url, (await onboard(home.url))["access_token"])
        async with connect(home.url, notes["token"]) as api:
            await api.follow_states()
            if not await api.entries("blupow"):
                await _add(api, proxy)
            devices, entities = await _found(api)
            if "history" not in notes:
                (entry,) = await api.entries("blupow")
                statistics = await energy_dashboard.statistics_of(api, entry, *NAMES[:4])
                await energy_dashboard.configure(api, statistics)
                await energy_dashboard.give_past(api, statistics)
                notes["history"] = True
        _say(
            f"\n  Home Assistant   {home.url}\n  User             {USERNAME}\n  Password         {PASSWORD}\n\n"
            f"{devices} devices, {entities} entities: {home.url}/config/integrations/integration/blupow\n"
            f"Energy:                   {home.url}/energy\n\nCtrl-C ends it."
        )
        await _keep_running(home, proxy)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(number)  # a second Ctrl-C does not wait
        _say("Stopping ...")
        await asyncio.gather(home.stop(), proxy.stop())


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody may be listening any more
        print(text, flush=True)


class _Notes(dict[str, Any]):
    """What a later run in the same folder has to know."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with contextlib.suppress(FileNotFoundError):
            super().__init__(json.loads(file.read_text()))

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._file.touch(mode=0o600)
        self._file.write_text(json.dumps(self))


def _proxy(folder: Path, notes: _Notes) -> Proxy:
    if "port" not in notes:
        notes["port"] = _free_port()
    proxy = Proxy(
        "blupow-demo",
        folder,
        address=LOCALHOST,
        units=dict(zip(NAMES, UNITS.values(), strict=True)),
        # as fast as a real day: the energy that Home Assistant adds up has to agree with what the units count
        options=["--loopback", "--speed", "1", "--clock", f"{energy_dashboard.simulated_clock():.3f}"],
    )
    proxy.config["esphome"] |= {"friendly_name": "BluPow demo", "area": "Shed"}
    proxy.config["api"]["port"] = notes["port"]
    proxy.config["zeroconf"] = {"disabled": True}
    for unit in proxy.config["renogy"]:
        unit["area"] = "Shed"
    return proxy


async def _add(api: Api, proxy: Proxy) -> None:
    """Add the proxy as a user would who knows its address."""
    step = await api.start_flow("blupow")
    answers: dict[str, Any] = {"host": proxy.address, "port": proxy.config["api"]["port"]}
    while step["type"] == "form" and not step.get("errors"):
        step = await api.step(step, **answers)
        answers = {}  # the proxy has no key yet: the companion sets one with a click
    if step["type"] != "create_entry":
        raise DemoError(f"the proxy could not be added: {step.get('reason') or step.get('errors')}")


async def _found(api: Api) -> tuple[int, int]:
    """Wait until everything is there; returns the number of devices and of entities."""
    (entry,) = await api.entries("blupow")
    count = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FOUND_S):
            while True:
                devices = await api.devices(entry["entry_id"])
                entities = [one["entity_id"] for one in await api.entities("blupow") if not one["disabled_by"]]
                missing = [one for one in entities if api.states.now(one) in (None, "unavailable")]
                if len(devices) > len(NAMES) and len(entities) == count and not missing:
                    return len(devices), count
                count = len(entities)
                await asyncio.sleep(0.5)
    raise DemoError(f"not all simulated units were found within {FOUND_S:.0f} s")


async def _keep_running(home: HomeAssistant, proxy: Proxy) -> None:
    """Look after both until Ctrl-C."""
    while True:
        await asyncio.sleep(0.5)
        if not proxy.running:
            raise DemoError(f"the proxy ended:\n{proxy.last_lines()}")
        if home.process is not None and (code := home.process.poll()) is not None:
            if code != RESTART_CODE:
                raise DemoError(f"Home Assistant ended with {code}:\n{home.last_lines()}")
            _say("Home Assistant restarts ...")
            await home.start()
            _say("It is back.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCALHOST, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOCALHOST, 0))
        return int(probe.getsockname()[1])


def _time_zone() -> str:
    """Return this machine's time zone by its name."""
    _, found, name = os.path.realpath("/etc/localtime").partition("/zoneinfo/")
    return name if found else "UTC"


if __name__ == "__main__":
    sys.exit(main())
