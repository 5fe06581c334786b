"""Normal forms of operations on floats: what IEEE 754 makes one whatever the numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from lion_conformance.operations.expression import Node, made
from lion_conformance.operations.operation import FLOATS, Operation
from lion_conformance.proof.bit_forms import as_float
from lion_conformance.proof.facts import EXACT, is_subnormal, one, pattern, sign_bit
from lion_conformance.proof.terms import Rules, any_nan, is_constant, serial

_NEAREST: Final = ("", "rn")
_TAKE_NAN: Final = ("min", "max")


def floats(rules: Rules, operation: Operation, *arguments: Node) -> Node:
    """The normal form of an operation on floats, whose arguments are normal forms."""
    takes = operation.source or operation.type
    held = tuple(as_float(rules, x, takes) for x in arguments)
    if operation.ftz and (operation.name != "convert" or takes == "f32"):
        held = tuple(unflushed(x, takes) for x in held)
    if operation.rounding == "rn" and operation.name != "integral":
        operation = replace(operation, rounding="")
    if operation.name in _TAKE_NAN:
        return made(operation, *sorted(held, key=serial))
    if any(rules.kind(x, takes) == "NaN" for x in held) and not operation.saturate:
        return any_nan(operation.type)
    rule = _RULES.get(operation.name)
    if rule is None or operation.saturate:
        return made(operation, *held)
    return rule(rules, operation, *held)


def _sum(rules: Rules, operation: Operation, first: Node, second: Node) -> Node:
    """a + b; a - b is a + (-b)."""
    kind = operation.type
    if operation.name == "sub":
        return _sum(rules, replace(operation, name="add"), first, negated(rules, second, kind))
    if operation.rounding in _NEAREST:
        zero = pattern(kind, sign_bit(kind))
        for one_of, other in ((first, second), (second, first)):
            if one_of is zero:
                return flushed(rules, other, operation)
    return rules.noted(made(operation, *sorted((first, second), key=serial)))


def _product(rules: Rules, operation: Operation, first: Node, second: Node) -> Node:
    """a · b: its sign stands before it."""
    kind = operation.type
    if operation.rounding in _NEAREST:
        is_negative, factors = _unsigned(kind, first, second)
        for one_of, other in (factors, factors[::-1]):
            if one_of is pattern(kind, one(kind)):
                product = flushed(rules, other, operation)
                return negated(rules, product, kind) if is_negative else product
        product = rules.noted(made(operation, *sorted(factors, key=serial)))
        return negated(rules, product, kind) if is_negative else product
    return made(operation, *sorted((first, second), key=serial))


def _fused(rules: Rules, operation: Operation, first: Node, second: Node, third: Node) -> Node:
    """a · b + c; the product's sign stands before its first factor."""
    kind = operation.type
    if operation.rounding not in _NEAREST:
        return made(operation, *sorted((first, second), key=serial), third)
    is_negative, factors = _unsigned(kind, first, second)
    for one_of, other in (factors, factors[::-1]):
        if one_of is pattern(kind, one(kind)):
            term = negated(rules, other, kind) if is_negative else other
            return _sum(rules, replace(operation, name="add"), term, third)
    if third is pattern(kind, sign_bit(kind)):
        return _product(rules, replace(operation, name="mul"), first, second)
    first, second = sorted(factors, key=serial)
    if is_negative:
        first = negated(rules, first, kind)
    return made(operation, first, second, third)


def _quotient(rules: Rules, operation: Operation, first: Node, second: Node) -> Node:
    kind = operation.type
    if operation.rounding not in _NEAREST:
        return made(operation, first, second)
    is_negative, (above, below) = _unsigned(kind, first, second)
    if below is pattern(kind, one(kind)):
        quotient = flushed(rules, above, operation)
    else:
        quotient = rules.noted(made(operation, above, below))
    return negated(rules, quotient, kind) if is_negative else quotient


def _negation(rules: Rules, operation: Operation, argument: Node) -> Node:
    return negated(rules, flushed(rules, argument, operation), operation.type)


def _absolute(rules: Rules, operation: Operation, argument: Node) -> Node:
    kind = operation.type
    argument = flushed(rules, argument, operation)
    if argument.operation.name == "neg":
        argument = argument.arguments[0]
    lies = rules.kind(argument, kind)
    if lies == "positive" or argument.operation.name == "abs":
        return argument
    if lies == "negative":
        return negated(rules, argument, kind)
    return made(Operation("abs", kind), argument)


