"""What is proved of ports, what is refuted, and what is left open."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import from_callable, prove
from lion_conformance.operations.expression import Node, constant, leaf, made
from lion_conformance.operations.operation import Operation
from lion_conformance.operations.traced import NotTracedError, Traced
from lion_conformance.proof.bit_vectors import equal_for_all
from lion_conformance.proof.cases import unmatched
from lion_conformance.proof.command import add_command, status
from lion_conformance.proof.evaluation import values
from lion_conformance.proof.proof import Finding, Proof
from lion_conformance.proof.symbols import TYPES, Triple, reference
from lion_ref import CANONICAL, STORAGE_DTYPES, Semantics
from lion_ref.arithmetic import bits

pytestmark = pytest.mark.clause("C37")

F32 = np.float32


def step(
    param: Any,
    momentum: Any,
    grad: Any,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    sign: Callable[[Any], Any] = np.sign,
) -> Any:
    u = sign(F32(beta1) * momentum + F32(1 - beta1) * grad)
    kept = F32(beta2) * momentum + F32(1 - beta2) * grad
    return param - F32(lr) * (u + F32(weight_decay) * param), kept


def by_comparisons(c: Any) -> Any:
    return np.where(c > 0, F32(1), np.where(c < 0, F32(-1), np.where(c == 0, F32(0), c)))


def nan_is_zero(c: Any) -> Any:
    return np.where(c > 0, F32(1), np.where(c < 0, F32(-1), F32(0)))


def with_sign(sign: Callable[[Any], Any]) -> Callable[..., Any]:
    def port(*arrays: Any, **scalars: Any) -> Any:
        return step(*arrays, sign=sign, **scalars)

    return port


def early(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The new momentum in c."""
    _, kept = step(param, momentum, grad, **scalars)
    return step(param, kept, grad, **scalars)[0], kept


EVERY = "for every θ, m, g and every η, β1, β2, λ, at sizes 1, 2, 17: "


@pytest.mark.parametrize(
    ("port", "semantics", "sentence"),
    [
        (step, CANONICAL, f"{EVERY}equals the reference"),
        (with_sign(by_comparisons), CANONICAL, f"{EVERY}equals the reference"),
        (
            with_sign(nan_is_zero),
            Semantics(nan_sign="zero"),
            f"{EVERY}equals the reference in which sign(NaN) = 0",
        ),
    ],
)
def test_what_equals_the_reference_for_every_value(
    port: Callable[..., Any], semantics: Semantics, sentence: str
) -> None:
    proof = prove(port, dtypes=["float32"])
    assert proof.verdict == "equals"
    assert [x.semantics for x in proof.findings] == [semantics]
    assert proof.sentence == sentence


def test_what_differs_is_named_and_has_a_witness() -> None:
    """The element that is shown has these bits, and the reference has not."""
    proof = prove(early, dtypes=["float32"])
    assert proof.verdict == "differs"
    (finding,) = proof.findings
    assert finding.difference == (
        "c is β1·(β2·m + (1 - β2)·g) + (1 - β1)·g; the reference has β1·m + (1 - β1)·g"
    )
    words = finding.witness.replace("θ", "param").replace("η", "lr").replace("λ", "weight_decay")
    given = {
        name.strip(): F32(value) if name.strip() in ("param", "m", "g") else float(value)
        for name, _, value in (x.partition("=") for x in words.split(": ")[0].split(","))
    }
    arrays = [np.array([given[x]], F32) for x in ("param", "m", "g")]
    scalars: Any = {"lr": given["lr"], "weight_decay": given["weight_decay"]}
    scalars |= {"beta1": given["β1"], "beta2": given["β2"]}
    assert bits(early(*arrays, **scalars)[0]) != bits(lion_ref.step(*arrays, **scalars)[0])


def test_a_port_is_held_to_what_it_declares() -> None:
    declared = Semantics(momentum_fused="gradient")
    proof = prove(from_callable(step, declared=declared), dtypes=["float32"])
    assert proof.verdict == "differs"
    assert proof.sentence == (
        f"{EVERY}equals the reference, but it declares: m' = fma(1-β2, g, β2·m)"
    )
    assert prove(from_callable(step, declared=CANONICAL), dtypes=["float32"]).verdict == "equals"


@pytest.mark.parametrize(
    ("verdict", "semantics", "declared", "expected"),
    [
        ("equals", CANONICAL, None, 0),
        ("equals", Semantics(decay="unscaled"), None, 1),
        ("equals", Semantics(decay="unscaled"), Semantics(decay="unscaled"), 0),
        ("differs", None, None, 1),
        ("not decided", None, None, 2),
    ],
)
def test_the_command_ends_as_it_found(
    verdict: Any, semantics: Semantics | None, declared: Semantics | None, expected: int
) -> None:
    found = Finding(("float32",) * 3, verdict, semantics=semantics)
    assert status(Proof("mine", (found,), declared)) == expected


def test_the_command_says_the_verdict_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lion_conformance.ports_asked.find", lambda _: step)
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers())
    parsed = parser.parse_args(["prove", "my_lion:step", "--dtype", "float32"])
    assert parsed.action(parsed) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("equals  ")
    assert second == f"    float32: {EVERY}equals the reference"


def test_the_worst_finding_is_the_verdict() -> None:
    """One triple that differs outweighs one that is open, and that one all that are proved."""
    triple = ("float32",) * 3
    found = [Finding(triple, x) for x in ("equals", "not decided", "differs")]
    assert [Proof("mine", tuple(found[:n])).verdict for n in (1, 2, 3)] == [
        "equals",
        "not decided",
        "differs",
    ]


