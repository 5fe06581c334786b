"""Whether a port does at other sizes and layouts what it was traced to do.

Code on whole arrays is traced at a few small sizes. Where all their elements are alike, the port is
run on tensors of more elements, more axes and other layouts, each element held against the one
expression: a loop that ends early, or a row that is broadcast, shows there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lion_conformance.cases.case import ORDINARY, Case, adversarial
from lion_conformance.operations.traced import NotTracedError, Traced
from lion_conformance.ports.layouts import channels_last, columns, every_second, transposed
from lion_conformance.ports.protocol import Port, PortError, Triple, run_once
from lion_conformance.proof.forms import Form, forms
from lion_conformance.proof.samples import results
from lion_ref import STORAGE_DTYPES
from lion_ref.arithmetic import all_same_bits

SHAPES = ((), (0,), (50,), (4099,), (66_051,), (33, 65), (1_031, 3), (2, 3, 4, 5), (1, 2, 1, 3, 2))
"""No axis and many, none of the round lengths, beyond a block and a counter of 16 bits."""
RELAID = ((50,), (33, 65), (2, 3, 4, 5))
"""Those in which m and g have other layouts than θ, too."""


def check_other_sizes(port: Port, triple: Triple, traced: Sequence[Traced]) -> None:
    """NotTracedError where the port computes otherwise at a size that it was not traced at."""
    found, wrong = forms(traced, triple)
    if wrong or len(found) != 1:
        return  # what an element becomes depends on its place: nothing is known of other sizes
    for words, case in _cases(triple):
        _check(port, found[0], words, case)


def _check(port: Port, form: Form, words: str, case: Case) -> None:
    try:
        got = run_once(port, *case.arrays, **case.scalars)
    except PortError:
        return  # loud, and for `verify` to tell: no number is wrong
    flat = case.with_arrays(x.reshape(-1) for x in case.arrays)
    for name, actual, wanted in zip(("param", "momentum"), got, results(form, flat), strict=True):
        if not all_same_bits(actual.reshape(-1), wanted):
            raise NotTracedError(
                f"on tensors {words} it computes otherwise than it was traced, in {name}"
            )


def _cases(triple: Triple) -> Iterator[tuple[str, Case]]:
    """Ordinary numbers in many shapes, and in a few layouts, in words."""
    rng = np.random.default_rng(0)
    dtypes = [STORAGE_DTYPES[name] for name in triple]
    lr, beta1, beta2, weight_decay = ORDINARY
    for shape in SHAPES:
        size = int(np.prod(shape))
        param, momentum, grad = (
            x.reshape(shape) for x in adversarial(rng, size, dtypes, "ordinary", beta1)
        )
        case = Case(param, momentum, grad, lr, beta1, beta2, weight_decay)
        yield f"of shape {shape}", case
        if shape in RELAID:
            for lay in (every_second, columns, transposed, channels_last):
                laid = case.with_arrays([param, momentum, lay(grad)])
                yield f"of shape {shape} with another layout of grad", laid
                laid = case.with_arrays([param, lay(momentum), grad])
                yield f"of shape {shape} with another layout of momentum", laid
