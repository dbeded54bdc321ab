"""``pair``: let a client set the key again."""

import argparse
import os
from functools import partial
from pathlib import Path
from typing import Final

from blupow_config import ProxyConfig, load_config
from blupow_proxy.commands.complaint import complain
from blupow_proxy.commands.config import add_substitutions
from blupow_proxy.commands.program import program_as_root
from blupow_proxy.errors import ProxyError
from blupow_proxy.host import service
from blupow_proxy.storage import Storage

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_complain: Final = partial(complain, "pair")

_STARTED: Final = "identity.json"  # a proxy writes it at its first start


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``pair`` and its options."""
    parser = subparsers.add_parser(
        "pair",
        help="let Home Assistant set the key",
        description="Let the first client that comes within 10 minutes set the encryption key of a running proxy.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the YAML file that the proxy runs with")
    add_substitutions(parser)
    parser.add_argument("--state-dir", type=Path, help="as given to `run`")
    parser.add_argument("--forget", action="store_true", help="forget the key that a client has set before")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask the proxy; 78 its configuration rules it out, 69 no proxy, 77 not its user, 64 paired already, 74 no room."""
    from blupow_proxy.keys import (  # noqa: PLC0415 - no other command but `run` needs what it brings
        PROVISIONING_S,
        FileKeyStore,
        forget_key,
        request_pairing,
    )

    config = load_config(args.file, dict(args.substitutions))
    try:
        storage = Storage(args.state_dir or service.state_folder(args.file, config.esphome.name))
    except ProxyError as error:
        return _complain(str(error), os.EX_CONFIG)
    code = _precluded(config, args.file) or _unreachable(storage)
    if code:
        return code
    keys = FileKeyStore(storage, encryption=True, configured=None)
    if keys.damaged and not args.forget:
        return _complain("the stored key is damaged: with --forget, a client may set a new one", os.EX_USAGE)
    if keys.key is not None and not args.forget:
        return _complain("this proxy is paired already; with --forget, it forgets that key for a new one", os.EX_USAGE)
    # asked before the key goes: on a full disk, nothing has happened then
    if not request_pairing(storage) or (args.forget and not forget_key(storage)):
        return _not_ours(storage)
    # and again: the proxy may have looked before the key was gone
    if args.forget and not request_pairing(storage):
        return _complain(
            f"the key is forgotten, but {storage.folder} takes no file that would tell the proxy: restart it, "
            f"and a client may set the key within {PROVISIONING_S / 60:g} minutes",
            os.EX_IOERR,
        )
    print(f"A client may set the key within the next {PROVISIONING_S / 60:g} minutes.")
    if args.state_dir is None and storage.folder != service.STATE and service.is_installed():
        forget = " --forget" if args.forget else ""
        print(
            f"That is a proxy that runs with {args.file}. The service does not: of it, "
            f"{program_as_root()} pair{forget} {service.CONFIG}"
        )
    return os.EX_OK


def _precluded(config: ProxyConfig, file: Path) -> int:
    """Return 78 when no client may set the key of a proxy that runs with ``config``; else 0."""
    if not config.api.encryption:
        return _complain(f"there is no key to set: {file} has `encryption: false`; remove that first", os.EX_CONFIG)
    if config.api.key is not None:
        return _complain(
            f"the key is in {file}: give that one to Home Assistant, "
            "or remove `key` and restart the proxy to have Home Assistant set one",
            os.EX_CONFIG,
        )
    return os.EX_OK


def _unreachable(storage: Storage) -> int:
    """Return 69 when no proxy has ever run with ``storage``, 77 when that is not ours to see; else 0."""
    try:
        (storage.folder / _STARTED).stat()
    except PermissionError:
        return _not_ours(storage)
    except OSError:
        return _complain(
            f"no proxy has run with its state in {storage.folder}: start it first, "
            "or name its folder with --state-dir (the service's configuration, in /etc, needs none)",
            os.EX_UNAVAILABLE,
        )
    return os.EX_OK


def _not_ours(storage: Storage) -> int:
    return _complain(
        f"can't write to {storage.folder}: run it as the user that the proxy runs as, or with sudo", os.EX_NOPERM
    )
