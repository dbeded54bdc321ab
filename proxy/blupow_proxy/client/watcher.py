"""A connection to a device that is kept up, and the latest state of each of its entities."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Self

from aioesphomeapi import DeviceInfo, EntityInfo, EntityState
from aioesphomeapi.core import APIConnectionError
from aioesphomeapi.model_conversions import STATE_TYPE_TO_INFO_TYPE

from .connection import CONNECT_S, DEFAULT_PORT, RETRY_S, make_client, say_goodbye
from .errors import ClientError, translate
from .snapshot import Group, Row, Snapshot
from .states import clean, kind_of, read

if TYPE_CHECKING:
    from aioesphomeapi.client import APIClient

_NAME_CHARACTERS: Final = 120  # ESPHome's own limit
_SILENT: Final = frozenset({"button", "event", "camera", "infrared", "radio_frequency"})  # have no state to report

type _Key = tuple[type[EntityInfo], int, int]


class Watcher:
    """Connects on entry (ClientError when that fails) and again whenever the device went away.

    ``on_change`` hears of each row that changed, and None when the connection came, went, or could not be made again.
    """

    def __init__(
        self,
        host: str,
        port: int = DEFAULT_PORT,
        key: str | None = None,
        *,
        on_change: Callable[[Row | None], None] | None = None,
        connect_s: float = CONNECT_S,
    ) -> None:
        self.host = host
        self.port = port
        self.connected = False
        self.failure: ClientError | None = None
        self._key = key or None
        self._on_change = on_change
        self._connect_s = connect_s
        self._info = DeviceInfo()
        self._api_version = ""
        self._entities: dict[_Key, EntityInfo] = {}
        self._states: dict[_Key, EntityState] = {}
        self._devices: dict[int, str] = {}
        self._progress = asyncio.Event()
        self._gone = asyncio.Event()
        self._client: APIClient | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect, list the entities and subscribe."""
        try:
            await self._connect()
        except BaseException:
            await self._disconnect()
            raise
        self._keeper = asyncio.create_task(self._keep_connected(), name=f"watch {self.host}")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Say goodbye to the device, briefly."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._disconnect()

    @property
    def complete(self) -> bool:
        """Whether every entity that has a state reported it, on this connection; a missing one counts."""
        return self.connected and all(
            key in self._states for key, info in self._entities.items() if kind_of(info) not in _SILENT
        )

    async def wait_complete(self, deadline_s: float) -> bool:
        """Wait until ``complete``; False when that takes longer than ``deadline_s``."""
        return await self.wait_for(lambda: self.complete, deadline_s)

    async def wait_for(self, condition: Callable[[], bool], deadline_s: float) -> bool:
        """Wait for ``condition``, looked at after each change; False when that takes longer than ``deadline_s``."""
        try:
            async with asyncio.timeout(deadline_s):
                while not condition():
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            return False
        return True

    def table(self) -> Snapshot:
        """Return everything the device last said."""
        rows: dict[int, list[Row]] = {device_id: [] for device_id in (*self._devices, 0)}
        for key, info in self._entities.items():
            rows.setdefault(info.device_id, []).append(self._row(key, info))
        return Snapshot(
            name=clean(self._info.name, _NAME_CHARACTERS),
            friendly_name=self._own_name,
            api_version=self._api_version,
            encrypted=self._key is not None,
            connected=self.connected,
            groups=tuple(Group(self._device(device_id), tuple(found)) for device_id, found in rows.items() if found),
        )

    @property
    def _own_name(self) -> str:
        return clean(self._info.friendly_name or self._info.name, _NAME_CHARACTERS)

    def _device(self, device_id: int) -> str:
        return self._devices.get(device_id) or self._own_name

    def _row(self, key: _Key, info: EntityInfo) -> Row:
        value, text = read(info, self._states.get(key))
        return Row(
            device=self._device(info.device_id),
            name=clean(info.name, _NAME_CHARACTERS) or self._device(info.device_id),
            key=clean(info.object_id),
            kind=kind_of(info),
            value=value,
            text=text,
            unit=clean(getattr(info, "unit_of_measurement", "")),
            device_class=clean(getattr(info, "device_class", "")),
            category="" if not info.entity_category else info.entity_category.name.lower(),
            disabled=info.disabled_by_default,
        )

    async def _connect(self) -> None:
        await self._disconnect()
        gone = self._gone = asyncio.Event()

        async def on_stop(_expected: bool) -> None:
            gone.set()

        try:
            async with asyncio.timeout(self._connect_s):
                client = self._client = await make_client(self.host, self.port, self._key, "blupow-proxy watch")
                await client.connect(on_stop=on_stop, login=True, log_errors=False)
                version = client.api_version
                info, entities, _ = await client.device_info_and_list_entities()
            self._listed(info, entities, "" if version is None else f"{version.major}.{version.minor}")
            client.subscribe_states(self._received)
        except (APIConnectionError, TimeoutError) as error:
            self.failure = translate(error, f"{self.host}:{self.port}", self._connect_s)
            raise self.failure from error
        self.failure = None
        self._report(None, connected=True)

    def _listed(self, info: DeviceInfo, entities: list[EntityInfo], version: str) -> None:
        self._info = info
        self._api_version = version
        self._devices = {device.device_id: clean(device.name, _NAME_CHARACTERS) for device in info.devices}
        self._entities = {(type(entity), entity.key, entity.device_id): entity for entity in entities}
        self._states = {}

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await say_goodbye(client)

    async def _keep_connected(self) -> None:
        while True:
            await self._gone.wait()
            self._lost()
            attempt = 0
            while not self.connected:
                await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
                attempt += 1
                try:
                    await self._connect()
                except ClientError:  # kept in ``failure``
                    self._report(None, connected=False)

    def _lost(self) -> None:
        """Show nothing as current any more."""
        known, self._states = self._states, {}
        for key in known:
            if key in self._entities:
                self._report(self._row(key, self._entities[key]), connected=False)
        self._report(None, connected=False)

    def _received(self, state: EntityState) -> None:
        kind: Any = STATE_TYPE_TO_INFO_TYPE.get(type(state))
        key: _Key = (kind, state.key, state.device_id)
        info = self._entities.get(key)
        if info is None:
            return
        before = self._states.get(key)
        self._states[key] = state
        if before != state:
            self._report(self._row(key, info), connected=True)

    def _report(self, row: Row | None, *, connected: bool) -> None:
        self.connected = connected
        self._progress.set()
        if self._on_change is not None:
            self._on_change(row)
