"""Which variables hold where: those of a file over those of the files that include it."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping

from .nodes import Node


class Scope:
    """Variables, and those around them. A ``resolver`` makes one that is not there yet when it is asked for."""

    def __init__(
        self,
        values: Mapping[str, Node],
        around: "Scope | None" = None,
        resolver: Callable[[str], Node | None] | None = None,
        pending: MutableMapping[str, Node] | None = None,
    ) -> None:
        self.values = values
        self.around = around
        self.resolver = resolver
        self.pending = pending or {}

    def find(self, name: str) -> Node | None:
        """Return a variable, None if there is none: one that is known anywhere comes before one to be made."""
        for scope in self._outwards():
            if name in scope.values:
                return scope.values[name]
        resolver = next((scope.resolver for scope in self._outwards() if scope.resolver is not None), None)
        return None if resolver is None else resolver(name)

    def names(self) -> set[str]:
        """Return the names of all variables."""
        return {name for scope in self._outwards() for name in (*scope.values, *scope.pending)}

    def _outwards(self) -> Iterator["Scope"]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.around
