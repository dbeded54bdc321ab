"""What a command says of why it ends."""

import sys


def complain(command: str, message: str, code: int) -> int:
    """Say on stderr why ``command`` ends, and return the exit ``code``."""
    print(f"blupow-proxy {command}: {message}", file=sys.stderr)
    return code
