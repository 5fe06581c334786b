"""One run state, written and read by several numbers of processes: `sharded_run_state.py FOLDER`.

The model and the reference are those of `distributed`: what every run ends in is compared with
lion_ref, which knows nothing of shards.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.placement_types import _StridedShard

from lion_ref import run_state
from lion_ref.arithmetic import same_bits
from lion_torch import Lion, export_state, import_state, shards
from tests.lion_torch import distributed
from tests.lion_torch.distributed import (
    KINDS,
    OPTIONS,
    SAVED_AFTER,
    STEPS,
    Model,
    differences,
    expected,
    rate,
    sharded,
)
from tests.lion_torch.meshes import TWO_DIMENSIONS, chunked, placed
from tests.lion_torch.support import to_numpy
from tests.lion_torch.worlds import each_forked

WRITERS = 2
"""The processes of the run whose gradients all runs here have."""

# One process each time, or several; a world reads what an earlier one has written.
PASSES: dict[str, list[tuple[str, str | None]]] = {
    # world: (which run it reads and ends, which it writes)
    "1": [("", "one")],
    "2": [("one", "two")],
    "3": [("two", None)],
    "4": [("two", "four")],
    "1 again": [("two", None), ("four", None)],
}


def plain(kind: str) -> Any:
    dtype, options = KINDS[kind]
    model = Model(dtype)
    return model, Lion(model.parameters(), **OPTIONS, **options), dtype, options


def begin(make: Callable[[str], Any], kind: str, path: Path) -> list[str]:
    """Train for some steps, and write the run."""
    model, optimizer, dtype, options = make(kind)
    go_on(model, optimizer, dtype, range(SAVED_AFTER))
    export_state(optimizer, path, model=model, step=SAVED_AFTER)
    return in_the_file(path, dtype, options)


def end(make: Callable[[str], Any], kind: str, path: Path) -> list[str]:
    """Read a run, and train for the rest of the steps."""
    model, optimizer, dtype, options = make(kind)
    with torch.no_grad():
        for param in model.parameters():
            param.fill_(3.0)
    header = import_state(optimizer, path, model=model)
    go_on(model, optimizer, dtype, range(header.step, STEPS))
    found = differences(model.parameters(), optimizer, expected(WRITERS, dtype, options))
    again = optimizer.state_dict()
    optimizer.load_state_dict(again)
    return found + differences(model.parameters(), optimizer, expected(WRITERS, dtype, options))


def go_on(model: Any, optimizer: Any, dtype: torch.dtype, steps: range) -> None:
    """Steps on the mean of the gradients of WRITERS processes, whatever the number here."""
    for step in steps:
        each = [distributed.coefficients(step, rank, torch.float32) for rank in range(WRITERS)]
        for param, *parts in zip(model.parameters(), *each, strict=True):
            grad = (torch.stack(parts).sum(0) / WRITERS).to(dtype)
            if isinstance(param, DTensor):
                grad = distribute_tensor(grad, param.device_mesh, param.placements)
            param.grad = grad
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()


def in_the_file(path: Path, dtype: torch.dtype, options: dict[str, Any]) -> list[str]:
    """Where a file's tensors are not those of the reference."""
    state = run_state.load(path)
    reference = expected(WRITERS, dtype, options, SAVED_AFTER)
    found = []
    for number, pair in enumerate(reference):
        for mine, theirs in zip(state.tensors[f"weights.{number}"], pair, strict=True):
            if mine.dtype != theirs.dtype or not same_bits(np.asarray(mine), theirs).all():
                found.append(f"tensor {number} of {path.name}")
    if state.header.step != SAVED_AFTER or state.header.groups[0].lr != rate(SAVED_AFTER - 1):
        found.append(f"header of {path.name}")
    return found


# --- other meshes -------------------------------------------------------------------------------


def through_a_mesh(path: Path, mesh: Any, placements: Sequence[Any], again: Path) -> list[str]:
    """Read a run into DTensors, look at every shard, and write the same file again."""
    state = run_state.load(path)
    params: dict[str, Any] = {}
    for name in state.tensors:
        whole = torch.zeros(state.tensors.shape(name))
        params[name] = torch.nn.Parameter(placed(placements)(whole, mesh))
    optimizer = Lion(params.values())
    header = import_state(optimizer, path, model=params.items())
    found = []
    for name, param in params.items() if mesh.get_coordinate() else ():
        splits = [(n, p.dim) for n, p in enumerate(param.placements) if isinstance(p, Shard)]
        found += unlike(state, name, param, optimizer, lambda x, s=splits: chunked(x, mesh, s))
    export_state(optimizer, again, model=params.items(), step=header.step)
    return found + unlike_files(path, again)


