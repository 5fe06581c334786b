"""A run goes on from a file with the bits that it would have had (SPEC C34, C35)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

import lion_ref
from lion_ref import run_state
from lion_ref.arithmetic import Array, round_to, same_bits
from lion_ref.schedules import Schedule
from lion_torch import Lion, declared_semantics, export_state, import_state
from tests.lion_torch.drawn_runs import (
    PAIRS,
    SCHEDULES,
    Run,
    arrays_of,
    bits_of,
    drawn,
    optimized,
    zeroed,
)
from tests.lion_torch.support import (
    DTYPES,
    laid_out,
    pairs_bits,
    to_numpy,
    to_torch,
    values,
)

pytestmark = pytest.mark.clause("C34")

# --- there and back ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtypes", PAIRS, ids="-".join)
def test_every_bit_comes_back(dtypes: tuple[str, str], tmp_path: Path) -> None:
    run, path = drawn(dtypes), tmp_path / "run"
    params, optimizer = optimized(run, lr=0.25, betas=(0.5, 0.75), weight_decay=0.125)
    export_state(optimizer, path, model=params.items(), step=3)
    state = run_state.load(path)
    assert pairs_bits(state.tensors) == pairs_bits(run)
    assert state.header.semantics == lion_ref.CANONICAL
    assert state.header.versions["torch"] == torch.__version__

    again, other = zeroed(run)
    header = import_state(other, path, model=again.items())
    assert header == state.header
    assert bits_of(again, other) == pairs_bits(run)
    (group,) = other.param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.25, (0.5, 0.75), 0.125)
    # What torch casts to the parameter's dtype, unless the group says otherwise.
    other.load_state_dict(other.state_dict())
    assert bits_of(again, other) == pairs_bits(run)


def test_a_momentum_that_has_not_been_made_is_zeros(tmp_path: Path) -> None:
    param = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    optimizer = Lion([param], momentum_dtype="float32")
    export_state(optimizer, tmp_path / "run", model=[("w", param)], step=0)
    momentum = run_state.load(tmp_path / "run").tensors["w"].momentum
    assert momentum.dtype == np.float32
    assert momentum.tobytes() == bytes(12)
    assert not optimizer.state


@pytest.mark.parametrize("layout", ["transposed", "channels", "strided"])
def test_tensors_stay_where_they_lie(layout: str, tmp_path: Path) -> None:
    run = {"w": drawn(("float32", "bfloat16"))["w4"]}
    params, optimizer = optimized(run)
    export_state(optimizer, tmp_path / "run", model=params.items(), step=1)
    param = torch.nn.Parameter(laid_out(torch.zeros(2, 3, 4, 5), layout))
    other = Lion([param], momentum_dtype="bfloat16")
    momentum = laid_out(torch.zeros(2, 3, 4, 5, dtype=torch.bfloat16), layout)
    other.state[param]["exp_avg"] = momentum
    param.grad = torch.ones_like(param)
    before = [(x.data_ptr(), x.stride()) for x in (param, momentum)]
    import_state(other, tmp_path / "run", model=[("w", param)])
    assert other.state[param]["exp_avg"] is momentum
    assert [(x.data_ptr(), x.stride()) for x in (param, momentum)] == before
    assert bits_of({"w": param}, other) == pairs_bits(run)
    assert torch.equal(param.grad, torch.ones_like(param))
    assert param.requires_grad
    # And from there to a file again.
    export_state(other, tmp_path / "again", model=[("w", param)], step=1)
    assert pairs_bits(run_state.load(tmp_path / "again").tensors) == pairs_bits(run)


def test_numbers_in_tensors_are_read_and_set_in_place(tmp_path: Path) -> None:
    run, path = drawn(("float32", "float32")), tmp_path / "run"
    params, optimizer = optimized(run, lr=torch.tensor(0.1), weight_decay=torch.tensor(0.3))
    export_state(optimizer, path, model=params.items(), step=1)
    (group,) = run_state.load(path).header.groups
    assert (group.lr, group.weight_decay) == (float(np.float32(0.1)), float(np.float32(0.3)))
    lr = torch.tensor([0.5])
    again, other = zeroed(run, lr=lr)
    import_state(other, path, model=again.items())
    assert other.param_groups[0]["lr"] is lr
    assert lr.item() == group.lr


# --- names ------------------------------------------------------------------------------------


class Tied(torch.nn.Module):
    """A weight with two names, and one that is not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(3, 3, bias=False)
        self.last = torch.nn.Linear(3, 3, bias=False)
        self.last.weight = self.first.weight
        self.frozen = torch.nn.Linear(3, 3)
        self.register_buffer("buffer", torch.ones(3))