def test_what_cannot_be_traced_is_not_decided() -> None:
    def refuses(triple: Triple) -> Iterator[Traced]:
        raise NotTracedError("it asks a stranger")

    port = replace(from_callable(step), trace=refuses)
    proof = prove(port, dtypes=["float32"])
    assert str(proof).splitlines()[1] == "    float32: not decided: it asks a stranger"


def traced(*changes: Callable[[Traced], Traced]) -> Any:
    """A port of the symbolic reference, at two elements, with its trace changed."""

    def trace(triple: Triple) -> Iterator[Traced]:
        found = [_at(i, triple) for i in range(2)]
        one = Traced(2, tuple(x for x, _ in found), tuple(x for _, x in found))
        for change in changes:
            one = change(one)
        yield one

    return replace(from_callable(lion_ref.step), trace=trace)


def _at(index: int, triple: Triple) -> tuple[Node, Node]:
    found = reference(CANONICAL, triple)

    def moved(node: Node) -> Node:
        operation = node.operation
        if operation.name == "input" and operation.index == 0:
            return leaf(operation.of, operation.type, index)
        return made(operation, *map(moved, node.arguments))

    return moved(found.new_param), moved(found.new_momentum)


def test_a_finding_of_the_trace_is_a_difference() -> None:
    proof = prove(
        traced(lambda x: replace(x, findings=("thread 3 runs away",))), dtypes=["float32"]
    )
    assert (proof.verdict, proof.sentence) == ("differs", "thread 3 runs away")


@pytest.mark.usefixtures("_as_traced")
def test_an_element_is_stored_and_depends_on_itself_alone() -> None:
    """SPEC C12."""
    unstored = traced(lambda x: replace(x, new_param=(x.new_param[0], leaf("param", "f32", 1))))
    assert prove(unstored, dtypes=["float32"]).sentence == "θ' of element 1 of 2 is never stored"
    crossed = traced(lambda x: replace(x, new_momentum=x.new_momentum[::-1]))
    assert prove(crossed, dtypes=["float32"]).sentence == (
        "m' of element 0 of 2 depends on m of element 1"
    )


@pytest.fixture
def _as_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace is believed: what is changed in it is no other port."""
    monkeypatch.setattr("lion_conformance.proof.tracing._check", lambda *_: None)


def test_what_runs_otherwise_than_it_was_traced_is_not_proved() -> None:
    """At sizes that were not traced, and at the first call."""

    def tail_left_out(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        new = step(param, momentum, grad, **scalars)
        return (np.concatenate([new[0][:-1], param[-1:]]), new[1]) if param.size == 50 else new

    proof = prove(tail_left_out, dtypes=["float32"])
    assert proof.verdict == "differs"
    assert proof.sentence == (
        "proved where it was traced, but not at shape (50,) (size 50 0): "
        "θ' has other bits in 1 of 50 elements"
    )


# --- roundings written in integers ---------------------------------------------------------------


def rounded_in_integers(
    y: Node, *, even: bool = True, half: int = 0x7FFF, nan: bool = True
) -> Node:
    """The bfloat16 nearest to a float32: half of a last place is added, and the rest cut off."""

    def whole(name: str, *given: Node, kind: str = "u32") -> Node:
        return made(Operation(name, kind), *given)

    above = whole("shr", y, constant("u32", 16))
    raised = whole("add", y, constant("u32", half))
    if even:
        raised = whole("add", raised, whole("and", above, constant("b32", 1), kind="b32"))
    cut = made(Operation("convert", "u16", source="u32"), whole("shr", raised, constant("u32", 16)))
    if not nan:
        return cut
    test = made(Operation("compare", "pred", source="f32", comparison="nan"), y, y)
    return made(Operation("select", "b16"), test, constant("b16", 0x7FFF), cut)


PRODUCT = made(Operation("mul", "f32"), leaf("momentum", "f32", 0), leaf("grad", "f32", 0))
ROUNDED = made(Operation("convert", "bf16", source="f32"), PRODUCT)


def test_a_rounding_in_integers_is_decided_by_a_query() -> None:
    pytest.importorskip("bitwuzla")
    assert unmatched(rounded_in_integers(PRODUCT), ROUNDED, "bf16", equal_for_all) is None


@pytest.mark.parametrize("wrong", [{"even": False}, {"half": 0x8000}, {"nan": False}], ids=str)
def test_a_wrong_rounding_in_integers_is_not_proved(wrong: dict[str, Any]) -> None:
    given = rounded_in_integers(PRODUCT, **wrong)
    assert unmatched(given, ROUNDED, "bf16", equal_for_all) is not None


def test_without_a_solver_nothing_is_proved_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitwuzla", None)
    assert unmatched(rounded_in_integers(PRODUCT), ROUNDED, "bf16", equal_for_all) is not None


def test_the_rounding_in_integers_is_one() -> None:
    """What the queries are about has, or has not, the bits of a rounding."""
    rng = np.random.default_rng(0)
    numbers = [rng.integers(0, 1 << 32, 10_000, np.uint64).astype(np.uint32) for _ in range(2)]
    given = dict(zip(PRODUCT.arguments, numbers, strict=True))
    found, expected = values([rounded_in_integers(PRODUCT), ROUNDED], given)
    pair = [x.view(STORAGE_DTYPES["bfloat16"]) for x in (found, expected)]
    assert lion_ref.arithmetic.same_bits(*pair).all()
    assert TYPES["bfloat16"] == ROUNDED.type
