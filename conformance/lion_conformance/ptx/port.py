"""A kernel in PTX as a port: what a host does around a launch, done by NumPy."""

from __future__ import annotations

import inspect
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from lion_conformance.operations.evaluate import evaluator
from lion_conformance.ports.callable import from_callable
from lion_conformance.ports.protocol import LONGEST_NAME, Port, Triple, Variant
from lion_conformance.ptx import arguments as kernel_arguments
from lion_conformance.ptx.arguments import Argument
from lion_conformance.ptx.contraction import contracted, may_contract
from lion_conformance.ptx.host import LARGEST_ALIGNMENT, Kernel
from lion_conformance.ptx.machine import prepared
from lion_conformance.ptx.source import parse
from lion_conformance.ptx.syntax import Entry, Module, SourceError
from lion_conformance.ptx.update import updates
from lion_ref import Semantics

DOOR: Final = "PTX"
DEVICE: Final = "no GPU: PTX interpreted"

ALIGNED: Final = 16
"""Bytes to which an array is aligned if nothing else is said: cudaMalloc and PyTorch do more."""

CONTRACTED: Final = {
    "first": "contracted",
    "second": "contracted otherwise",
}
"""What an assembler may make of a kernel, by the name of the contraction."""

DECIDED_BY: Final = (
    "mul.rn and add.rn decide it: nvcc --fmad=false, or Triton's enable_fp_fusion=False"
)

_MOST_THREADS: Final = 1024

_FLOAT32: Final[tuple[Triple, ...]] = (("float32", "float32", "float32"),)


def ptx_port(
    source: str | Path,
    *,
    entry: str | None = None,
    arguments: Sequence[Argument],
    threads: int | None = None,
    elements_per_program: int,
    dtypes: Sequence[Triple] = _FLOAT32,
    name: str | None = None,
    declared: Semantics | None = None,
    aligned: int = ALIGNED,
) -> Port:
    """A GPU kernel, as the PTX that a compiler made of it, as a port: it is run without a GPU.

    Args:
        source: the PTX, or the path to it.
        entry: the kernel's name, where the PTX has several.
        arguments: what each parameter stands for, in order: "param", "momentum", "grad" for the
            arrays, "new_param" and "new_momentum" where results go elsewhere, "size" for the number
            of elements; "lr", "beta1", "beta2", "weight_decay", or what a host forms of them in
            binary64: "one_minus_beta1", "one_minus_beta2", "lr_times_weight_decay",
            "one_minus_lr_times_weight_decay"; or a number. Each is rounded once to its parameter's
            type. Parameters at the end that the kernel never reads may be left out, as Triton's
            two hidden ones.
        threads: of a program (a block of CUDA); where the PTX has .reqntid, that many.
        elements_per_program: how many elements a program takes: ceil(size / elements_per_program)
            programs are launched, and nothing for an empty tensor.
        dtypes: the triples (θ, m, g) that the kernel is for.
        name: what it is called in reports; the kernel's name if omitted.
        declared: the semantics whose bits it promises.
        aligned: bytes to which the host aligns each array. With fewer than 16, arrays that begin in
            the middle of another are handed over where they lie, as long as they are so aligned.

    Returns:
        A `Port` for `verify`, `diagnose` and `prove`. A kernel whose multiplications and additions
        the assembler may contract has `variants`: the same with each contraction.

    Raises:
        TypeError, ValueError: an argument that is not legal, by name; PTX that is not understood,
            by its line.
        OSError: a path that cannot be read.
    """
    if declared is not None and not isinstance(declared, Semantics):
        raise TypeError(f"declared={declared!r} is not legal; legal: a lion_ref.Semantics, or None")
    _check_whole("elements_per_program", elements_per_program)
    _check_whole("aligned", aligned)
    if aligned & (aligned - 1) or aligned > LARGEST_ALIGNMENT:
        legal = f"a power of 2 up to {LARGEST_ALIGNMENT}"
        raise ValueError(f"aligned={aligned!r} is not legal; legal: {legal}")
    found = entry_of(source, entry)
    kernel = Kernel(
        entry=found,
        arguments=kernel_arguments.check(arguments, found.params, _unread_at_the_end(found)),
        threads=_threads(found, threads),
        elements_per_program=elements_per_program,
        aligned=aligned,
    )
    as_written = from_callable(
        kernel,
        name=found.name[-LONGEST_NAME:] if name is None else name,
        declared=declared,
        triples=tuple(dtypes),
    )
    called = {
        "entry": entry,
        "arguments": list(arguments),
        "threads": threads,
        "elements_per_program": elements_per_program,
        "dtypes": tuple(dtypes),
        "name": name,
        "declared": declared,
        "aligned": aligned,
    }
    port = replace(
        as_written,
        door=DOOR,
        device=DEVICE,
        trace=partial(updates, kernel),
        recipe=_recipe(source, called),
    )
    with _understood():
        prepared(found, "none", evaluator)  # what is not known is found now, not when it is judged
        others = [(words, replace(kernel, contraction=way)) for way, words in _ways(found)]
    variants = (
        Variant(
            words,
            replace(port, open=from_callable(other).open, trace=partial(updates, other)),
            "the assembler, which may contract a multiplication and an addition to an fma",
            DECIDED_BY,
        )
        for words, other in others
    )
    return replace(port, variants=tuple(variants))


