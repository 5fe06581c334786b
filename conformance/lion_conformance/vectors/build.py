"""The groups of cases, each as plain values ready to be written."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.cases.overflow import momentum_overflows, param_overflows
from lion_conformance.ports.hexadecimal import encode
from lion_conformance.ports.protocol import Triple
from lion_conformance.vectors.flags import flags_of
from lion_conformance.vectors.pool import SCALARS, pool
from lion_conformance.vectors.splitmix import SplitMix
from lion_ref import CANONICAL, STORAGE_DTYPES, Semantics, legal_triples, step
from lion_ref.arithmetic import Array, bits, same_bits
from lion_ref.semantics import choices

Group = dict[str, Any]

NAMES: Final = ("param", "momentum", "grad")
UNIFORM: Final[tuple[Triple, ...]] = tuple((dtype, dtype, dtype) for dtype in STORAGE_DTYPES)
MIXED: Final[tuple[Triple, ...]] = (
    ("bfloat16", "float32", "bfloat16"),
    ("float32", "bfloat16", "float32"),
    ("float64", "float32", "float16"),
)
POOL, CANARY_POOL = 48, 4_096
STEPS, ELEMENTS, LONG_ELEMENTS = 8, 12, 8
CHECKPOINTS: Final = (1, 10, 100, 1_000, 10_000)
SCHEDULE: Final = ((1, 0.01, 0.1), (2_501, 0.003, 0.0), (5_001, 0.001, 0.3), (7_501, 1e-4, 1.0))
"""(first step, η, λ) of each stretch of a long trajectory."""


def groups(size: int) -> Iterator[Group]:
    """Every group of the file, in its order."""
    triples = legal_triples()
    for index, triple in enumerate(triples):
        thorough = triple in UNIFORM
        wanted = SCALARS if thorough else SCALARS[index % len(SCALARS) :][:1]
        for scalars in wanted:
            seed = 1_000 * index + SCALARS.index(scalars)
            yield steps(triple, scalars, seed, size=size, quota=4 if thorough else 1)
        for name, cases in (
            ("param", param_overflows(triple)),
            ("momentum", momentum_overflows(triple)),
        ):
            for count, case in enumerate(cases, 1):
                yield _of_case(f"{name}-overflows-{count}", triple, case, flags_of(case))
    for dtype in STORAGE_DTYPES:
        yield from canaries(dtype)
    for index, triple in enumerate(UNIFORM + MIXED):
        yield trajectory(triple, 100_000 + index)
    for index, triple in enumerate(UNIFORM + MIXED):
        yield long_trajectory(triple, 200_000 + index)


def number(value: float) -> str:
    """A scalar's bits in binary64."""
    return f"{int(bits(np.array([value], np.float64))[0]):016x}"


def scalars_of(case: Case) -> dict[str, str]:
    """The four scalars' bits."""
    return {name: number(value) for name, value in case.scalars.items()}  # type: ignore[arg-type]


def hexed(array: Array) -> list[str]:
    """Each element's bits."""
    return encode([array]).decode().split()


def _group(name: str, kind: str, triple: Triple) -> Group:
    dtypes = dict(zip(NAMES, triple, strict=True))
    return {"id": f"{'-'.join(triple)}/{name}", "kind": kind, "dtypes": dtypes}


def steps(
    triple: Triple,
    scalars: tuple[float, float, float, float],
    seed: int,
    *,
    size: int,
    quota: int,
) -> Group:
    """Single steps: `size` ordinary draws, and for each flag up to `quota` cases that have it."""
    drawn = pool(triple, scalars, seed, each=max(POOL, size))
    flags = flags_of(drawn)
    seen: Counter[str] = Counter()
    chosen = []
    for i, found in enumerate(flags):
        if i < size or any(seen[flag] < quota for flag in found if flag != "ordinary"):
            chosen.append(i)
            seen.update(found)
    case = drawn.with_arrays(x[chosen] for x in drawn.arrays)
    name = f"steps-{SCALARS.index(scalars) + 1}"
    return _of_case(name, triple, case, [flags[i] for i in chosen])


def _of_case(name: str, triple: Triple, case: Case, flags: list[list[str]]) -> Group:
    new_param, new_momentum = step(*case.arrays, **case.scalars)
    columns = [*map(hexed, case.arrays), hexed(new_param), hexed(new_momentum)]
    names = (*NAMES, "new_param", "new_momentum")
    group = _group(name, "steps", triple)
    group["scalars"] = scalars_of(case)
    group["cases"] = [
        dict(zip(names, row, strict=True)) | {"flags": why}
        for row, why in zip(zip(*columns, strict=True), flags, strict=True)
    ]
    return group


# --- canaries ----------------------------------------------------------------------------------


def single_choices() -> dict[str, tuple[Semantics, Semantics]]:
    """For each choice the semantics without it and with it, beside the least that it needs."""
    found = {}
    for name, options in choices().items():
        for option in options[1:]:
            beside = _companion(name, option)
            pair = Semantics(**beside), Semantics(**beside, **{name: option})
            found[f"{name}={option}"] = pair
    return found


def _companion(name: str, option: Any) -> dict[str, Any]:
    """The first single other choice, or none, with which this one has a meaning."""
    others = [(n, x) for n, options in choices().items() if n != name for x in options[1:]]
    candidates: list[dict[str, Any]] = [{}, *({n: x} for n, x in others)]
    for beside in candidates:
        try:
            Semantics(**beside, **{name: option})
        except ValueError:
            continue
        return beside
    raise ValueError(f"{name}={option!r} has a meaning beside no single other choice")


