"""What a device says at one instant, ready to be shown."""

from dataclasses import dataclass

type Raw = int | float | bool | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One entity: ``value`` rounded to its accuracy, ``text`` as users read it, without the unit."""

    device: str
    name: str
    key: str
    kind: str
    value: Raw
    text: str
    unit: str = ""
    device_class: str = ""
    category: str = ""
    disabled: bool = False

    @property
    def missing(self) -> bool:
        """Whether there is no value."""
        return self.value is None

    @property
    def shown(self) -> str:
        """The value with its unit."""
        return self.text if self.missing else f"{self.text} {self.unit}".rstrip()

    @property
    def line(self) -> str:
        """The row as one line of plain text."""
        return f"{self.device} / {self.name} = {self.shown}"


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one device."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A device with everything it last said; ``groups`` are its sub-devices, then itself."""

    name: str
    friendly_name: str
    api_version: str
    encrypted: bool
    connected: bool
    groups: tuple[Group, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows."""
        return tuple(row for group in self.groups for row in group.rows)

    def to_json(self) -> dict[str, object]:
        """Return the snapshot as a JSON document."""
        return {
            "name": self.name,
            "friendly_name": self.friendly_name,
            "api_version": self.api_version,
            "encrypted": self.encrypted,
            "devices": [
                {
                    "name": group.name,
                    "entities": [
                        {"name": row.name, "key": row.key, "kind": row.kind, "value": row.value, "unit": row.unit}
                        for row in group.rows
                    ],
                }
                for group in self.groups
            ],
            "entities_with_values": sum(not row.missing for row in self.rows),
        }
