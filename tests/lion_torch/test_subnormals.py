"""subnormals="flush" has C18's bits in every way to run the step; "native" and "keep" have C6's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given, settings

import lion_cpu
import lion_ref
from lion_ref.hyperparameters import rounded_floats
from lion_torch import Lion, declared_semantics
from tests.lion_torch.support import (
    Case,
    cases,
    compare_with_reference,
    laid_out,
    large,
    parameter,
    to_numpy,
)
from tests.lion_torch.test_bits import PATHS, through
from tests.lion_torch.tiny import TINY_CASES
from tests.lion_torch.wrong_flushes import WRONG_FLUSHES

pytestmark = pytest.mark.clause("C33")

FLUSH = lion_ref.Semantics(subnormals="flush")
SMALLEST = 2.0**-126


def differences(path: str, case: Case, *, maximize: bool = False) -> list[str]:
    """Of a path that flushes."""
    make = through(path, subnormals="flush", maximize=maximize)
    return compare_with_reference(make, case, maximize=maximize, semantics=FLUSH)


@pytest.mark.clause("C18")
@pytest.mark.parametrize("path", PATHS)
def test_every_path_flushes_as_the_reference_does(path: str) -> None:
    assert [x for case in TINY_CASES for x in differences(path, case)] == []


@pytest.mark.parametrize("path", PATHS)
@settings(deadline=None, derandomize=True, max_examples=30)
@given(case=cases())
def test_any_numbers(path: str, case: Case) -> None:
    assert differences(path, case) == []


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
@settings(deadline=None, max_examples=3_000)
@given(case=cases())
def test_any_numbers_widely(path: str, case: Case) -> None:
    assert differences(path, case) == []


@pytest.mark.clause("C6")
@pytest.mark.parametrize("choice", ["native", "keep"])
@pytest.mark.parametrize("path", PATHS)
def test_the_other_choices_keep_them(path: str, choice: Any) -> None:
    make = through(path, subnormals=choice)
    assert [x for case in TINY_CASES for x in compare_with_reference(make, case)] == []


def test_these_cases_tell_the_choices_apart() -> None:
    """The checks above can fail."""
    assert any(compare_with_reference(through("default"), x, semantics=FLUSH) for x in TINY_CASES)


@pytest.mark.clause("C18")
@pytest.mark.parametrize("mistake", WRONG_FLUSHES)
def test_a_wrong_flush_is_found(mistake: str) -> None:
    with mock.patch("lion_torch.rounding.Flushed", WRONG_FLUSHES[mistake]):
        assert any(differences("one by one", case) for case in TINY_CASES)


@pytest.mark.parametrize("path", PATHS)
def test_scalars_that_are_kept_are_found(path: str) -> None:
    def kept(values: Any, compute: str, _: str) -> Any:
        return rounded_floats(values, compute)

    with mock.patch("lion_torch.scalars.rounded_floats", kept):
        assert any(differences(path, case) for case in TINY_CASES)


@pytest.mark.parametrize("path", PATHS)
def test_maximize(path: str) -> None:
    for case in TINY_CASES[::3]:
        assert differences(path, case, maximize=True) == []


@pytest.mark.parametrize("path", PATHS)
def test_blocks_tails_and_many_small_tensors(path: str) -> None:
    for case in TINY_CASES:
        if case.dtypes in (("float32",) * 3, ("bfloat16", "float32", "bfloat16")) and not case.seed:
            assert differences(path, large(case)) == []


@pytest.mark.parametrize("path", ["default", "one by one", "foreach"])
@pytest.mark.parametrize("layout", ["transposed", "channels", "strided"])
def test_layouts(path: str, layout: str) -> None:
    start = torch.linspace(-4, 4, 360).reshape(4, 6, 3, 5) * SMALLEST
    results = []
    for laid in ("plain", layout):
        param = torch.nn.Parameter(laid_out(start.clone(), laid))
        param.grad = laid_out(start.flip(0), laid)
        Lion([param], lr=SMALLEST, weight_decay=0.5, subnormals="flush", **PATHS[path]).step()
        results.append(param.detach().clone())
    assert torch.equal(*results)
    assert not ((results[0] != 0) & (results[0].abs() < SMALLEST)).any()


@pytest.mark.skipif(bool(lion_cpu.missing()), reason=f"not run: {lion_cpu.missing()}")
@pytest.mark.parametrize("choice", ["native", "flush", "keep"])
def test_the_kernel_is_told(choice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    step = lion_cpu.step

    def spy(*arguments: Any, flush: bool, **named: Any) -> None:
        told.append(flush)
        step(*arguments, flush=flush, **named)

    monkeypatch.setattr(lion_cpu, "step", spy)
    param = parameter(to_numpy(torch.ones(3)))
    param.grad = torch.ones(3)
    Lion([param], subnormals=choice).step()
    assert told == [choice == "flush"]


def test_without_a_kernel_the_bits_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lion_cpu, "missing", lambda: "there is none; legal: patience")
    for case in TINY_CASES[::3]:
        assert differences("default", case) == []


def test_a_group_may_choose_for_itself() -> None:
    kept, flushed = params = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups: list[dict[str, Any]] = [{"params": [kept]}]
    optimizer = Lion(groups, lr=0.5)
    optimizer.add_param_group({"params": [flushed], "subnormals": "flush"})
    for param in params:
        param.grad = torch.zeros(1)
        optimizer.state[param]["exp_avg"] = torch.tensor([1e-40])
    optimizer.step()
    assert (kept.item(), flushed.item()) == (-0.5, 0.0)
    assert optimizer.state[kept]["exp_avg"].item() > 0
    assert optimizer.state[flushed]["exp_avg"].item() == 0
    optimizer.param_groups[0]["subnormals"] = "flush"  # it may change from step to step
    optimizer.step()
    assert kept.item() == -0.5


@pytest.mark.clause("C6", "C18")
@pytest.mark.parametrize("path", PATHS)
def test_a_run_without_gradients_stops_only_where_it_flushes(path: str) -> None:
    """Kept, β2ⁿ·m ends in 50·2⁻¹⁴⁹, which β2 ⊗ m rounds back to, and whose sign steps for ever.

    Flushed, β1 ⊗ m is zero as soon as 2·0.9·0.99ⁿ < 1, in n = 59, and m itself ten steps later.
    """
    found = {}
    choices: tuple[Any, ...] = ("native", "keep", "flush")
    for choice in choices:
        param = torch.nn.Parameter(torch.zeros(1))
        optimizer = through(path, subnormals=choice)([param], lr=2.0**-6)
        param.grad = torch.zeros(1)
        optimizer.state[param]["exp_avg"] = torch.tensor([SMALLEST * 2])
        for _ in range(1_500):
            optimizer.step()
        found[choice] = param.item(), optimizer.state[param]["exp_avg"].item()
    assert found["native"] == found["keep"] == (-1_500 * 2.0**-6, 50 * 2.0**-149)
    assert found["flush"] == (-59 * 2.0**-6, 0.0)


def tensors_for_rates(params: list[torch.nn.Parameter], **options: Any) -> Lion:
    """The rate and the decay as tensors that autograd sees."""
    for param in params:
        param.requires_grad_(False)
    for name in ("lr", "weight_decay"):
        options[name] = torch.tensor(options[name], dtype=torch.float64)
    return Lion(params, **options, subnormals="flush", differentiable=True)


def test_rates_that_are_tensors() -> None:
    for case in TINY_CASES:
        assert compare_with_reference(tensors_for_rates, case, semantics=FLUSH) == []


def test_a_rate_that_is_a_tensor_is_flushed_before_it_is_rounded() -> None:
    """The check above can fail: float32 no longer tells which rates are tiny."""

    def rounded_first(value: torch.Tensor, compute: torch.dtype) -> torch.Tensor:
        rounded = value.to(compute)
        return torch.where(rounded.abs() < SMALLEST, rounded * 0, rounded)

    with mock.patch("lion_torch.scalars._flushed", rounded_first):
        assert any(
            compare_with_reference(tensors_for_rates, case, semantics=FLUSH) for case in TINY_CASES
        )


def derivatives(lr: float, choice: Any) -> list[Any]:
    """Of the sum of θ' and m' by θ, m, η and λ."""
    start = torch.tensor([2.0, -4.0, 0.0, 1e-40], requires_grad=True)
    momentum = torch.tensor([0.0, 1.0, 1e-40, -1.0], requires_grad=True)
    rates = [torch.tensor(x, requires_grad=True) for x in (lr, 0.25)]
    param = start.clone()
    optimizer = Lion(
        [param], lr=rates[0], weight_decay=rates[1], differentiable=True, subnormals=choice
    )
    optimizer.state[param]["exp_avg"] = momentum.clone()
    param.grad = torch.ones(4)
    optimizer.step()
    moved = param.sum() + optimizer.state[param]["exp_avg"].sum()
    return [x.tolist() for x in torch.autograd.grad(moved, [start, momentum, *rates])]


@pytest.mark.parametrize("lr", [0.5, 0.0])
def test_only_what_is_flushed_has_no_derivative(lr: float) -> None:
    """A zero has those of any number, though it is below the smallest normal one."""
    theta, momentum, *rates = derivatives(lr, "native")
    theta[3] = momentum[2] = 0.0
    assert derivatives(lr, "flush") == [theta, momentum, *rates]


def test_a_zero_without_derivatives_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above can fail: by a choice between zeros and numbers alone."""
    monkeypatch.setattr("lion_torch.rounding._but_at_zero", torch.where)
    assert derivatives(0.5, "flush")[0][1:3] != derivatives(0.5, "native")[0][1:3]


