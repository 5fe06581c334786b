"""What each PTX instruction gives, on examples worked out by hand."""

from __future__ import annotations

import pytest

from lion_conformance.ptx.instructions import Approximate, UnknownInstruction, meaning
from tests.lion_conformance.ptx.on_numbers import run

pytestmark = pytest.mark.clause("C36")

ONE, TWO, THREE, HALF = 0x3F800000, 0x40000000, 0x40400000, 0x3F000000
MINUS, NAN, INF = 0x80000000, 0x7FC00000, 0x7F800000
TINY = 0x00000001
THIRD = 0x3EAAAAAB  # above 1/3
LARGEST = 0x7F7FFFFF

EXAMPLES: list[tuple[str, tuple[int | bool, ...], tuple[int | bool, ...]]] = [
    # Arithmetic of floats.
    ("add.f32", (ONE, TWO), (THREE,)),
    ("add.rn.f32", (ONE, 0x33800000), (ONE,)),  # 1 + 2**-24: a tie, to even
    ("add.rz.f32", (ONE, 0x33C00000), (ONE,)),
    ("add.rp.f32", (ONE, TINY), (ONE + 1,)),
    ("add.rm.f32", (ONE, MINUS | TINY), (ONE - 1,)),
    ("add.rm.f32", (ONE, MINUS | ONE), (MINUS,)),
    ("add.ftz.f32", (TINY, TINY), (0,)),
    ("add.sat.f32", (ONE, ONE), (ONE,)),
    ("add.sat.f32", (NAN, ONE), (0,)),
    ("sub.f32", (THREE, TWO), (ONE,)),
    ("sub.rn.ftz.sat.f32", (ONE, TWO), (0,)),
    ("mul.rn.f32", (TWO, HALF), (ONE,)),
    ("mul.rz.f32", (LARGEST, TWO), (LARGEST,)),
    ("mul.rn.ftz.f32", (MINUS | 0x00800000, HALF), (MINUS,)),
    ("fma.rn.f32", (THREE, THIRD, MINUS | ONE), (0x33000000,)),  # 3·⅓ - 1 = 2**-25
    ("mad.rn.f32", (THREE, THIRD, MINUS | ONE), (0x33000000,)),
    ("fma.rm.f64", (1 << 52, 1 << 52, 0), (0,)),
    ("fma.rp.f64", (1 << 52, 1 << 52, 0), (1,)),
    ("div.rn.f32", (ONE, THREE), (THIRD,)),
    ("div.rz.f32", (ONE, THREE), (THIRD - 1,)),
    ("rcp.rn.f32", (THREE,), (THIRD,)),
    ("rcp.rm.f64", (0x4008000000000000,), (0x3FD5555555555555,)),
    ("sqrt.rn.f32", (0x41100000,), (THREE,)),
    ("sqrt.rp.f32", (TWO,), (0x3FB504F4,)),
    ("sqrt.rn.f64", (0x4022000000000000,), (0x4008000000000000,)),
    ("neg.f32", (ONE,), (MINUS | ONE,)),
    ("neg.ftz.f32", (TINY,), (MINUS,)),
    ("abs.f64", (1 << 63,), (0,)),
    ("abs.ftz.f32", (MINUS | TINY,), (0,)),
    ("min.f32", (NAN, ONE), (ONE,)),
    ("min.f32", (0, MINUS), (MINUS,)),
    ("max.f32", (MINUS, 0), (0,)),
    ("max.NaN.f32", (NAN, ONE), (NAN,)),
    ("min.ftz.f32", (MINUS | TINY, ONE), (MINUS,)),
    ("copysign.f32", (MINUS, ONE), (MINUS | ONE,)),
    ("copysign.f64", (0, 1 << 63 | 5), (5,)),
    ("testp.finite.f32", (INF,), (False,)),
    ("testp.infinite.f32", (MINUS | INF,), (True,)),
    ("testp.number.f32", (INF,), (True,)),
    ("testp.notanumber.f64", (0x7FF0000000000001,), (True,)),
    ("testp.normal.f32", (0x00800000,), (True,)),
    ("testp.subnormal.f32", (MINUS | 0x007FFFFF,), (True,)),
    ("testp.subnormal.f32", (0,), (False,)),
    # Two numbers in a register, and 16 bits.
    ("add.f16x2", (0x3C004000, 0x3C003C00), (0x40004200,)),
    ("mul.bf16x2", (0x3F804000, 0x40004040), (0x400040C0,)),
    ("sub.f16", (0x4000, 0x3C00), (0x3C00,)),
    ("fma.rn.bf16", (0x3F81, 0x3F81, 0x0000), (0x3F82,)),
    ("fma.rn.bf16x2", (0x3F803F81, 0x40003F81, 0x3F800000), (0x40403F82,)),
    ("fma.rn.relu.f16", (0x3C00, 0xC000, 0x3C00), (0,)),
    ("fma.rn.relu.f16", (0x7E00, 0xC000, 0x3C00), (0x7E00,)),
    ("fma.rn.sat.f16x2", (0x3C003C00, 0x40003C00, 0x3C00B800), (0x3C003800,)),
    ("neg.bf16x2", (0x3F80BF80,), (0xBF803F80,)),
    ("abs.f16x2", (0xBC003C00,), (0x3C003C00,)),
    ("max.NaN.bf16x2", (0x3F807FC0, 0x40003F80), (0x40007FC0,)),
    ("add.rn.f32x2", (ONE << 32 | TWO, ONE << 32 | ONE), (TWO << 32 | THREE,)),
    ("add.u16x2", (0x0001FFFF, 0x00010001), (0x00020000,)),
    ("min.s16x2", (0x0001FFFF, 0x00020001), (0x0001FFFF,)),
    ("max.relu.s32", (0xFFFFFFFF, 0xFFFFFFFE), (0,)),
    # Whole numbers.
    ("add.s32", (0x7FFFFFFF, 1), (0x80000000,)),
    ("add.sat.s32", (0x7FFFFFFF, 1), (0x7FFFFFFF,)),
    ("sub.u64", (0, 1), (0xFFFFFFFFFFFFFFFF,)),
    ("mul.lo.s32", (0xFFFFFFFF, 3), (0xFFFFFFFD,)),
    ("mul.hi.u32", (0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFE,)),
    ("mul.hi.s32", (0xFFFFFFFF, 0xFFFFFFFF), (0,)),
    ("mul.hi.s64", (1 << 63, 2), (0xFFFFFFFFFFFFFFFF,)),
    ("mul.wide.u16", (0xFFFF, 2), (0x1FFFE,)),
    ("mul.wide.s32", (0xFFFFFFFF, 4), (0xFFFFFFFFFFFFFFFC,)),
    ("mul.wide.u32", (0xFFFFFFFF, 4), (0x3FFFFFFFC,)),
    ("mad.lo.s32", (3, 4, 5), (17,)),
    ("mad.hi.u32", (0x80000000, 4, 5), (7,)),
    ("mad.hi.sat.s32", (0x7FFFFFFF, 0x7FFFFFFF, 0x7FFFFFFF), (0x7FFFFFFF,)),
    ("mad.wide.s32", (0xFFFFFFFF, 4, 100), (96,)),
    ("mad.wide.u32", (0xFFFFFFFF, 4, 100), (0x400000060,)),
    ("mul24.lo.u32", (0xFF000003, 5), (15,)),
    ("mul24.lo.s32", (0x00FFFFFF, 5), (0xFFFFFFFB,)),
    ("mul24.hi.u32", (0x00FFFFFF, 0x00FFFFFF), (0xFFFFFE00,)),
    ("mad24.lo.u32", (3, 5, 7), (22,)),
    ("div.s32", (0xFFFFFFF9, 2), (0xFFFFFFFD,)),
    ("rem.s32", (0xFFFFFFF9, 2), (0xFFFFFFFF,)),
    ("div.u32", (7, 2), (3,)),
    ("rem.u64", (7, 4), (3,)),
    ("neg.s32", (1,), (0xFFFFFFFF,)),
    ("abs.s64", (0xFFFFFFFFFFFFFFFF,), (1,)),
    ("min.s32", (0xFFFFFFFF, 1), (0xFFFFFFFF,)),
    ("min.u32", (0xFFFFFFFF, 1), (1,)),
    ("sad.s32", (0xFFFFFFFF, 2, 10), (13,)),
    ("sad.u32", (1, 0xFFFFFFFF, 0), (0xFFFFFFFE,)),
    ("popc.b32", (0xF0F0,), (8,)),
    ("popc.b64", (0xFFFFFFFFFFFFFFFF,), (64,)),
    ("clz.b32", (0,), (32,)),
    ("clz.b64", (1,), (63,)),
    ("bfind.u32", (0,), (0xFFFFFFFF,)),
    ("bfind.u32", (0x00010000,), (16,)),
    ("bfind.s32", (0xFFFFFFFE,), (0,)),
    ("bfind.shiftamt.u64", (1 << 60,), (3,)),
    ("brev.b32", (0x00000005,), (0xA0000000,)),
    ("brev.b64", (1,), (1 << 63,)),
    ("bfe.u32", (0x12345678, 8, 8), (0x56,)),
    ("bfe.s32", (0x12345F78, 8, 4), (0xFFFFFFFF,)),
    ("bfe.s32", (0x80000000, 28, 8), (0xFFFFFFF8,)),
    ("bfe.s32", (0x80000000, 40, 3), (0xFFFFFFFF,)),
    ("bfe.s32", (0xFFFFFFFF, 4, 0), (0,)),
    ("bfe.u64", (0xFF00000000, 32, 4), (0xF,)),
    ("bfi.b32", (0xFF, 0x11111111, 8, 4), (0x11111F11,)),
    ("bfi.b32", (0xFF, 0x11111111, 8, 0), (0x11111111,)),
    ("bfi.b32", (0xFF, 0x11111111, 32, 4), (0x11111111,)),
    ("bfi.b64", (0x3, 0, 62, 8), (0xC000000000000000,)),
    # Logic and shifts.
    ("and.pred", (True, False), (False,)),
    ("not.pred", (True,), (False,)),
    ("or.b16", (0x00FF, 0xFF00), (0xFFFF,)),
    ("xor.b64", (5, 1), (4,)),
    ("not.b32", (0,), (0xFFFFFFFF,)),
    ("cnot.b32", (0,), (1,)),
    ("cnot.b32", (7,), (0,)),
    ("shl.b32", (1, 31), (0x80000000,)),
    ("shl.b32", (1, 32), (0,)),
    ("shl.b16", (0x8001, 1), (2,)),
    ("shr.u32", (0x80000000, 31), (1,)),
    ("shr.s32", (0x80000000, 100), (0xFFFFFFFF,)),
    ("shr.b64", (1 << 63, 63), (1,)),
    ("shf.l.wrap.b32", (0x80000000, 0x1, 33), (3,)),
    ("shf.l.clamp.b32", (0x80000000, 0x1, 33), (0x80000000,)),
    ("shf.r.wrap.b32", (0x80000000, 0x1, 1), (0xC0000000,)),
    ("shf.r.clamp.b32", (0x80000000, 0x1, 40), (1,)),
    ("shf.l.wrap.b32", (5, 7, 0), (7,)),
    ("lop3.b32", (0xF0, 0xCC, 0xAA, 0x1A), (0x1A,)),
    ("prmt.b32", (0x33221100, 0x77665544, 0x7410), (0x77441100,)),
    ("prmt.b32", (0x33221180, 0x77665544, 0x5488), (0x5544FFFF,)),
    ("prmt.b32.f4e", (0x33221100, 0x77665544, 1), (0x44332211,)),
    ("prmt.b32.b4e", (0x33221100, 0x77665544, 1), (0x66770011,)),
    ("prmt.b32.rc8", (0x33221100, 0x77665544, 2), (0x22222222,)),
    ("prmt.b32.ecl", (0x33221100, 0x77665544, 1), (0x33221111,)),
    ("prmt.b32.ecr", (0x33221100, 0x77665544, 1), (0x11111100,)),
    ("prmt.b32.rc16", (0x33221100, 0x77665544, 3), (0x33223322,)),
    # Comparisons and choices.
    ("setp.lt.f32", (ONE, TWO), (True, False)),
    ("setp.neu.f32", (NAN, NAN), (True, False)),
    ("setp.ne.f32", (NAN, ONE), (False, True)),
    ("setp.gt.ftz.f32", (TINY, 0), (False, True)),
    ("setp.lt.and.f32", (ONE, TWO, False), (False, False)),
    ("setp.lt.or.s32", (2, 1, True), (True, True)),
    ("setp.eq.xor.b32", (1, 1, True), (False, True)),
    ("setp.lt.s32", (0xFFFFFFFF, 0), (True, False)),
    ("setp.lt.u32", (0xFFFFFFFF, 0), (False, True)),
    ("setp.hs.u64", (1, 1), (True, False)),
    ("setp.nan.f64", (0, 0x7FF8000000000000), (True, False)),
    ("setp.gt.bf16", (0x4000, 0x3F80), (True, False)),
    ("setp.gt.f16x2", (0x3C004000, 0x3C003C00), (True, False)),
    ("set.lt.u32.f32", (ONE, TWO), (0xFFFFFFFF,)),
    ("set.gt.f32.s32", (1, 0xFFFFFFFF), (ONE,)),
    ("set.eq.and.s32.u32", (1, 1, False), (0,)),
    ("set.gt.f16x2.f16x2", (0x40003C00, 0x3C003C00), (0x3C000000,)),
    ("set.gt.u32.bf16x2", (0x40003F80, 0x3F803F80), (0xFFFF0000,)),
    ("selp.f32", (ONE, TWO, True), (ONE,)),
    ("selp.b64", (1, 2, False), (2,)),
    ("slct.f32.s32", (ONE, TWO, 0), (ONE,)),
    ("slct.f32.s32", (ONE, TWO, 0xFFFFFFFF), (TWO,)),
    ("slct.u32.f32", (1, 2, MINUS), (1,)),
    ("slct.u32.f32", (1, 2, NAN), (2,)),
    ("slct.ftz.u32.f32", (1, 2, MINUS | TINY), (1,)),
    # Moves and conversions.
    ("mov.b32", (5,), (5,)),
    ("mov.f64", (1 << 63,), (1 << 63,)),
    ("mov.pred", (True,), (True,)),
    ("cvt.u64.u32", (0xFFFFFFFF,), (0xFFFFFFFF,)),
    ("cvt.s64.s32", (0xFFFFFFFF,), (0xFFFFFFFFFFFFFFFF,)),
    ("cvt.u16.u32", (0x12345,), (0x2345,)),
    ("cvt.sat.u8.s32", (0xFFFFFFFF,), (0,)),
    ("cvt.rzi.s32.f32", (0xC0200000,), (0xFFFFFFFE,)),  # -2.5
    ("cvt.rni.s32.f32", (0xC0200000,), (0xFFFFFFFE,)),
    ("cvt.rmi.s32.f32", (0xC0200000,), (0xFFFFFFFD,)),
    ("cvt.rpi.s32.f32", (0xC0200000,), (0xFFFFFFFE,)),
    ("cvt.rzi.u32.f32", (MINUS | ONE,), (0,)),
    ("cvt.rzi.s32.f32", (INF,), (0x7FFFFFFF,)),
    ("cvt.rzi.s32.f32", (NAN,), (0,)),
    ("cvt.rzi.s64.f32", (NAN,), (1 << 63,)),
    ("cvt.rzi.ftz.u32.f32", (ONE,), (1,)),
    ("cvt.rn.f32.s32", (0x01000001,), (0x4B800000,)),
    ("cvt.rp.f32.s32", (0x01000001,), (0x4B800001,)),
    ("cvt.rn.f32.u64", (0xFFFFFFFFFFFFFFFF,), (0x5F800000,)),
    ("cvt.rz.f32.u64", (0xFFFFFFFFFFFFFFFF,), (0x5F7FFFFF,)),
    ("cvt.rn.f64.u32", (3,), (0x4008000000000000,)),
    ("cvt.rn.f32.f64", (0x3FF0000010000000,), (ONE,)),
    ("cvt.rz.f32.f64", (0x3FF0000010000001,), (ONE,)),
    ("cvt.rn.ftz.f32.f64", (0x3800000000000000,), (0,)),
    ("cvt.f64.f32", (ONE,), (0x3FF0000000000000,)),
    ("cvt.f32.f16", (0x3C00,), (ONE,)),
    ("cvt.f32.bf16", (0x3F80,), (ONE,)),
    ("cvt.rz.f32.bf16", (0x3F80,), (ONE,)),
    ("cvt.ftz.f64.f32", (MINUS | TINY,), (1 << 63,)),
    ("cvt.rn.f16.f32", (0x477FF000,), (0x7C00,)),  # 65520
    ("cvt.rn.ftz.f16.f32", (0x33800000,), (0x0001,)),  # f16's own subnormals stay
    ("cvt.rz.bf16.f32", (0x3F80FFFF,), (0x3F80,)),
    ("cvt.rn.relu.bf16.f32", (MINUS | ONE,), (0,)),
    ("cvt.rn.bf16x2.f32", (ONE, TWO), (0x3F804000,)),
    ("cvt.rz.f16x2.f32", (TWO, 0x3F801FFF), (0x40003C00,)),
    ("cvt.rn.relu.f16x2.f32", (MINUS | TWO, ONE), (0x00003C00,)),
    ("cvt.rni.f32.f32", (0x40200000,), (TWO,)),
    ("cvt.rmi.f64.f64", (0xBFE0000000000000,), (0xBFF0000000000000,)),
    ("cvt.rpi.ftz.f32.f32", (TINY,), (0,)),
    ("cvt.sat.f32.f32", (TWO,), (ONE,)),
    ("cvt.sat.f32.f32", (MINUS,), (0,)),
    ("cvt.ftz.f32.f32", (TINY,), (0,)),
]


