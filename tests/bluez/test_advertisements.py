"""What a listener hears of forty kinds of advertisements: the very bytes, or the same in meaning where it may not."""

import json
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from advertised import KINDS, Sent, address
from bluetooth_data_tools import parse_advertisement_data
from machine import GUEST, UNITS
from rig import Rig
from waiting import until

INTERVAL_MS: Final = 200.0
HEARD_S: Final = 60.0
COUNTED: Final = 200
BACK_S: Final = 10.0
FLAGS_TYPE: Final = 0x01
UNPRIVILEGED: Final = ("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin")

# The kinds of which BlueZ tells less; it never tells flags, and the order is lost as well
CHANGED: Final = {
    "short name": "is told as the complete one",
    "16-bit UUIDs, incomplete": "the list is told as complete",
    "32-bit UUIDs, incomplete": "the list is told as complete",
    "128-bit UUID, incomplete": "the list is told as complete",
    "128-bit UUID of the base": "is told as the 16-bit UUID that it is",
    "unknown types": "are not told",
    "connection intervals": "are not told, nor are solicited services",
}


@pytest.fixture(scope="module")
async def room(rig: Rig) -> Rig:
    """Everybody advertises."""
    await rig.populate(adapters=1, units="demo")
    for number, sent in enumerate(KINDS.values()):
        await rig.room(
            "add_broadcaster",
            address=address(number, sent),
            address_type=sent.address_type,
            data=sent.data.hex(),
            scan_response=sent.scan_response.hex(),
            interval_ms=INTERVAL_MS,
            kind=sent.how,
        )
    return rig


