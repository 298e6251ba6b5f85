"""Which small faults can a source file have? Each changes one place of one function; the file itself is never written."""

import ast
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult, ast.Mod: ast.FloorDiv,
    ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.Pow: ast.Mult,
}  # fmt: skip
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Fault(NamedTuple):
    """One change: where (line, the outermost function's name and first line), and what was there and what is there instead."""

    line: int
    function: str
    before: str
    after: str
    code: types.CodeType


def _changed(node: Any) -> ast.AST | None:
    """Return what is put in the node's place, or None where no fault is made."""
    match node:
        case ast.Compare(ops=[op], left=left, comparators=right) if type(op) in _COMPARED:
            return ast.Compare(left, [_COMPARED[type(op)]()], right)
        case ast.BinOp(left=left, op=op, right=r) if type(op) in _COMPUTED:
            return ast.BinOp(left, _COMPUTED[type(op)](), r)
        case ast.AugAssign(target=target, op=op, value=value) if type(op) in _COMPUTED:
            return ast.AugAssign(target, _COMPUTED[type(op)](), value)
        case ast.BoolOp(op=op, values=values):
            return ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            return operand
        case ast.Constant(value=bool(value)):
            return ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            return ast.Constant(value + 1)
        case ast.Constant(value=str(text)):
            return ast.Constant(f"{text}?")
        case ast.If(test=ast.Name() | ast.Call() | ast.Attribute() as test, body=body, orelse=other):
            return ast.If(ast.UnaryOp(ast.Not(), test), body, other)
        case ast.IfExp(test=ast.Name() | ast.Call() | ast.Attribute() as test, body=first, orelse=second):
            return ast.IfExp(test, second, first)
        case ast.Return(value=ast.AST() as value) if not isinstance(value, ast.Constant):
            return ast.Return(ast.Constant(None))
        case ast.Continue():
            return ast.Break()
        case ast.Break():
            return ast.Continue()
        case ast.Expr(value=ast.Call()):
            return ast.Pass()
    return None


class _Places(ast.NodeTransformer):
    """Counts the places where a fault can be, and makes the one that is asked for."""

    def __init__(self, wanted: int = -1) -> None:
        self.wanted, self.count = wanted, 0
        self.found: tuple[int, str, str] | None = None

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert | ast.arguments):
            return node  # the words of an error are read by people, and defaults are made before a fault could be
        if isinstance(node, _FUNCTIONS):
            docstring = ast.get_docstring(node) is not None
            rest: list[Any] = [self.visit(part) for part in node.body[docstring:]]
            node.body = [*node.body[:docstring], *rest]
            return node
        if isinstance(node, ast.AnnAssign):
            node.value = node.value and self.visit(node.value)  # type: ignore[assignment]
            return node
        if (after := _changed(node)) is not None:
            self.count += 1
            if self.count - 1 == self.wanted:
                self.found = getattr(node, "lineno", 0), ast.unparse(node), ast.unparse(after)
                return ast.copy_location(after, node)
        return self.generic_visit(node)


def _functions(tree: ast.Module, path: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield the outermost functions with their qualified names."""
    todo: list[tuple[str, ast.AST]] = [("", node) for node in tree.body]
    while todo:
        path, node = todo.pop(0)
        if isinstance(node, _FUNCTIONS):
            yield path + node.name, node
        elif isinstance(node, ast.ClassDef):
            todo += [(f"{path}{node.name}.", inner) for inner in node.body]


def _code(module: types.CodeType, name: str) -> types.CodeType:
    todo = [module]
    while todo:
        code = todo.pop()
        if code.co_qualname == name:
            return code
        todo += [const for const in code.co_consts if isinstance(const, types.CodeType)]
    raise LookupError(name)


def faults(file: Path) -> Iterator[Fault]:
    """Yield all faults of a file, function by function."""
    source = file.read_text()
    module = compile(source, str(file), "exec", dont_inherit=True)
    for place, (name, function) in enumerate(_functions(ast.parse(source))):
        counted = _Places()
        counted.visit(function)
        for number in range(counted.count):
            tree = ast.parse(source)
            made = _Places(number)
            made.visit(list(_functions(tree))[place][1])
            assert made.found is not None
            code = _code(compile(ast.fix_missing_locations(tree), str(file), "exec", dont_inherit=True), name)
            if code.co_freevars == _code(module, name).co_freevars:  # else it could not take the function's place
                yield Fault(made.found[0], name, made.found[1], made.found[2], code)
