"""What is saved and loaded continues bit for bit, and other Lions' state dicts are understood."""

from __future__ import annotations

import copy
import importlib
import pickle
from typing import Any

import pytest
import torch

from lion_conformance.ports.published.timm import timm_lion
from lion_torch import Lion
from tests.lion_torch.runs import bits, copies, saved, start, train

try:
    LION_PYTORCH = importlib.import_module("lion_pytorch").Lion
except ModuleNotFoundError:
    LION_PYTORCH = None
needs_lion_pytorch = pytest.mark.skipif(LION_PYTORCH is None, reason="pip install lion-pytorch")
try:
    TIMM = timm_lion()
except ModuleNotFoundError:
    TIMM = None
needs_timm = pytest.mark.skipif(TIMM is None, reason="pip install timm")
OPTIONS: dict[str, Any] = {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.1}
KINDS = [
    (torch.float16, None),
    (torch.bfloat16, torch.float32),
    (torch.bfloat16, None),
    (torch.float32, None),
    (torch.float32, torch.bfloat16),
    (torch.float64, torch.float16),
]
ids = [f"{p}-{m}".replace("torch.", "") for p, m in KINDS]


@pytest.mark.parametrize(("dtype", "momentum_dtype"), KINDS, ids=ids)
def test_a_round_trip_continues_bit_for_bit(dtype: Any, momentum_dtype: Any) -> None:
    params = start(dtype)
    optimizer = Lion(params, **OPTIONS, momentum_dtype=momentum_dtype)
    train(params, optimizer, range(3))
    resumed = copies(params)
    again = Lion(resumed)
    again.load_state_dict(saved(optimizer.state_dict()))
    train(params, optimizer, range(3, 6))
    train(resumed, again, range(3, 6))
    assert bits(params, optimizer) == bits(resumed, again)


def test_torch_alone_would_have_cast_the_momentum() -> None:
    """The check above can fail: without the wrapping, the wide momentum is rounded."""
    params = start(torch.bfloat16)
    optimizer = Lion(params, **OPTIONS, momentum_dtype=torch.float32)
    train(params, optimizer, range(3))
    resumed = copies(params)
    again = Lion(resumed)
    torch.optim.Optimizer.load_state_dict(again, optimizer.state_dict())
    assert bits(params, optimizer) != bits(resumed, again)


def test_the_state_dict_that_is_loaded_is_left_as_it_is() -> None:
    params = start(torch.float32)
    optimizer = Lion(params, **OPTIONS)
    train(params, optimizer, range(1))
    state_dict = optimizer.state_dict()
    before = copy.deepcopy(state_dict)
    again = Lion(copies(params))
    again.load_state_dict(state_dict)
    assert before["param_groups"] == state_dict["param_groups"]
    for key, entry in before["state"].items():
        assert torch.equal(entry["exp_avg"], state_dict["state"][key]["exp_avg"])


def test_hooks_see_and_change_what_is_loaded() -> None:
    params = start(torch.bfloat16)
    optimizer = Lion(params, **OPTIONS, momentum_dtype=torch.float32)
    train(params, optimizer, range(1))
    seen: list[Any] = []

    def halve(_: Any, state_dict: dict[str, Any]) -> dict[str, Any]:
        halved = {k: {"exp_avg": v["exp_avg"] / 2} for k, v in state_dict["state"].items()}
        return {**state_dict, "state": halved}

    again = Lion(copies(params))
    again.register_load_state_dict_pre_hook(halve)
    again.register_load_state_dict_post_hook(
        lambda it: seen.extend(it.state[p]["exp_avg"] for p in it.param_groups[0]["params"])
    )
    again.load_state_dict(optimizer.state_dict())
    expected = [optimizer.state[p]["exp_avg"] / 2 for p in params]
    assert all(torch.equal(a, b) for a, b in zip(seen, expected, strict=True))


