"""Options go wherever a checkpoint goes: a group keeps nothing that one of them does not carry."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from lion_torch import Lion
from tests.lion_torch.runs import bits, copies, saved, start, train

CHOICES: list[dict[str, Any]] = [
    {"lr": 1},
    {"lr": np.float32(0.1)},
    {"lr": np.array(0.1)},
    {"lr": ml_dtypes.bfloat16(0.1)},
    {"lr": -0.0},
    {"betas": [0.5, 0.75]},
    {"betas": (np.float64(0.5), np.float32(0.1))},
    {"weight_decay": np.float64(0.1)},
    {"weight_decay": Fraction(1, 3)},
    {"maximize": True},
    {"foreach": True},
    {"foreach": False},
    {"capturable": False},
    {"differentiable": False},
    {"fused": True},
    {"momentum_dtype": torch.float32},
    {"momentum_dtype": "bfloat16"},
    {"momentum_dtype": "torch.float32"},
    {"subnormals": "flush"},
    {"subnormals": np.str_("keep")},
]
TENSORS: list[dict[str, Any]] = [
    {name: torch.full(shape, 0.1)} for name in ("lr", "weight_decay") for shape in [(), (1,)]
]


def through_json(state_dict: Any) -> Any:
    """The options as JSON, beside tensors in a file of their own."""
    return {**state_dict, "param_groups": json.loads(json.dumps(state_dict["param_groups"]))}


WAYS: dict[str, Callable[[Any], Any]] = {
    "torch.save": saved,
    "pickle": lambda state_dict: pickle.loads(pickle.dumps(state_dict)),
    "deepcopy": copy.deepcopy,
    "JSON": through_json,
}
# With flatten_optimizer_state_dict, torch 2.13 cannot load a full state dict of any optimizer.
TORCH_S_OWN: list[dict[str, Any]] = [
    {},
    {"full_state_dict": True},
    {"cpu_offload": True},
    {"full_state_dict": True, "cpu_offload": True},
    {"flatten_optimizer_state_dict": True},
]


def test_every_option_is_among_them() -> None:
    assert {name for choice in CHOICES for name in choice} == set(Lion(start(torch.half)).defaults)


def continued(options: dict[str, Any], carry: Callable[[Any], Any]) -> tuple[Any, Any]:
    """The bits of a run, and of one that goes on from what was carried of its state."""
    params = start(torch.bfloat16)
    optimizer = Lion(params, **options)
    train(params, optimizer, range(2))
    resumed = copies(params)
    again = Lion(resumed)
    again.load_state_dict(carry(optimizer.state_dict()))
    train(params, optimizer, range(2, 4))
    train(resumed, again, range(2, 4))
    return bits(params, optimizer), bits(resumed, again)


@pytest.mark.clause("C30")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("options", CHOICES, ids=str)
def test_every_option_continues_after_every_way(options: dict[str, Any], way: str) -> None:
    run, resumed = continued(options, WAYS[way])
    assert run == resumed


@pytest.mark.clause("C30")
@pytest.mark.parametrize("way", [way for way in WAYS if way != "JSON"])
@pytest.mark.parametrize("options", TENSORS, ids=str)
def test_tensors_continue_where_tensors_go(options: dict[str, Any], way: str) -> None:
    run, resumed = continued(options, WAYS[way])
    assert run == resumed


def continued_by_torch(options: dict[str, Any], how: dict[str, Any]) -> tuple[Any, Any]:
    """As `continued`, with torch.distributed.checkpoint's functions and torch.save."""
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3).to(torch.bfloat16)
    again = copy.deepcopy(model)
    params, resumed = list(model.parameters()), list(again.parameters())
    # Tensors are read into those that are there.
    loading = {name: value for name, value in options.items() if name == "momentum_dtype"}
    optimizer, other = Lion(params, **options), Lion(resumed, **loading)
    train(params, optimizer, range(2))
    again.load_state_dict(model.state_dict())
    state = saved(get_optimizer_state_dict(model, optimizer, options=StateDictOptions(**how)))
    set_optimizer_state_dict(again, other, state, options=StateDictOptions(**how))
    train(params, optimizer, range(2, 4))
    train(resumed, other, range(2, 4))
    return bits(params, optimizer), bits(resumed, other)


@pytest.mark.clause("C30")
@pytest.mark.parametrize("how", TORCH_S_OWN, ids=lambda how: "-".join(how) or "sharded")
@pytest.mark.parametrize("options", CHOICES + TENSORS, ids=str)
def test_every_option_continues_after_torch_s_own(
    options: dict[str, Any], how: dict[str, Any]
) -> None:
    run, resumed = continued_by_torch(options, how)
    assert run == resumed