def fsdp_of_tensor_parallel(path: Path, again: Path) -> list[str]:
    """Rows are split for tensor parallelism first, and those shards by FSDP: _StridedShard."""
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))
    state = run_state.load(path)
    model = Model(torch.float32)
    # FSDP refuses what tensor parallelism has split unevenly.
    for number, weight in enumerate(model.weights):
        whole = distribute_tensor(weight.detach(), mesh["tp"], [Shard(0)])
        if weight.shape[0] % 2 == 0:
            model.weights[number] = torch.nn.Parameter(whole)
        else:
            whole = distribute_tensor(weight.detach(), mesh["tp"], [Replicate()])
            model.weights[number] = torch.nn.Parameter(whole)
    fully_shard(model, mesh=mesh["dp"])
    optimizer = Lion(model.parameters())
    header = import_state(optimizer, path, model=model)
    found = []
    strided = 0
    for name, param in model.named_parameters():
        assert isinstance(param, DTensor)
        strided += isinstance(param.placements[0], _StridedShard)
        splits = [(1, 0), (0, 0)] if isinstance(param.placements[1], Shard) else [(0, 0)]
        found += unlike(state, name, param, optimizer, lambda x, s=splits: chunked(x, mesh, s))
    if not strided:
        found.append("no parameter is strided")
    export_state(optimizer, again, model=model, step=header.step)
    return found + unlike_files(path, again)


def unlike(
    state: run_state.RunState, name: str, param: Any, optimizer: Lion, part: Callable[..., Any]
) -> list[str]:
    shards_here = param.to_local(), optimizer.state[param]["exp_avg"].to_local()
    return [
        f"{what} of {name}"
        for what, mine, whole in zip("θm", shards_here, state.tensors[name], strict=True)
        if not torch.equal(mine.detach(), part(torch.from_numpy(np.array(whole))))
    ]


def unlike_files(one: Path, other: Path) -> list[str]:
    a, b = run_state.load(one), run_state.load(other)
    return [
        f"{name} in {other.name}"
        for name in a.tensors
        for x, y in zip(a.tensors[name], b.tensors[name], strict=True)
        if np.asarray(x).tobytes() != np.asarray(y).tobytes()
    ]


def refused_placements() -> list[str]:
    """Shards that cannot be told where they lie, by what is said of them."""
    mesh = init_device_mesh("cpu", (2, 2))
    local = torch.zeros(2, 2)
    found = []
    for placements, words in {
        (Partial(), Replicate()): "is of summands",
        (_StridedShard(0, split_factor=3), Shard(0)): "is strided by 3 where 2 shards",
    }.items():
        param = torch.nn.Parameter(DTensor.from_local(local, mesh, placements, run_check=False))
        try:
            export_state(Lion([param]), "no-file", model=[("w", param)], step=0)
        except ValueError as error:
            if words not in str(error):
                found.append(str(error))
        else:
            found.append(f"{placements} is not refused")
    return found


# --- one of them refuses ----------------------------------------------------------------------


@contextmanager
def failing(where: Any, name: str, rank: int, error: Exception) -> Any:
    """A function that raises in one of the processes."""
    right = getattr(where, name)

    def wrong(*_: Any, **__: Any) -> Any:
        raise error

    if dist.get_rank() == rank:
        setattr(where, name, wrong)
    try:
        yield
    finally:
        setattr(where, name, right)


def an_error_in_one(path: Path, rank: int) -> list[str]:
    """Each process raises, the old file stays as it was, and nothing is left beside it."""
    from lion_torch import run_state as module

    found = []
    before = path.read_bytes()
    model, optimizer, *_ = sharded("float32")
    for where, name in [
        (module, "as_tensor"),
        (run_state.Unfinished, "create"),
        (run_state.Unfinished, "finish"),
    ]:
        acts = name == "as_tensor" or rank == 0  # a file is made and finished by one
        with failing(where, name, rank, OSError("no room")):
            said = refusal(lambda: export_state(optimizer, path, model=model, step=1))
        mine = "OSError: no room"
        theirs = f"RuntimeError: process {rank} has refused: OSError: no room"
        wanted = (mine if dist.get_rank() == rank else theirs) if acts else None
        if said != wanted:
            found.append(f"{name} in {rank}: {said}")
        dist.barrier()
        if acts and path.read_bytes() != before:
            found.append(f"{name} in {rank}: the file is another")
        if path.with_name(path.name + ".part").exists():
            found.append(f"{name} in {rank}: something is left")
        dist.barrier()
        if dist.get_rank() == 0:
            path.write_bytes(before)
        dist.barrier()
    hashed = digest(model, optimizer)
    with failing(module, "matched", rank, ValueError("it does not fit")):
        said = refusal(lambda: import_state(optimizer, path, model=model))
    if said is None or "it does not fit" not in said or digest(model, optimizer) != hashed:
        found.append(f"an import that is refused in {rank}: {said}")
    return found