def canaries(dtype: str) -> Iterator[Group]:
    """A group for each choice heard in the dtype: the case on which the fewest others are heard."""
    pools = [
        pool((dtype, dtype, dtype), scalars, 300_000 + i, each=CANARY_POOL)
        for i, scalars in enumerate(SCALARS)
    ]
    results: dict[Semantics, list[Array]] = {}
    for semantics in [CANONICAL, *(x for pair in single_choices().values() for x in pair)]:
        if semantics not in results:
            results[semantics] = [_both_outputs(drawn, semantics) for drawn in pools]
    plain = [with_ for without, with_ in single_choices().values() if without == CANONICAL]
    noise = [
        np.sum([~_same(results[x][i], results[CANONICAL][i]) for x in plain], axis=0)
        for i in range(len(pools))
    ]
    for choice, (without, with_choice) in single_choices().items():
        best: tuple[int, int, int] | None = None
        for i in range(len(pools)):
            heard = np.flatnonzero(~_same(results[with_choice][i], results[without][i]))
            if heard.size:
                at = int(heard[np.argmin(noise[i][heard])])
                candidate = int(noise[i][at]), i, at
                best = candidate if best is None else min(best, candidate)
        if best is not None:
            yield _canary(dtype, choice, without, with_choice, pools[best[1]].at(best[2]))


def _both_outputs(case: Case, semantics: Semantics) -> Array:
    return np.stack(step(*case.arrays, **case.scalars, semantics=semantics))


def _same(first: Array, second: Array) -> Array:
    return np.asarray(same_bits(first, second).all(axis=0))


def _canary(
    dtype: str, choice: str, without: Semantics, with_choice: Semantics, case: Case
) -> Group:
    group = _group(f"canary-{choice}", "canary", (dtype, dtype, dtype))
    group["choice"] = choice
    group["scalars"] = scalars_of(case)
    answers = _answers(case, CANONICAL)
    group["cases"] = [
        {name: hexed(x)[0] for name, x in zip(NAMES, case.arrays, strict=True)}
        | answers
        | {"flags": flags_of(case)[0]}
    ]
    group["others"] = [
        {"semantics": semantics.differences()} | _answers(case, semantics)
        for semantics in (without, with_choice)
        if semantics != CANONICAL
    ]
    return group


def _answers(case: Case, semantics: Semantics) -> dict[str, str]:
    new = step(*case.arrays, **case.scalars, semantics=semantics)
    return {name: hexed(x)[0] for name, x in zip(("new_param", "new_momentum"), new, strict=True)}


# --- trajectories ------------------------------------------------------------------------------


def trajectory(triple: Triple, seed: int) -> Group:
    """A short run in full; its last element has θ = -0 and m = g = 0 throughout."""
    draw = SplitMix(seed)
    param = draw.numbers(triple[0], ELEMENTS)
    momentum = draw.numbers(triple[1], ELEMENTS)
    param[-1], momentum[-1] = -0.0, 0.0
    group = _group("trajectory", "trajectory", triple)
    group["betas"] = {"beta1": number(0.9), "beta2": number(0.99)}
    group["param"], group["momentum"] = hexed(param), hexed(momentum)
    group["steps"] = []
    for t in range(STEPS):
        grad = draw.numbers(triple[2], ELEMENTS)
        grad[-1] = 0.0
        lr, weight_decay = 0.1 / (t + 1), (0.1, 0.3, 0.0, 1.0)[t * 4 // STEPS]
        param, momentum = step(param, momentum, grad, lr=lr, weight_decay=weight_decay)
        group["steps"].append(
            {
                "lr": number(lr),
                "weight_decay": number(weight_decay),
                "grad": hexed(grad),
                "new_param": hexed(param),
                "new_momentum": hexed(momentum),
            }
        )
    return group


def long_trajectory(triple: Triple, seed: int) -> Group:
    """A long run as its seed and the hashes of its checkpoints."""
    group = _group("long", "long", triple)
    group["betas"] = {"beta1": number(0.9), "beta2": number(0.99)}
    group["seed"], group["elements"] = seed, LONG_ELEMENTS
    group["schedule"] = [
        {"from_step": first, "lr": number(lr), "weight_decay": number(weight_decay)}
        for first, lr, weight_decay in SCHEDULE
    ]
    group["checkpoints"] = [
        {"step": t, "param_sha256": hashes[0], "momentum_sha256": hashes[1]}
        for t, hashes in zip(CHECKPOINTS, run_long(triple, seed, CANONICAL), strict=True)
    ]
    return group


def run_long(triple: Triple, seed: int, semantics: Semantics) -> list[tuple[str, str]]:
    """The hashes of θ and m at every checkpoint."""
    draw = SplitMix(seed)
    count = LONG_ELEMENTS
    param = draw.numbers(triple[0], count)
    momentum = np.zeros(count, STORAGE_DTYPES[triple[1]])
    grads = draw.numbers(triple[2], CHECKPOINTS[-1] * count).reshape(-1, count)
    found = []
    for t, grad in enumerate(grads, 1):
        _, lr, weight_decay = max(stretch for stretch in SCHEDULE if stretch[0] <= t)
        scalars: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
        param, momentum = step(param, momentum, grad, **scalars, semantics=semantics)
        if t in CHECKPOINTS:
            found.append((sha256([param]), sha256([momentum])))
    return found


def sha256(arrays: Sequence[Array]) -> str:
    """Of the elements' bytes, each number little-endian."""
    octets = [bits(x).astype(f"<u{x.dtype.itemsize}").tobytes() for x in arrays]
    return hashlib.sha256(b"".join(octets)).hexdigest()
