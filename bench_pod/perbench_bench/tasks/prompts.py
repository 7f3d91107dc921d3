"""Prompt templates: the part of Jinja that can only shorten, join and choose text.

A template belongs to a user of the cluster and is rendered in a bench pod, so it runs in Jinja's sandbox and may
use nothing that repeats or computes: no loops, calls, attributes, arithmetic, assignments or imports. What is left
(text, columns, filters of `FILTERS`, `~`, comparisons, `if`) needs time and space in proportion to the template and
its columns, so no limit on time is needed.
"""

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from perbench.failures import UsageError

PROMPT_LIMIT = 1_048_576
"""Characters of a rendered prompt."""

FILTERS = ("capitalize", "default", "first", "last", "length", "lower", "replace", "title", "trim", "truncate", "upper")
"""Filters a template may use, with Jinja's meaning."""

FILTER_LIMIT = 64
"""Filters in one template: each can cost a pass over a long text."""

TESTS = ("defined", "undefined", "in", "eq", "ne")
"""Tests a template may use after `is`."""

_NODES: tuple[type[nodes.Node], ...] = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.Concat,
    nodes.Filter,
    nodes.Keyword,
    nodes.Test,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.If,
    nodes.CondExpr,
)
_REFUSED: dict[type[nodes.Node], str] = {
    nodes.For: "a loop",
    nodes.Call: "a call",
    nodes.Getattr: "an attribute",
    nodes.Getitem: "an index",
    nodes.Assign: "an assignment",
    nodes.BinExpr: "arithmetic",
    nodes.UnaryExpr: "arithmetic",
}
"""Plain words for what people try; everything else is called by Jinja's own name of it."""


class PromptTemplate:
    """A compiled, checked template. `where` begins every error: it names the task."""

    def __init__(self, source: str, where: str) -> None:
        """Raises UsageError: a syntax error, or something that is not allowed in a prompt."""
        self._where = where
        environment = _environment()
        try:
            tree = environment.parse(source)
            self.columns = _check(tree, where)
            self._template = environment.from_string(tree)
        except TemplateSyntaxError as error:
            raise UsageError(f"{where}: line {error.lineno} of the prompt: {error.message}") from None
        except (RecursionError, MemoryError, SyntaxError):  # Python's own, of the code Jinja writes
            raise UsageError(f"{where}: the prompt is nested too deeply; write it flatter") from None

    def render(self, columns: Mapping[str, str], item: str) -> str:
        """The prompt of one item. `item` names it in errors. Raises UsageError, never another error."""
        where = f"{self._where}: {item}"
        try:
            prompt = self._template.render(columns)
        except UndefinedError as error:
            raise UsageError(f"{where}: the prompt uses {_unknown(error, self.columns, columns)}") from None
        except _TooLongError:
            raise UsageError(f"{where}: a text in the prompt exceeds {PROMPT_LIMIT} characters; shorten it") from None
        except (TemplateError, TypeError, ValueError, AttributeError, AssertionError, RecursionError) as error:
            raise UsageError(f"{where}: the prompt cannot be rendered: {error}; check its filters") from None
        if len(prompt) > PROMPT_LIMIT:
            raise UsageError(f"{where}: the prompt has {len(prompt)} characters, at most {PROMPT_LIMIT} are allowed")
        if not prompt.strip():
            raise UsageError(f"{where}: the prompt is empty; use a column in it, such as {{{{ input }}}}")
        return prompt


class _TooLongError(Exception):
    """A filter's result exceeds the limit."""


def _environment() -> ImmutableSandboxedEnvironment:
    # A prompt is plain text: escaping would send "&amp;" to the model.
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    environment.filters["replace"] = _replace
    environment.tests = {name: environment.tests[name] for name in TESTS}
    return environment


def _replace(text: str, old: str, new: str) -> str:
    """Jinja's filter, refused before it makes a text too long (each of a chain could double it)."""
    if len(text) + text.count(old) * (len(new) - len(old)) > PROMPT_LIMIT:
        raise _TooLongError
    return text.replace(old, new)


def _check(tree: nodes.Template, where: str) -> tuple[str, ...]:
    """Refuse every node that is not allowed; return the columns named, in order."""
    columns: dict[str, None] = {}
    filters = sum(1 for _ in tree.find_all(nodes.Filter))
    if filters > FILTER_LIMIT:
        raise UsageError(f"{where}: the prompt has {filters} filters, at most {FILTER_LIMIT} are allowed")
    todo: list[nodes.Node] = [tree]
    while todo:
        node = todo.pop()
        place = f"{where}: line {node.lineno} of the prompt"
        if not isinstance(node, _NODES):
            what = next((said for kind, said in _REFUSED.items() if isinstance(node, kind)), type(node).__name__)
            raise UsageError(
                f"{place} has {what}; allowed are columns, `if`, `~`, comparisons and the filters {', '.join(FILTERS)}"
            )
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            raise UsageError(f"{place} uses the unknown filter {node.name!r}; {_nearest(node.name, FILTERS)}")
        if isinstance(node, nodes.Test) and node.name not in TESTS:
            raise UsageError(f"{place} uses the unknown test {node.name!r}; {_nearest(node.name, TESTS)}")
        if isinstance(node, nodes.Name):
            if node.name == "self":
                raise UsageError(f"{place} uses `self`, which is Jinja's own; rename the column")
            columns[node.name] = None
        todo.extend(reversed(list(node.iter_child_nodes())))
    return tuple(columns)


def _unknown(error: UndefinedError, used: tuple[str, ...], columns: Mapping[str, str]) -> str:
    """What was not there, with the nearest name that is."""
    name = next((name for name in used if name not in columns and repr(name) in str(error.message)), None)
    if name is None:
        return f"a value that is not there: {error.message}"
    return f"the unknown column {name!r}; {_nearest(name, columns)}"


def _nearest(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there is {', '.join(known)}"
