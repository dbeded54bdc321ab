"""What the fuzzers start from: a node to attack, and the bytes of real clients and real devices."""

import json
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from aioesphomeapi import api_pb2

from blupow_proxy.errors import FrameError
from blupow_proxy.modbus import UNIVERSAL_ADDRESS, Request, WriteRequest, decode_request
from blupow_proxy.native_api import (
    Action,
    BinarySensorEntity,
    BluetoothFeature,
    BluetoothInfo,
    ButtonEntity,
    Mode,
    Node,
    NodeInfo,
    NumberEntity,
    SelectEntity,
    SensorEntity,
    SubDevice,
    SwitchEntity,
    TextSensorEntity,
    packet,
)

DATA: Final = Path(__file__).parents[1] / "data"
RECORDING: Final = DATA / "client_messages.json"
FUZZ_KEY: Final = bytes(range(32))


class MemoryKeys:
    """A key store that nothing changes."""

    def __init__(self, mode: Mode, key: bytes | None = None) -> None:
        self.mode = mode
        self.key = key
        self.changeable = False

    def store(self, key: bytes | None) -> bool:
        return False


def fuzz_node() -> Node:
    """A node with an entity of each kind, and actions with arguments of each kind."""
    node = Node(
        NodeInfo(
            name="fuzz-shed",
            friendly_name="Fuzz shed",
            mac="02:00:00:00:00:F0",
            model="host",
            manufacturer="BluPow",
            esphome_version="2026.10.0",
        )
    )
    device = SubDevice("rover", "Rover")
    node.add_device(device)
    for entity in (
        SwitchEntity(name="Load", device_id=device.device_id),
        SensorEntity(name="Battery voltage", device_id=device.device_id, force_update=True),
        BinarySensorEntity(name="Link"),
        TextSensorEntity(name="Model"),
        ButtonEntity(name="Beep"),  # a proxy that is attacked has none, and so it is not told to restart
        NumberEntity(name="Poll", min_value=1, max_value=600, step=0.5),
        SelectEntity(name="Mode", options=("APL", "ECO")),
    ):
        node.add(entity)
    arguments = {"unit": "string", "count": "int", "names": "string[]", "on": "bool", "factor": "float"}
    node.actions.append(Action(name="everything", arguments=arguments))
    node.actions.append(Action(name="refresh", response="optional"))
    node.bluetooth = BluetoothInfo(BluetoothFeature(127), "02:00:00:00:00:F1")
    return node


def client_messages() -> list[tuple[int, bytes]]:
    """Every message of a real client's session, in order."""
    lines = (line.partition(" ") for line in _recording()["messages"])
    return [(int(number), bytes.fromhex(body)) for number, _, body in lines]


def bluetooth_messages() -> list[tuple[int, bytes]]:
    """What Home Assistant asks of a Bluetooth proxy while it uses a device, and what it may ask besides."""
    device, handle = 0xAABBCC000002, 0x2A
    return [
        packet(message)
        for message in (
            api_pb2.SubscribeBluetoothConnectionsFreeRequest(),
            api_pb2.SubscribeBluetoothLEAdvertisementsRequest(flags=1),
            api_pb2.BluetoothScannerSetModeRequest(mode=1),
            api_pb2.BluetoothDeviceRequest(address=device, request_type=5, has_address_type=True, address_type=1),
            api_pb2.BluetoothGATTGetServicesRequest(address=device),
            api_pb2.BluetoothGATTReadRequest(address=device, handle=handle),
            api_pb2.BluetoothGATTNotifyRequest(address=device, handle=handle, enable=True),
            api_pb2.BluetoothGATTWriteDescriptorRequest(address=device, handle=handle + 1, data=b"\1\0"),
            api_pb2.BluetoothGATTWriteRequest(address=device, handle=0x30, response=True, data=b"on"),
            api_pb2.BluetoothGATTWriteRequest(address=device, handle=0x30, data=b"off"),
            api_pb2.BluetoothGATTReadDescriptorRequest(address=device, handle=handle + 1),
            api_pb2.BluetoothSetConnectionParamsRequest(address=device, min_interval=6, max_interval=12, timeout=100),
            *(api_pb2.BluetoothDeviceRequest(address=device, request_type=kind) for kind in (2, 3, 6, 0, 1)),
            api_pb2.UnsubscribeBluetoothLEAdvertisementsRequest(),
        )
    ]


