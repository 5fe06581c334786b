"""Record the tape: a small network trained on scikit-learn's handwritten digits by `lion_ref`.

    python -m lion_conformance.runs.record_tape

writes data/digits.npz anew. The gradients are what a float32 training run really produces: columns
of exact zeros where a pixel is always blank, magnitudes over many binades, momenta that cancel. The
learning rate warms up and decays by a cosine, the weight decay changes and passes through 0.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from lion_conformance.runs.tape import PATH, Tape
from lion_ref import step
from lion_ref.arithmetic import Array

HIDDEN, STEPS, WARM_UP, BATCH = 8, 300, 30, 64
PEAK = 1e-2
BETAS = (0.9, 0.99)


def record() -> Tape:
    """Train for STEPS steps; the tape holds the start, every gradient and every scalar."""
    from sklearn.datasets import load_digits  # only a recording needs it

    digits = load_digits()
    pixels = (digits.data / 16).astype(np.float32)
    labels = digits.target
    rng = np.random.default_rng(2023)
    params = [
        (rng.standard_normal((64, HIDDEN)) / 8).astype(np.float32),
        np.zeros(HIDDEN, np.float32),
        (rng.standard_normal((HIDDEN, 10)) / 2).astype(np.float32),
        np.zeros(10, np.float32),
    ]
    start = tuple(x.copy() for x in params)
    momenta = [np.zeros_like(x) for x in params]
    grads: list[list[Array]] = []
    rates = [learning_rate(t) for t in range(STEPS)]
    decays = [weight_decay(t) for t in range(STEPS)]
    for rate, decay in zip(rates, decays, strict=True):
        batch = rng.integers(0, len(labels), BATCH)
        grads.append(gradients(params, pixels[batch], labels[batch]))
        for i, grad in enumerate(grads[-1]):
            params[i], momenta[i] = step(
                params[i],
                momenta[i],
                grad,
                lr=rate,
                beta1=BETAS[0],
                beta2=BETAS[1],
                weight_decay=decay,
            )
    print(f"accuracy after {STEPS} steps: {accuracy(params, pixels, labels):.1%}")
    return Tape(
        params=start,
        grads=tuple(np.stack(x) for x in zip(*grads, strict=True)),
        lr=np.array(rates),
        weight_decay=np.array(decays),
        beta1=BETAS[0],
        beta2=BETAS[1],
    )


def learning_rate(t: int) -> float:
    """Linear warm-up, then a cosine to zero."""
    if t < WARM_UP:
        return PEAK * (t + 1) / WARM_UP
    return PEAK * 0.5 * (1 + math.cos(math.pi * (t - WARM_UP) / (STEPS - WARM_UP)))


def weight_decay(t: int) -> float:
    """Changes every 75 steps; one stretch has none."""
    return (0.1, 0.3, 0.0, 1.0)[t * 4 // STEPS]


def gradients(params: list[Array], x: Array, labels: Array) -> list[Array]:
    """Of the mean cross-entropy of a network with one hidden layer of ReLUs; all in float32."""
    w1, b1, w2, b2 = params
    hidden = np.maximum(x @ w1 + b1, 0)
    logits = hidden @ w2 + b2
    logits -= logits.max(axis=1, keepdims=True)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities[np.arange(len(labels)), labels] -= 1
    d_logits = probabilities / np.float32(len(labels))
    d_hidden = (d_logits @ w2.T) * (hidden > 0)
    return [x.T @ d_hidden, d_hidden.sum(axis=0), hidden.T @ d_logits, d_logits.sum(axis=0)]


def accuracy(params: list[Array], pixels: Array, labels: Array) -> float:
    """The share of digits that the network names right."""
    w1, b1, w2, b2 = params
    guess = (np.maximum(pixels @ w1 + b1, 0) @ w2 + b2).argmax(axis=1)
    return float((guess == labels).mean())


def main() -> None:
    """Write the tape where the package reads it."""
    record().save(PATH)
    print(f"{PATH.name}: {Path(PATH).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
