"""Time and memory of one step: lion_jax through both doors, beside what a JAX user would pick.

    python benchmarks/jax_step.py [--elements 16000000] [--rounds 9] [--dtype float32]

Every contender does one step in turn, many times over, so that whatever else the machine does
slows all alike; params and state are donated, the gradients are the same. Reported are the median
time, the median ratios to optax.lion and optax.adamw *of the same round*, the memory the compiled
step needs besides its arguments, the bandwidth if every array were read and written once (θ, m, g
in; θ', m' out), and that bandwidth as a share of a copy's. A copy fills fresh memory, which on a
CPU costs more than the copying: there the share may exceed 1.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lion_jax

if TYPE_CHECKING:
    from collections.abc import Callable

RATE, DECAY = 1e-4, 0.1
BASELINE, ADAMW = "optax.lion", "optax.adamw"


def flat(elements: int) -> dict[str, tuple[int, ...]]:
    return {"w": (elements,)}


def gpt2_like() -> dict[str, tuple[int, ...]]:
    """Six layers of width 512: 75 tensors, 22 million elements."""
    width = 512
    shapes: dict[str, tuple[int, ...]] = {"tokens": (6000, width), "positions": (512, width)}
    for i in range(6):
        shapes |= {
            f"{i}.qkv": (width, 3 * width),
            f"{i}.qkv_bias": (3 * width,),
            f"{i}.out": (width, width),
            f"{i}.out_bias": (width,),
            f"{i}.up": (width, 4 * width),
            f"{i}.up_bias": (4 * width,),
            f"{i}.down": (4 * width, width),
            f"{i}.down_bias": (width,),
            **{f"{i}.norm{j}": (width,) for j in range(4)},
        }
    return shapes | {"norm": (width,)}


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
        BASELINE: optax.lion(RATE, weight_decay=DECAY),
        ADAMW: optax.adamw(RATE, weight_decay=DECAY),
        "optax.sgd, momentum": optax.sgd(RATE, momentum=0.9),
    }
    return {name: (tx, through_updates(tx)) for name, tx in theirs.items()} | {
        "lion_jax, update": (ours, through_updates(ours)),
        "lion_jax, step": (ours, through_step(ours)),
    }


def tree(shapes: dict[str, tuple[int, ...]], seed: int, dtype: str) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        name: jnp.asarray(rng.standard_normal(shape, dtype=np.float32), dtype)
        for name, shape in shapes.items()
    }


def seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(call())  # type: ignore[no-untyped-call]
    return time.perf_counter() - start


def measure(title: str, shapes: dict[str, tuple[int, ...]], rounds: int, dtype: str) -> None:
    grads = tree(shapes, 1, dtype)
    elements = sum(x.size for x in grads.values())
    runs, memory = {}, {}
    for name, (tx, train) in contenders().items():
        params = tree(shapes, 0, dtype)
        state = tx.init(params)
        compiled: Any = jax.jit(train, donate_argnums=(0, 1)).lower(params, state, grads).compile()
        memory[name] = compiled.memory_analysis().temp_size_in_bytes
        runs[name] = [compiled, params, state]
    copied = tree(shapes, 2, dtype)
    copy = jax.jit(lambda x: jax.tree.map(jnp.copy, x))
    seconds(lambda: copy(copied))

    times: dict[str, list[float]] = {name: [] for name in [*runs, "copy"]}
    for i in range(rounds + 2):
        taken = {"copy": seconds(lambda: copy(copied))}
        for name, run in runs.items():

            def step(run: list[Any] = run) -> Any:
                run[1:] = run[0](run[1], run[2], grads)
                return run[1:]

            taken[name] = seconds(step)
        if i >= 2:  # the first rounds touch their memory for the first time
            for name, value in taken.items():
                times[name].append(value)

    size = jnp.dtype(dtype).itemsize
    copy_bandwidth = 2 * size * elements / median(times["copy"])
    print(f"\n{title}: {len(shapes)} tensors, {elements:,} elements, {dtype}, {jax.devices()[0]}")
    heads = [("ms", 8), ("of optax.lion", 15), ("of adamw", 10), ("extra MB", 10)]
    heads += [("GB/s", 7), ("of copy", 9)]
    print(f"{'':22}" + "".join(f"{head:>{width}}" for head, width in heads))
    print(f"{'copy':22}{median(times['copy']) * 1e3:8.2f}{'':35}{copy_bandwidth / 1e9:7.1f}")
    for name in runs:
        of_lion, of_adamw = (
            median(a / b for a, b in zip(times[name], times[other], strict=True))
            for other in (BASELINE, ADAMW)
        )
        bandwidth = 5 * size * elements / median(times[name])
        ours = name == BASELINE or name.startswith("lion")
        share = f"{bandwidth / 1e9:7.1f}{bandwidth / copy_bandwidth:9.2f}" if ours else ""
        print(
            f"{name:22}{median(times[name]) * 1e3:8.2f}{of_lion:15.2f}{of_adamw:10.2f}"
            f"{memory[name] / 1e6:10.1f}{share}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--elements", type=int, default=16_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--dtype", default="float32")
    args = parser.parse_args()
    measure("One array", flat(args.elements), args.rounds, args.dtype)
    measure("A GPT-2-like tree", gpt2_like(), args.rounds, args.dtype)


if __name__ == "__main__":
    main()