def noise_flight() -> tuple[bytes, bytes, bytes]:
    """A real client's Noise hello, its handshake for ``FUZZ_KEY``, and what it sent afterwards."""
    recording = _recording()
    hello, handshake, rest = (recording[f"noise_{part}"] for part in ("hello", "handshake", "rest"))
    return bytes.fromhex(hello), bytes.fromhex(handshake), bytes.fromhex(rest)


def device_frames() -> list[tuple[bytes, bytes]]:
    """Captured requests and the replies of real devices; a pushed frame has no request."""
    return [
        (bytes.fromhex(vector.get("request_hex") or ""), bytes.fromhex(vector["response_hex"]))
        for vector in _vectors()["vectors"]
        if vector["response_hex"]
    ]


def exchanges() -> Iterator[tuple[Request, bytes]]:
    """Captured reads with their replies, and the one write that there is with its echo."""
    for request, response in device_frames():
        with suppress(FrameError):  # some were captured because the request was wrong, a pushed frame has none
            yield decode_request(request), response
    write = WriteRequest(UNIVERSAL_ADDRESS, 0x010A, 1)
    yield write, write.encode()


def advertisements() -> list[bytes]:
    """Captured advertising data with its scan response."""
    return [
        bytes.fromhex((one.get("adv_hex") or "") + (one.get("scan_rsp_hex") or "")) for one in _vectors()["adverts"]
    ]


def management_events() -> list[bytes]:
    """The same as the kernel tells it, with and without a monitor."""
    address = bytes.fromhex("0100006ad3c4")
    events = []
    for data in advertisements():
        found = address + b"\1\xc4" + bytes(4) + len(data).to_bytes(2, "little") + data
        for event, body in ((0x12, found), (0x2F, bytes(2) + found)):
            events.append(struct.pack("<HHH", event, 0, len(body)) + body)
    return events


def configuration_texts() -> list[str]:
    """Configurations that are right."""
    return [
        "esphome:\n  name: shed\n",
        """esphome: {name: shed, friendly_name: My shed, area: Garden}
api:
  port: 6054
  encryption:
    key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
zeroconf: {disabled: yes, esphome: never}
logger: {level: debug}
renogy:
  - {address: C4-D3-6A-00-00-01, name: Rover, family: controller, load_switch: on, update_interval: 500ms}
  - {address: C4:D3:6A:00:00:02, name: Left, modbus_address: 0x30, variant: hub, id: left, area: &van Van}
  - {address: C4:D3:6A:00:00:02, name: Right, modbus_address: 49, area: *van}
""",
    ]


def included_texts() -> list[tuple[str, str]]:
    """Configurations with the file `a.yaml` that they include; there are a secret `s` and a substitution `given`."""
    return [
        (
            """substitutions: {n: 2, unit: {name: Rover, full: "${ unit.name ~ n }"}, secret: !secret s}
packages:
  a: !include {file: a.yaml, vars: {port: "${ n * 3000 + 54 }"}}
  b: {renogy: [{id: !extend rover, name: "${unit.full}"}, {id: !remove gone}], logger: !remove }
.base: &base {friendly_name: "My ${given}", area: !env_var SHED_AREA Garden}
esphome: {<<: *base, name: shed}
api: {encryption: {key: "x${secret}"}}
""",
            """defaults: {port: 1}
renogy:
  - {id: rover, address: C4:D3:6A:00:00:01, code: !lambda "return ${port};"}
  - {id: gone, address: !literal "${x}"}
api: {port: "${port}"}
logger: {level: DEBUG}
""",
        ),
        (
            """<<: [!include a.yaml, {api: {port: "${ 6000 + 53 }"}}]
bluetooth: !include {file: "${ 'a' if n else 'b' }.yaml", condition: "${ n > 1 }"}
renogy: !include_dir_list .
substitutions: {n: 1, m: "<% for i in range(n) %>${ i }<% endfor %>${ secret | upper }", secret: !secret s}
zeroconf: {esphome: "${ m }${secret}"}
""",
            "esphome: {name: shed}\n",
        ),
    ]


def _recording() -> Any:
    return json.loads(RECORDING.read_text())


def _vectors() -> Any:
    return json.loads((DATA / "vectors.json").read_text())
