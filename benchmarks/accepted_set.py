"""How tight the accepted set is: how many numbers it holds, how often more than one sign.

    python benchmarks/accepted_set.py [--elements 200000]

For each dtype (θ, m and g alike) and three kinds of input: standard normal numbers; the states and
gradients of the recorded training run, rounded to the dtype; and the conformance suite's
adversarial cases, their finite elements. Counted are the numbers of the dtype in the interval of
θ' that belongs to the reference's own sign, and in the interval of m'; 1 means that only the
reference's own bits are accepted. The last column is the share of elements whose sign set has two
or three signs, so that θ' may lie in another interval as well.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from lion_conformance.cases.case import Seeded, build
from lion_conformance.runs.tape import load
from lion_ref import STORAGE_DTYPES, bounds, step
from lion_ref.acceptance import problem_of, sign_set
from lion_ref.arithmetic import bits, round_to
from lion_ref.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Array = Any
Inputs = tuple[Array, Array, Array, Hyperparameters]

USUAL = Hyperparameters(lr=1e-4, beta1=0.9, beta2=0.99, weight_decay=0.1)


def normal(dtype: np.dtype[Any], elements: int) -> Iterator[Inputs]:
    values = np.random.default_rng(0).standard_normal((3, elements))
    theta, m, g = (round_to(x, dtype) for x in values)
    yield theta, m, g, USUAL


def recorded(dtype: np.dtype[Any], elements: int) -> Iterator[Inputs]:
    tape = load()
    params = [round_to(x, dtype) for x in tape.params]
    momenta = [np.zeros_like(x) for x in params]
    seen = 0
    for grads, lr, weight_decay in tape.steps():
        values = Hyperparameters(lr, tape.beta1, tape.beta2, weight_decay)
        for i, grad in enumerate(grads):
            g = round_to(grad, dtype)
            yield params[i].reshape(-1), momenta[i].reshape(-1), g.reshape(-1), values
            params[i], momenta[i] = step(
                params[i],
                momenta[i],
                g,
                lr=lr,
                beta1=tape.beta1,
                beta2=tape.beta2,
                weight_decay=weight_decay,
            )
            seen += grad.size
        if seen >= elements:
            return


def adversarial(dtype: np.dtype[Any], elements: int) -> Iterator[Inputs]:
    draws, seen = Seeded(0), 0
    while seen < elements:
        case = build(draws, [(dtype.name,) * 3])
        theta, m, g = (x.reshape(-1) for x in case.arrays)
        yield theta, m, g, Hyperparameters(**case.scalars)
        seen += theta.size


def numbers_in(interval: bounds.Interval, dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """How many numbers of dtype the interval holds once its ends are rounded."""
    low, high = (_ordinals(round_to(end, dtype)) for end in (interval.low, interval.high))
    return high - low + 1


def _ordinals(values: Array) -> NDArray[np.float64]:
    """Places among the dtype's numbers; exact up to 2**53, and a count needs no more."""
    patterns = bits(values).astype(np.uint64)
    half = np.uint64(1 << (8 * values.dtype.itemsize - 1))
    magnitude = (patterns & (half - np.uint64(1))).astype(np.int64)
    return np.where(patterns >= half, -magnitude, magnitude).astype(np.longdouble)


def measured(inputs: Iterator[Inputs], dtype: np.dtype[Any]) -> list[str]:
    of_theta, of_m, ambiguous, elements = [], [], 0, 0
    for theta, m, g, values in inputs:
        problem = problem_of([theta, m, g], values)
        with np.errstate(all="ignore"):
            ordinary = ~bounds.may_overflow(problem)
            if not ordinary.any():
                continue
            problem = problem.at(ordinary)
            signs = sign_set(problem)
            ambiguous += int((np.sum(list(signs.values()), axis=0) > 1).sum())
            c = values.beta1 * problem.m + (1 - values.beta1) * problem.g
            widths = {
                s: numbers_in(bounds.parameter(problem, s, flushing=False)[0], dtype) for s in signs
            }
            own = np.where(c > 0, widths[1], np.where(c < 0, widths[-1], widths[0]))
            of_theta.append(own)
            of_m.append(numbers_in(bounds.momentum(problem, flushing=False), dtype))
        elements += int(ordinary.sum())
    columns = [_summary(np.concatenate(x)) for x in (of_theta, of_m)]
    return [f"{elements:,}", *columns, f"{ambiguous / elements:.2g}"]


def _summary(counts: NDArray[np.float64]) -> str:
    median, high = (float(np.quantile(counts, q, method="higher")) for q in (0.5, 0.99))
    return f"{median:.0f} / {high:.3g} / {float(counts.max()):.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--elements", type=int, default=200_000)
    elements = parser.parse_args().elements
    header = (
        "dtype",
        "inputs",
        "elements",
        "numbers in θ's set: median / 99% / max",
        "numbers in m's set: median / 99% / max",
        "share with more than one sign",
    )
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for dtype in STORAGE_DTYPES.values():
        for source in (normal, recorded, adversarial):
            row = [dtype.name, source.__name__, *measured(source(dtype, elements), dtype)]
            print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
