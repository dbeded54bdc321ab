"""The whole proxy within a program of the guest: what it holds can be looked at from inside."""

import base64

from machine import ADAPTER, KEY, Machine

from blupow_config import ApiConfig, BluetoothConfig, EsphomeConfig, ProxyConfig, UnitConfig, ZeroconfConfig
from blupow_proxy.app import Proxy, Surroundings
from blupow_proxy.storage import Storage


def make_proxy(machine: Machine, units: dict[str, str], interval_s: float) -> Proxy:
    """Return a proxy that reads ``units``, address by name, over the guest's bluetoothd."""
    config = ProxyConfig(
        esphome=EsphomeConfig(name="shed", friendly_name="Shed"),
        api=ApiConfig(port=0, key=base64.b64decode(KEY)),
        bluetooth=BluetoothConfig(adapter=ADAPTER),
        zeroconf=ZeroconfConfig(enabled=False),
        renogy=tuple(
            UnitConfig(id=name.lower(), address=address, name=name, update_interval_s=interval_s)
            for name, address in units.items()
        ),
    )
    return Proxy(config, Surroundings(storage=Storage(machine.folder / "state"), host="127.0.0.1"))
