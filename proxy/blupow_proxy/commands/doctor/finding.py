"""What a check has found."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a finding is meant; only what is wrong makes the command fail."""

    FINE = "fine"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about ``subject``; what is not fine names its remedy."""

    verdict: Verdict
    subject: str
    message: str


def fine(subject: str, message: str) -> Finding:
    """Return that all is well."""
    return Finding(Verdict.FINE, subject, message)


def note(subject: str, message: str) -> Finding:
    """Return what is worth knowing, and may be as it is."""
    return Finding(Verdict.NOTE, subject, message)


def wrong(subject: str, message: str) -> Finding:
    """Return what keeps the proxy from its work, and the remedy."""
    return Finding(Verdict.WRONG, subject, message)
