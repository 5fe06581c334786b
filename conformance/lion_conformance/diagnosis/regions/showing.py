"""Whether a mistake could show in an element at all: where it could not, right bits mean nothing.

Nobody knows yet what the mistake is. So a few simple ones are put in its place: those that would
show in every element that is wrong may be like it, and an element is only called right if each of
these would show there. A decay that is lost says nothing where θ is 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis.regions.table import Table, decision
from lion_ref.arithmetic import Array, Mask, round_to, same_bits
from lion_ref.dtypes import compute_dtype

NEARLY: Final = 0.97
"""A mistake of about the same size rounds away in other elements."""

Alike = tuple[tuple[str, ...], ...]

PARAM: Final = (
    "no decay",
    "another u",
    "u is 0",
    "no update",
    "another η",
    "sign of g",
    "sign of m",
    "sign by β2",
    "θ is 0",
)
SIGNS: Final = ("sign of g", "sign of m", "sign by β2")
MOMENTUM: Final = ("m kept", "m' is 0", "m' is g", "another β2", "no m", "no g")


def shows(case: Case, table: Table) -> Table:
    """For each of the simple mistakes, in which elements of flat arrays it would show."""
    with np.errstate(all="ignore"):
        return dict(_in_param(case, table)) | dict(_in_momentum(case, table))


def alike(table: Table) -> Alike:
    """The mistakes that show wherever the port is wrong: in θ', and in m'.

    Where one of the two is wrong all but always, the other says nothing.
    """
    results = ((PARAM, table["wrong θ'"]), (MOMENTUM, table["wrong m'"]))
    count = max(1, int((results[0][1] | results[1][1]).sum()))
    always = [x for x in results if x[1].sum() > NEARLY * count]
    return tuple(_alike(names, table, wrong) for names, wrong in always or results if wrong.any())


def _alike(names: tuple[str, ...], table: Table, wrong: Mask) -> tuple[str, ...]:
    """All that show nearly wherever it is wrong, or the one that does most."""
    shares = {name: float(table[name][wrong].mean()) for name in names}
    best = max(names, key=shares.__getitem__)
    return tuple(name for name in names if shares[name] > NEARLY) or (best,)


def could_show(table: Table, like: Alike) -> Mask:
    """In which rows all of the mistakes show that are like the port's."""
    shown = np.ones(table["i"].size, bool)
    for name in chain.from_iterable(like):
        shown &= table[name]
    return shown


def _in_param(case: Case, table: Table) -> Iterator[tuple[str, Array]]:
    kind = compute_dtype(case.param.dtype.name).type
    theta = np.asarray(case.param, kind)
    lr, decay = kind(case.lr), kind(case.weight_decay)
    c = decision(case)
    u = np.sign(c) + kind(0)

    def stepped(u: Array, lr: Array, decay: Array) -> Array:
        return round_to(theta - lr * (u + decay * theta), case.param.dtype)

    right = stepped(u, lr, decay)
    other = np.where(u == 0, kind(1), kind(0))
    yield "no decay", ~same_bits(stepped(u, lr, kind(0)), right)
    yield "another u", ~same_bits(stepped(other, lr, decay), right)
    yield "u is 0", ~same_bits(stepped(0 * u, lr, decay), right)
    yield "θ is 0", ~same_bits(round_to(-lr * (u + decay * (0 * theta)), case.param.dtype), right)
    yield "no update", ~same_bits(case.param, right)
    yield "another η", ~same_bits(stepped(u, lr + kind(lr == 0) + lr, decay), right)
    for name, beta in (("sign of g", 0.0), ("sign of m", 1.0), ("sign by β2", case.beta2)):
        by = beta * table["m"] + (1 - beta) * table["g"]
        yield name, ~((np.sign(by) == u) | (np.isnan(by) & np.isnan(u)) | (lr == 0))


def _in_momentum(case: Case, table: Table) -> Iterator[tuple[str, Array]]:
    m, g, right = table["m"], table["g"], table["m'"]
    beta = case.beta2 / 2 + 1 / 4 if case.beta2 else 0.99
    old, new = case.beta2 * m, (1 - case.beta2) * g
    for name, value in (
        ("m kept", m),
        ("m' is 0", 0 * np.where(np.isfinite(m), m, 0)),
        ("m' is g", g),
        ("another β2", beta * m + (1 - beta) * g),
        ("no m", new),
        ("no g", old),
    ):
        told = round_to(value, case.momentum.dtype)
        yield name, ~same_bits(told, round_to(right, case.momentum.dtype))
