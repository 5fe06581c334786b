"""Sharded runs with two processes, then with four: `distributed.py FOLDER`.

Each check trains the same small model, and what it ends in is compared with lion_ref, which knows
nothing of shards. Every gradient is a small multiple of a unit, so that no collective rounds; those
of some parameters are subnormal.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
    set_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel

import lion_ref
from lion_ref.arithmetic import same_bits
from lion_torch import Lion, declared_semantics
from tests.lion_torch.runs import saved as through_a_file
from tests.lion_torch.support import to_numpy
from tests.lion_torch.worlds import each_forked

# Rows that divide by neither 2 nor 4, and fewer rows than processes: some shards are empty.
SHAPES = [(7, 5), (3,), (1, 4), (10, 2)]
UNITS = [1 / 8, 1 / 8, 2.0**-130, 2.0**-130]
OPTIONS: dict[str, Any] = {"betas": (0.8, 0.95), "weight_decay": 0.1}
STEPS = 4
SAVED_AFTER = 2
WORLDS = (2, 4)
KINDS: dict[str, tuple[torch.dtype, dict[str, Any]]] = {
    "float32": (torch.float32, {}),
    "fused": (torch.float32, {"fused": True}),
    "bfloat16": (torch.bfloat16, {"momentum_dtype": torch.float32}),
    "flush": (torch.float32, {"subnormals": "flush"}),
}
# How torch hands a state from one run to another, beside a checkpoint in shards.
HANDED: dict[str, dict[str, Any]] = {
    "sharded": {},
    "offloaded": {"cpu_offload": True},
    "full": {"full_state_dict": True},
    "broadcast": {"full_state_dict": True, "cpu_offload": True, "broadcast_from_rank0": True},
    "flat": {"flatten_optimizer_state_dict": True},
}


def rate(step: int) -> float:
    return 0.1 / (1 + step)


class Model(torch.nn.Module):
    """A loss that is linear in its parameters: the coefficients are the gradients."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(0)
        start = (torch.randn(shape).to(dtype) for shape in SHAPES)
        self.weights = torch.nn.ParameterList(torch.nn.Parameter(x) for x in start)

    def forward(self, coefficients: list[torch.Tensor]) -> torch.Tensor:
        terms = [(w * c).sum() for w, c in zip(self.weights, coefficients, strict=True)]
        return torch.stack(terms).sum()


def coefficients(step: int, rank: int, dtype: torch.dtype) -> list[torch.Tensor]:
    """What one process contributes to the gradients; another process, another contribution."""
    random = np.random.default_rng([step, rank])
    return [
        torch.tensor(random.integers(-8, 9, shape) * unit, dtype=dtype)
        for shape, unit in zip(SHAPES, UNITS, strict=True)
    ]


def expected(world: int, dtype: torch.dtype, options: dict[str, Any], steps: int = STEPS) -> Any:
    """(θ, m) of every parameter after some steps of the reference on the mean of all gradients."""
    momentum_dtype = options.get("momentum_dtype", dtype)
    state = [
        (to_numpy(p), to_numpy(torch.zeros(p.shape, dtype=momentum_dtype)))
        for p in Model(dtype).weights
    ]
    beta1, beta2 = OPTIONS["betas"]
    for step in range(steps):
        each = [coefficients(step, rank, torch.float32) for rank in range(world)]
        for i, parts in enumerate(zip(*each, strict=True)):
            grad = to_numpy((torch.stack(list(parts)).sum(0) / world).to(dtype))
            state[i] = lion_ref.step(
                *state[i],
                grad,
                lr=rate(step),
                beta1=beta1,
                beta2=beta2,
                weight_decay=OPTIONS["weight_decay"],
                semantics=declared_semantics(options.get("subnormals", "native")),
            )
    return state


def train(model: Any, optimizer: Any, dtype: torch.dtype, steps: range, world: int) -> None:
    """Steps on gradients whose mean over the processes is that of a run of `world` processes."""
    rank, size = dist.get_rank(), dist.get_world_size()
    ranks = [rank % world] if size >= world else range(rank, world, size)
    for step in steps:
        optimizer.zero_grad()
        parts = [coefficients(step, rank, dtype) for rank in ranks]
        mean = [torch.stack(list(x)).sum(0) / len(parts) for x in zip(*parts, strict=True)]
        torch.autograd.backward(model(mean))
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()


def differences(params: Any, optimizer: Any, reference: Any) -> list[str]:
    found = []
    for i, (param, (theta, m)) in enumerate(zip(params, reference, strict=True)):
        if not same_bits(to_numpy(whole(param)), theta).all():
            found.append(f"θ of parameter {i}")
        if optimizer is not None:
            momentum = to_numpy(whole(optimizer.state[param]["exp_avg"]))
            if momentum.dtype != m.dtype or not same_bits(momentum, m).all():
                found.append(f"m of parameter {i}")
    return found


def whole(tensor: Any) -> torch.Tensor:
    gathered: torch.Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return gathered


