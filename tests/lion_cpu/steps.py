"""Steps through lion_cpu's door on NumPy's memory, and where their bits are not the reference's."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

import lion_cpu
import lion_ref
from lion_ref.arithmetic import Array, bits
from lion_ref.dtypes import compute_dtype
from lion_ref.hyperparameters import Hyperparameters, round_scalars
from tests import adversarial
from tests.comparison import compared
from tests.lion_cpu.teams import Team

Triple = tuple[str, str, str]
Scalars = tuple[float, ...]
"""β1, 1-β1, β2, 1-β2, η and λ."""

LINE = 64  # bytes of a cache's line, and of the widest vector


class Placed:
    """An array's elements at some distance from where a line begins, other bytes on both sides."""

    def __init__(self, values: Array, away: int) -> None:
        lead = LINE + away * values.itemsize
        raw = np.full(values.nbytes + lead + 2 * LINE, 0xA5, np.uint8)
        self.start = lead + -raw.ctypes.data % LINE
        self.raw, self.nbytes, self.dtype = raw, values.nbytes, values.dtype
        self.address = raw.ctypes.data + self.start
        raw[self.start : self.start + self.nbytes] = values.view(np.uint8)

    @property
    def values(self) -> Array:
        """The elements as they are now."""
        return self.raw[self.start : self.start + self.nbytes].view(self.dtype)

    @property
    def written_beside(self) -> int:
        """How many bytes before the first element and after the last have changed."""
        beside = np.concatenate([self.raw[: self.start], self.raw[self.start + self.nbytes :]])
        return int((beside != 0xA5).sum())


def stepped(
    tensors: Sequence[tuple[Array, Array, Array]],
    scalars: Sequence[float],
    *,
    flush: bool = False,
    threads: int = 1,
    team: Team | None = None,
) -> tuple[list[tuple[Array, Array]], list[str]]:
    """(θ', m') of every tensor, and what was written that a step has no business with."""
    placed = [
        tuple(Placed(x, away=(index * (3 + which)) % 37) for which, x in enumerate(tensor))
        for index, tensor in enumerate(tensors)
    ]
    addresses = [array("q", (tensor[which].address for tensor in placed)) for which in range(3)]
    sizes = array("q", (x.size for x, *_ in tensors))
    theta, m, g = (x.dtype.name for x in tensors[0])
    address = None if team is None else team.address
    lion_cpu.step(
        addresses, sizes, (theta, m, g), scalars, flush=flush, threads=threads, team=address
    )
    faults = []
    for size, tensor, (*_, g_before) in zip(sizes, placed, tensors, strict=True):
        for name, one in zip(("θ", "m", "g"), tensor, strict=True):
            if one.written_beside:
                faults.append(f"{one.written_beside} bytes beside {name} of {size} elements")
        if not np.array_equal(bits(tensor[2].values), bits(g_before)):
            faults.append(f"g of {size} elements was written to")
    return [(tensor[0].values, tensor[1].values) for tensor in placed], faults


@dataclass(frozen=True)
class Case:
    """Tensors of some sizes and dtypes, with the scalars of a step, all from a seed."""

    dtypes: Triple
    sizes: tuple[int, ...]
    seed: int = 0
    fixed: tuple[tuple[str, float], ...] = ()
    """Hyperparameters that are not drawn."""

    flush: bool = False
    """Whether subnormals are flushed; the elements then lie around where results are tiny."""

    @property
    def scalars(self) -> Scalars:
        """The six of them, rounded to the compute dtype."""
        values = Hyperparameters.checked(**_drawn(self)[0])
        rounded = round_scalars(
            values, compute_dtype(self.dtypes[0]), "flush" if self.flush else "keep"
        )
        numbers: Scalars = lion_cpu.in_order(rounded.as_floats())
        return numbers

    @property
    def tensors(self) -> list[tuple[Array, Array, Array]]:
        """θ, m and g of each."""
        theta, m, g = _drawn(self)[1]
        return [(theta[at], m[at], g[at]) for at in self._slices()]

    @property
    def expected(self) -> list[tuple[Array, Array]]:
        """The reference's θ' and m' of each."""
        new_theta, new_m = _drawn(self)[2]
        return [(new_theta[at], new_m[at]) for at in self._slices()]

    def _slices(self) -> list[slice]:
        ends = np.cumsum(self.sizes).tolist()
        return [slice(end - size, end) for size, end in zip(self.sizes, ends, strict=True)]


@lru_cache(maxsize=256)  # the same for every kernel
def _drawn(case: Case) -> tuple[dict[str, float], Any, Any]:
    rng = np.random.default_rng(case.seed)
    values: dict[str, Any] = adversarial.hyperparameters(rng) | dict(case.fixed)
    betas = {name: values[name] for name in ("beta1", "beta2")}
    size = sum(case.sizes)
    if case.flush:
        factors = (*values.values(), *(1 - beta for beta in betas.values()))
        inputs = adversarial.around_underflow(rng, case.dtypes, size, *factors)
        semantics = lion_ref.Semantics(subnormals="flush")
        return values, inputs, lion_ref.step(*inputs, **values, semantics=semantics)
    inputs = adversarial.elements(rng, case.dtypes, size, **betas)
    return values, inputs, lion_ref.step(*inputs, **values)


def differences(
    case: Case, *, threads: int = 1, team: Team | None = None, around: Any = None
) -> list[str]:
    """Where a step of the kernel and one of the reference differ, and what else was written.

    around: what the step is made in, as a rounding mode; the reference's comes before it.
    """
    expected, tensors, scalars = case.expected, case.tensors, case.scalars
    with nullcontext() if around is None else around:
        got, found = stepped(tensors, scalars, flush=case.flush, threads=threads, team=team)
    for index, pair in enumerate(zip(got, expected, strict=True)):
        for name, mine, wanted in zip(("θ'", "m'"), *pair, strict=True):
            found += compared(f"{'/'.join(case.dtypes)}, tensor {index}, {name}", mine, wanted)
    return found


LENGTHS = tuple(range(71))
"""None, and every number of elements around one vector and two, of the widest as well."""


# A zero's sign is kept (SPEC C4).
NEGATIVE_ZEROS = tuple((name, -0.0) for name in ("lr", "beta1", "beta2", "weight_decay"))


def tails(
    seeds: Iterable[int],
    triples: Iterable[Triple] = lion_ref.legal_triples(),
    *,
    flush: bool = False,
) -> Iterator[str]:
    """What is wrong in steps of short tensors, at addresses where no vector begins."""
    for dtypes in triples:
        for seed in seeds:
            yield from differences(Case(dtypes, LENGTHS, seed, flush=flush))
        yield from differences(Case(dtypes, LENGTHS, fixed=NEGATIVE_ZEROS, flush=flush))


# Borders between chunks of 65,536 elements lie within tensors, at their ends and in empty ones.
SHARED = (0, 70_001, 0, 61_071, 65_536, 1, 0, 131_072, 33)
