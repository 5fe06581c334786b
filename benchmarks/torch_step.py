"""Time and memory of one step: lion_torch beside what a PyTorch user would pick.

    python benchmarks/torch_step.py [--rounds 9] [--threads 2] [--device cpu] [--dtype float32]
                                    [--sets "16M" "28M, 40 tensors" "300 of 10,000"]

Every contender does one step in turn, many times over, on the same parameters and gradients, so
that whatever else the machine does slows all alike. Reported are the median time, the median ratio
to lion-pytorch and to torch's fused SGD with momentum *of the same round*, the bandwidth if every
array were read and written once (θ, m, g in; θ', m' out) as a share of a copy's, and the memory
that torch handed out during a step.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.published_lions import published
from benchmarks.shapes import SETS
from lion_torch import Lion

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.shapes import Shapes

RATE, DECAY = 1e-4, 0.1
BASELINE, FLOOR = "lion-pytorch", "SGD momentum, fused"

DEFAULT_SETS = ("16M", "28M, 40 tensors", "300 of 10,000")


def contenders(params: list[Any], device: str) -> dict[str, torch.optim.Optimizer]:
    made: dict[str, Any] = {
        name: kind(params, lr=RATE, weight_decay=DECAY) for name, kind in published().items()
    }
    made["AdamW, fused"] = torch.optim.AdamW(params, lr=RATE, weight_decay=DECAY, fused=True)
    made[FLOOR] = torch.optim.SGD(params, lr=RATE, momentum=0.9, fused=True)
    made["lion_torch"] = Lion(params, lr=RATE, weight_decay=DECAY)
    if device == "cpu":
        made["lion_torch, fused"] = Lion(params, lr=RATE, weight_decay=DECAY, fused=True)
    else:
        made["lion_torch, foreach"] = Lion(params, lr=RATE, weight_decay=DECAY, foreach=True)
    return made


def seconds(function: Callable[[], Any], device: str) -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak_allocation(function: Callable[[], Any]) -> int:
    """Bytes of CPU memory that torch's allocator handed out at most at one time during a call."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        function()
    held = peak = 0
    results = profile.profiler.kineto_results
    for event in results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def memory_of_a_step(optimizer: torch.optim.Optimizer, device: str) -> int:
    if device == "cpu":
        return peak_allocation(optimizer.step)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    optimizer.step()
    return torch.cuda.max_memory_allocated() - before


def measure(shapes: Shapes, dtype: torch.dtype, device: str, rounds: int) -> None:
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(s, dtype=dtype, device=device)) for s in shapes]
    for param in params:
        param.grad = torch.randn_like(param)
    optimizers = contenders(params, device)
    size = min(sum(p.numel() for p in params), 2**28)
    source, target = (torch.ones(size, dtype=dtype, device=device) for _ in range(2))
    tasks: dict[str, Callable[[], Any]] = {name: o.step for name, o in optimizers.items()}
    tasks["copy"] = lambda: target.copy_(source)
    for task in tasks.values():
        task()
        task()
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            times[name].append(seconds(task, device))
    elements = sum(p.numel() for p in params)
    bandwidth = 2 * size * source.element_size() / median(times.pop("copy"))
    print(f"a copy moves {bandwidth / 1e9:.1f} GB/s")
    heads = ("ms", f"÷ {BASELINE}", "÷ fused SGD", "of a copy", "memory")
    print(f"{'':24}{heads[0]:>9}{heads[1]:>16}{heads[2]:>13}{heads[3]:>11}{heads[4]:>12}")
    for name, taken in times.items():
        ratios = [
            f"{median(a / b for a, b in zip(taken, times[other], strict=True)):.2f}"
            if other in times
            else "-"
            for other in (BASELINE, FLOOR)
        ]
        moved = 5 * elements * source.element_size() / median(taken)
        share = f"{moved / bandwidth:.0%}" if "Adam" not in name else "-"
        memory = memory_of_a_step(optimizers[name], device) / 2**20
        print(
            f"{name:24}{median(taken) * 1e3:9.2f}{ratios[0]:>16}{ratios[1]:>13}{share:>11}"
            f"{memory:>8.1f} MiB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--sets", nargs="+", default=DEFAULT_SETS, choices=SETS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"torch {torch.__version__}, {arguments.device}, {arguments.threads} threads")
    for name in arguments.sets:
        print(f"\n{name}, {arguments.dtype}")
        measure(SETS[name], getattr(torch, arguments.dtype), arguments.device, arguments.rounds)


if __name__ == "__main__":
    main()
