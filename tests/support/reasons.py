"""Every reason that the code gives: read off the calls that make failures, findings, refusals and conditions."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("perbench", "bench_pod/perbench_bench", "operator/perbench_operator")
MAKERS: Mapping[str, tuple[str, int | None]] = {
    "Failure": ("reason", None), "Finding": ("code", None), "Refused": ("reason", 0), "Condition": ("reason", 2),
    "_Outcome": ("reason", 0), "Judgement": ("reason", 1), "NoBaseline": ("reason", 0),
}  # fmt: skip
"""What takes a reason: the keyword, and the position."""
REASON = re.compile(r"[A-Z][a-z]+[A-Za-z]*")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Given:
    """A reason, and where it is given."""

    reason: str
    module: str
    """Its path below the root."""


@dataclass
class _Module:
    path: str
    tree: ast.Module
    constants: Mapping[str, ast.expr]
    """Of all modules, by name; its own before those of others."""
    makers: dict[str, tuple[str, int | None]] = field(default_factory=lambda: dict(MAKERS))
    """With this module's own functions that hand a reason on."""

    @cached_property
    def functions(self) -> dict[str, Function]:
        return {node.name: node for node in ast.walk(self.tree) if isinstance(node, Function)}


@cache
def given_reasons() -> frozenset[Given]:
    """All of them. AssertionError where a call's reason cannot be told from the code: it then hides from this test."""
    sources = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }
    trees = {path: ast.parse(text) for path, text in sources.items()}
    constants = {name: value for tree in trees.values() for name, value in _constants(tree)}
    own = {path: constants | dict(_constants(tree)) for path, tree in trees.items()}
    giving = {path: tree for path, tree in trees.items() if any(f"{maker}(" in sources[path] for maker in MAKERS)}
    return frozenset(
        Given(reason, path) for path, tree in giving.items() for reason in _of_module(_Module(path, tree, own[path]))
    )


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value


def _of_module(module: _Module) -> Iterator[str]:
    for _ in range(2):  # a function that hands on to one that hands on
        for function in module.functions.values():
            names = [argument.arg for argument in function.args.args]
            for call in _calls(module, function):
                reason = _reason(module, call)
                if isinstance(reason, ast.Name) and reason.id in names:
                    module.makers[function.name] = (reason.id, names.index(reason.id))
    scopes = [node for node in ast.walk(module.tree) if isinstance(node, ast.Module | Function)]
    calls = {scope: set(_calls(module, scope)) for scope in scopes}
    for scope in scopes:
        handed_on = module.makers.get(scope.name, ("", None))[0] if isinstance(scope, Function) else ""
        within = {node for node in ast.walk(scope) if isinstance(node, Function)} - {scope}
        for call in calls[scope].difference(*(calls[function] for function in within)):
            reason = _reason(module, call)
            if reason is not None and not (isinstance(reason, ast.Name) and reason.id == handed_on):
                yield from _texts(module, scope, reason)


def _calls(module: _Module, scope: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(scope):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in module.makers:
            yield node


def _reason(module: _Module, call: ast.Call) -> ast.expr | None:
    """The expression of the reason. None: a warning, which is no reason."""
    assert isinstance(call.func, ast.Name)
    keyword, place = module.makers[call.func.id]
    named = {each.arg: each.value for each in call.keywords}
    harmless = named.get("invalidates")
    if isinstance(harmless, ast.Constant) and harmless.value is False:
        return None
    if keyword in named:
        return named[keyword]
    starred = next((each for each in call.args if isinstance(each, ast.Starred)), None)
    if starred is not None:
        return starred.value
    assert place is not None, f"{module.path}:{call.lineno}: a {call.func.id} without {keyword}"
    return call.args[place] if place < len(call.args) else None


def _texts(module: _Module, scope: ast.AST, node: ast.expr) -> set[str]:
    """What an expression may come to, as far as reasons go."""
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp(body=one, orelse=other):
            return _texts(module, scope, one) | _texts(module, scope, other)
        case ast.Attribute():
            return set()  # the reason of another failure or finding, which was given where that was made
        case ast.Subscript(value=ast.Name(id=name)) | ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get")):
            default = _written(module, node) if isinstance(node, ast.Call) else set()
            values = module.constants.get(name) or next(iter(_assigned(scope, name)))
            return _written(module, *values.values) | default if isinstance(values, ast.Dict) else default
        case ast.Call(func=ast.Name(id=name)) if name in module.functions:
            returns = [each for each in ast.walk(module.functions[name]) if isinstance(each, ast.Return)]
            return _written(module, *returns)
        case ast.Name(id=name):
            assigned = list(_assigned(scope, name))
            values = assigned or ([module.constants[name]] if name in module.constants else [])
            assert values, f"{module.path}:{node.lineno}: cannot tell what {name} is"
            return {text for value in values for text in _texts(module, scope, value)}
    raise AssertionError(f"{module.path}:{node.lineno}: cannot tell what {ast.unparse(node)} is")


def _assigned(scope: ast.AST, name: str) -> Iterator[ast.expr]:
    """The values that a name gets, also as one of several."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign) and any(_holds(target, name) for target in node.targets):
            target = node.targets[0]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                yield from (
                    value for each, value in zip(target.elts, node.value.elts, strict=True) if _holds(each, name)
                )
            else:
                yield node.value
        elif isinstance(node, ast.NamedExpr) and node.target.id == name:
            yield node.value


def _holds(target: ast.expr, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(target))


def _written(module: _Module, *nodes: ast.AST) -> set[str]:
    """Texts in these that look like a reason, also by the name of a constant."""
    found = [each for node in nodes for each in ast.walk(node)]
    named = [module.constants.get(each.id) for each in found if isinstance(each, ast.Name)]
    constants = [each.value for each in (*found, *named) if isinstance(each, ast.Constant)]
    return {text for text in constants if isinstance(text, str) and REASON.fullmatch(text)}
