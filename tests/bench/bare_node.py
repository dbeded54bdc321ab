"""The node that is served where the server alone is measured."""

from blupow_proxy.native_api import Node, NodeInfo


def bare_node() -> Node:
    """Return one without entities."""
    return Node(
        NodeInfo(
            name="bench",
            friendly_name="Bench",
            mac="02:00:00:00:00:09",
            model="bench",
            manufacturer="BluPow",
            esphome_version="2026.10.0",
        )
    )
