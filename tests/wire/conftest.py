from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aioesphomeapi import APIClient

from blupow_proxy.native_api import (
    Action,
    Area,
    BinarySensorEntity,
    ButtonEntity,
    Entity,
    Mode,
    Node,
    NodeInfo,
    NumberEntity,
    SelectEntity,
    SensorEntity,
    SubDevice,
    SwitchEntity,
    TextSensorEntity,
    encode_key,
)
from blupow_proxy.server import ApiServer

KEY = bytes(range(32))


class Keys:
    """A key store in memory."""

    def __init__(self, key: bytes | None = None, *, mode: Mode | None = None, changeable: bool = True) -> None:
        self.key = key
        self.changeable = changeable
        self.keyless = mode or Mode.PROVISIONING
        self.works = True

    @property
    def mode(self) -> Mode:
        return Mode.ENCRYPTED if self.key else self.keyless

    def store(self, key: bytes | None) -> bool:
        if self.works:
            self.key = key
        return self.works


def reference_node() -> tuple[Node, dict[str, Entity]]:
    """The entity set of the recorded real ESPHome device."""
    node = Node(
        NodeInfo(
            name="host-all",
            friendly_name="Host All",
            mac="02:00:00:00:00:05",
            model="host",
            manufacturer="Host",
            esphome_version="2026.10.0",
            compilation_time="2026-11-23 14:09:44 +0000",
            project_name="blupow.reference",
            project_version="1.0.0",
            suggested_area="Garage",
            areas=(Area("garage", "Garage"), Area("van", "Van")),
        )
    )
    one, two = SubDevice("inv1", "Inverter 1", "van"), SubDevice("inv2", "Inverter 2")
    node.add_device(one)
    node.add_device(two)
    volts = {"unit_of_measurement": "V", "device_class": "voltage", "state_class": "measurement"}
    entities: dict[str, Entity] = {
        "link": BinarySensorEntity(
            name="Link", device_id=one.device_id, device_class="connectivity", entity_category="diagnostic"
        ),
        "volts1": SensorEntity(name="Battery Voltage", device_id=one.device_id, accuracy_decimals=1, **volts),
        "volts2": SensorEntity(name="Battery Voltage", device_id=two.device_id, accuracy_decimals=1, **volts),
        "energy": SensorEntity(
            name="Energy",
            unit_of_measurement="kWh",
            device_class="energy",
            state_class="total_increasing",
            accuracy_decimals=3,
            entity_category="diagnostic",
            disabled_by_default=True,
            icon="mdi:counter",
        ),
        "output": SwitchEntity(name="Output", device_id=one.device_id, device_class="outlet"),
        "assumed": SwitchEntity(name="Assumed", assumed_state=True),
        "restart": ButtonEntity(name="Restart", icon="mdi:restart", entity_category="config", device_class="restart"),
        "refresh": ButtonEntity(name="Refresh", device_class="update"),
        "model": TextSensorEntity(name="Model", device_id=one.device_id, entity_category="diagnostic"),
        "poll": NumberEntity(
            name="Poll",
            entity_category="config",
            min_value=1,
            max_value=600,
            step=0.5,
            unit_of_measurement="s",
            mode="box",
        ),
        "mode": SelectEntity(name="Mode", entity_category="config", options=("APL", "ECO")),
    }
    for entity in entities.values():
        node.add(entity)
    states: dict[str, Any] = {
        "link": True,
        "volts1": 13.2,
        "volts2": float("nan"),
        "energy": 1.5,
        "output": False,
        "assumed": False,
        "model": "RIV1220",
        "poll": 30.0,
        "mode": "ECO",
    }
    for name, state in states.items():
        node.set_state(entities[name], state)
    arguments = {"reg": "int", "value": "int", "names": "string[]", "enable": "bool", "factor": "float"}
    node.actions.append(Action(name="write_register", arguments=arguments))
    node.actions.append(Action(name="refresh", response="optional"))
    return node, entities


class Wire:
    """Servers and clients of one test, all on loopback, all closed at its end."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def server(self, keys: Keys, **options: Any) -> tuple[ApiServer, Node, dict[str, Entity]]:
        node, entities = reference_node()
        server = ApiServer(node, keys, host="127.0.0.1", port=0, **options)
        await server.start()
        self._stack.push_async_callback(server.stop)
        return server, node, entities

    def client(self, server: ApiServer, key: bytes | None) -> APIClient:
        psk = None if key is None else encode_key(key)
        client = APIClient("127.0.0.1", server.port, None, noise_psk=psk, client_info="test")
        self._stack.push_async_callback(client.disconnect, force=True)
        return client

    async def connected(self, server: ApiServer, key: bytes | None) -> APIClient:
        client = self.client(server, key)
        await client.connect(login=True)
        return client


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with AsyncExitStack() as stack:
        yield Wire(stack)


@pytest.fixture(params=["plaintext", "noise"])
def keys(request: pytest.FixtureRequest) -> Keys:
    return Keys(mode=Mode.PLAINTEXT, changeable=False) if request.param == "plaintext" else Keys(KEY)


@pytest.fixture
def make_keys() -> type[Keys]:
    return Keys


type Waiter = Callable[[Callable[[], bool]], Coroutine[Any, Any, None]]
