"""``esp32``: make an ESPHome project, whose board is an equivalent proxy."""

from .command import add_parser, run

__all__ = ["add_parser", "run"]