def test_a_run_has_what_the_optimizer_has_once(tmp_path: Path) -> None:
    model = Tied()
    optimizer = Lion(model.first.parameters(), lr=0.5)
    for name, named in {
        "module": model,
        "pairs": [("a", model.first.weight), ("b", model.last.weight)],
    }.items():
        export_state(optimizer, tmp_path / name, model=named, step=0)  # type: ignore[arg-type]
    assert list(run_state.load(tmp_path / "module").tensors) == ["first.weight"]
    assert list(run_state.load(tmp_path / "pairs").tensors) == ["a"]


def test_groups_are_groups_of_the_file(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
    decayed = [x for x in model.parameters() if x.dim() > 1]
    others = [x for x in model.parameters() if x.dim() == 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": 0.5},
        {"params": others},
        {"params": []},
    ]
    optimizer = Lion(groups)
    export_state(optimizer, tmp_path / "run", model=model, step=0)
    header = run_state.load(tmp_path / "run").header
    assert [(x.names, x.weight_decay) for x in header.groups] == [
        (("0.weight", "1.weight"), 0.5),
        (("0.bias", "1.bias"), 0.0),
        ((), 0.0),
    ]
    # Two groups here, of one of the file.
    one = Lion(model.parameters(), lr=0.125)
    export_state(one, tmp_path / "one", model=model, step=0)
    import_state(optimizer, tmp_path / "one", model=model)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125, 1e-4]


def test_names_and_axes_of_another_framework(tmp_path: Path) -> None:
    kernel = np.arange(6, dtype=np.float32).reshape(3, 2)
    run_state.save(
        tmp_path / "run",
        {"params/dense/kernel": (kernel, -kernel)},
        step=5,
        groups=run_state.Group(lr=0.5),
    )
    model = torch.nn.Linear(3, 2, bias=False)
    optimizer = Lion(model.parameters())
    mapping = {"params/dense/kernel": ("weight", (1, 0))}
    header = import_state(optimizer, tmp_path / "run", model=model, mapping=mapping)
    assert (header.step, header.group_of("weight").lr) == (5, 0.5)
    assert np.array_equal(model.weight.detach().numpy(), kernel.T)
    assert np.array_equal(optimizer.state[model.weight]["exp_avg"].numpy(), -kernel.T)


# --- hand-over --------------------------------------------------------------------------------


def gradient(name: str, theta: Array, step: int) -> Array:
    random = np.random.default_rng([step, int(name[1:])])
    return values(random, theta.shape, theta.dtype.name, "mixed")


def by_numpy(run: Run, steps: range, schedules: dict[str, Schedule]) -> Run:
    """The reference's run; the numbers are those of the schedules."""
    for step in steps:
        numbers: Any = {name.removesuffix("_schedule"): x(step) for name, x in schedules.items()}
        run = {
            name: lion_ref.step(
                *pair, gradient(name, pair[0], step), beta1=0.8, beta2=0.95, **numbers
            )
            for name, pair in run.items()
        }
    return run


