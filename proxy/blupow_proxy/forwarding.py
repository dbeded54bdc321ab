"""The Bluetooth proxy as the configuration wants it: on our own adapter, beside our own units."""

from functools import partial
from typing import Final

from blupow_config import ProxyConfig
from blupow_proxy.ble import Adapter, GattClient, ScannerState, Source, can_set_parameters
from blupow_proxy.bluetooth_proxy import BluetoothProxy, Rules
from blupow_proxy.native_api import LISTENING, BluetoothFeature, BluetoothInfo
from blupow_proxy.visited import Visited

CONNECTING: Final = (
    BluetoothFeature.ACTIVE_CONNECTIONS
    | BluetoothFeature.REMOTE_CACHING
    | BluetoothFeature.PAIRING
    | BluetoothFeature.CACHE_CLEARING
)


def bluetooth_info(config: ProxyConfig, mac: str) -> BluetoothInfo | None:
    """Return what clients are offered by a proxy with ``mac``; None when nothing is forwarded."""
    forwarding = config.bluetooth_proxy
    if forwarding is None:
        return None
    features = LISTENING | CONNECTING if forwarding.active else LISTENING
    if forwarding.active and can_set_parameters():
        features |= BluetoothFeature.CONNECTION_PARAMETERS
    return BluetoothInfo(features, scanner_mac(mac))


def scanner_mac(mac: str) -> str:
    """Return what Home Assistant knows the scanner by: beside the proxy's own ``mac``, as a board's radios have it.

    Not the adapter's: Home Assistant may use that itself, and a new adapter is the same scanner.
    """
    head, last = mac[:-2], int(mac[-2:], 16)
    return f"{head}{last ^ 1:02X}"


def make_bluetooth_proxy(
    config: ProxyConfig, adapter: Adapter, visited: Visited, *, active: bool
) -> BluetoothProxy | None:
    """Return the part that answers clients, which connects only while ``active``; None when nothing is forwarded."""
    forwarding = config.bluetooth_proxy
    if forwarding is None:
        return None
    rules = Rules(owned=[unit.address for unit in config.renogy], allow=forwarding.allow, deny=forwarding.deny)
    return BluetoothProxy(
        adapter.scan,
        partial(GattClient, adapter, visited=visited),
        rules,
        connection_slots=forwarding.connection_slots,
        active=active and forwarding.active,
    )


def heard_how(adapter: Adapter) -> str | None:
    """Return where forwarded advertisements come from, as users are told; None while it starts, or starts anew."""
    scan = adapter.scan
    if not scan.forwards or scan.state is ScannerState.FAILED or adapter.left_alone:
        return "not listening"  # for clients; units may be looked for
    if scan.state is not ScannerState.RUNNING:
        return None
    return "as received" if scan.source is Source.RAW else "rebuilt"
