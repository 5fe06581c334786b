"""Cases that reach every rounding, and the comparison of an optimizer with the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

import lion_ref
from lion_ref.arithmetic import Array, round_to, same_bits
from lion_ref.dtypes import STORAGE_DTYPES

_INTEGERS = {2: (np.int16, torch.int16), 4: (np.int32, torch.int32), 8: (np.int64, torch.int64)}
NAMES = {getattr(torch, name): name for name in STORAGE_DTYPES}
DTYPES = {name: dtype for dtype, name in NAMES.items()}


def to_torch(array: Array) -> torch.Tensor:
    """A tensor with the array's bits and shape, in memory of its own."""
    numpy_integer, _ = _INTEGERS[array.dtype.itemsize]
    integers = torch.from_numpy(np.array(array, order="C").view(numpy_integer))
    return integers.view(DTYPES[array.dtype.name])


def to_numpy(tensor: torch.Tensor) -> Array:
    """An array with the tensor's bits and shape, in memory of its own."""
    _, torch_integer = _INTEGERS[tensor.element_size()]
    integers = tensor.detach().cpu().contiguous().view(torch_integer).numpy().copy()
    return integers.view(STORAGE_DTYPES[NAMES[tensor.dtype]])


def pairs_bits(pairs: Any) -> dict[str, list[tuple[str, tuple[int, ...], bytes]]]:
    """The bits of (θ, m) by name, NaN's among them, with dtypes and shapes."""
    return {
        name: [(x.dtype.name, x.shape, np.asarray(x).tobytes()) for x in pair]
        for name, pair in pairs.items()
    }


@dataclass(frozen=True)
class Case:
    """Starting parameters, momenta and gradients for some steps, all from a seed."""

    dtypes: tuple[str, str, str]
    shapes: tuple[tuple[int, ...], ...]
    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.1
    seed: int = 0
    steps: int = 2
    kind: str = "mixed"

    def params(self) -> list[Array]:
        random = np.random.default_rng(self.seed)
        return [values(random, s, self.dtypes[0], self.kind) for s in self.shapes]

    def momenta(self, random: np.random.Generator) -> list[Array]:
        return [values(random, s, self.dtypes[1], self.kind) for s in self.shapes]

    def grads(self, random: np.random.Generator, momenta: Sequence[Array]) -> list[Array]:
        """Some of them cancel β1·m exactly, or miss that by an ulp or two."""
        result = []
        for shape, m in zip(self.shapes, momenta, strict=True):
            g = values(random, shape, self.dtypes[2], self.kind)
            with np.errstate(all="ignore"):
                opposite = -self.beta1 * m.astype(np.float64) / (1.0 - self.beta1)
                near = round_to(opposite, g.dtype)
            bits = near.view(_INTEGERS[g.dtype.itemsize][0])
            near = (bits + random.integers(-1, 2, shape).astype(bits.dtype)).view(g.dtype)
            result.append(np.where(random.random(shape) < 0.4, near, g))
        return result

    @property
    def options(self) -> dict[str, Any]:
        return {
            "lr": self.lr,
            "betas": (self.beta1, self.beta2),
            "weight_decay": self.weight_decay,
        }


def values(random: np.random.Generator, shape: tuple[int, ...], name: str, kind: str) -> Array:
    """Random bit patterns, special values and ordinary numbers in one array of a storage dtype."""
    dtype = STORAGE_DTYPES[name]
    ordinary = round_to(random.standard_normal(shape), dtype)
    if kind == "ordinary":
        return np.asarray(ordinary)
    width = 8 * dtype.itemsize
    patterns = random.integers(0, 2**width, shape, dtype=np.uint64)
    anything = patterns.astype(f"u{dtype.itemsize}").view(dtype)
    one, smallest = np.ones((), dtype), np.array(1, f"u{dtype.itemsize}").view(dtype)
    largest = (np.array(np.inf, dtype).view(f"u{dtype.itemsize}") - 1).astype(f"u{dtype.itemsize}")
    pool = np.array(
        [0, smallest, 3 * smallest, one, 0.5, 1.5, largest.view(dtype), np.inf, np.nan], dtype
    )
    special = random.choice(pool, shape) * random.choice(np.array([1, -1], dtype), shape)
    which = random.integers(0, 3, shape)
    return np.asarray(np.select([which == 0, which == 1], [ordinary, anything], special), dtype)


SCALES = st.one_of(
    st.sampled_from([0.0, 1e-45, 1e-8, 1e-4, 0.1, 1.0, 1e30]),
    st.floats(0, 1, allow_subnormal=True),
)
BETAS = st.one_of(st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99, 1 - 2**-53]), st.floats(0, 0.999))
SHAPES = st.lists(
    st.sampled_from([(), (0,), (1,), (7,), (3, 5), (2, 0, 3), (64,), (33, 17), (4, 3, 2, 5)]),
    min_size=1,
    max_size=6,
).map(tuple)