@pytest.mark.parametrize("way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_continue_bit_for_bit(way: Any) -> None:
    params = start(torch.bfloat16)
    optimizer = Lion(params, **OPTIONS, momentum_dtype=torch.float32, fused=True)
    train(params, optimizer, range(2))
    params_too, optimizer_too = way((params, optimizer))
    train(params, optimizer, range(2, 4))
    train(params_too, optimizer_too, range(2, 4))
    assert bits(params, optimizer) == bits(params_too, optimizer_too)
    assert optimizer_too._step_supports_amp_scaling


def theirs(name: str) -> Any:
    return {"lion-pytorch": LION_PYTORCH, "timm": TIMM}[name]


both = pytest.mark.parametrize(
    "name",
    [
        pytest.param("lion-pytorch", marks=needs_lion_pytorch),
        pytest.param("timm", marks=needs_timm),
    ],
)


@both
def test_their_state_dict_continues_here(name: str) -> None:
    params = start(torch.float32)
    other = theirs(name)(params, **OPTIONS)
    train(params, other, range(3))
    ours = copies(params)
    optimizer = Lion(ours, lr=1.0, weight_decay=1.0)
    optimizer.load_state_dict(saved(other.state_dict()))
    continued = copies(params)
    expected = Lion(continued, **OPTIONS)
    for param, old in zip(continued, params, strict=True):
        expected.state[param]["exp_avg"] = other.state[old]["exp_avg"].clone()
    train(ours, optimizer, range(3, 6))
    train(continued, expected, range(3, 6))
    assert bits(ours, optimizer) == bits(continued, expected)


@both
def test_our_state_dict_continues_there(name: str) -> None:
    params = start(torch.float32)
    optimizer = Lion(params, **OPTIONS)
    train(params, optimizer, range(3))
    there = copies(params)
    other = theirs(name)(there, lr=1.0)
    other.load_state_dict(saved(optimizer.state_dict()))
    assert [g["lr"] for g in other.param_groups] == [0.01]
    assert bits(params, optimizer) == bits(there, other)
    train(there, other, range(3, 5))


OTHERS = ["SGD", "ASGD", "Rprop", "RMSprop", "Adagrad", "Adadelta", "RAdam", "NAdam", "Adamax"]


@pytest.mark.parametrize("name", [*OTHERS, "Adam", "AdamW"])
def test_another_optimizer_s_dict_is_refused(name: str) -> None:
    """Most keep betas, or an exp_avg, or both, which are none of Lion's."""
    params = start(torch.float32)
    other = getattr(torch.optim, name)(params, lr=0.1)
    train(params, other, range(1))
    optimizer = Lion(copies(params), lr=0.5)
    with pytest.raises(ValueError, match="so it is another optimizer's; legal: a state dict of a"):
        optimizer.load_state_dict(other.state_dict())
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert not optimizer.state


@pytest.mark.parametrize("packed", [True, False])
def test_a_momentum_under_bitsandbytes_name_is_refused(packed: bool) -> None:
    """It would be left out, and the run would go on from a momentum of zeros."""
    (param,) = params = start(torch.float32)[:1]
    theirs = Lion(params, **OPTIONS).state_dict()
    entry: dict[str, Any] = {"state1": torch.zeros_like(param)}
    theirs["state"] = {0: {"step": 1, "__bnb_optimizer_quant_state__": entry} if packed else entry}
    with pytest.raises(ValueError, match="in its state, so it is another optimizer's"):
        Lion(params).load_state_dict(theirs)


@pytest.mark.clause("C14")
@pytest.mark.parametrize(
    ("momentum", "error", "message"),
    [
        (torch.ones(2, dtype=torch.int64), TypeError, "is int64 of layout torch.strided; legal:"),
        (torch.ones(2, dtype=torch.complex64), TypeError, "is complex64 of layout torch.strided"),
        (torch.ones(2).to_sparse(), TypeError, "is float32 of layout torch.sparse_coo; legal: a "),
        ([0.5, 0.5], TypeError, "is of type list; legal: a Tensor"),
        (torch.ones(3), ValueError, r"has shape \(3,\); legal: \(2,\), the parameter's"),
    ],
)
def test_what_is_no_momentum_is_refused_before_anything_is_loaded(
    momentum: Any, error: type[Exception], message: str
) -> None:
    param = torch.nn.Parameter(torch.ones(2))
    optimizer = Lion([param], lr=0.5)
    param.grad = torch.ones(2)
    optimizer.step()
    state_dict = copy.deepcopy(optimizer.state_dict())
    state_dict["param_groups"][0]["lr"] = 0.25
    state_dict["state"][0]["exp_avg"] = momentum
    with pytest.raises(error, match=f"exp_avg of parameter 0 {message}"):
        optimizer.load_state_dict(state_dict)
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert optimizer.state[param]["exp_avg"].dtype == torch.float32


def test_options_that_a_dict_does_not_have_stay_the_group_s_own() -> None:
    """Not the optimizer's defaults: a group may have a momentum_dtype of its own."""
    narrow, wide = (torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16)) for _ in range(2))
    groups: list[dict[str, Any]] = [
        {"params": [narrow]},
        {"params": [wide], "momentum_dtype": torch.float32, "maximize": True},
    ]
    optimizer = Lion(groups)
    momentum = torch.tensor([0.1, 0.2])
    optimizer.load_state_dict(
        {
            "state": {i: {"exp_avg": momentum} for i in range(2)},
            "param_groups": [{**OPTIONS, "params": [i]} for i in range(2)],
        }
    )
    first, second = (optimizer.state[param]["exp_avg"] for param in (narrow, wide))
    assert torch.equal(first, momentum.to(torch.bfloat16))
    assert torch.equal(second, momentum)
    loaded = [(g["momentum_dtype"], g["maximize"], g["lr"]) for g in optimizer.param_groups]
    assert loaded == [(None, False, 0.01), ("float32", True, 0.01)]


