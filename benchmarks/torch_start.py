"""What lion_torch adds to a program's start: its import beside torch's, and the first step.

    python benchmarks/torch_start.py [--rounds 9] [--save [FILE]]

Each round is a fresh process for lion_torch and one for torch's fused SGD with momentum: it imports
torch, then the optimizer, and takes two steps of 40 tensors of 1,000. A first step makes the
momenta; ours also loads the kernel.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from statistics import median

import lion_cpu
from benchmarks.results import Report, add_save_option

PROGRAM = """
import json, time, torch
params = [torch.nn.Parameter(torch.ones(1_000)) for _ in range(40)]
for param in params:
    param.grad = torch.ones_like(param)
times = [time.perf_counter()]
{statement}
times.append(time.perf_counter())
optimizer = {optimizer}
for _ in range(2):
    start = time.perf_counter()
    optimizer.step()
    times.append(time.perf_counter() - start)
print(json.dumps([times[1] - times[0], *times[2:]]))
"""
CONTENDERS = {
    "lion_torch": ("import lion_torch", "lion_torch.Lion(params)"),
    "SGD momentum, fused": ("", "torch.optim.SGD(params, momentum=0.9, fused=True)"),
}


def started(name: str) -> list[float]:
    """Seconds of the import, the first step and the second, in a process of its own."""
    statement, optimizer = CONTENDERS[name]
    program = PROGRAM.format(statement=statement, optimizer=optimizer)
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    times: list[float] = json.loads(ran.stdout)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    add_save_option(parser, "torch_start")
    arguments = parser.parse_args()
    report = Report("The start of lion_torch", ["torch"], lion_cpu.missing() or "CPU kernel")
    rounds = [{name: started(name) for name in CONTENDERS} for _ in range(arguments.rounds)]
    report.section("Milliseconds, medians")
    rows = []
    for name in CONTENDERS:
        imports, first, second = ([1e3 * times[name][i] for times in rounds] for i in range(3))
        more = [a - b for a, b in zip(first, second, strict=True)]
        rows.append([name, *(f"{median(x):.1f}" for x in (imports, first, second, more))])
    report.table(["", "import", "first step", "second step", "first less second"], rows)
    report.save(arguments.save)


if __name__ == "__main__":
    main()
