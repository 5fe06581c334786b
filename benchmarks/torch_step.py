"""Time and memory of one step: lion_torch beside what a PyTorch user would pick.

    python benchmarks/torch_step.py [--rounds 9] [--threads 2] [--device cpu] [--save [FILE]]
                                    [--dtypes float32] [--sets "16M" "28M, 40 tensors" …]
                                    [--figures FILE]

Every contender does one step in turn, many times over, on the same parameters and gradients, so
that whatever else the machine does slows all alike. Reported are the median time, the median ratio
to lion-pytorch, to torch's fused SGD with momentum, to its fused AdamW and to the fastest published
Lion *of the same round*, the bandwidth if every array were read and written once (θ, m, g in; θ',
m' out), also as a share of a copy's, and the memory that torch handed out during a step; then what
subnormals="flush" takes beside the default. On a GPU each step that can be captured is then
measured again as a replay of a CUDA graph, beside a copy in one.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

import lion_cpu
from benchmarks.cuda import kernels, replays, seconds_on_gpu
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
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.shapes import Shapes

RATE, DECAY = 1e-4, 0.1
COPY, OURS, ADAMW, FLOOR = "copy", "lion_torch", "AdamW, fused", "SGD momentum, fused"
FLUSHING = "lion_torch, flush"
AGAINST = {"lion-pytorch": "lion-pytorch", FLOOR: "fused SGD", ADAMW: "fused AdamW"}
Figures: TypeAlias = dict[str, float]

LEGEND = """
Medians; a ratio is the median of the ratios within rounds, not a quotient of the medians. GB/s is
as if θ, m and g were read once and θ' and m' written once."""

DEFAULT_SETS = ("16M", "28M, 40 tensors", "300 of 10,000", "1,000 of 100")
DEFAULT_SETS_ON_GPU = ("1G", "124M, 148 tensors", "1,000 of 1,000")


def contenders(
    params: list[Any], *, on_cpu: bool, **of_torch: bool
) -> dict[str, torch.optim.Optimizer]:
    """The optimizers by name; some options, such as capturable, others' Lions do not have."""
    rates: dict[str, Any] = {"lr": RATE, "weight_decay": DECAY}
    made: dict[str, Any] = {name: kind(params, **rates) for name, kind in published().items()}
    rates |= of_torch
    made[ADAMW] = torch.optim.AdamW(params, **rates, fused=True)
    made[FLOOR] = torch.optim.SGD(params, lr=RATE, momentum=0.9, fused=True)
    made[OURS] = Lion(params, **rates)
    made[FLUSHING] = Lion(params, **rates, subnormals="flush")
    if on_cpu:
        made["lion_torch, fused=False"] = Lion(params, **rates, fused=False)
    else:
        made["lion_torch, foreach"] = Lion(params, **rates, foreach=True)
    return made


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


def memory_of_a_step(optimizer: torch.optim.Optimizer, *, on_cpu: bool) -> int:
    if on_cpu:
        return peak_allocation(optimizer.step)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    optimizer.step()
    return torch.cuda.max_memory_allocated() - before