@pytest.mark.clause("C33")
def test_a_choice_of_subnormals_is_saved_and_may_be_missing() -> None:
    (param,) = params = start(torch.float32)[:1]
    saved_state = saved(Lion(params, subnormals="flush").state_dict())
    assert type(saved_state["param_groups"][0]["subnormals"]) is str
    optimizer = Lion(params)
    optimizer.load_state_dict(saved_state)
    assert optimizer.param_groups[0]["subnormals"] == "flush"
    # An older one of ours, or another Lion's: the group here keeps its own.
    del saved_state["param_groups"][0]["subnormals"]
    optimizer.load_state_dict(saved_state)
    assert optimizer.param_groups[0]["subnormals"] == "flush"
    assert optimizer.defaults["subnormals"] == "native"
    param.grad = torch.ones_like(param)
    optimizer.step()


@pytest.mark.clause("C33")
def test_what_was_pickled_before_there_was_a_choice_steps_on_natively() -> None:
    params = start(torch.float32)
    optimizer = Lion(params, **OPTIONS)
    train(params, optimizer, range(2))
    for group in (optimizer.defaults, *optimizer.param_groups):
        del group["subnormals"]
    params_then, optimizer_then = pickle.loads(pickle.dumps((params, optimizer)))
    for group in (optimizer.defaults, *optimizer.param_groups):
        group["subnormals"] = "native"
    train(params, optimizer, range(2, 4))
    train(params_then, optimizer_then, range(2, 4))
    assert bits(params, optimizer) == bits(params_then, optimizer_then)
    added = torch.nn.Parameter(torch.ones(1))
    optimizer_then.add_param_group({"params": [added]})
    assert [x["subnormals"] for x in optimizer_then.param_groups] == ["native"] * 2


@needs_timm
def test_options_that_make_another_update_are_refused() -> None:
    params = start(torch.float32)
    other = theirs("timm")(params, lr=0.1, caution=True)
    train(params, other, range(1))
    optimizer = Lion(copies(params))
    with pytest.raises(ValueError, match="caution=True, which is another update than Lion's; leg"):
        optimizer.load_state_dict(other.state_dict())
    assert optimizer.param_groups[0]["lr"] == 1e-4


@needs_lion_pytorch
def test_a_wide_momentum_is_kept_where_it_is_asked_for() -> None:
    """lion-pytorch has no momentum_dtype: this optimizer's own choice then holds."""
    params = start(torch.bfloat16)
    other = LION_PYTORCH(params, **OPTIONS)
    train(params, other, range(2))
    ours = copies(params)
    optimizer = Lion(ours, momentum_dtype=torch.float32)
    optimizer.load_state_dict(other.state_dict())
    for mine, old in zip(ours, params, strict=True):
        momentum = optimizer.state[mine]["exp_avg"]
        assert momentum.dtype == torch.float32
        assert torch.equal(momentum, other.state[old]["exp_avg"].float())
