"""How good a signal is: for a person, in a word and in bars."""

from enum import StrEnum
from typing import Final

# dBm. A Pi's own adapter still makes out about -90, and what comes between - a door, rain, somebody who stands there -
# takes 5 to 15 dB: the first has that to spare twice, the second once, the third not.
EXCELLENT_DBM: Final = -65
GOOD_DBM: Final = -75
USABLE_DBM: Final = -85

# Percent of requests that were answered. The poller brings nine polls in ten through where three parts of replies in
# ten get lost (R15 of the fault catalogue). It gives a link up after five requests in a row without a sign of life:
# where one in three gets lost, that is every few minutes.
EXCELLENT_REPLIES: Final = 99.0
GOOD_REPLIES: Final = 95.0
USABLE_REPLIES: Final = 67.0


class Verdict(StrEnum):
    """How good a place is."""

    EXCELLENT = "excellent"
    GOOD = "good"
    USABLE = "usable"
    TOO_WEAK = "too weak"


BARS: Final = {Verdict.EXCELLENT: "▂▄▆█", Verdict.GOOD: "▂▄▆ ", Verdict.USABLE: "▂▄  ", Verdict.TOO_WEAK: "▂   "}
COLOURS: Final = {
    Verdict.EXCELLENT: "green",
    Verdict.GOOD: "green",
    Verdict.USABLE: "yellow",
    Verdict.TOO_WEAK: "red",
}
ADVICE: Final = {
    Verdict.EXCELLENT: "this is a good place",
    Verdict.GOOD: "this is a good place",
    Verdict.USABLE: "it works, with replies lost now and then: closer is better, and away from metal",
    Verdict.TOO_WEAK: "the link would break often: bring the proxy closer, or out of the shadow of metal",
}


def judge_signal(dbm: float) -> Verdict:
    """Return how good a signal of that strength is."""
    return _judge(dbm, EXCELLENT_DBM, GOOD_DBM, USABLE_DBM)


def judge_replies(percent: float) -> Verdict:
    """Return how good a link is on which that share of requests is answered."""
    return _judge(percent, EXCELLENT_REPLIES, GOOD_REPLIES, USABLE_REPLIES)


def bars(dbm: float) -> str:
    """Return a signal as four characters."""
    return BARS[judge_signal(dbm)]


def _judge(value: float, excellent: float, good: float, usable: float) -> Verdict:
    if value >= excellent:
        return Verdict.EXCELLENT
    if value >= good:
        return Verdict.GOOD
    return Verdict.USABLE if value >= usable else Verdict.TOO_WEAK