def _conversion(rules: Rules, operation: Operation, argument: Node) -> Node:
    """A conversion of floats: an exact one has no rounding, and another takes it in."""
    pair = source, target = operation.source, operation.type
    if source == target:
        return made(operation, argument)
    exact = pair in EXACT
    if exact:
        operation = replace(operation, rounding="")
    ftz = operation.ftz and _flushes(rules, pair, argument)
    operation = replace(operation, ftz=ftz)
    inner = argument.operation
    if inner.name == "neg" and operation.rounding in _NEAREST:
        return negated(rules, _conversion(rules, operation, argument.arguments[0]), target)
    widened = inner.name == "convert" and (inner.source, inner.type) in EXACT
    if widened and not ftz and not inner.ftz and not inner.saturate:
        return _from_narrow(rules, operation, inner.source, argument.arguments[0])
    return rules.noted(made(operation, argument))


def _from_narrow(rules: Rules, operation: Operation, source: str, argument: Node) -> Node:
    """Converted from the type that it was widened from; back to that, nothing is left."""
    if source == operation.type:
        return argument
    return _conversion(rules, replace(operation, source=source), argument)


def _flushes(rules: Rules, pair: tuple[str, str], argument: Node) -> bool:
    """Whether a conversion that flushes float32's subnormals differs from one that does not."""
    source, target = pair
    if source == "f32":
        # Those of float32 are zeros in float16 anyhow.
        return target != "f16" and not never_subnormal(rules, argument, source)
    return source != "f16"


def _unsigned(kind: str, *factors: Node) -> tuple[bool, tuple[Node, ...]]:
    """Whether a product of these is that of the factors returned, negated."""
    is_negative, found = False, []
    for factor in factors:
        positive = factor
        if factor.operation.name == "neg":
            positive = factor.arguments[0]
        elif is_constant(factor) and factor.operation.bits & sign_bit(kind):
            positive = pattern(kind, factor.operation.bits ^ sign_bit(kind))
        is_negative ^= positive is not factor
        found.append(positive)
    return is_negative, tuple(found)


def negated(rules: Rules, node: Node, kind: str) -> Node:
    """The normal form of -a."""
    if is_constant(node):
        return pattern(kind, node.operation.bits ^ sign_bit(kind))
    if rules.kind(node, kind) == "NaN":
        return any_nan(kind)
    if node.operation.name == "neg" and node.operation.type == kind:
        return node.arguments[0]
    return rules.noted(made(Operation("neg", kind), node))


def flushed(rules: Rules, node: Node, operation: Operation) -> Node:
    """What is left of an operation that gives its argument back: where it flushes, a flush.

    1 · a stands for that, as it would be written.
    """
    kind = operation.type
    if not operation.ftz or never_subnormal(rules, node, kind):
        return node
    if is_constant(node):
        return pattern(kind, node.operation.bits & sign_bit(kind))
    whole = Operation("mul", kind, ftz=True)
    return made(whole, *sorted((pattern(kind, one(kind)), node), key=serial))


def unflushed(node: Node, kind: str) -> Node:
    """An argument of an operation that flushes it in any case."""
    operation = node.operation
    if is_constant(node) and is_subnormal(operation.bits, kind):
        return pattern(kind, operation.bits & sign_bit(kind))
    if operation.name == "neg":
        return made(operation, unflushed(node.arguments[0], kind))
    flushes_alone = operation.ftz and not operation.saturate
    if flushes_alone and operation.name == "mul" and pattern(kind, one(kind)) in node.arguments:
        return next(x for x in node.arguments if x is not pattern(kind, one(kind)))
    if (
        operation.ftz
        and operation.name == "convert"
        and (operation.source, kind) == ("bf16", "f32")
    ):
        return made(replace(operation, ftz=False), *node.arguments)
    return node


def never_subnormal(rules: Rules, node: Node, kind: str) -> bool:
    """Whether a float of this type is none, whatever the numbers."""
    operation = node.operation
    if is_constant(node):
        return not is_subnormal(operation.bits, kind)
    if rules.kind(node, kind) == "NaN":
        return True
    if operation.name in ("neg", "abs"):
        return never_subnormal(rules, node.arguments[0], kind)
    if operation.name == "select":
        return all(never_subnormal(rules, x, kind) for x in node.arguments[1:])
    if operation.type != kind:
        return False
    if operation.name == "convert":
        return _converts_to_normal(operation)
    return operation.ftz and operation.name in _FLUSHED_RESULTS


def _converts_to_normal(operation: Operation) -> bool:
    """Whether a conversion's result is a zero, or normal, or no number."""
    pair = operation.source, operation.type
    if operation.source not in FLOATS:
        return operation.type != "f16"
    return pair in EXACT - {("bf16", "f32")} or (operation.ftz and operation.type == "f32")


_FLUSHED_RESULTS: Final = ("add", "sub", "mul", "div", "fma", "sqrt", "min", "max")
_RULES: Final[dict[str, Callable[..., Node]]] = {
    "add": _sum,
    "sub": _sum,
    "mul": _product,
    "fma": _fused,
    "div": _quotient,
    "neg": _negation,
    "abs": _absolute,
    "convert": _conversion,
}
