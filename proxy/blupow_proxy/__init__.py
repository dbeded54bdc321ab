"""Reads Renogy power gear over Bluetooth LE and serves it as an ESPHome device."""

__version__ = "0.1.0"
