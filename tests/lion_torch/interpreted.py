"""Run with TRITON_INTERPRET=1: the kernel's logic against the reference, on a CPU.

Prints the differences, one a line, for a kernel that is right or, by argument, one that is not;
by a second argument, where it flushes subnormals.
"""

from __future__ import annotations

import sys
from functools import partial
from itertools import product
from typing import Any
from unittest import mock

import numpy as np
import torch

from lion_torch import Lion, declared_semantics
from lion_torch.kernel import triton_kernel, triton_launch
from tests.lion_torch.support import Case, compare_with_reference
from tests.lion_torch.tiny import TINY_CASES

TRIPLES = [
    ("float32", "float32", "float32"),
    ("float64", "float64", "float64"),
    ("float32", "float16", "float32"),
    ("float16", "float32", "float16"),
    ("float64", "float16", "float32"),
    ("float64", "float32", "float32"),
]
SHAPES = ((5000,), (), (0,), (7,), (4096,), (33, 17))


def make(params: list[torch.nn.Parameter], **options: Any) -> Lion:
    return Lion(params, **options)


def make_with_tensors(params: list[torch.nn.Parameter], **options: Any) -> Lion:
    """The rate as a tensor, whose dtype has every number that the reference is given."""
    lr = torch.tensor(options.pop("lr"), dtype=torch.float64)
    return Lion(params, lr=lr, **options)


def main(mistake: str, subnormals: Any = "native") -> None:
    update = triton_launch.update
    if mistake == "tininess":
        # As gradual underflow has it: a product that it rounds up to a normal number stays.
        zeroed = triton_kernel._zeroed

        def wrong_zeroed(x: Any, compared: Any, dtype: Any, factor: Any) -> Any:
            return zeroed(x, x, dtype, min(factor, 1.0))

        triton_kernel._zeroed = wrong_zeroed
    if mistake == "blocks":
        # As if every block of a tensor were its first.
        blocks = triton_launch._blocks

        def wrong(device: torch.device, sizes: bytes) -> Any:
            size, owner, first = blocks(device, sizes)
            return size, owner, first * 0

        triton_launch._blocks = wrong
    with mock.patch("lion_torch.optimizer.choose", return_value=update), np.errstate(all="ignore"):
        cases = [Case(x, SHAPES, seed=seed, steps=1) for seed, x in enumerate(TRIPLES)]
        tried = product(cases, (make, make_with_tensors))
        if subnormals == "flush":
            tiny = [x for x in TINY_CASES if x.dtypes in TRIPLES]
            tried = product(tiny, (partial(make, subnormals=subnormals),))
        semantics = declared_semantics(subnormals)
        for case, maker in tried:
            for difference in compare_with_reference(maker, case, semantics=semantics):
                sys.stdout.write(f"{case.dtypes}: {difference}\n")
        param = torch.nn.Parameter(torch.ones(6)[1:])  # not where sixteen bytes begin
        param.grad = torch.ones(5)
        optimizer = Lion([param], lr=0.5)
        with torch.device("meta"):  # a default device that is another
            optimizer.step()
        if param.tolist() != [0.5] * 5:
            sys.stdout.write("a step under another default device went wrong\n")
        optimizer.found_inf = torch.ones(())  # type: ignore[attr-defined]
        optimizer.step()
        if param.tolist() != [0.5] * 5:
            sys.stdout.write("a step that was to be skipped was made\n")
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
