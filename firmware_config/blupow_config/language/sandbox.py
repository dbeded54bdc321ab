"""Jinja within bounds: every step, call and result of an expression is counted; loaded when one is there."""

import math
from ast import literal_eval
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from itertools import islice
from typing import Any, Final

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.nativetypes import NativeCodeGenerator
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from .bounds import (
    MAX_WIDTH,
    TOO_LARGE,
    check_format,
    check_length,
    check_replacement,
    check_widths,
    size,
    widths,
)
from .expression import MISSING, ExpressionError, UndefinedNameError
from .limits import MAX_BITS, MAX_EXPRESSIONS, MAX_ITEMS, MAX_TEXT, Budget, TooMuchError

COMPILING: Final = 40  # times the work that handling a text is
MAX_PARTS: Final = 64  # nodes of lists in lists that a result may have

# What ESPHome's expressions have, less what is no configuration's business (random texts), makes no value (generators),
# or writes several times what it is given without a bound of its own.
_FILTERS: Final = frozenset({
    "abs", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape", "first", "float",
    "format", "groupby", "indent", "int", "items", "join", "last", "length", "list", "lower", "map", "max", "min",
    "reject", "rejectattr", "replace", "reverse", "round", "select", "selectattr", "slice", "sort", "string", "sum",
    "title", "tojson", "trim", "truncate", "unique", "upper", "urlencode", "wordcount",
})  # fmt: skip
_METHODS: Final[Mapping[type, frozenset[str]]] = {
    str: frozenset({
        "capitalize", "casefold", "center", "count", "endswith", "find", "index", "isalnum", "isalpha",
        "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "join", "ljust", "lower",
        "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition",
        "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper", "zfill",
    }),
    dict: frozenset(("get", "items", "keys", "values", "copy")),
    list: frozenset(("count", "index", "copy")),
    tuple: frozenset(("count", "index")),
    int: frozenset(("bit_length", "bit_count")),
    float: frozenset(("is_integer",)),
}  # fmt: skip
# with what operations, methods and filters fail that are given what they can't use
_FAILURES: Final = (
    jinja2.TemplateError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
_WHOLE: Final = frozenset((math.factorial, math.comb, math.perm))  # these grow like nothing else


class Sandbox:
    """Compiles and runs expressions."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._environment = _Environment(budget)
        self._compiled: dict[str, jinja2.Template] = {}

    def evaluate(self, text: str, find: Callable[[str], Any]) -> Any:
        """Return the value of a text in plain types; ExpressionError if it has none."""
        missed: list[str] = []

        def find_or_note(name: str) -> Any:
            value = find(name)
            if value is MISSING:
                missed.append(name)
            return value

        with _plain_errors(missed):
            context = _Context(self._environment, self._environment.globals, None, {})
            context.find = find_or_note
            value = self._environment.concat(self._template(text).root_render_func(context))
            if isinstance(value, jinja2.Undefined):
                str(value)
        return self._plain(value, missed)

    def _template(self, text: str) -> jinja2.Template:
        """Return a text compiled, once."""
        template = self._compiled.get(text)
        if template is None:
            if len(self._compiled) >= MAX_EXPRESSIONS:
                raise TooMuchError(f"has more than {MAX_EXPRESSIONS:,} different expressions")
            self._budget.work(len(text) * COMPILING)
            template = self._compiled[text] = self._environment.from_string(text)
        return template

    def _plain(self, value: Any, missed: list[str], depth: int = 0) -> Any:
        """Return a result in the types that YAML has; ExpressionError if it has others."""
        if isinstance(value, str):
            return str(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth > MAX_PARTS:
            raise ExpressionError("is nested too deeply")
        if isinstance(value, list | tuple):
            return [self._plain(item, missed, depth + 1) for item in value]
        if isinstance(value, dict):
            return {key: self._plain(item, missed, depth + 1) for key, item in value.items()}
        if isinstance(value, jinja2.Undefined):
            raise UndefinedNameError(missed[0] if missed else None, "")
        raise ExpressionError("makes no value that YAML has: write `| list` after a filter that makes several")


@contextmanager
def _plain_errors(missed: list[str]) -> Iterator[None]:
    """Raise what an expression fails with as ExpressionError."""
    try:
        yield
    except (TooMuchError, ExpressionError):
        raise
    except jinja2.UndefinedError as error:
        name = next((name for name in missed if f"'{name}' is undefined" == str(error)), None)
        raise UndefinedNameError(name, str(error)) from None
    except jinja2.TemplateSyntaxError as error:
        raise ExpressionError("can't be read", str(error.message or "")) from None
    except (RecursionError, MemoryError):
        raise ExpressionError("is nested too deeply") from None
    except SecurityError as error:
        raise ExpressionError("is not allowed", str(error)) from None
    except _FAILURES as error:
        raise ExpressionError("can't be computed", str(error) or type(error).__name__) from None


class _Context(Context):
    find: Callable[[str], Any]

    def resolve_or_missing(self, key: str) -> Any:
        value = self.find(key)
        return super().resolve_or_missing(key) if value is MISSING else value


class _Bounded(NodeTransformer):
    """Counts what the compiled code would do without asking: rounds of loops, calls of macros, texts put together."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - the library's name
        node.iter = _own("counted", node.iter)
        return self._with_step(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802
        return self._with_step(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:  # noqa: N802
        return self._with_step(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _own("joined", *node.nodes)

    def _with_step[T: (nodes.For, nodes.Macro, nodes.CallBlock)](self, node: T) -> T:
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_own("step")))
        return node


def _own(name: str, *arguments: Any) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), list(arguments), [], None, None)


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja with ESPHome's delimiters and results, counted."""

    code_generator_class = NativeCodeGenerator
    context_class = _Context
    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self, budget: Budget) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            block_start_string="<%",
            block_end_string="%>",
            line_statement_prefix="#",
            line_comment_prefix="##",
            variable_start_string="${",
            variable_end_string="}",
            undefined=jinja2.StrictUndefined,
            extensions=["jinja2.ext.do"],
            cache_size=0,
            optimized=False,  # or else what fails is tried again for each expression around it
        )
        self._budget = budget
        known = {"range": self.range, "dict": dict, "namespace": self.globals["namespace"]}
        self.globals = {**known, "math": math, "ord": ord, "chr": chr, "len": len}
        self.filters = {name: self._counted_filter(self.filters[name]) for name in _FILTERS}

    def concat(self, parts: Iterable[Any]) -> Any:
        """Return a template's result: a single value as it is, else the text, or what Python's literals it is."""
        found: list[Any] = []
        for part in parts:
            self._budget.work(1)
            found.append(part)
        if not found:
            return None
        if len(found) == 1 and not isinstance(found[0], str):
            return self.bounded(found[0])
        text = self.joined(*found)
        try:
            value = literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, TypeError, RecursionError):
            return text
        return text if isinstance(value, set | str) else self.bounded(value)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = super()._parse(source, name, filename)
        _Bounded().visit(template)
        return template

    def range(self, *arguments: int) -> range:
        """Return Python's range, if that is a short one."""
        numbers = range(*arguments)
        if len(numbers) > MAX_ITEMS:
            raise ExpressionError(f"a range may have {MAX_ITEMS:,} numbers at most")
        return numbers

    def step(self) -> str:
        """Count a round of a loop."""
        self._budget.work(10)
        return ""

    def counted(self, values: Iterable[Any]) -> Iterable[Any]:
        """Return what a loop goes through, if that is not endless."""
        if isinstance(values, Iterator):
            return islice(values, MAX_ITEMS)
        return values

    def joined(self, *parts: Any) -> str:
        """Return the parts as one text."""
        texts = [part if isinstance(part, str) else str(self.bounded(part)) for part in parts]
        self.bounded(texts)
        return "".join(texts)

    def bounded(self, value: Any) -> Any:
        """Return a value that is not too large, and count it."""
        if isinstance(value, Iterator):
            return value  # which makes its values when they are asked for
        self._budget.work(1 + size(value))
        return value

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow the attributes of namespaces and modules, and methods that make a bounded result."""
        if not super().is_safe_attribute(obj, attr, value):
            return False
        kind = next((kind for kind in _METHODS if isinstance(obj, kind)), None)
        return kind is None or attr in _METHODS[kind]

    def wrap_str_format(self, value: Any) -> None:
        """Allow no str.format, whose results have no bound; `%` has the same use."""

    def call(self, context: Context, called: Any, /, *arguments: Any, **named: Any) -> Any:
        """Call what is allowed, with arguments and for a result of bounded size."""
        given = [*arguments, *named.values()]
        owner = getattr(called, "__self__", None)
        if called in (self.step, self.counted, self.joined):
            return called(*arguments)
        self._budget.work(20)
        for value in given:
            self.bounded(value)
        if isinstance(owner, str):
            self.bounded(owner)
            self._check_text_method(owner, getattr(called, "__name__", ""), given)
        elif getattr(called, "__module__", "") == "math":
            self._check_whole_numbers(called, given)
        return self.bounded(super().call(context, called, *arguments, **named))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate, unless the result would be too large."""
        self._budget.work(5)
        if operator in ("*", "**") and isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length() * right if operator == "**" else left.bit_length() + right.bit_length()
            if bits > MAX_BITS:
                raise ExpressionError("the number is too large")
        elif operator == "*" and (isinstance(left, str | list | tuple) or isinstance(right, str | list | tuple)):
            many, times = (left, right) if isinstance(right, int) else (right, left)
            if isinstance(times, int) and size(many) * max(times, 0) > MAX_TEXT:
                raise ExpressionError(TOO_LARGE)
        elif operator == "%" and isinstance(left, str):
            check_format(left)
        elif operator == "+":
            self.bounded(left)
            self.bounded(right)
        return self.bounded(super().call_binop(context, operator, left, right))

    def _check_text_method(self, text: str, name: str, given: list[Any]) -> None:
        if name == "format":  # the filter: `'%03d' | format(number)`
            check_format(text)
        check_widths(given)
        if name == "replace" and len(given) > 1 and all(isinstance(value, str) for value in given[:2]):
            check_replacement(text, given[0], given[1])
        if name == "join" and given and isinstance(given[0], list | tuple):
            check_length(len(text) * len(given[0]) + size(given[0]))

    def _check_whole_numbers(self, called: Any, given: list[Any]) -> None:
        numbers = [number for value in given for number in (value if isinstance(value, list | tuple) else [value])]
        whole = [number for number in numbers if isinstance(number, int)]
        if called in _WHOLE and any(number > MAX_WIDTH for number in whole):
            raise ExpressionError("the number is too large")
        if sum(number.bit_length() for number in whole) > MAX_BITS:
            raise ExpressionError("the number is too large")

    def _counted_filter(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a filter whose arguments and result are bounded."""

        @wraps(function)  # with the marks by which Jinja knows what to pass
        def counted(*arguments: Any, **named: Any) -> Any:
            self._budget.work(20)
            given = [
                value for value in (*arguments, *named.values())
                if not isinstance(value, Context | jinja2.Environment | nodes.EvalContext)
            ]  # fmt: skip
            for value in given:
                self.bounded(value)
            if given and isinstance(given[0], str):
                name = function.__name__.removeprefix("do_")
                self._check_text_method(given[0], name, given[1:])
                if name == "indent":
                    check_length(len(given[0]) + given[0].count("\n") * max([0, *widths(given[1:])]))
            elif function.__name__.removeprefix("sync_").removeprefix("do_") == "join" and len(given) > 1:
                check_length(size(given[0]) * (1 + len(str(given[1]))))
            else:
                check_widths(given[1:])
            return self.bounded(function(*arguments, **named))

        return counted