def cases(dtypes: tuple[str, str, str] | None = None) -> st.SearchStrategy[Case]:
    """Hypothesis' cases: it chooses dtypes, shapes, scalars and the seed of the elements."""
    return st.builds(
        Case,
        dtypes=st.sampled_from(lion_ref.legal_triples()) if dtypes is None else st.just(dtypes),
        shapes=SHAPES,
        lr=SCALES,
        beta1=BETAS,
        beta2=BETAS,
        weight_decay=SCALES,
        seed=st.integers(0, 2**32 - 1),
        kind=st.sampled_from(["mixed", "mixed", "ordinary"]),
    )


@dataclass
class Outcome:
    """Where an optimizer's bits and the reference's differ; empty means nowhere."""

    differences: list[str] = field(default_factory=list)

    def compare(self, what: str, ours: torch.Tensor, reference: Array) -> None:
        mine = to_numpy(ours)
        if mine.dtype != reference.dtype or mine.shape != reference.shape:
            self.differences.append(f"{what}: {mine.dtype}{mine.shape}, not {reference.dtype}")
            return
        same = same_bits(mine, reference)
        if not same.all():
            where = tuple(np.argwhere(~same)[0].tolist())
            self.differences.append(
                f"{what}{list(where)}: {mine[where]!r}, not {reference[where]!r}; "
                f"{int((~same).sum())} of {same.size}"
            )


def parameter(
    array: Array, grad_dtype: str | None = None, device: str = "cpu"
) -> torch.nn.Parameter:
    """A parameter with the array's bits that accepts gradients of another dtype."""
    param = torch.nn.Parameter(to_torch(array).to(device))
    if grad_dtype is not None and DTYPES[grad_dtype] != param.dtype:
        param.grad_dtype = DTYPES[grad_dtype]
    return param


def compare_with_reference(
    make: Callable[..., torch.optim.Optimizer],
    case: Case,
    *,
    maximize: bool = False,
    device: str = "cpu",
    semantics: lion_ref.Semantics = lion_ref.CANONICAL,
) -> list[str]:
    """Run case through optimizer.step() and through lion_ref.step; the differences, as text."""
    random = np.random.default_rng(case.seed + 1)
    reference = [(p, m) for p, m in zip(case.params(), case.momenta(random), strict=True)]
    params = [parameter(p, case.dtypes[2], device) for p, _ in reference]
    optimizer = make(params, **case.options)
    for param, (_, m) in zip(params, reference, strict=True):
        optimizer.state[param]["exp_avg"] = to_torch(m).to(device)
    outcome = Outcome()
    for index in range(case.steps):
        grads = case.grads(random, [m for _, m in reference])
        for position, (param, grad) in enumerate(zip(params, grads, strict=True)):
            param.grad = to_torch(-grad if maximize else grad).to(device)
            reference[position] = lion_ref.step(
                *reference[position],
                grad,
                lr=case.lr,
                beta1=case.beta1,
                beta2=case.beta2,
                weight_decay=case.weight_decay,
                semantics=semantics,
            )
        optimizer.step()
        for position, param in enumerate(params):
            where = f"step {index}, tensor {position}, "
            outcome.compare(where + "θ'", param, reference[position][0])
            outcome.compare(where + "m'", optimizer.state[param]["exp_avg"], reference[position][1])
    return outcome.differences


FIXED_CASES = tuple(
    Case(dtypes, ((33, 17), (), (64,), (3, 5)), seed=seed, kind=kind, weight_decay=weight_decay)
    for dtypes in lion_ref.legal_triples()
    for seed, (kind, weight_decay) in enumerate([("mixed", 0.1), ("mixed", 0.0), ("ordinary", 0.1)])
)
"""Deterministic cases over all 43 triples, for checks that have to be able to fail."""


def large(case: Case) -> Case:
    """The same case with a tensor of several blocks and an odd tail beside many small ones."""
    return replace(case, shapes=((600_001,), *((37,) for _ in range(40))), steps=1)


def laid_out(tensor: torch.Tensor, layout: str) -> torch.Tensor:
    """The same elements at the same indices, elsewhere in memory."""
    if layout == "transposed":
        return tensor.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0)
    if layout == "channels":
        return tensor.contiguous(memory_format=torch.channels_last)
    if layout == "strided":
        wide = torch.empty(*tensor.shape[:-1], 2 * tensor.shape[-1] + 1, dtype=tensor.dtype)
        wide[..., 1::2] = tensor
        return wide[..., 1::2]
    return tensor.contiguous()
