"""What a schema is made of: each part reads a value, and has JSON Schema and a name for users."""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from probatio import Invalid, MultipleInvalid, Schema
from probatio.markers import Undefined

from blupow_config.language import problems
from blupow_config.language.secret import Secret

# What stands for another value is a text to an editor: it may become anything.
EXPRESSION: Final = {"type": "string", "pattern": r"\$(\{|[a-zA-Z_])"}

type Json = dict[str, Any]
type Options = dict[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Field[T]:
    """A single value: ``read`` returns it as it is used or raises Invalid; ``kind`` is what it is called."""

    read: Callable[[Any], T]
    json: Json | Callable[[], Json]
    kind: str

    def __call__(self, value: Any) -> T:
        """Return ``value`` as it is used; Invalid says what to write instead."""
        return self.read(value)


class Block:
    """Options below a key; ``bare`` blocks may have none, JSON Schema has ``shared`` ones once, by that name.

    ``about`` says what a platform is.
    """

    def __init__(self, options: Options, *, bare: bool = True, shared: str | None = None, about: str = "") -> None:
        self.options = options
        self.about = about
        self.bare = bare
        self.shared = shared
        self._schema = Schema(options)

    def __call__(self, value: Any) -> Any:
        """Return the options with their defaults; MultipleInvalid holds every mistake."""
        return self._schema({} if value is None and self.bare else value)

    def json_schema(self) -> Json:
        """Return the block as JSON Schema, or where it is."""
        return self.definition() if self.shared is None else {"$ref": f"#/$defs/{self.shared}"}

    def definition(self) -> Json:
        """Return the block as JSON Schema."""
        schema = json_schema(self._schema)
        return {"anyOf": [schema, {"type": "null"}]} if self.bare else schema


class Platforms:
    """Options that depend on ``platform``."""

    def __init__(self, cases: Mapping[str, Block]) -> None:
        self.cases = cases

    def __call__(self, value: Any) -> dict[str, Any]:
        """Return the platform's options, and ``platform`` with them."""
        if not isinstance(value, dict):
            raise Invalid("expected options below it, indented")
        if "platform" not in value:
            raise Invalid("is required", path=["platform"])
        platform = value["platform"]
        if not isinstance(platform, str) or platform not in self.cases:
            message = f"expected one of {', '.join(self.cases)}{did_you_mean(platform, self.cases)}"
            raise Invalid(message, path=["platform"])
        content = self.cases[platform]({key: option for key, option in value.items() if key != "platform"})
        return {"platform": platform, **content}

    def json_schema(self) -> Json:
        """Return what each platform allows as JSON Schema."""
        names = {"type": "string", "enum": list(self.cases), "description": "What provides it."}
        rules = []
        for name, case in self.cases.items():
            then = json_schema(Schema(case.options))
            then["properties"] = {"platform": {"const": name, "description": case.about}, **then["properties"]}
            rules.append({"if": {"properties": {"platform": {"const": name}}}, "then": then})
        return {"type": "object", "required": ["platform"], "properties": {"platform": names}, "allOf": rules}


class List:
    """Several of ``item``, each of which starts with the option ``first``."""

    def __init__(self, item: Block | Field[Any] | Platforms, first: str) -> None:
        self.item = item
        self.first = first
        self._schema = Schema([item])

    def __call__(self, value: Any) -> list[Any]:
        """Return the items; MultipleInvalid holds every mistake."""
        if value is not None and not isinstance(value, list):
            raise Invalid(f"expected a list: start each entry with `- {self.first}:`")
        return list(self._schema(value or []))

    def json_schema(self) -> Json:
        """Return the list as JSON Schema."""
        return {"anyOf": [{"type": "array", "items": json_schema(self.item)}, {"type": "null"}]}


def json_schema(schema: Any) -> Json:
    """Return a part of the schema as JSON Schema."""
    from probatio.codecs import UNSUPPORTED, to_json_schema  # noqa: PLC0415 - only editors need it, and it is large

    def own_form(node: Any) -> Any:
        if isinstance(node, Field):
            return _form(node)
        return node.json_schema() if isinstance(node, Block | List | Platforms) else UNSUPPORTED

    converted: Json = to_json_schema(schema, strict=True, custom_serializer=own_form)
    return converted


def with_defaults(part: Any, given: Any) -> Any:
    """Return well-formed content as it was given, and the defaults of what was left out."""
    match part:
        case Block():
            content = {} if given is None else dict(given)
            complete: dict[str, Any] = {}
            for marker, inner in part.options.items():
                option = marker.schema
                if option in content:
                    complete[option] = with_defaults(inner, content[option])
                elif not isinstance(marker.default, Undefined):
                    complete[option] = with_defaults(inner, marker.default())
            return complete
        case List():
            return [with_defaults(part.item, item) for item in given or ()]
        case Platforms():
            options = {option: value for option, value in given.items() if option != "platform"}
            return {"platform": given["platform"], **with_defaults(part.cases[given["platform"]], options)}
        case _:
            return deepcopy(given)


def did_you_mean(given: Any, choices: Iterable[str]) -> str:
    """Return a hint at the choice that is nearest to what was given; nothing of a secret."""
    if not isinstance(given, str) or isinstance(given, Secret):
        return ""
    return problems.did_you_mean(given.strip(), [choice for choice in choices if not isinstance(choice, Secret)])


def steps(error: Invalid) -> list[Any]:
    """Return the path of a mistake in plain steps."""
    return [getattr(step, "schema", step) for step in error.path]


def read_or_none(part: Callable[[Any], Any], value: Any) -> Any:
    """Return ``value`` as it is used; None if it is not well formed."""
    try:
        return part(value)
    except (Invalid, MultipleInvalid):
        return None


def _form(field: Field[Any]) -> Json:
    """Return what may stand where ``field`` reads."""
    json = field.json() if callable(field.json) else field.json
    hint = {"patternErrorMessage": f"Expected {field.kind}."}  # yaml-language-server's own word
    forms = [form | hint if "pattern" in form else form for form in json.get("anyOf", [json])]
    return {"anyOf": [*forms, EXPRESSION]}
