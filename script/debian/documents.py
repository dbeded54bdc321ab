"""What a Debian package says of itself: manual page, changelog, copyright."""

import argparse
import re
from email.message import Message
from email.parser import HeaderParser
from email.utils import formatdate
from pathlib import Path
from typing import Final

from blupow_proxy.cli import build_parser
from blupow_proxy.host import service

HOMEPAGE: Final = "https://github.com/blupow/blupow"
MAINTAINER: Final = "BluPow <blupow@users.noreply.github.com>"

_LICENCE_FILE: Final = re.compile(r"(?i)(licen[cs]e|copying|notice|authors|third_party)")
_HEAD: Final = f"""Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: BluPow
Source: {HOMEPAGE}"""
_OURS: Final = """Files: *
Copyright: the BluPow contributors
License: Apache-2.0
 On Debian systems, the text is in /usr/share/common-licenses/Apache-2.0."""
_OSI: Final = "License :: OSI Approved :: "


def commands() -> dict[str, str]:
    """Return the commands of the program, and what each is for."""
    (listed,) = [
        action
        for action in build_parser()._actions  # noqa: SLF001 - argparse has no public way
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    ]
    return {choice.dest: str(choice.help) for choice in listed._choices_actions}  # noqa: SLF001


def changelog(version: str, epoch_s: int) -> str:
    """Return Debian's changelog, which points to the project's."""
    return (
        f"{service.NAME} ({version}) trixie; urgency=medium\n\n"
        f"  * What has changed: {HOMEPAGE}/blob/main/CHANGELOG.md\n\n"
        f" -- {MAINTAINER}  {formatdate(epoch_s)}\n"
    )


def manual(version: str, epoch_s: int) -> str:
    """Return the manual page; its commands are those that the program itself lists."""
    lines = [
        f'.TH BLUPOW\\-PROXY 1 "{formatdate(epoch_s)[5:16]}" "{service.NAME} {version}"',
        ".SH NAME",
        f"{_roff(service.NAME)} \\- Renogy power gear as an ESPHome device",
        ".SH SYNOPSIS",
        f".B {_roff(service.NAME)}",
        ".I COMMAND",
        "[...]",
        ".SH DESCRIPTION",
        "Reads Renogy power gear over Bluetooth LE and serves it as an ESPHome device.",
        "Each command explains itself with",
        r".BR \-\-help .",
        ".SH COMMANDS",
    ]
    for name, what in commands().items():
        lines += [".TP", f".B {_roff(name)}", _roff(what)]
    lines += [
        ".SH FILES",
        *(".TP", f".I {service.CONFIG}", "the configuration of the service"),
        *(".TP", f".I {_roff(str(service.STATE))}", "its key and what it has learned"),
        ".SH EXIT STATUS",
        "That of sysexits.h; 78 is a mistake in the configuration.",
        ".SH SEE ALSO",
        ".BR systemctl (1),",
        ".BR journalctl (1),",
        HOMEPAGE,
    ]
    return "\n".join(lines) + "\n"


def copyright_file(modules: Path, installed: Path) -> str:
    """Return the licence of the project, and of each library in ``modules``, which are in ``installed`` later."""
    paragraphs = [_HEAD, _OURS]
    for information in sorted(modules.glob("*.dist-info")):
        metadata = HeaderParser().parsestr((information / "METADATA").read_text())
        name, version = metadata["Name"], metadata["Version"]
        if name == service.NAME:
            continue
        texts = sorted(path for path in information.rglob("*") if path.is_file() and _LICENCE_FILE.match(path.name))
        files = sorted(f"{installed / path}" for path in _top(modules, information))
        paragraphs.append(
            f"Files: {' '.join(files)}\n"
            f"Copyright: the authors of {name}, who are named in what follows\n"
            f"License: {_licence(metadata)}\n"
            + "".join(f" The text is in {installed / path.relative_to(modules)}\n" for path in texts)
            + f" Its source is that of {name} {version} in the Python Package Index."
        )
    return "\n\n".join(paragraphs) + "\n"


def _top(modules: Path, information: Path) -> set[str]:
    """Return what a library has put into ``modules``, by the record that its wheel has left."""
    lines = (information / "RECORD").read_text().splitlines()
    found = {line.split(",")[0].strip('"').split("/")[0] for line in lines}
    return {f"{name}*" if (modules / name).is_dir() else name for name in found if (modules / name).exists()}


def _licence(metadata: Message) -> str:
    """Return the licence that a library declares, in any of three ways."""
    short = metadata["License-Expression"] or metadata["License"]
    if not short:
        classifiers = metadata.get_all("Classifier", [])
        short = " or ".join(it.removeprefix(_OSI) for it in classifiers if it.startswith(_OSI))
    return " ".join(str(short).split("\n")[0].split()) or "unknown"


def _roff(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")