@pytest.mark.parametrize(("opcode", "sources", "results"), EXAMPLES)
def test_by_hand(
    opcode: str, sources: tuple[int | bool, ...], results: tuple[int | bool, ...]
) -> None:
    assert run(opcode, *sources) == results
    if not opcode.startswith("lop3"):
        assert run(opcode, *sources, known=False) == results


def test_every_table_of_three_bits() -> None:
    for table in range(256):
        (result,) = run("lop3.b32", 0xF0F0F0F0, 0xCCCCCCCC, 0xAAAAAAAA, table)
        assert result == table * 0x01010101


def test_a_permutation_is_one_whether_its_selector_is_known_or_not() -> None:
    for selector in range(0, 0x10000, 251):
        sources = 0x8F2E6D1C, 0x70C1B293, selector
        known = run("prmt.b32", *sources)
        assert run("prmt.b32", *sources, known=False) == known


@pytest.mark.parametrize(
    ("opcode", "name"),
    [
        ("mul.f32", "mul"),
        ("add.ftz.f32", "add"),
        ("sub.f64", "sub"),
        ("mul.f16x2", "mul"),
        ("add.bf16x2", "add"),
        ("mul.rn.f32", ""),
        ("add.rz.f64", ""),
        ("fma.rn.f32", ""),
        ("add.s32", ""),
        ("mul.lo.s32", ""),
        ("mad.lo.s32", ""),
    ],
)
def test_what_carries_no_rounding_may_be_contracted(opcode: str, name: str) -> None:
    assert meaning(opcode).contractible == name