def ddp(kind: str, world: int) -> list[str]:
    dtype, options = KINDS[kind]
    model = DistributedDataParallel(Model(dtype))
    optimizer = Lion(model.parameters(), **OPTIONS, **options)
    train(model, optimizer, dtype, range(STEPS), world)
    return differences(model.parameters(), optimizer, expected(world, dtype, options))


def fsdp(kind: str, world: int) -> list[str]:
    model, optimizer, dtype, options = sharded(kind)
    train(model, optimizer, dtype, range(STEPS), world)
    return differences(model.parameters(), optimizer, expected(world, dtype, options))


def sharded(kind: str) -> Any:
    dtype, options = KINDS[kind]
    model = Model(dtype)
    fully_shard(model, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
    return model, Lion(model.parameters(), **OPTIONS, **options), dtype, options


def zero(kind: str, world: int) -> list[str]:
    dtype, options = KINDS[kind]
    model = DistributedDataParallel(Model(dtype))
    optimizer = ZeroRedundancyOptimizer(
        model.parameters(), optimizer_class=Lion, **OPTIONS, **options
    )
    train(model, optimizer, dtype, range(STEPS), world)
    optimizer.consolidate_state_dict(0)
    found = differences(model.parameters(), None, expected(world, dtype, options))
    if dist.get_rank() == 0:
        state = optimizer.state_dict()["state"]
        json.dumps(optimizer.state_dict()["param_groups"])  # a TypeError, were a dtype in it
        for i, (_, m) in enumerate(expected(world, dtype, options)):
            if not same_bits(to_numpy(state[i]["exp_avg"]), m).all():
                found.append(f"m of parameter {i}")
    return found


def saved(kind: str, world: int, folder: Path) -> list[str]:
    model, optimizer, dtype, options = sharded(kind)
    train(model, optimizer, dtype, range(SAVED_AFTER), world)
    model_state, optimizer_state = get_state_dict(model, optimizer)
    save({"model": model_state, "optimizer": optimizer_state}, checkpoint_id=folder / kind)
    return differences(model.parameters(), optimizer, expected(world, dtype, options, SAVED_AFTER))


def resume(kind: str, world: int, folder: Path) -> list[str]:
    """Continue on another number of processes, with the gradients of the saved run."""
    model, optimizer, dtype, options = sharded(kind)
    model_state, optimizer_state = get_state_dict(model, optimizer)
    state: dict[str, Any] = {"model": model_state, "optimizer": optimizer_state}
    load(state, checkpoint_id=folder / kind)
    set_state_dict(
        model,
        optimizer,
        model_state_dict=state["model"],
        optim_state_dict=state["optimizer"],
    )
    train(model, optimizer, dtype, range(SAVED_AFTER, STEPS), world)
    return differences(model.parameters(), optimizer, expected(world, dtype, options))


def handed(kind: str, world: int, how: dict[str, Any]) -> list[str]:
    """Continue with a new model from the state of another, through the options as JSON."""
    model, optimizer, dtype, options = sharded(kind)
    train(model, optimizer, dtype, range(SAVED_AFTER), world)
    ways = StateDictOptions(**how)
    model_state, optimizer_state = get_state_dict(model, optimizer, options=ways)
    if "full_state_dict" in how:
        optimizer_state = through_a_file(optimizer_state)
    if "param_groups" in optimizer_state:
        groups = json.loads(json.dumps(optimizer_state["param_groups"]))
        optimizer_state = {**optimizer_state, "param_groups": groups}
    again, other, *_ = sharded(kind)
    # Apart: set_state_dict does not take part in a broadcast where it has no model's state.
    set_model_state_dict(again, model_state, options=ways)
    set_optimizer_state_dict(again, other, optimizer_state, options=ways)
    train(again, other, dtype, range(SAVED_AFTER, STEPS), world)
    return differences(again.parameters(), other, expected(world, dtype, options))


def run(folder: Path, world: int, rank: int) -> None:
    """One process of a world of them; writes what it found."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store{world}", rank=rank, world_size=world
    )
    results: dict[str, list[str]] = {}
    for kind in KINDS:
        results[f"ddp {kind}"] = ddp(kind, world)
        results[f"fsdp {kind}"] = fsdp(kind, world)
        results[f"zero {kind}"] = zero(kind, world)
        if world == WORLDS[0]:
            results[f"checkpoint {kind}"] = saved(kind, world, folder)
        else:
            results[f"checkpoint {kind}"] = resume(kind, WORLDS[0], folder)
        for name, how in HANDED.items():
            results[f"{name} {kind}"] = handed(kind, world, how)
    # A check that compares with other steps must find something.
    model, optimizer, dtype, options = sharded("float32")
    train(model, optimizer, dtype, range(STEPS), world)
    if not differences(model.parameters(), optimizer, expected(world, dtype, options, STEPS - 1)):
        results["a check that can fail"] = ["found nothing where there is something"]
    (folder / f"results{world}-{rank}.json").write_text(json.dumps(results), encoding="utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    each_forked(run, Path(sys.argv[1]), [(world, world, ()) for world in WORLDS])
