"""Every instruction by its name."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from lion_conformance.ptx.instructions import (
    bits,
    comparisons,
    conversions,
    floats,
    integers,
    permute,
)
from lion_conformance.ptx.instructions.floats import FLOAT_TYPES
from lion_conformance.ptx.instructions.integers import INTEGERS, PAIRS, SIGNED
from lion_conformance.ptx.instructions.meaning import Meaning, UnknownInstruction
from lion_conformance.ptx.instructions.opcode import Opcode

Reader = Callable[[Opcode], Meaning]


@lru_cache(maxsize=4096)
def meaning(opcode: str) -> Meaning:
    """What "mul.rn.ftz.f32" means: its operands' types, and what is computed of them.

    Approximate says that its bits are each GPU's own; UnknownInstruction that it, or one of its
    modifiers, is not known here. Loads, stores, branches and barriers are the machine's, and not
    known here either.
    """
    read = Opcode(opcode)
    reader = _READERS.get(read.name)
    if reader is None:
        raise UnknownInstruction(f"{opcode}: {read.name} is not known")
    found = reader(read)
    read.done()
    return found


def _add(opcode: Opcode) -> Meaning:
    pairs = PAIRS if opcode.name == "add" else ()
    kind = opcode.type(*INTEGERS, *pairs, *FLOAT_TYPES)
    if kind in FLOAT_TYPES:
        return floats.sum_or_product(opcode, kind)
    return integers.plain(opcode, kind)


def _mul(opcode: Opcode) -> Meaning:
    kind = opcode.type(*INTEGERS, *FLOAT_TYPES)
    if kind in INTEGERS:
        return integers.product(opcode, kind)
    return floats.sum_or_product(opcode, kind)


def _mad(opcode: Opcode) -> Meaning:
    kind = opcode.type(*INTEGERS, "f32", "f64")
    if kind in INTEGERS:
        return integers.product_and_sum(opcode, kind)
    return floats.fused(opcode, kind)


def _div(opcode: Opcode) -> Meaning:
    kind = opcode.type(*INTEGERS, "f32", "f64")
    return integers.plain(opcode, kind) if kind in INTEGERS else floats.division(opcode, kind)


def _neg(opcode: Opcode) -> Meaning:
    kind = opcode.type(*SIGNED, *_UNPAIRED)
    if kind in SIGNED:
        return integers.plain(opcode, kind, 1)
    return floats.sign_change(opcode, kind)


def _min(opcode: Opcode) -> Meaning:
    kind = opcode.type(*INTEGERS, *PAIRS, *_UNPAIRED)
    if kind in FLOAT_TYPES:
        return floats.smaller_or_larger(opcode, kind)
    return integers.smaller_or_larger(opcode, kind)


def _fma(opcode: Opcode) -> Meaning:
    return floats.fused(opcode, opcode.type(*FLOAT_TYPES))


_UNPAIRED: Final = tuple(kind for kind in FLOAT_TYPES if kind != "f32x2")

_READERS: Final[dict[str, Reader]] = {
    "add": _add,
    "sub": _add,
    "mul": _mul,
    "mad": _mad,
    "fma": _fma,
    "div": _div,
    "rem": integers.remainder,
    "neg": _neg,
    "abs": _neg,
    "min": _min,
    "max": _min,
    "rcp": floats.reciprocal,
    "sqrt": floats.square_root,
    **dict.fromkeys(("ex2", "lg2", "sin", "cos", "tanh", "rsqrt"), floats.approximation),
    "copysign": floats.sign_copy,
    "testp": floats.property_test,
    "mul24": integers.product_of_24,
    "mad24": integers.product_of_24_and_sum,
    "sad": integers.sum_of_difference,
    **dict.fromkeys(("and", "or", "xor", "not"), bits.logic),
    "cnot": bits.logical_not,
    "lop3": bits.lookup,
    "shl": bits.shift,
    "shr": bits.shift,
    "shf": bits.funnel_shift,
    "bfe": bits.field_extract,
    "bfi": bits.field_insert,
    "brev": bits.reverse,
    "popc": bits.count_of_bits,
    "clz": bits.count_of_bits,
    "bfind": bits.find_leading,
    "prmt": permute.permutation,
    "setp": comparisons.set_predicate,
    "set": comparisons.set_number,
    "selp": comparisons.select,
    "slct": comparisons.select_by_sign,
    "mov": conversions.move,
    "cvt": conversions.conversion,
}