class Bench:
    """One set of parameters with gradients, beside the copy that bandwidths are shares of.

    All contenders' states are there at the same time. In the largest set and float32 they are 54
    GiB, with the largest temporaries some 74, which a card of 80 GiB holds.
    """

    def __init__(self, shapes: Shapes, dtype: torch.dtype, device: str, rounds: int) -> None:
        torch.manual_seed(0)
        self.on_cpu, self.rounds = device == "cpu", rounds
        self.params = [
            torch.nn.Parameter(torch.randn(s, dtype=dtype, device=device)) for s in shapes
        ]
        for param in self.params:
            param.grad = torch.randn_like(param)
        self.bytes = sum(p.nbytes for p in self.params)
        size = min(sum(p.numel() for p in self.params), 2**28)
        self.source, self.target = (torch.ones(size, dtype=dtype, device=device) for _ in range(2))

    def eager(self, report: Report) -> Figures:
        """Every step as its optimizer makes it, and the memory that it takes."""
        optimizers = contenders(self.params, on_cpu=self.on_cpu)
        times = self._timed({name: o.step for name, o in optimizers.items()} | self._copy())
        memory = {
            name: f"{memory_of_a_step(optimizer, on_cpu=self.on_cpu) / 2**20:.1f} MiB"
            for name, optimizer in optimizers.items()
        }
        found = self._told(report, times, list(optimizers), memory)
        if not self.on_cpu:
            found["kernels"] = len(kernels(optimizers[OURS].step))
            report.text(f"\nKernels that a step of {OURS} launches: {found['kernels']}.")
        return found

    def in_graphs(self, report: Report) -> None:
        """Every step that can be captured in a CUDA graph, as its replay."""
        report.text("\nReplayed from a CUDA graph:\n")
        optimizers = contenders(self.params, on_cpu=self.on_cpu, capturable=True)
        # Others' Lions come first in tables, but are captured last: what cannot be may do harm.
        names = list(optimizers)
        steps = {name: optimizers[name].step for name in reversed(names)}
        captured, refused = replays(self._copy() | steps)
        self._told(report, self._timed(captured), names)
        for name, reason in refused.items():
            report.text(f"\n{name} is not capturable: {reason}")

    def _copy(self) -> dict[str, Callable[[], Any]]:
        return {COPY: lambda: self.target.copy_(self.source)}

    def _timed(self, tasks: Mapping[str, Callable[[], Any]]) -> dict[str, list[float]]:
        return in_rounds(tasks, self.rounds, seconds if self.on_cpu else seconds_on_gpu)

    def _told(
        self,
        report: Report,
        times: Mapping[str, list[float]],
        names: Sequence[str],
        memory: Mapping[str, str] | None = None,
    ) -> Figures:
        """Print what was measured; what targets are about is returned."""
        bandwidth = 2 * self.source.nbytes / median(times[COPY])
        report.text(f"A copy moves {bandwidth / 1e9:.1f} GB/s.\n")
        against = [(short, name) for name, short in AGAINST.items() if name in times]
        others = [name for name in published() if name in times]
        if others:
            fastest = min(others, key=lambda name: median(times[name]))
            against.append(("fastest other Lion", fastest))
        heads = ["", "ms", *(f"÷ {short}" for short, _ in against)]
        heads += ["GB/s", "of a copy", *(["memory"] if memory else [])]
        rows = []
        for name in names:
            if name not in times:
                continue
            taken = times[name]
            ratios = [f"{ratio(taken, times[x]):.2f}" for _, x in against]
            moved = 5 * self.bytes / median(taken)
            speed = [f"{moved / 1e9:.1f}", f"{moved / bandwidth:.0%}"]
            if name == ADAMW:  # has a second moment to move as well
                speed = ["-", "-"]
            held = [memory[name]] if memory else []
            rows.append([name, f"{median(taken) * 1e3:.2f}", *ratios, *speed, *held])
        report.table(heads, rows)
        ours = times[OURS]
        found = {
            "of a copy": 5 * self.bytes / median(ours) / bandwidth,
            "of AdamW": ratio(ours, times[ADAMW]),
            "flushing": ratio(times[FLUSHING], ours),
        }
        report.text(f"\n{FLUSHING} takes {found['flushing']:.2f} of {OURS}'s time.")
        return found


def measure(
    report: Report, shapes: Shapes, dtype: torch.dtype, device: str, rounds: int
) -> Figures:
    bench = Bench(shapes, dtype, device, rounds)
    found = bench.eager(report)
    if device != "cpu":
        bench.in_graphs(report)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    dtypes = ["float32", "bfloat16", "float16", "float64"]
    parser.add_argument("--dtypes", nargs="+", default=["float32"], choices=dtypes)
    parser.add_argument("--sets", nargs="+", choices=SETS)
    parser.add_argument(
        "--figures", type=Path, metavar="FILE", help="what targets are about, as lines of JSON"
    )
    add_save_option(parser, "torch_step")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    packages = ["torch", *installed()]
    sets: Sequence[str] = DEFAULT_SETS
    where = f"cpu, {arguments.threads} threads, {lion_cpu.missing() or 'CPU kernel'}"
    if arguments.device != "cpu":
        packages.insert(1, "triton")
        where, sets = f"{graphics_driver()}, CUDA {torch.version.cuda}", DEFAULT_SETS_ON_GPU
    report = Report("One step of lion_torch", packages, where)
    report.text(LEGEND)
    for name, dtype in product(arguments.sets or sets, arguments.dtypes):
        report.section(f"{name}, {dtype}")
        arrays = SETS[name], getattr(torch, dtype)
        found = measure(report, *arrays, arguments.device, arguments.rounds)
        if arguments.figures:  # at once: a run that ends early leaves what it had
            with arguments.figures.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"set": name, "dtype": dtype, **found}) + "\n")
    report.save(arguments.save)


if __name__ == "__main__":
    main()