def _ways(entry: Entry) -> list[tuple[str, str]]:
    """The ways in which the assembler may contract a kernel, with their words."""
    if not may_contract(entry):
        return []
    first, second = (contracted(entry, way).body for way in CONTRACTED)
    return list(CONTRACTED.items())[: 1 if first == second else 2]


def entry_of(source: str | Path, name: str | None = None) -> Entry:
    """The kernel of that name in PTX, or in a file of it; the only one, if no name is given."""
    with _understood():
        return _entry(parse(_text(source)), name)


def _text(source: object) -> str:
    """The PTX itself."""
    if isinstance(source, str) and ("\n" in source or ".version" in source):
        return source
    if not isinstance(source, (str, Path)):
        raise TypeError(f"source={source!r:.200} is not legal; legal: PTX, or the path to it")
    return Path(source).read_text(encoding="utf-8")


@contextmanager
def _understood() -> Iterator[None]:
    """What is not known of PTX is an argument that is not legal."""
    try:
        yield
    except SourceError as error:
        raise ValueError(f"the PTX is not understood: {error}") from error


def _entry(module: Module, name: str | None) -> Entry:
    """The kernel of that name, or the only one; its SourceError if it is not understood."""
    found = [x for x in module.names if name in (None, x)]
    if not module.names:
        raise ValueError("source has no kernel; legal: PTX with an .entry")
    if len(found) != 1:
        raise ValueError(f"entry={name!r} is not legal; legal: {', '.join(module.names)}")
    return module.kernel(found[0])


def _threads(entry: Entry, threads: int | None) -> tuple[int, int, int]:
    """The threads of a program: what is asked for, and what the PTX says, if both say the same."""
    required, most = entry.reqntid, entry.maxntid
    if threads is None:
        if required is None:
            raise ValueError(
                "threads=None is not legal where the PTX has no .reqntid; legal: the threads of a "
                "program"
            )
        return required
    _check_whole("threads", threads)
    if required is not None and math.prod(required) != threads:
        legal = f"{math.prod(required)}, as the PTX has .reqntid, or left out"
        raise ValueError(f"threads={threads} is not legal; legal: {legal}")
    allowed = _MOST_THREADS if most is None else math.prod(most)
    if threads > allowed:
        why = "" if most is None else ", as the PTX has .maxntid"
        raise ValueError(f"threads={threads} is not legal; legal: at most {allowed}{why}")
    return required or (threads, 1, 1)


def _check_whole(name: str, value: object) -> None:
    """TypeError or ValueError unless a value is a whole number >= 1."""
    legal = f"{name}={value!r} is not legal; legal: a whole number >= 1"
    if type(value) is not int:  # a bool is an int, and a mistake
        raise TypeError(legal)
    if value < 1:
        raise ValueError(legal)


def _unread_at_the_end(entry: Entry) -> int:
    """How many of the last parameters the kernel never reads."""
    text = " ".join(x.text for x in entry.body)
    names = set(re.findall(r"(?<![%\w$])[\w$]+", text))
    unread = itertools.takewhile(lambda x: x.name not in names, reversed(entry.params))
    return sum(1 for _ in unread)


def _recipe(source: str | Path, called: Mapping[str, Any]) -> str:
    """The call of `ptx_port`, with what was not left out."""
    defaults = {name: x.default for name, x in inspect.signature(ptx_port).parameters.items()}
    given = {name: x for name, x in called.items() if x != defaults[name]}
    words = {name: repr(x) for name, x in given.items()}
    if "declared" in given:
        words["declared"] = f"lion_ref.{words['declared']}"
    text = str(source)
    quoted = repr(text) if "\n" not in text else "\n".join(map(repr, text.splitlines(True)))
    named = "".join(f"\n    {name}={x}," for name, x in words.items())
    return f"lion_conformance.ptx_port(\n{quoted},{named}\n)"
