"""How this program is called, for what a user is told to type."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

_PROGRAM: Final = "blupow-proxy"


def program() -> str:
    """Return how this program is called from a shell."""
    given = Path(sys.argv[0])
    if given.name != _PROGRAM:
        return f"{shlex.quote(sys.executable)} -m blupow_proxy"
    return _PROGRAM if shutil.which(_PROGRAM) == str(given) else shlex.quote(str(given))


def program_as_root() -> str:
    """Return how root calls this program: by sudo, which knows fewer folders, unless root is logged in itself."""
    if os.geteuid() == 0 and "SUDO_UID" not in os.environ:
        return program()
    given = Path(sys.argv[0])
    return f"sudo {shlex.quote(str(given.absolute())) if given.name == _PROGRAM else program()}"