@pytest.mark.parametrize("path", ["default", "one by one", "foreach", "fused"])
def test_a_scaled_gradient_is_flushed_once_it_is_unscaled(path: str) -> None:
    """The same bits whoever unscales; a step on infinite gradients is skipped."""
    param = torch.nn.Parameter(torch.ones(3))
    optimizer = Lion([param], lr=0.5, subnormals="flush", **PATHS[path])
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    scaler.scale(torch.zeros(()))
    gradients = ([1e-36, -1e-36, 1e-30], [torch.inf, 1.0, 1.0])
    for gradient in gradients:  # the first two are subnormal without the scale
        param.grad = torch.tensor(gradient)
        scaler.step(optimizer)
        scaler.update()
    assert param.tolist() == [1.0, 1.0, 0.5]
    assert optimizer.state[param]["exp_avg"][:2].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("path", ["default", "one by one", "foreach"])
def test_a_compiled_step_has_the_same_bits(path: str) -> None:
    def graph_as_it_is(graph: Any, _: Any) -> Any:
        return graph.forward

    results = []
    for around in (partial(torch.compile, backend=graph_as_it_is), lambda step: step):
        param = torch.nn.Parameter(torch.linspace(-4, 4, 99) * SMALLEST)
        param.grad = torch.linspace(3, -3, 99) * SMALLEST
        optimizer = Lion([param], lr=SMALLEST, subnormals="flush", **PATHS[path])
        step: Callable[[], None] = around(lambda optimizer=optimizer: optimizer.step())
        for _ in range(2):
            step()
        results.append(to_numpy(param).tobytes())
    assert results[0] == results[1]
    torch.compiler.reset()


def test_what_is_declared() -> None:
    assert declared_semantics() == declared_semantics("keep") == lion_ref.CANONICAL
    assert declared_semantics("flush") == FLUSH
    with pytest.raises(ValueError, match="subnormals='Flush' is not legal; legal: 'native', 'fl"):
        declared_semantics("Flush")  # type: ignore[arg-type]