def other_calls(path: Path) -> list[str]:
    """Processes that disagree about the run."""
    model, optimizer, *_ = sharded("float32")
    step = dist.get_rank()
    said = refusal(lambda: export_state(optimizer, path, model=model, step=step))
    wanted = (
        "ValueError: process 1 has names, shapes, dtypes or numbers other than process 0; legal: "
        "the same in each"
    )
    return [] if said == wanted else [str(said)]


def flat_parameters() -> list[str]:
    """Those of torch's older class, which are pieces of one: each process has others."""
    found = []
    for original in (True, False):
        model = FullyShardedDataParallel(
            torch.nn.Linear(3, 2), use_orig_params=original, device_id=torch.device("cpu")
        )
        optimizer = Lion(model.parameters())
        said = refusal(lambda m=model, o=optimizer: export_state(o, "no-file", model=m, step=0))  # type: ignore[misc]
        if said is None or "has made it a piece of a flat parameter" not in said:
            found.append(str(said))
    return found


def refusal(action: Callable[[], object]) -> str | None:
    try:
        action()
    except (OSError, RuntimeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def digest(model: Any, optimizer: Any) -> str:
    """Of all that an import could change."""
    said = hashlib.sha256(repr([{**g, "params": 0} for g in optimizer.param_groups]).encode())
    for param in model.parameters():
        said.update(to_numpy(param.to_local()).tobytes())
        for momentum in optimizer.state.get(param, {}).values():
            said.update(to_numpy(momentum.to_local()).tobytes())
    return said.hexdigest()


# --- wrong on purpose -------------------------------------------------------------------------


def all_as_large_as_mine(tensor: Any) -> tuple[slice, ...]:
    """A shard's place as if all shards had its size: where they do not, it is another."""
    place = [slice(0, size) for size in tensor.shape]
    if shards.is_sharded(tensor):
        (placement,), (coordinate,) = tensor.placements, tensor.device_mesh.get_coordinate()
        size = tensor.to_local().shape[placement.dim]
        start = min(coordinate * size, tensor.shape[placement.dim] - size)
        place[placement.dim] = slice(start, start + size)
    return tuple(place)


def with_wrong_places(path: Path) -> list[str]:
    from lion_torch import run_state as module

    right, module.place = module.place, all_as_large_as_mine  # type: ignore[attr-defined]
    try:
        return end(sharded, "float32", path)
    finally:
        module.place = right  # type: ignore[attr-defined]


# --- the worlds -------------------------------------------------------------------------------


def work(folder: Path, world: str) -> dict[str, list[str]]:
    results = {}
    make = sharded if dist.is_initialized() else plain
    for reads, writes in PASSES[world]:
        for kind in KINDS:
            if reads:
                results[f"{reads} {kind}"] = end(make, kind, folder / f"{reads}-{kind}")
            if writes:
                results[f"writes {kind}"] = begin(make, kind, folder / f"{writes}-{kind}")
    path, again = folder / "two-float32", folder / "again"
    if world == "2":
        for rank in range(2):
            results[f"an error in {rank}"] = an_error_in_one(path, rank)
        results["other calls"] = other_calls(path)
        results["flat parameters"] = flat_parameters()
    if world == "3" and not with_wrong_places(path):
        results["a check that can fail"] = ["found nothing where there is something"]
    if world == "4":
        square, pair = init_device_mesh("cpu", (2, 2)), DeviceMesh("cpu", [1, 3])
        for name, placements in TWO_DIMENSIONS.items():
            results[name] = through_a_mesh(path, square, placements, again)
        results["a mesh of some"] = through_a_mesh(path, pair, [Shard(0)], again)
        results["fsdp of tensor parallel"] = fsdp_of_tensor_parallel(path, again)
        results["refused placements"] = refused_placements()
    return results


def run(folder: Path, world: str, size: int, rank: int) -> None:
    """One process of a world of them; writes what it found."""
    torch.set_num_threads(1)
    if size > 1:
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/store{size}", rank=rank, world_size=size
        )
    results = work(folder, world)
    (folder / f"results {world} {rank}.json").write_text(json.dumps(results), encoding="utf-8")
    if size > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    each_forked(
        run, Path(sys.argv[1]), [(world, int(world[0]), (int(world[0]),)) for world in PASSES]
    )
