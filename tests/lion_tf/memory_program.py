"""A program for tests and the benchmark: how far a process grows while it steps a large variable.

    python memory_program.py lion_tf|unordered|keras eager|function|xla

Prints the growth of the peak during the steps in variables: 1.0 is the size of θ. `unordered` is
lion_tf with nothing between its two loops. The first steps, on a small variable, load what a step
needs at all; the large one's own first step compiles.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import tensorflow as tf

ELEMENTS = 2**26  # 256 MiB: what else a process allocates does not show


def peak() -> int:
    """The most bytes that the process has held.

    Linux's own count, as getrusage's begins with the size of whoever started the process.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def optimizer(kind: str) -> Any:
    from lion_tf import Lion, kernel

    if kind == "keras":
        return keras.optimizers.Lion(1e-3, weight_decay=0.1)
    if kind == "unordered":
        setattr(kernel, "zero_after", lambda value, zero: zero)  # noqa: B010  # mypy: a function
    return Lion(1e-3, weight_decay=0.1)


def stepper(kind: str, mode: str, elements: int) -> Any:
    """A step of a variable, whose memory, its momentum's and its gradient's are all touched."""
    variable = keras.Variable(tf.ones([elements]))
    gradient = tf.ones([elements])
    opt = optimizer(kind)
    opt.build([variable])
    opt.variables[-1].assign(gradient)

    def step() -> None:
        opt.apply([gradient], [variable])

    if mode == "eager":
        return step
    return tf.function(step, jit_compile=mode == "xla")


def main(kind: str, mode: str) -> None:
    small = stepper(kind, mode, 1024)
    small()
    large = stepper(kind, mode, ELEMENTS)
    before = peak()
    for _ in range(3):
        large()
    sys.stdout.write(f"{(peak() - before) / (4 * ELEMENTS):.2f}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
