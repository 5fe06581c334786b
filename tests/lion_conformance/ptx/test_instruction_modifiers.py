"""No modifier of an instruction is dropped: it changes what is computed, or is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import pytest

from lion_conformance.ptx.instructions import Meaning, UnknownInstruction, meaning
from lion_conformance.ptx.instructions.opcode import Opcode
from lion_conformance.ptx.recorded import Known, Place, record
from tests.lion_conformance.ptx.test_instructions import EXAMPLES

MODIFIERS: Final = (
    *("rn", "rz", "rm", "rp", "rna", "rs", "rni", "rzi", "rmi", "rpi"),
    *("ftz", "sat", "relu", "satfinite", "oob", "NaN", "xorsign", "abs", "approx", "full"),
    *("lo", "hi", "wide", "cc", "l", "r", "clamp", "wrap", "shiftamt", "f4e", "rc16"),
    *("eq", "ne", "lt", "gtu", "nan", "and", "or", "xor", "finite", "normal"),
    *("f16", "bf16", "f32", "f64", "f16x2", "u8", "s16", "u32", "s64", "b32", "pred", "nonsense"),
)
"""What PTX has, and a word that it does not have."""

MEANINGLESS: Final = {
    f"cvt.{rounding}.{target}.bf16"
    for rounding in ("rn", "rz", "rm", "rp")
    for target in ("f32", "f64")
}
"""The assembler takes a rounding where nothing is rounded."""

Reader = Callable[[str], Meaning]


def shown(of: Meaning) -> object:
    """All that there is of a meaning, with what it computes taken down."""
    # The last source of lop3 has to be a number.
    known = tuple(
        Known(kind, 0x96)
        if len(of.sources) == 4 and kind == "b32" and number == 3
        else Place(number)
        for number, kind in enumerate(of.sources)
    )
    return of.sources, of.results, of.contractible, record(of, known)


def dropped(read: Reader) -> Iterator[str]:
    """Opcodes with a modifier too many that mean what they mean without it."""
    for opcode in sorted({opcode for opcode, *_ in EXAMPLES}):
        plain = shown(read(opcode))
        name, *modifiers = opcode.split(".")
        for modifier in MODIFIERS:
            for place in range(len(modifiers) + 1):
                more = ".".join([name, *modifiers[:place], modifier, *modifiers[place:]])
                try:
                    found = shown(read(more))
                except UnknownInstruction:
                    continue
                if found == plain and more not in MEANINGLESS:
                    yield more


def test_a_modifier_too_many_is_refused_or_changes_what_is_computed() -> None:
    assert list(dropped(meaning)) == []


def test_a_reader_that_leaves_modifiers_over_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Opcode, "done", lambda self: None)
    found = list(dropped(meaning.__wrapped__))
    assert {"add.rn.nonsense.f32", "fma.rn.oob.bf16", "cvt.rn.satfinite.f16.f32"} <= set(found)


@pytest.mark.parametrize("opcode", sorted({opcode for opcode, *_ in EXAMPLES}))
def test_a_modifier_less_is_refused_or_changes_what_is_computed(opcode: str) -> None:
    plain = shown(meaning(opcode))
    name, *modifiers = opcode.split(".")
    for place in range(len(modifiers)):
        less = ".".join([name, *modifiers[:place], *modifiers[place + 1 :]])
        try:
            found = shown(meaning(less))
        except UnknownInstruction:
            continue
        assert found != plain or opcode in MEANINGLESS, less