def by_torch(params: dict[str, Any], optimizer: Lion, scheduler: Any, steps: range) -> None:
    """torch's run: η by torch's LambdaLR; λ set before each step."""
    for step in steps:
        for group in optimizer.param_groups:
            group["weight_decay"] = SCHEDULES["weight_decay_schedule"](step)
        for name, param in params.items():
            param.grad = to_torch(gradient(name, to_numpy(param), step))
        optimizer.step()
        scheduler.step()
    for group in optimizer.param_groups:
        group["weight_decay"] = SCHEDULES["weight_decay_schedule"](steps.stop)


def right_export(optimizer: Lion, path: Path, params: dict[str, Any], step: int) -> None:
    export_state(optimizer, path, model=params.items(), step=step, **SCHEDULES)


def right_import(optimizer: Lion, path: Path, params: dict[str, Any]) -> None:
    import_state(optimizer, path, model=params.items())


def momenta_in_the_parameters_dtype(
    optimizer: Lion, path: Path, params: dict[str, Any], step: int
) -> None:
    right_export(optimizer, path, params, step)
    state = run_state.load(path)
    narrow = {x: (p, round_to(m, p.dtype)) for x, (p, m) in state.tensors.items()}
    run_state.save(path, narrow, step=step, groups=state.header.groups)


def old_momenta_stay(optimizer: Lion, path: Path, params: dict[str, Any]) -> None:
    before = {x: optimizer.state.get(x, {}).get("exp_avg") for x in params.values()}
    import_state(optimizer, path, model=params.items())
    for param, momentum in before.items():
        zeros = torch.zeros_like(param)
        optimizer.state[param]["exp_avg"] = zeros if momentum is None else momentum


def momenta_as_torch_loads_them(optimizer: Lion, path: Path, params: dict[str, Any]) -> None:
    import_state(optimizer, path, model=params.items())
    for param in params.values():
        state = optimizer.state[param]
        state["exp_avg"] = state["exp_avg"].to(param.dtype)


def old_numbers_stay(optimizer: Lion, path: Path, params: dict[str, Any]) -> None:
    before = [dict(group) for group in optimizer.param_groups]
    import_state(optimizer, path, model=params.items())
    for group, old in zip(optimizer.param_groups, before, strict=True):
        group["betas"] = old["betas"]


def handed_over(
    path: Path,
    dtypes: tuple[str, str],
    export: Callable[..., None] = right_export,
    load: Callable[..., None] = right_import,
) -> bool:
    """Whether torch, then NumPy, then torch have the bits of NumPy alone."""
    run = drawn(dtypes, "ordinary")
    params, optimizer = optimized(run, lr=1.0, betas=(0.8, 0.95))
    scheduler = LambdaLR(optimizer, SCHEDULES["lr_schedule"])
    by_torch(params, optimizer, scheduler, range(4))
    export(optimizer, path, params, 4)
    state = run_state.load(path)
    (group,) = state.header.groups
    schedules: Any = {name: getattr(group, name) for name in SCHEDULES}
    middle = by_numpy(dict(state.tensors), range(4, 7), schedules)
    numbers = {"lr": schedules["lr_schedule"](7), "beta1": group.beta1, "beta2": group.beta2}
    groups = run_state.Group(
        weight_decay=schedules["weight_decay_schedule"](7), **numbers, **schedules
    )
    run_state.save(path, middle, step=7, groups=groups)
    again, other = zeroed(run, lr=1.0)
    scheduler = LambdaLR(other, schedules["lr_schedule"])  # made as at first, before the import
    load(other, path, again)
    scheduler.last_epoch = 7
    by_torch(again, other, scheduler, range(7, 12))
    return all(
        mine.dtype == theirs.dtype and same_bits(mine, theirs).all()
        for name, pair in by_numpy(run, range(12), SCHEDULES).items()
        for mine, theirs in zip(arrays_of(again[name], other), pair, strict=True)
    )


@pytest.mark.clause("C35")
@pytest.mark.parametrize("dtypes", PAIRS, ids="-".join)
def test_torch_then_numpy_then_torch_is_one_run(dtypes: tuple[str, str], tmp_path: Path) -> None:
    assert handed_over(tmp_path / "run", dtypes)