@dataclass
class Ears:
    """What a listener says."""

    rig: Rig
    name: str
    states: list[dict[str, Any]] = field(default_factory=list)
    heard: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    types: dict[str, int] = field(default_factory=dict)
    found: Any = None
    _read: int = 0

    def look(self) -> None:
        """Read on."""
        text = self.rig.log(self.name)
        end = text.rfind("\n") + 1
        for line in text[self._read : end].splitlines():
            if not line.startswith("{"):
                continue
            said = json.loads(line)
            if "state" in said:
                self.states.append(said)
            elif "found" in said:
                self.found = said["found"]
            else:
                self.heard[said["address"]].append(bytes.fromhex(said["data"]))
                self.types[said["address"]] = said["random"]
        self._read = end

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what is heard."""

        def true() -> bool:
            self.look()
            return condition()

        await until(true, HEARD_S)

    def of(self, number: int, sent: Sent) -> list[bytes]:
        """Return what was heard of a kind."""
        return self.heard[address(number, sent).replace(":", "")]


@asynccontextmanager
async def listening(rig: Rig, name: str, *arguments: str, prefix: tuple[str, ...] = ()) -> AsyncIterator[Ears]:
    """A listener in the guest."""
    await rig.start(name, *prefix, sys.executable, GUEST / "listener.py", "--adapter", "hci0", *arguments)
    try:
        yield Ears(rig, name)
    finally:
        await rig.signal(name, 2)
        await rig.wait(name, HEARD_S)


def hears(ears: Ears, data: Callable[[Sent], bytes], kinds: set[str]) -> bool:
    return all(
        data(sent) in ears.of(number, sent) for number, (kind, sent) in enumerate(KINDS.items()) if kind in kinds
    )


async def test_an_active_listener_with_the_right_hears_the_very_bytes(room: Rig) -> None:
    async with listening(room, "active") as ears:
        await ears.until(lambda: hears(ears, lambda sent: sent.together, set(KINDS)))
    assert ears.states[-1] | {"state": ""} == {"state": "", "active": True, "source": "RAW"}
    for number, sent in enumerate(KINDS.values()):
        assert set(ears.of(number, sent)) <= {sent.together, sent.data, sent.scan_response}
        assert ears.types[address(number, sent).replace(":", "")] == (sent.address_type == "random")


async def test_a_passive_listener_hears_the_very_bytes_without_scan_responses(room: Rig) -> None:
    directed = {kind for kind, sent in KINDS.items() if sent.how == "directed"}  # to somebody else: the kernel drops it
    async with listening(room, "passive", "--passive") as ears:
        await ears.until(lambda: hears(ears, lambda sent: sent.data, set(KINDS) - directed))
    assert not any(said["active"] for said in ears.states)
    assert ears.states[-1]["source"] == "RAW"
    for number, sent in enumerate(KINDS.values()):
        assert set(ears.of(number, sent)) <= {sent.data}


async def test_a_search_makes_a_passive_scan_active_while_it_lasts(room: Rig) -> None:
    async with listening(room, "searching", "--passive", "--find", UNITS["Rover"]) as ears:
        await ears.until(lambda: ears.found is not None)
        await ears.until(lambda: ears.states[-1] == {"state": "RUNNING", "active": False, "source": "RAW"})
    assert ears.found.startswith("BT-TH-6A000001")


@pytest.mark.parametrize("mode", ["active", "passive"])
async def test_none_is_lost(room: Rig, mode: str) -> None:
    who = "C0:FF:00:00:00:01"
    arguments = ("--passive",) if mode == "passive" else ()
    async with listening(room, f"counting-{mode}", *arguments) as ears:
        await ears.until(lambda: bool(ears.states) and ears.states[-1]["state"] == "RUNNING")
        await ears.until(lambda: len(ears.of(0, KINDS["flags alone"])) > 3)
        await room.room(
            "add_broadcaster", address=who, address_type="random", data="020106", interval_ms=20, times=COUNTED
        )
        heard = ears.heard[who.replace(":", "")]
        await ears.until(lambda: len(heard) >= COUNTED)
    sent = (await room.room("remove_broadcaster", address=who))["sent"]
    assert len(heard) == sent == COUNTED


def meaning(data: bytes) -> dict[str, Any]:
    """Return what a real client reads."""
    parsed = parse_advertisement_data([data])
    return {
        "name": parsed.local_name,
        "uuids": sorted(parsed.service_uuids),
        "services": parsed.service_data,
        "manufacturers": parsed.manufacturer_data,
        "power": parsed.tx_power,
    }


def parts(data: bytes) -> list[bytes]:
    """Return the structures without flags, in an order of their own."""
    found = []
    while data:
        found.append(data[: data[0] + 1])
        data = data[data[0] + 1 :]
    return sorted(part for part in found if part[1] != FLAGS_TYPE)


async def test_without_the_right_the_meaning_is_heard(room: Rig) -> None:
    def untold() -> dict[str, Any]:
        return {
            kind: [meaning(data) for data in ears.of(number, sent)[-1:]]
            for number, (kind, sent) in enumerate(KINDS.items())
            if not any(meaning(data) == meaning(sent.together) for data in ears.of(number, sent))
        }

    async with listening(room, "unprivileged", prefix=UNPRIVILEGED) as ears:
        try:
            await ears.until(lambda: not untold())
        except TimeoutError:
            pytest.fail(f"not told: {untold()}")
    assert ears.states[-1] | {"state": ""} == {"state": "", "active": True, "source": "REBUILT"}
    changed = {
        kind
        for number, (kind, sent) in enumerate(KINDS.items())
        if not any(parts(data) == parts(sent.together) for data in ears.of(number, sent))
    }
    assert changed == set(CHANGED)


async def test_without_the_right_it_stays_active_and_says_so(room: Rig) -> None:
    async with listening(room, "unable", "--passive", prefix=UNPRIVILEGED) as ears:
        await ears.until(lambda: bool(ears.states) and ears.states[-1]["state"] == "RUNNING")
    assert {"state": "RUNNING", "active": True, "source": "REBUILT"} in ears.states


@pytest.mark.parametrize("mode", ["active", "passive"])
async def test_it_goes_on_after_bluetoothd_was_killed(room: Rig, mode: str) -> None:
    arguments = ("--passive",) if mode == "passive" else ()
    async with listening(room, f"killed-{mode}", *arguments) as ears:
        await ears.until(lambda: bool(ears.heard))
        await room.signal("bluetoothd", 9)
        await ears.until(lambda: ears.states[-1]["state"] == "FAILED")
        await room.start_bluetoothd()
        back_s = time.monotonic()
        ears.heard.clear()
        await ears.until(lambda: ears.states[-1]["state"] == "RUNNING" and len(ears.heard) >= len(KINDS) - 1)
        assert time.monotonic() - back_s < BACK_S
    assert ears.states[-1] == {"state": "RUNNING", "active": mode == "active", "source": "RAW"}


async def test_it_goes_on_with_an_adapter_that_was_turned_off(room: Rig) -> None:
    where = ("org.bluez", "/org/bluez/hci0", "org.bluez.Adapter1", "Powered", "b", "false")
    async with listening(room, "off", "--passive") as ears:
        await ears.until(lambda: bool(ears.heard))
        changes = len(ears.states)
        await room.run("busctl", "--system", "set-property", *where)
        await ears.until(lambda: any(said["state"] == "FAILED" for said in ears.states[changes:]))
        await ears.until(lambda: ears.states[-1]["state"] == "RUNNING")
        ears.heard.clear()
        await ears.until(lambda: len(ears.heard) >= len(KINDS) - 1)