@pytest.mark.parametrize(
    ("options", "way", "error"),
    [
        ({"lr": np.float32(0.1)}, "torch.save", pickle.UnpicklingError),
        ({"lr": np.float32(0.1)}, "JSON", TypeError),
        ({"betas": (np.float64(0.5), 0.1)}, "torch.save", pickle.UnpicklingError),
        ({"momentum_dtype": torch.float32}, "JSON", TypeError),
    ],
)
def test_options_as_they_were_given_are_not_carried(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], way: str, error: type[Exception]
) -> None:
    """The checks above can fail: they do for an optimizer that keeps what it is given."""
    for module in ("optimizer", "work"):
        monkeypatch.setattr(f"lion_torch.{module}.settle", lambda _: None)
    with pytest.raises(error):
        continued(options, WAYS[way])


def test_torch_s_own_do_not_carry_a_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("optimizer", "work"):
        monkeypatch.setattr(f"lion_torch.{module}.settle", lambda _: None)
    with pytest.raises(ValueError, match=r"Unexpected value type <class 'torch\.dtype'>"):
        continued_by_torch({"momentum_dtype": torch.float32}, {"full_state_dict": True})


# --- every door by which an option enters -----------------------------------------------------

GIVEN: dict[str, Any] = {
    "lr": np.float32(0.5),
    "betas": [np.float64(0.5), 0.75],
    "momentum_dtype": torch.float32,
}
KEPT: dict[str, Any] = {"lr": 0.5, "betas": (0.5, 0.75), "momentum_dtype": "float32"}


def kept(group: dict[str, Any]) -> dict[str, Any]:
    """The options of KEPT in a group; of these very types, as np.float64(0.5) == 0.5."""
    found = {name: group[name] for name in KEPT}
    assert [type(found["lr"]), *map(type, found["betas"])] == [float] * 3
    return found


def by_the_constructor() -> dict[str, Any]:
    return Lion(start(torch.bfloat16), **GIVEN).param_groups[0]


def by_the_defaults() -> dict[str, Any]:
    return Lion(start(torch.bfloat16), **GIVEN).defaults


def by_add_param_group() -> dict[str, Any]:
    first, *others = start(torch.bfloat16)
    optimizer = Lion([first])
    optimizer.add_param_group({"params": others, **GIVEN})
    return optimizer.param_groups[1]


def by_an_old_state_dict() -> dict[str, Any]:
    optimizer = Lion(start(torch.bfloat16))
    state_dict = optimizer.state_dict()
    state_dict["param_groups"][0].update(GIVEN)
    optimizer.load_state_dict(state_dict)
    assert state_dict["param_groups"][0]["momentum_dtype"] is torch.float32  # left as it was
    return optimizer.param_groups[0]


def by_an_old_pickle() -> dict[str, Any]:
    optimizer = Lion(start(torch.bfloat16))
    for options in (optimizer.defaults, *optimizer.param_groups):
        options.update(GIVEN)
    again = pickle.loads(pickle.dumps(optimizer))
    assert kept(again.defaults) == KEPT
    group: dict[str, Any] = again.param_groups[0]
    return group


def by_assignment_before_a_step() -> dict[str, Any]:
    params = start(torch.bfloat16)
    optimizer = Lion(params)
    optimizer.param_groups[0].update(GIVEN)
    train(params, optimizer, range(1))
    assert optimizer.state[params[0]]["exp_avg"].dtype == torch.float32
    return optimizer.param_groups[0]


def by_assignment_before_it_is_saved() -> dict[str, Any]:
    optimizer = Lion(start(torch.bfloat16))
    optimizer.param_groups[0].update(GIVEN)
    group: dict[str, Any] = optimizer.state_dict()["param_groups"][0]
    return group


DOORS = [
    by_the_constructor,
    by_the_defaults,
    by_add_param_group,
    by_an_old_state_dict,
    by_an_old_pickle,
    by_assignment_before_a_step,
    by_assignment_before_it_is_saved,
]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_numbers_and_strings_are_kept(door: Callable[[], dict[str, Any]]) -> None:
    assert kept(door()) == KEPT


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_every_door_is_watched(monkeypatch: pytest.MonkeyPatch, door: Any) -> None:
    """The check above can fail, at every door."""
    for module in ("optimizer", "work"):
        monkeypatch.setattr(f"lion_torch.{module}.settle", lambda _: None)
    found: dict[str, Any] = {}
    with suppress(AssertionError):
        found = kept(door())
    assert found != KEPT


@pytest.mark.clause("C13")
@pytest.mark.parametrize("illegal", [{"lr": True}, {"lr": "0.1"}, {"betas": None}], ids=str)
def test_what_is_not_legal_is_saved_as_it_is_and_refused_later(illegal: dict[str, Any]) -> None:
    """Saving must not fail where a callback has slipped, nor make a legal number of it."""
    params = start(torch.float32)
    optimizer = Lion(params)
    optimizer.param_groups[0].update(illegal)
    (name, value), *_ = illegal.items()
    assert optimizer.state_dict()["param_groups"][0][name] is value
    with pytest.raises((TypeError, ValueError), match=f"{name}={value!r} is not legal"):
        train(params, optimizer, range(1))
