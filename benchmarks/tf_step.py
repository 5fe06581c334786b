"""Time and memory of one step: lion_tf beside what a Keras user would pick.

    python benchmarks/tf_step.py [--rounds 9] [--sets "16M" "28M, 40 tensors"] [--no-first-step]

Every contender does one step in turn, in each of TensorFlow's modes, many times over, so that
whatever else the machine does slows all alike. Reported are the median time, the median ratio to
Keras' Lion *in the same mode and round*, and how far the process grew at most during a step. The
first step, with all that is traced and compiled for it, is timed in fresh processes, on 148
variables of GPT-2's shapes at an eighth of its width.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from statistics import median
from typing import TYPE_CHECKING, Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import psutil
import tensorflow as tf

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


def seconds(step: Callable[[], Any], variables: list[Any]) -> float:
    start = time.perf_counter()
    step()
    variables[-1].value[..., :1].numpy()  # wait for the last of them
    return time.perf_counter() - start


def growth(step: Callable[[], Any]) -> float:
    """MiB by which the process grows at most during a few steps, sampled from another thread."""
    process, done = psutil.Process(), threading.Event()
    before = process.memory_info().rss
    seen = [before]

    def sample() -> None:
        while not done.is_set():
            seen.append(process.memory_info().rss)
            time.sleep(0.0002)

    sampler = threading.Thread(target=sample)
    sampler.start()
    for _ in range(5):
        step()
    done.set()
    sampler.join()
    return float(max(seen) - before) / 2**20


def measure(shapes: Shapes, rounds: int) -> None:
    variables = [keras.Variable(keras.random.normal(shape)) for shape in shapes]
    gradients = [keras.random.normal(shape) for shape in shapes]
    steps: dict[Task, Any] = {
        (name, mode): step_of(name, mode, variables, gradients)
        for mode in MODES
        for name in CONTENDERS
    }
    for step in steps.values():
        step()
        step()
    times: dict[Task, list[float]] = {task: [] for task in steps}
    for _ in range(rounds):
        for task, step in steps.items():
            times[task].append(seconds(step, variables))
    print(f"{'':34}{'ms':>9}{'÷ keras Lion':>14}{'grows by':>14}")
    for (name, mode), taken in times.items():
        baseline = times[BASELINE, mode]
        ratio = median(a / b for a, b in zip(taken, baseline, strict=True))
        mib = growth(steps[name, mode])
        print(f"{name:21}{mode:13}{median(taken) * 1e3:9.2f}{ratio:14.2f}{mib:10.1f} MiB")


def first_step(contender: str, mode: str) -> float:
    """Seconds until the first step is done, from an optimizer that is yet to be made."""
    variables = [keras.Variable(keras.random.normal(shape)) for shape in FIRST_STEP]
    gradients = [keras.random.normal(shape) for shape in FIRST_STEP]
    start = time.perf_counter()
    step_of(contender, mode, variables, gradients)()
    variables[-1].numpy()
    return time.perf_counter() - start


def compare_first_steps(rounds: int) -> None:
    print(f"\nfirst step of {len(FIRST_STEP)} variables, in a fresh process")
    print(f"{'':34}{'s':>9}{'÷ keras Lion':>14}")
    for mode in MODES:
        taken: dict[str, list[float]] = {BASELINE: [], "lion_tf": []}
        for _ in range(rounds):
            for name, times in taken.items():
                command = [sys.executable, __file__, "--one-first-step", name, mode]
                output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                times.append(float(output.split()[-1]))
        for name, times in taken.items():
            ratio = median(a / b for a, b in zip(times, taken[BASELINE], strict=True))
            print(f"{name:21}{mode:13}{median(times):9.2f}{ratio:14.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sets", nargs="+", default=DEFAULT_SETS, choices=SETS)
    parser.add_argument("--no-first-step", action="store_true")
    parser.add_argument("--one-first-step", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one_first_step:
        print(first_step(*arguments.one_first_step))
        return
    print(f"tensorflow {tf.__version__}, keras {keras.__version__}, {os.cpu_count()} cores")
    for name in arguments.sets:
        print(f"\n{name}, float32")
        measure(SETS[name], arguments.rounds)
    if not arguments.no_first_step:
        compare_first_steps(min(arguments.rounds, 3))


if __name__ == "__main__":
    main()
