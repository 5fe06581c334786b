"""Time and memory of one step: lion_jax through both doors, beside what a JAX user would pick.

    python benchmarks/jax_step.py [--rounds 9] [--dtype float32] [--save [FILE]]
                                  [--sets "16M" "28M, 40 tensors"]

Every contender does one step in turn, many times over, so that whatever else the machine does
slows all alike; params and state are donated, the gradients are the same. Reported are the median
time, the median ratios to optax.lion, optax.adamw and optax.sgd with momentum *of the same round*,
the memory the compiled step needs besides its arguments, the bandwidth if every array were read and
written once (θ, m, g in; θ', m' out), and that bandwidth as a share of a copy's. That copy is the
floor. It fills fresh memory, which on a CPU costs more than the copying: there the share may
exceed 1.
"""

from __future__ import annotations

import argparse
import math
from statistics import median
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lion_jax
from benchmarks.results import (
    Report,
    add_save_option,
    graphics_driver,
    in_rounds,
    ratio,
    seconds,
)
from benchmarks.shapes import SETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.shapes import Shapes

RATE, DECAY = 1e-4, 0.1
LION, ADAMW, SGD = "optax.lion", "optax.adamw", "optax.sgd, momentum"
DEFAULT_SETS = ("16M", "28M, 40 tensors")


def through_updates(tx: Any) -> Callable[..., Any]:
    def train(params: Any, state: Any, grads: Any) -> Any:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return train


def through_step(tx: Any) -> Callable[..., Any]:
    return lambda params, state, grads: tx.step(grads, state, params)


def contenders() -> dict[str, tuple[Any, Callable[..., Any]]]:
    ours = lion_jax.lion(RATE, weight_decay=DECAY)
    theirs = {
        LION: optax.lion(RATE, weight_decay=DECAY),
        ADAMW: optax.adamw(RATE, weight_decay=DECAY),
        SGD: optax.sgd(RATE, momentum=0.9),
    }
    return {name: (tx, through_updates(tx)) for name, tx in theirs.items()} | {
        "lion_jax, update": (ours, through_updates(ours)),
        "lion_jax, step": (ours, through_step(ours)),
    }


def arrays(shapes: Shapes, seed: int, dtype: str) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.standard_normal(s, dtype=np.float32), dtype) for s in shapes]


class Training:
    """One optimizer's compiled step, with the parameters and the state that it goes on from."""

    def __init__(self, tx: Any, train: Callable[..., Any], params: Any, grads: Any) -> None:
        state = tx.init(params)
        jitted = jax.jit(train, donate_argnums=(0, 1))
        self.compiled: Any = jitted.lower(params, state, grads).compile()
        self.params, self.state, self.grads = params, state, grads

    def __call__(self) -> Any:
        """One more step."""
        self.params, self.state = self.compiled(self.params, self.state, self.grads)
        return self.params, self.state


def finished(task: Callable[[], Any]) -> float:
    """The seconds until a task's results are there."""
    return seconds(lambda: jax.block_until_ready(task()))  # type: ignore[no-untyped-call]


def measure(report: Report, chosen: str, dtype: str, rounds: int) -> None:
    shapes = SETS[chosen]
    elements = sum(map(math.prod, shapes))
    report.section(f"{chosen}, {dtype}: {elements:,} elements")
    grads = arrays(shapes, 1, dtype)
    runs = {
        name: Training(tx, train, arrays(shapes, 0, dtype), grads)
        for name, (tx, train) in contenders().items()
    }
    copied = jax.jit(lambda x: jax.tree.map(jnp.copy, x))
    times = in_rounds({"a copy": lambda: copied(grads)} | runs, rounds, finished)
    size = jnp.dtype(dtype).itemsize

    def row(name: str, *others: str, moved: int | None = None) -> list[str]:
        taken = median(times[name])
        rate = [f"{moved * size * elements / taken / 1e9:.1f}" if moved else ""]
        copy = 2 / median(times["a copy"])
        share = [f"{moved / taken / copy:.2f}" if moved else ""]
        return [name, f"{taken * 1e3:.2f}", *others, *rate, *share]

    rows = [row("a copy", "", "", "", "", moved=2)]
    for name, run in runs.items():
        ratios = [f"{ratio(times[name], times[other]):.2f}" for other in (LION, ADAMW, SGD)]
        memory = f"{run.compiled.memory_analysis().temp_size_in_bytes / 1e6:.1f}"
        is_lion = name == LION or name.startswith("lion_jax")
        rows.append(row(name, *ratios, memory, moved=5 if is_lion else None))
    heads = ["", "ms", "÷ lion", "÷ adamw", "÷ sgd", "extra MB", "GB/s", "of a copy"]
    report.table(heads, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--sets", nargs="+", default=DEFAULT_SETS, choices=SETS)
    add_save_option(parser, "jax_step")
    arguments = parser.parse_args()
    on_cpu = jax.default_backend() == "cpu"
    where = str(jax.devices()[0]) if on_cpu else graphics_driver()
    report = Report("One step of lion_jax", ["jax", "optax"], where)
    report.text("\nMedian milliseconds; ratios are medians within rounds; buffers are donated.")
    for name in arguments.sets:
        measure(report, name, arguments.dtype, arguments.rounds)
    report.save(arguments.save)


if __name__ == "__main__":
    main()
