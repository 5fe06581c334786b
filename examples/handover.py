"""Train in PyTorch, then in JAX, then in TensorFlow, with the bits of one run in NumPy.

The model's gradients are computed in NumPy, by the same code for all: two frameworks' own have
other bits, and those of the run are to be the optimizer's alone. What goes from one framework to
the next is a file, which has the parameters, the momenta, the step and the schedule.

python examples/handover.py
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.datasets import load_digits

import lion_ref
from lion_ref.run_state import load
from lion_ref.schedules import Schedule

STEPS = 100  # in each framework
DECAY = 0.1
LR = Schedule("cosine", first=3e-3, last=3e-5, steps=280, warmup=20)
SHAPES = {
    "hidden/kernel": (64, 32),
    "hidden/bias": (32,),
    "out/kernel": (32, 10),
    "out/bias": (10,),
}


class Digits:
    """The model: its loss and its gradients after so many steps, in float32."""

    def __init__(self) -> None:
        images, labels = load_digits(return_X_y=True)
        self.images = (images / 16).astype(np.float32)
        self.labels = np.eye(10, dtype=np.float32)[labels]
        self.losses: list[float] = []

    def start(self) -> dict[str, Any]:
        """Parameters by name."""
        rng = np.random.default_rng(0)
        return {
            name: (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
            for name, shape in SHAPES.items()
        }

    def gradients(self, params: dict[str, Any], step: int) -> dict[str, Any]:
        """Of the loss on a batch of the step's own."""
        # BLAS rounds otherwise where an array lies otherwise.
        params = {name: np.ascontiguousarray(x) for name, x in params.items()}
        batch = np.random.default_rng(step).integers(len(self.images), size=64)
        x, y = self.images[batch], self.labels[batch]
        before = x @ params["hidden/kernel"] + params["hidden/bias"]
        hidden = np.maximum(before, 0)
        logits = hidden @ params["out/kernel"] + params["out/bias"]
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        self.losses.append(float(-np.log((share * y).sum(axis=1)).mean()))
        above = (share - y) / np.float32(len(x))
        below = (above @ params["out/kernel"].T) * (before > 0)
        return {
            "hidden/kernel": x.T @ below,
            "hidden/bias": below.sum(axis=0),
            "out/kernel": hidden.T @ above,
            "out/bias": above.sum(axis=0),
        }


def in_numpy(digits: Digits) -> dict[str, Any]:
    """The whole run, never interrupted: θ and m by name."""
    state = {name: (x, np.zeros_like(x)) for name, x in digits.start().items()}
    for step in range(3 * STEPS):
        grads = digits.gradients({name: theta for name, (theta, _) in state.items()}, step)
        state = {
            name: lion_ref.step(*pair, grads[name], lr=LR(step), weight_decay=DECAY)
            for name, pair in state.items()
        }
    return state


def torch_names() -> dict[str, str]:
    """From the names here to those of `torch.nn.Linear`."""
    return {name: name.replace("/", ".").replace("kernel", "weight") for name in SHAPES}


def in_torch(digits: Digits, path: Path) -> None:
    import torch

    import lion_torch

    names = torch_names()
    model = torch.nn.ModuleDict({"hidden": torch.nn.Linear(64, 32), "out": torch.nn.Linear(32, 10)})
    params = dict(model.named_parameters())
    with torch.no_grad():
        for name, start in digits.start().items():
            params[names[name]].copy_(torch.from_numpy(start.T))  # kernels lie the other way there
    optimizer = lion_torch.Lion(params.values(), lr=1.0, weight_decay=DECAY)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, LR)
    for step in range(STEPS):
        theta = {name: params[names[name]].detach().numpy().T for name in SHAPES}
        for name, grad in digits.gradients(theta, step).items():
            params[names[name]].grad = torch.from_numpy(np.ascontiguousarray(grad.T))
        optimizer.step()
        scheduler.step()
    lion_torch.export_state(optimizer, path, model=model, step=STEPS, lr_schedule=LR)


def nested(flat: dict[str, Any]) -> Any:
    """A tree of layers."""
    tree: Any = {"hidden": {}, "out": {}}
    for name, leaf in flat.items():
        layer, _, kind = name.partition("/")
        tree[layer][kind] = leaf
    return tree


def in_jax(digits: Digits, path: Path) -> None:
    import jax
    import jax.numpy as jnp

    import lion_jax

    tree = nested({name: jax.ShapeDtypeStruct(x, jnp.float32) for name, x in SHAPES.items()})
    mapping = {
        theirs: (ours, (1, 0)) if ours.endswith("kernel") else ours
        for ours, theirs in torch_names().items()
    }
    params, state, header = lion_jax.import_state(path, params=tree, mapping=mapping)
    tx = lion_jax.from_header(header, params)
    train = jax.jit(tx.step)
    for step in range(header.step, header.step + STEPS):
        theta = {f"{a}/{b}": np.asarray(x) for a, layer in params.items() for b, x in layer.items()}
        found = digits.gradients(theta, step)
        grads = nested({name: jnp.asarray(x) for name, x in found.items()})
        params, state = train(grads, state, params)
    lion_jax.export_state(state, path, params=params, tx=tx)


def in_tensorflow(digits: Digits, path: Path) -> None:
    import keras
    import tensorflow as tf

    import lion_tf

    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(32, activation="relu", name="hidden"),
            keras.layers.Dense(10, name="out"),
        ],
        name="digits",
    )
    optimizer = lion_tf.Lion()
    header = lion_tf.import_state(
        optimizer,
        path,
        variables=model.trainable_variables,
        mapping=lambda name, _: f"digits/{name}",
    )
    train = tf.function(optimizer.apply)
    variables = {x.path.partition("/")[2]: x for x in model.trainable_variables}
    for step in range(header.step, header.step + STEPS):
        grads = digits.gradients({name: x.numpy() for name, x in variables.items()}, step)
        train([tf.constant(grads[name]) for name in variables])
    lion_tf.export_state(optimizer, path)


def fingerprint(state: dict[str, Any]) -> str:
    """Of every bit of θ and m."""
    digest = hashlib.sha256()
    for name, pair in sorted(state.items()):
        for array in pair:
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def curve(losses: list[float], width: int = 60) -> str:
    """A line of blocks, the highest for the first loss."""
    means = [float(np.mean(part)) for part in np.array_split(losses, width)]
    return "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * mean / means[0]))] for mean in means)


def main() -> None:
    whole = Digits()
    expected = fingerprint(in_numpy(whole))

    parts = Digits()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.safetensors"
        in_torch(parts, path)
        in_jax(parts, path)
        in_tensorflow(parts, path)
        run = load(path)
        found = fingerprint(
            {name.removeprefix("digits/"): run.tensors[name] for name in run.tensors}
        )

    print(f"loss {parts.losses[0]:.2f} {curve(parts.losses)} {parts.losses[-1]:.2f}")
    print(f"{STEPS} steps each in PyTorch, JAX and TensorFlow: {found}")
    print(f"{3 * STEPS} steps in NumPy:                             {expected}")
    if found != expected or parts.losses != whole.losses or run.header.step != 3 * STEPS:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