@pytest.mark.parametrize("export", [momenta_in_the_parameters_dtype], ids=lambda x: x.__name__)
def test_a_wrong_export_is_found(export: Any, tmp_path: Path) -> None:
    assert not handed_over(tmp_path / "run", ("bfloat16", "float32"), export=export)


@pytest.mark.parametrize(
    "load",
    [old_momenta_stay, momenta_as_torch_loads_them, old_numbers_stay],
    ids=lambda x: x.__name__,
)
def test_a_wrong_import_is_found(load: Any, tmp_path: Path) -> None:
    assert not handed_over(tmp_path / "run", ("bfloat16", "float32"), load=load)


@pytest.mark.clause("C35")
@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "exponential"])
def test_lambda_lr_has_the_schedules_numbers(name: Any) -> None:
    schedule = Schedule(name, first=3e-3, last=1e-4, steps=50, warmup=5)
    optimizer = Lion([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    scheduler = LambdaLR(optimizer, schedule)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of schedulers that step before optimizers
        for step in range(70):
            assert optimizer.param_groups[0]["lr"] == schedule(step)
            scheduler.step()


@pytest.mark.clause("C35")
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_a_scheduler_s_state_dict_goes_to_a_file_and_back(tmp_path: Path) -> None:
    def scheduler(steps: int) -> LambdaLR:
        optimizer = Lion([torch.nn.Parameter(torch.ones(1))], lr=1.0)
        return LambdaLR(optimizer, Schedule("cosine", first=3e-3, steps=steps))

    one, again = scheduler(50), scheduler(9)
    for _ in range(4):
        one.step()
    torch.save(one.state_dict(), tmp_path / "scheduler")
    again.load_state_dict(torch.load(tmp_path / "scheduler", weights_only=True))
    assert again.last_epoch == 4
    assert again.lr_lambdas == one.lr_lambdas


@pytest.mark.clause("C35")
def test_torch_s_own_cosine_has_other_numbers() -> None:
    """The check above can fail."""
    schedule = Schedule("cosine", first=3e-3, last=1e-4, steps=50)
    optimizer = Lion([torch.nn.Parameter(torch.ones(1))], lr=3e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50, eta_min=1e-4)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for step in range(50):
            found.append(optimizer.param_groups[0]["lr"] == schedule(step))
            scheduler.step()
    assert not all(found)


# --- what a file says --------------------------------------------------------------------------


@pytest.mark.clause("C33")
@pytest.mark.parametrize("subnormals", ["native", "keep", "flush"])
def test_a_file_says_whether_subnormals_are_flushed(subnormals: Any, tmp_path: Path) -> None:
    param = torch.nn.Parameter(torch.zeros(3))
    optimizer = Lion([param], subnormals=subnormals)
    export_state(optimizer, tmp_path / "run", model=[("w", param)], step=0)
    semantics = run_state.load(tmp_path / "run").header.semantics
    assert semantics == declared_semantics(subnormals)
    assert (semantics.subnormals == "flush") == (subnormals == "flush")


def test_a_schedule_for_each_group(tmp_path: Path) -> None:
    params = {name: torch.nn.Parameter(torch.zeros(3)) for name in ("a", "b")}
    schedule = Schedule("constant", first=0.25)
    groups: list[dict[str, Any]] = [
        {"params": [params["a"]], "weight_decay": 0.25},
        {"params": [params["b"]]},
    ]
    optimizer = Lion(groups)
    export_state(
        optimizer,
        tmp_path / "run",
        model=params.items(),
        step=0,
        weight_decay_schedule=[schedule, None],
    )
    header = run_state.load(tmp_path / "run").header
    assert [group.weight_decay_schedule for group in header.groups] == [schedule, None]
    assert import_state(optimizer, tmp_path / "run", model=params.items()) == header


def test_dtypes_are_all_there() -> None:
    assert {name for pair in PAIRS for name in pair} == set(DTYPES.keys() & lion_ref.STORAGE_DTYPES)
