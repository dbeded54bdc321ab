"""The proxy on its host: what systemd hears of it, and how it starts after it has crashed."""

from .boots import SAFE_MODE_S, Boots
from .notify import Notifier
from .readings import cpu_temperature_c, wifi_signal_dbm
from .report import Report

__all__ = ["SAFE_MODE_S", "Boots", "Notifier", "Report", "cpu_temperature_c", "wifi_signal_dbm"]
