"""A kernel's arguments are held against its parameters, and formed as a host forms them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from lion_conformance.operations.evaluate import evaluate
from lion_conformance.operations.expression import Node, scalar
from lion_conformance.ptx.arguments import SCALARS, bits_of, check, formed, values

pytestmark = pytest.mark.clause("C4")


@dataclass(frozen=True)
class Param:
    """A parameter of a kernel."""

    type: str
    name: str
    size: int = 1


PARAMS = [Param(x, f"p{i}") for i, x in enumerate(("u64", "u64", "u64", "u32", "f32"))]
RIGHT = ["param", "momentum", "grad", "size", "lr"]


def test_right_arguments_are_taken() -> None:
    assert check(RIGHT, PARAMS) == tuple(RIGHT)


@pytest.mark.parametrize("size", ["u32", "s32", "u64", "s64", "b32", "b64"])
@pytest.mark.parametrize("pointer", ["u64", "s64", "b64"])
@pytest.mark.parametrize("number", ["f32", "f64", "b32", "b64"])
def test_every_type_that_a_compiler_writes_is_taken(size: str, pointer: str, number: str) -> None:
    types = (*[pointer] * 3, size, number)
    check(RIGHT, [Param(x, "p") for x in types])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            "param",
            "arguments='param' is not legal; legal: a sequence of names and numbers, one for",
        ),
        (
            RIGHT[:4],
            (
                "arguments=['param', 'momentum', 'grad', 'size'] has 4; legal: 5, one for each "
                "parameter: .u64 p0, .u64 p1, .u64 p2, .u32 p3, .f32 p4"
            ),
        ),
        ([*RIGHT, 0], "has 6; legal: 5, one for each parameter: .u64 p0, .u64 p1, "),
        (
            [*RIGHT[:4], "learning_rate"],
            "argument 'learning_rate' for .f32 p4 is not legal; legal: param, momentum, grad, ",
        ),
        (
            ["param", "momentum", "size", "grad", "lr"],
            (
                "argument 'grad' for .u32 p3 is not legal: it is a pointer; legal: a parameter of "
                ".u64, .s64, .b64"
            ),
        ),
        (
            ["lr", "momentum", "grad", "size", "param"],
            (
                "argument 'lr' for .u64 p0 is not legal: it is a number; legal: a parameter of "
                ".f32, .f64, .b32, .b64"
            ),
        ),
        (
            ["param", "momentum", "grad", "lr", "size"],
            "argument 'lr' for .u32 p3 is not legal: it is a number; legal: a parameter of .f32",
        ),
        (
            ["param", "momentum", "grad", "size", "size"],
            (
                "argument 'size' for .f32 p4 is not legal: it is a whole number; legal: a "
                "parameter of .u32"
            ),
        ),
        (
            ["param", "momentum", "grad", 0.5, "lr"],
            "argument 0.5 for .u32 p3 is not legal: it is a number; legal: a parameter of .f32",
        ),
        (
            ["param", "momentum", "grad", 2**32, "lr"],
            "argument 4294967296 for .u32 p3 is not legal; legal: a whole number of 32 bits",
        ),
        (
            ["param", "momentum", "grad", 4, "lr"],
            "arguments=['param', 'momentum', 'grad', 4, 'lr'] lacks 'size'; legal: with 'size'",
        ),
        (
            ["param", "momentum", "momentum", "size", "lr"],
            "lacks 'grad'; legal: with 'grad', for one of .u64 p0",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments: Any, said: str) -> None:
    with pytest.raises((ValueError, TypeError)) as raised:
        check(arguments, PARAMS)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ["u8", "s8", "b8", "u16"])
def test_a_flag_is_given_as_a_number_and_as_nothing_else(kind: str) -> None:
    """`bool maximize` of CUDA."""
    params = [*PARAMS, Param(kind, "flag")]
    assert check([*RIGHT, 0], params) == (*RIGHT, 0)
    for wrong in (0.5, "lr", "size", "param", 1 << 16):
        with pytest.raises(ValueError, match=f"for .{kind} flag is not legal"):
            check([*RIGHT, wrong], params)


def test_a_struct_that_is_passed_by_value_is_told() -> None:
    params = [*PARAMS[:4], Param("b8", "scalars", 24)]
    with pytest.raises(ValueError, match=r"for \.b8 scalars: it is 24 bytes, as a struct that is"):
        check(RIGHT, params)


@pytest.mark.parametrize("value", [True, None, b"lr"])
def test_what_is_neither_name_nor_number_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"argument .* for .f32 p4 is not legal; legal: a number"):
        check([*RIGHT[:4], value], PARAMS)


def test_an_array_is_given_once() -> None:
    with pytest.raises(ValueError, match="has 'param' 2 times; legal: once"):
        check(["param", *RIGHT], [Param("u64", "q"), *PARAMS])


HIDDEN = [*PARAMS, Param("u64", "scratch"), Param("u64", "profile")]


def test_parameters_at_the_end_that_are_never_read_may_be_left_out() -> None:
    """As Triton's pointers to its scratch memory."""
    assert check(RIGHT, HIDDEN, unread=2) == (*RIGHT, 0, 0)
    assert check([*RIGHT, 0], HIDDEN, unread=2) == (*RIGHT, 0, 0)


def test_those_that_are_read_may_not() -> None:
    with pytest.raises(ValueError, match=r"has 5; legal: 7, .*; Triton's last two are pointers"):
        check(RIGHT, HIDDEN, unread=0)
    with pytest.raises(ValueError, match="has 5; legal: 7, "):
        check(RIGHT, HIDDEN, unread=1)


@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize("name", SCALARS)
def test_a_scalar_is_formed_as_a_proof_forms_it(name: str, kind: str) -> None:
    """In binary64, and rounded once: the same expression."""
    given = {"lr": 3e-4, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1}

    def bits(node: Node) -> Any:
        of = node.operation
        if of.name == "input":
            return np.array([given[of.of]]).view(np.uint64)
        if of.name == "constant":
            return np.array([of.bits], np.uint64)
        return evaluate(of, *map(bits, node.arguments))

    assert int(bits(scalar(name, kind))[0]) == bits_of(formed(**given)[name], kind)


def test_numbers_are_given_as_their_bits() -> None:
    known = {"size": 7, "lr": 0.5}
    types = ("u32", "s64", "f32", "f64", "f32", "b64")
    given = ("size", -1, "lr", "lr", 2, "lr")
    assert values(given, known, [Param(x, "p") for x in types]) == [
        7,
        2**64 - 1,
        0x3F000000,
        0x3FE0000000000000,
        0x40000000,
        0x3FE0000000000000,
    ]


def test_a_scalar_too_large_for_its_parameter_is_an_infinity() -> None:
    assert bits_of(1e300, "f32") == 0x7F800000
