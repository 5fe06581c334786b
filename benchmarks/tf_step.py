"""Time and memory of one step: lion_tf beside what a Keras user would pick.

    python benchmarks/tf_step.py [--rounds 9] [--sets "16M" "28M, 40 tensors"] [--no-first-step]
                                 [--save]

Every contender does one step in turn, in each of TensorFlow's modes, many times over, so that
whatever else the machine does slows all alike. Reported are the median time, the median ratio to
Keras' Lion *in the same mode and round*, and the bandwidth if every array were read and written
once (θ, m, g in; θ', m' out) as a share of a copy's. In fresh processes then: by how many times a
variable's size the process grows while it steps that one, and the first step, with all that is
traced and compiled for it, on 148 variables of GPT-2's shapes at an eighth of its width.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from benchmarks.results import Report, add_save_option, in_rounds, ratio
from benchmarks.shapes import SETS, gpt2
from lion_tf import Lion

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.shapes import Shapes

RATE, DECAY = 1e-4, 0.1
BASELINE = "keras Lion"
Task = tuple[str, str]
"""A contender and a mode."""


DEFAULT_SETS = ("16M", "28M, 40 tensors")
MEMORY_PROGRAM = Path(__file__).parents[1] / "tests" / "lion_tf" / "memory_program.py"
FIRST_STEP = gpt2(layers=12, vocabulary=50_257, width=96)

CONTENDERS: dict[str, Callable[[], Any]] = {
    BASELINE: lambda: keras.optimizers.Lion(RATE, weight_decay=DECAY),
    "keras AdamW": lambda: keras.optimizers.AdamW(RATE, weight_decay=DECAY),
    "keras SGD, momentum": lambda: keras.optimizers.SGD(RATE, momentum=0.9),
    "lion_tf": lambda: Lion(RATE, weight_decay=DECAY),
}
MODES: dict[str, Callable[[Callable[[], Any]], Callable[[], Any]]] = {
    "eager": lambda function: function,
    "tf.function": tf.function,
    "jit_compile": lambda function: tf.function(function, jit_compile=True),
}


def step_of(contender: str, mode: str, variables: list[Any], gradients: list[Any]) -> Any:
    optimizer = CONTENDERS[contender]()
    optimizer.build(variables)
    return MODES[mode](lambda: optimizer.apply(gradients, variables))


def measure(report: Report, shapes: Shapes, rounds: int) -> None:
    variables = [keras.Variable(keras.random.normal(shape)) for shape in shapes]
    gradients = [keras.random.normal(shape) for shape in shapes]
    elements = sum(map(math.prod, shapes))
    source, target = (np.ones(elements, np.float32) for _ in range(2))

    def seconds(step: Callable[[], Any]) -> float:
        start = time.perf_counter()
        step()
        variables[-1].value[..., :1].numpy()  # wait for the last of them
        return time.perf_counter() - start

    tasks: dict[Task, Any] = {
        (name, mode): step_of(name, mode, variables, gradients)
        for mode in MODES
        for name in CONTENDERS
    }
    copy = "copy", "eager"
    times = in_rounds(tasks | {copy: lambda: np.copyto(target, source)}, rounds, seconds)
    floor = 2 * 4 * elements / median(times.pop(copy))
    report.text(f"A copy moves {floor / 1e9:.1f} GB/s.\n")
    rows = []
    for (name, mode), taken in times.items():
        share = 5 * 4 * elements / median(taken) / floor if "Lion" in name or "lion" in name else 0
        rows.append(
            [
                f"{name}, {mode}",
                f"{median(taken) * 1e3:.2f}",
                f"{ratio(taken, times[BASELINE, mode]):.2f}",
                f"{share:.0%}" if share else "-",
            ]
        )
    report.table(["", "ms", f"÷ {BASELINE}", "of a copy"], rows)


def compare_memory(report: Report) -> None:
    report.section("Growth of a fresh process that steps one variable, in its sizes")
    rows = []
    for name, kind in ((BASELINE, "keras"), ("lion_tf", "lion_tf")):
        grown = [
            output_of(str(MEMORY_PROGRAM), kind, mode) for mode in ("eager", "function", "xla")
        ]
        rows.append([name, *grown])
    report.table(["", *MODES], rows)


def output_of(*command: str) -> str:
    """The last word that a program prints."""
    words = [sys.executable, *command]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[-1]


def first_step(contender: str, mode: str) -> float:
    """Seconds until the first step is done, from an optimizer that is yet to be made."""
    variables = [keras.Variable(keras.random.normal(shape)) for shape in FIRST_STEP]
    gradients = [keras.random.normal(shape) for shape in FIRST_STEP]
    start = time.perf_counter()
    step_of(contender, mode, variables, gradients)()
    variables[-1].numpy()
    return time.perf_counter() - start


def compare_first_steps(report: Report, rounds: int) -> None:
    report.section(f"First step of {len(FIRST_STEP)} variables, in a fresh process")
    rows = []
    for mode in MODES:
        taken: dict[str, list[float]] = {BASELINE: [], "lion_tf": []}
        for _ in range(rounds):
            for name, times in taken.items():
                times.append(float(output_of(__file__, "--one-first-step", name, mode)))
        for name, times in taken.items():
            relative = ratio(times, taken[BASELINE])
            rows.append([f"{name}, {mode}", f"{median(times):.2f}", f"{relative:.2f}"])
    report.table(["", "s", f"÷ {BASELINE}"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sets", nargs="+", default=DEFAULT_SETS, choices=SETS)
    parser.add_argument("--no-first-step", action="store_true")
    parser.add_argument("--one-first-step", nargs=2, help=argparse.SUPPRESS)
    add_save_option(parser, "tf_step")
    arguments = parser.parse_args()
    if arguments.one_first_step:
        print(first_step(*arguments.one_first_step))
        return
    report = Report("One step of Lion in Keras on TensorFlow", ["tensorflow", "keras"])
    for name in arguments.sets:
        report.section(f"{name}, float32")
        measure(report, SETS[name], arguments.rounds)
    compare_memory(report)
    if not arguments.no_first_step:
        compare_first_steps(report, min(arguments.rounds, 3))
    report.save(arguments.save)


if __name__ == "__main__":
    main()
