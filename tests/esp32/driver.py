"""The component's pure C++, compiled for this machine and asked line by line."""

import importlib.util
import struct
import subprocess
from pathlib import Path
from typing import Any, Final, Self

import yaml

from blupow_config.esp32 import EspUnit, register_package
from blupow_proxy.renogy import Family

HERE: Final = Path(__file__).parent
COMPONENT: Final = HERE.parents[1] / "firmware_config" / "esp32" / "components" / "renogy"
SOURCES: Final = ("frame.cpp", "decode.cpp", "plan.cpp", "unit.cpp", "session.cpp")
FLAGS: Final = (
    "-std=c++20",
    "-O1",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fsanitize=undefined,address",
    "-fno-sanitize-recover",
)
FAMILIES: Final = (Family.CONTROLLER, Family.DCC, Family.BATTERY, Family.INVERTER)
VARIANTS: Final = {Family.BATTERY: "legacy"}


def unit(family: Family, **options: Any) -> EspUnit:
    """Return a unit of a family at its universal address."""
    defaults = {
        "name": str(family),
        "address": "C4:D3:6A:00:00:01",
        "variant": VARIANTS.get(family),
        "cells": 16,
        "load_switch": True,
    }
    return EspUnit(id=str(family), family=family, **defaults | options)


def tables() -> Any:
    """Return the component's module that needs no ESPHome."""
    spec = importlib.util.spec_from_file_location("tables", COMPONENT / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hub(family: Family) -> dict[str, Any]:
    """Return the generated package's ``renogy`` block as ESPHome hands it over."""
    (block,) = yaml.safe_load(register_package(unit(family)))["renogy"]
    times = {"update_interval": 2000, "gap": int(block["gap"].removesuffix("ms")), "timeout": 2000}
    return block | times


def build(folder: Path) -> Path:
    """Compile the driver with the maps of all families."""
    lines = ["#include <map>", "#include <string>", '#include "registers.h"']
    lines += [tables().cpp_map(str(family), hub(family)) for family in FAMILIES]
    entries = ", ".join(f'{{"{family}", &{family}::MAP}}' for family in FAMILIES)
    lines.append(f"static const std::map<std::string, const esphome::renogy::Map *> MAPS{{{entries}}};")
    (folder / "maps.h").write_text("\n".join(lines) + "\n")
    program = folder / "driver"
    sources = [HERE / "driver.cpp", *(COMPONENT / name for name in SOURCES)]
    objects = [folder / f"{source.stem}.o" for source in sources]
    compilers = [
        subprocess.Popen(["g++", *FLAGS, f"-I{COMPONENT}", f"-I{folder}", "-c", str(source), "-o", str(target)])
        for source, target in zip(sources, objects, strict=True)
    ]
    assert [compiler.wait() for compiler in compilers] == [0] * len(compilers)
    subprocess.run(["g++", *FLAGS, *map(str, objects), "-o", str(program)], check=True)
    return program


class Driver:
    """A running driver for one family."""

    def __init__(self, program: Path, family: Family) -> None:
        self.blocks = hub(family)["blocks"]
        self.rows = [row["row"] for row in hub(family)["registers"]]
        self._process = subprocess.Popen(
            [program, str(family)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        assert self._process.returncode == 0

    def tell(self, *words: object) -> None:
        """Give a command that answers nothing."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")

    def ask(self, *words: object) -> str:
        """Give a command and return its answer."""
        assert self._process.stdout is not None
        self.tell(*words)
        answer = self._process.stdout.readline()
        assert answer, f"the driver ended at {words}"
        return answer.removesuffix("\n")

    def show(self, entity: dict[str, Any], kind: str) -> float | bool | str | None:
        """Return what an entity of the generated package shows."""
        row, other, item = self.place(entity.get("row")), -1, entity.get("item", 0) - 1
        how = {"sensor": "number", "binary_sensor": "on", "text_sensor": "text"}[kind]
        for relation in ("product", "share"):
            if relation in entity:
                how, (row, other) = relation, map(self.place, entity[relation])
        if "problem" in entity:
            how = "problem"
        answer = self.ask("show", how, row, other, item)
        if answer == "-":
            return None
        if kind == "binary_sensor":
            return answer == "on"
        return float(answer) if kind == "sensor" else answer

    def place(self, key: str | None) -> int:
        """Return the place of a row."""
        return 0 if key is None else self.rows.index(key)


def as_sent(value: Any) -> Any:
    """Return a state as it is on the wire, where numbers are of 32 bits."""
    return struct.unpack("<f", struct.pack("<f", value))[0] if isinstance(value, int | float) else value
