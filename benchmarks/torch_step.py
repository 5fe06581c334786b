"""Time and memory of one step: lion_torch beside what a PyTorch user would pick.

    python benchmarks/torch_step.py [--rounds 9] [--threads 2] [--device cpu] [--save [FILE]]
                                    [--dtypes float32] [--sets "16M" "28M, 40 tensors" …]

Every contender does one step in turn, many times over, on the same parameters and gradients, so
that whatever else the machine does slows all alike. Reported are the median time, the median ratio
to lion-pytorch and to torch's fused SGD with momentum *of the same round*, the bandwidth if every
array were read and written once (θ, m, g in; θ', m' out) as a share of a copy's, and the memory
that torch handed out during a step.
"""

from __future__ import annotations

import argparse
from functools import partial
from itertools import product
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.published_lions import installed, published
from benchmarks.results import (
    Report,
    add_save_option,
    graphics_driver,
    in_rounds,
    ratio,
    seconds,
)
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


def seconds_on(device: str, task: Callable[[], Any]) -> float:
    """How long a call takes, the work that it leaves to a GPU included."""
    if device == "cpu":
        return seconds(task)
    torch.cuda.synchronize()

    def finished() -> None:
        task()
        torch.cuda.synchronize()

    return seconds(finished)


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


def measure(report: Report, shapes: Shapes, dtype: torch.dtype, device: str, rounds: int) -> None:
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(s, dtype=dtype, device=device)) for s in shapes]
    for param in params:
        param.grad = torch.randn_like(param)
    optimizers = contenders(params, device)
    size = min(sum(p.numel() for p in params), 2**28)
    source, target = (torch.ones(size, dtype=dtype, device=device) for _ in range(2))
    tasks: dict[str, Callable[[], Any]] = {name: o.step for name, o in optimizers.items()}
    tasks["copy"] = lambda: target.copy_(source)
    times = in_rounds(tasks, rounds, partial(seconds_on, device))
    elements = sum(p.numel() for p in params)
    bandwidth = 2 * size * source.element_size() / median(times.pop("copy"))
    report.text(f"A copy moves {bandwidth / 1e9:.1f} GB/s.\n")
    rows = []
    for name, taken in times.items():
        ratios = [
            f"{ratio(taken, times[other]):.2f}" if other in times else "-"
            for other in (BASELINE, FLOOR)
        ]
        moved = 5 * elements * source.element_size() / median(taken)
        share = f"{moved / bandwidth:.0%}" if "Adam" not in name else "-"
        memory = memory_of_a_step(optimizers[name], device) / 2**20
        milliseconds = f"{median(taken) * 1e3:.2f}"
        rows.append([name, milliseconds, *ratios, share, f"{memory:.1f} MiB"])
    report.table(["", "ms", f"÷ {BASELINE}", "÷ fused SGD", "of a copy", "memory"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    dtypes = ["float32", "bfloat16"]
    parser.add_argument("--dtypes", nargs="+", default=["float32"], choices=dtypes)
    parser.add_argument("--sets", nargs="+", default=DEFAULT_SETS, choices=SETS)
    add_save_option(parser, "torch_step")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    packages = ["torch", *installed()]
    where = f"{arguments.device}, {arguments.threads} threads"
    if arguments.device != "cpu":
        packages.insert(1, "triton")
        where = f"{graphics_driver()}, CUDA {torch.version.cuda}"
    report = Report("One step of lion_torch", packages, where)
    for name, dtype in product(arguments.sets, arguments.dtypes):
        report.section(f"{name}, {dtype}")
        measure(report, SETS[name], getattr(torch, dtype), arguments.device, arguments.rounds)
    report.save(arguments.save)


if __name__ == "__main__":
    main()
