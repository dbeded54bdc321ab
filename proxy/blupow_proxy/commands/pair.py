"""``pair``: let a client set the key again."""

import argparse
import os
import sys
from pathlib import Path

from blupow_proxy.keys import PROVISIONING_S, forget_key, request_pairing
from blupow_proxy.storage import Storage, default_folder

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``pair`` and its options."""
    parser = subparsers.add_parser(
        "pair",
        help="let Home Assistant set the key",
        description="Let the first client that comes within 10 minutes set the encryption key of a running proxy.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the YAML file that the proxy runs with")
    parser.add_argument("--state-dir", type=Path, help="as given to `run`")
    parser.add_argument("--forget", action="store_true", help="forget the key that a client has set before")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask the proxy; 77 when its folder is not ours to write to."""
    storage = Storage(args.state_dir or default_folder(args.file.stem))
    if (args.forget and not forget_key(storage)) or not request_pairing(storage):
        print(
            f"blupow-proxy pair: can't write to {storage.folder}: run it as the user that the proxy runs as",
            file=sys.stderr,
        )
        return os.EX_NOPERM
    print(f"A client may set the key within the next {PROVISIONING_S / 60:g} minutes.")
    return os.EX_OK