@pytest.mark.parametrize(
    "opcode",
    [
        "ex2.approx.ftz.f32",
        "lg2.approx.f32",
        "sin.approx.f32",
        "cos.approx.f32",
        "tanh.approx.f32",
        "rsqrt.approx.f32",
        "rcp.approx.ftz.f32",
        "rcp.approx.ftz.f64",
        "sqrt.approx.f32",
        "div.full.f32",
        "div.approx.ftz.f32",
        "ex2.approx.ftz.bf16x2",
    ],
)
def test_approximations_are_refused_by_name(opcode: str) -> None:
    with pytest.raises(Approximate) as refused:
        meaning(opcode)
    words = str(refused.value)
    assert words.startswith(f"{opcode} is an approximation, whose bits each GPU has its own; ")
    assert "fast-math" in words or "judged by its bits" in words


@pytest.mark.parametrize(
    ("opcode", "words"),
    [
        ("wmma.load.a", "wmma.load.a: wmma is not known"),
        ("add.cc.u32", "add.cc.u32: .cc is not known in add of this type"),
        ("add.rn.rz.f32", "add.rn.rz.f32: .rz is not known in add of this type"),
        ("div.rn.sat.f32", "div.rn.sat.f32: .sat is not known in div of this type"),
        ("mad.lo.sat.s32", "mad.lo.sat.s32: .sat is not known in mad of this type"),
        ("add.ftz.f64", "add.ftz.f64: .ftz is not known in add of this type"),
        ("add.f8", "add.f8: add is known for .u16, .u32, "),
        ("add", "add: add is known for .u16, .u32, "),
        ("mul.s32", "mul.s32: mul of s32 needs .lo, .hi or .wide"),
        ("mul.wide.u64", "mul.wide.u64: mul of u64 needs .lo, .hi or .wide"),
        ("mul24.u32", "mul24.u32: mul24 needs .lo or .hi"),
        ("mad.f32", "mad.f32: mad needs a rounding, as .rn"),
        ("fma.f32", "fma.f32: fma needs a rounding, as .rn"),
        ("div.f32", "div.f32: div needs a rounding, as .rn"),
        ("fma.rn.oob.f16", "fma.rn.oob.f16: .oob is not known in fma of this type"),
        ("fma.rn.relu.f32", "fma.rn.relu.f32: .relu is not known in fma of this type"),
        ("min.xorsign.abs.f32", "min.xorsign.abs.f32: .xorsign, .abs is not known in min"),
        ("cvt.f32.s32", "cvt.f32.s32: this conversion needs a rounding, as .rn"),
        ("cvt.s32.f32", "cvt.s32.f32: to a whole number cvt needs .rni, .rzi, .rmi, .rpi"),
        ("cvt.rn.satfinite.f16.f32", "cvt.rn.satfinite.f16.f32: .satfinite is not known"),
        ("cvt.rn.f64.f32", "cvt.rn.f64.f32: .rn is not known in cvt of this type"),
        ("cvt.rn.bf16x2.f16", "cvt.rn.bf16x2.f16: cvt makes .bf16x2 of .f32 alone"),
        ("cvt.rn.e4m3x2.f32", "cvt.rn.e4m3x2.f32: cvt is known for "),
        ("setp.f32", "setp.f32: f32 is compared by eq, ne, "),
        ("setp.lt.b32", "setp.lt.b32: b32 is compared by eq, ne"),
        ("setp.equ.s32", "setp.equ.s32: s32 is compared by "),
        ("set.lt.f16x2.f32", "set.lt.f16x2.f32: set makes .f16x2 of .f16x2"),
        ("set.lt.f32.f16x2", "set.lt.f32.f16x2: set of f16x2 makes .f16x2, .u32 or .s32"),
        ("shf.l.b32", "shf.l.b32: shf needs .l or .r, and .clamp or .wrap"),
        ("testp.f32", "testp.f32: testp asks for finite, "),
    ],
)
def test_what_is_not_known_is_said(opcode: str, words: str) -> None:
    with pytest.raises(UnknownInstruction) as refused:
        meaning(opcode)
    assert str(refused.value).startswith(words)


def test_a_table_that_is_no_number_is_refused() -> None:
    with pytest.raises(UnknownInstruction, match=r"lop3\.b32: its table has to be a number"):
        run("lop3.b32", 1, 2, 3, 0x80, known=False)
