"""The machine around the proxy: its clock, the service, and the folder for what is learned."""

import os
import stat
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from blupow_proxy.clock import SYNCHRONISED
from blupow_proxy.commands.program import program_as_root
from blupow_proxy.host import service

from .finding import Finding, fine, note, wrong

_TOOL_S: Final = 5.0  # they answer at once, or the bus is stuck
_LOG: Final = f"`journalctl -u {service.NAME} -n 20` says more"

type Tool = Callable[..., str | None]


def output_of(*command: str) -> str | None:
    """Return what a tool prints; None where it is missing or fails."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TOOL_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip()


def check_clock(synchronised: Path = SYNCHRONISED, tool: Tool = output_of) -> Finding:
    """Tell whether a time server sets the clock."""
    said = tool("timedatectl", "show", "--property=NTPSynchronized", "--value")
    if synchronised.exists() or said == "yes":
        return fine("clock", "a time server sets it")
    if said is None:
        return note("clock", "who sets it can't be told here; while it is wrong, the proxy uses Home Assistant's")
    return note("clock", "no time server sets it (`timedatectl`); while it is wrong, the proxy uses Home Assistant's")


def check_service(tool: Tool = output_of, config: Path = service.CONFIG) -> Finding:
    """Tell whether the service is installed and runs, and what it said last."""
    properties = "LoadState,ActiveState,Result,StatusText,NRestarts"
    said = tool("systemctl", "show", service.NAME, f"--property={properties}")
    if said is None:
        return note("service", "this machine is not run by systemd: start `blupow-proxy run FILE` in your own way")
    state = dict(line.partition("=")[::2] for line in said.splitlines())
    install = f"`{program_as_root()} install-service FILE`"
    if state.get("LoadState") == "not-found":
        return note("service", f"is not installed: {install} keeps the proxy running")
    if state.get("ActiveState") == "inactive" and not config.exists():
        return note("service", f"has no configuration yet: {install} starts it with one")
    return _service_finding(state)


def _service_finding(state: Mapping[str, str]) -> Finding:
    status = state.get("StatusText", "")
    restarts = int(state.get("NRestarts", "") or 0)
    often = f", started anew {restarts} times" if restarts else ""
    match state.get("ActiveState"):
        case "active" | "reloading":
            return fine("service", f"runs{often}: {status}" if status else f"runs{often}")
        case "inactive":
            return wrong("service", f"does not run: sudo systemctl start {service.NAME}")
        case _:
            reason = status or state.get("Result") or "unknown"
            return wrong("service", f"does not run{often}: {reason}; {_LOG}")


def check_state(folder: Path) -> Finding:
    """Tell whether the key and what is learned can be kept in ``folder``, and nobody else can read it."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except PermissionError:
        if folder == service.STATE:
            return note("state", f"only root can look into {folder}: run `{program_as_root()} doctor {service.CONFIG}`")
        return wrong("state", f"{folder} can't be written to: give it to the user that the proxy runs as (chown)")
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        return wrong("state", f"{folder} can't be written to ({reason}): keys and units are forgotten at each end")
    open_files = [path for path in folder.glob("*.json") if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    if open_files:
        return wrong("state", f"others can read the key: chmod 600 {' '.join(map(str, open_files))}")
    return fine("state", f"is kept in {folder}")
