"""How much a configuration may be: bounds far above honest use, which end hostile input in well under a second."""

from typing import Final

MAX_BYTES: Final = 1_000_000  # of one file: a configuration has a few kilobytes
MAX_ALL_BYTES: Final = 2_000_000  # of all files together, which are read once each
MAX_FILES: Final = 200  # the largest public ESPHome configurations have about 60
MAX_OPEN: Final = 1_000  # blocks in blocks that are parsed at all: the parser takes quadratic time for them
MAX_SOURCE_DEPTH: Final = 32  # blocks in blocks within one file: `packages` in `packages` takes two of them each
MAX_DEPTH: Final = 16  # of what is resolved: a configuration has four levels
MAX_NESTING: Final = 64  # blocks, packages and includes in each other on the way there; Python's stack holds far more
MAX_NODES: Final = 20_000  # values that are looked at until all is resolved, some of them twice: honest ones take 2,000
MAX_NEEDS: Final = 30  # substitutions that need the next: honest ones need two or three
MAX_EXPRESSIONS: Final = 500  # different ones: each takes about a millisecond to compile, once
MAX_EXPRESSION: Final = 4_000  # characters of a text that has one
MAX_TEXT: Final = (
    16_000  # characters that a substitution may make of one text: the longest are lambdas of some 100 lines
)
MAX_WORK: Final = 1_000_000  # characters and items that substitutions and expressions may handle in all
MAX_ITEMS: Final = 1_000  # of a list or a block that an expression makes, or runs over
MAX_BITS: Final = 10_000  # of a whole number in an expression: Python prints them up to 4,300 digits


class TooMuchError(Exception):
    """A bound is exceeded, which ends the resolving; the text says which."""


class Budget:
    """What is left of the bounds that hold for all files of a configuration together."""

    def __init__(self) -> None:
        self._nodes = MAX_NODES
        self._work = MAX_WORK

    def spend(self, nodes: int = 1) -> None:
        """Take ``nodes`` from what may be looked at; TooMuchError when it is used up."""
        self._nodes -= nodes
        if self._nodes < 0:
            raise TooMuchError(
                f"grows to more than {MAX_NODES:,} values when its anchors, includes and substitutions are resolved"
            )

    def work(self, amount: int) -> None:
        """Take ``amount`` characters or items from what may be handled; TooMuchError when it is used up."""
        self._work -= amount
        if self._work < 0:
            raise TooMuchError(f"makes its substitutions handle more than {MAX_WORK:,} characters")
