"""Connects to a device as integrations of Bluetooth devices do, and says what it finds there."""

import asyncio

from bleak_retry_connector import BleakClientWithServiceCache, establish_connection

from homeassistant.components.bluetooth import async_ble_device_from_address, async_last_service_info
from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.typing import ConfigType

DOMAIN = "bluetooth_probe"
NOTIFIED_S = 10.0


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Offer the action ``ask``."""

    async def ask(call: ServiceCall) -> dict[str, object]:
        """Read ``read`` of the device ``address``, and write ``data`` to ``echo`` to have it notified."""
        address = call.data["address"]
        device = async_ble_device_from_address(hass, address, connectable=True)
        heard = async_last_service_info(hass, address, connectable=True)
        if device is None or heard is None:
            raise HomeAssistantError(f"{address} is not heard")
        client = await establish_connection(BleakClientWithServiceCache, device, address)
        try:
            notified: asyncio.Future[bytes] = hass.loop.create_future()
            await client.start_notify(call.data["echo"], lambda _, data: notified.set_result(bytes(data)))
            await client.write_gatt_char(call.data["echo"], bytes.fromhex(call.data["data"]), response=True)
            async with asyncio.timeout(NOTIFIED_S):
                echoed = await notified
            return {
                "source": heard.source,
                "mtu": client.mtu_size,
                "services": [service.uuid for service in client.services],
                "read": bytes(await client.read_gatt_char(call.data["read"])).hex(),
                "echoed": echoed.hex(),
            }
        finally:
            await client.disconnect()

    hass.services.async_register(DOMAIN, "ask", ask, supports_response=SupportsResponse.ONLY)
    return True
