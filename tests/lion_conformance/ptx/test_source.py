"""PTX text is read as its compilers write it; what is not known is an error with its line."""

from __future__ import annotations

import pytest

from lion_conformance.ptx.machine import launch
from lion_conformance.ptx.memory import Memory
from lion_conformance.ptx.source import parse
from lion_conformance.ptx.syntax import Address, Number, Pair, Register, SourceError, Symbol, Vector
from tests.lion_conformance.ptx.assembled import HEADER, entry

FORMS = (
    HEADER
    + """
// A comment; /* and one inside */
.extern .shared .align 16 .b8 dynamic[];
.const .align 4 .b8 table[8] = {0, 0, 128, 63, 0, 0, 0, 64};
.global .align 4 .u32 counter = 5, others[2] = {1, 0xffffffff};
.func (.param .b32 back) helper (.param .b32 x) ;
.func (.param .b32 back) helper (.param .b32 x)
{ .reg .b32 %r<2>; { ret; } }
.weak .entry declared (.param .u64 x) ;
.visible .entry forms(
    .param .u64 .ptr .global .align 1 out,
    .param .align 8 .b8 bytes[16],
    .param .f32 scale
)
.reqntid 128, 2
.minnctapersm 1
.maxntid 256
.pragma "nounroll";
{
    .reg .pred %p<3>;
    .reg .b32 %r<5>; .reg .f32 %f1, %f2;
    .reg .b64 %rd<3>;
    .shared .align 8 .b8 tile[64];
    .loc 1 22 3, function_name $L__info_string0, inlined_at 1 2 9 // a.py:22
$L__func_begin0:
    ld.param.b64 %rd1, [bytes+8]; /* two on
    a line */ ld.param.f32 %f1, [scale];
    @!%p1 bra.uni $L__end;
    // begin inline asm
    { .reg .pred %p1; .reg .b32 inner;
      mov.b32 inner, -0x10U;
      here: setp.lt.and.f32 %p1|%p2, %f1, 0f3F800000, !%p2; @%p1 bra here; }
    // end inline asm
    { here: bra here; }
    ld.global.L1::no_allocate.v4.b32 {%r1, _, %r3, %r4}, [ %rd1 + -16 ];
    mov.b64 %rd2, dynamic; mov.b64 %rd2, others; mov.b64 %rd2, counter;
    mov.u64 %rd2, table+4;
    mov.f32 %f2, 1.5;
$L__end:
    ret;
}
.section .debug_abbrev
{ .b8 1
  .b8 2 }
"""
)


def test_forms() -> None:
    module = parse(FORMS)
    assert module.target == "sm_80"
    assert module.functions == ("helper", "helper")
    assert list(module.entries) == ["forms"]
    kernel = module.entries["forms"]
    assert [(p.name, p.type, p.size, p.alignment, p.is_pointer) for p in kernel.params] == [
        ("out", "u64", 8, 8, True),
        ("bytes", "b8", 16, 8, False),
        ("scale", "f32", 4, 4, False),
    ]
    assert (kernel.reqntid, kernel.maxntid) == ((128, 2, 1), (256, 1, 1))
    variables = {v.name: v for v in kernel.variables}
    assert variables["dynamic"].size is None
    assert variables["table"].data == bytes([0, 0, 128, 63, 0, 0, 0, 64])
    assert variables["others"].data == bytes([1, 0, 0, 0, 255, 255, 255, 255])
    assert variables["counter"].data == bytes([5, 0, 0, 0])
    assert (variables["tile"].size, variables["tile"].space) == (64, "shared")
    assert len(kernel.registers) == 3 + 5 + 2 + 3 + 2  # two more in the scope of the inline asm


def test_operands() -> None:
    body = parse(FORMS).entries["forms"].body
    by_opcode = {instruction.opcode: instruction for instruction in body}
    assert by_opcode["ld.param.b64"].operands[1] == Address(Symbol("bytes"), 8)
    assert by_opcode["mov.b32"].operands == (Register("inner"), Number(-16, "whole"))
    assert by_opcode["mov.u64"].operands[1] == Symbol("table", 4)
    assert by_opcode["mov.f32"].operands[1] == Number(1.5, "decimal")
    load = by_opcode["ld.global.L1::no_allocate.v4.b32"]
    assert isinstance(load.operands[0], Vector)
    assert load.operands[1] == Address(Register("%rd1"), -16)
    # The inner %p1 hides the outer one, and each `here` is that of its own braces.
    compare = by_opcode["setp.lt.and.f32"]
    assert compare.operands[0] == Pair(Register("%p1'"), Register("%p2"))
    jumps = [i.operands[0] for i in body if i.opcode == "bra"]
    assert jumps == [Symbol("here"), Symbol("here'")]
    line = FORMS[: FORMS.index("ld.global.L1")].count("\n") + 1
    assert load.place == (
        f"line {line}: ld.global.L1::no_allocate.v4.b32 {{%r1, _, %r3, %r4}}, [ %rd1 + -16 ]"
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("mov.b32 %r1, %r99;", "a register that is not known: %r99"),
        ("mov.b32 %r1, %smid;", "a register that is not known: %smid"),
        ("bra NOWHERE;", "a jump to a label that is not there"),
        ("call.uni (x), helper, (y);", "a call of a function"),
        ("{ .param .b32 param0; }", "a call of a function"),
        (".branchtargets A, B;", "not known: .branchtargets A, B;"),
        ("ret", "an operand expected, not '}'"),
        ("mov.b32 %r1 %r2;", "',' expected"),
        ("@%p99 ret;", "a predicate that is not declared"),
        (".reg .b128 x;", "a register of a type that is not known"),
        (".reg .b32 %x<999999999>;", "more registers than any kernel has"),
        ("mov.b32 %r1, `;", "not PTX"),
    ],
)
def test_what_is_not_ptx(body: str, words: str) -> None:
    with pytest.raises(SourceError, match=r"^line \d+: ") as error:
        entry(body)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("ex2.approx.f32 %f1, %f2;", "approx"),
        ("frobnicate.f32 %f1, %f2;", "frobnicate is not known"),
        ("atom.global.add.u32 %r1, [%rd1], 1;", "atom is not known"),
        ("cp.async.ca.shared.global [%r1], [%rd1], 16;", "cp is not known"),
        ("brx.idx %r1, table;", "brx is not known"),
        ("bar.sync 0, 64;", "only barriers of a whole program are known"),
        ("bar.warp.sync -1;", "only barriers of a whole program are known"),
        ("@%p1 bar.sync 0;", "a barrier with a predicate is not known"),
        ("ld.global.frob.f32 %f1, [%rd1];", "not known: .frob"),
        ("ld.global.v2.f32 %f1, [%rd1];", "2 registers expected"),
        ("ld.global.b64 %r1, [%rd1];", "a load of 64 bits to a register of 32"),
        ("ld.param.u32 %r1, [n+2];", "n has 4 bytes"),
        ("ld.param.u32 %r1, [m];", "a parameter that is not declared: m"),
        ("mov.u64 %rd1, nothing;", "a variable that is not known: nothing"),
        ("add.f32 %f1, %f2, 1;", "a number that is none of type .f32"),
        ("add.f32 %f1, %f2, 1e60;", "a number that is none of type .f32"),
        ("add.u32 %r1, %r2, 1.5;", "a number that is none of type .u32"),
        ("add.s32 %r1, %r2, %rd1, 1;", "2 sources expected, not 3"),
        ("add.s64 %rd1, %rd2, %r1;", "an operand of 32 bits"),
    ],
)
def test_what_is_not_understood(body: str, words: str) -> None:
    kernel = entry(body)
    with pytest.raises(SourceError, match=r"^line \d+: ") as error:
        launch(kernel, Memory(), [0, 0, 0], grid=(1, 1, 1), threads=(1, 1, 1))
    assert words in str(error.value)
    assert body.rstrip(";") in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: no PTX: it begins with .version"),
        ("int main() {}", "line 1: not known: int main() {}"),
        (".version 8.0\n.target sm_80\n.address_size 32\n", "line 3: only addresses of 64 bits"),
        (HEADER + ".visible .entry k(.param .u64 a) {\n ret;", "the file ends in the middle"),
        (HEADER + ".const .align 3 .b8 x[2];", "line 4: an alignment is a power of 2: "),
        (HEADER + ".const .b8 x[2] = {1, 2, 3};", "line 4: more numbers than the variable has: "),
        (HEADER + ".const .b8 x[99999999999];", "line 4: a variable larger than any update"),
        (HEADER + ".const .b8 x[09];", "line 4: a whole number expected, not '09'"),
    ],
)
def test_files_that_are_none(text: str, words: str) -> None:
    with pytest.raises(SourceError) as error:
        parse(text)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (".entry k(.param .x64 a) {}", "line 4: not known: "),
        (".entry k(.param .pred a) {}", "line 4: a type expected: "),
        (".entry k() { call.uni helper; }", "line 4: a call of a function, helper; only kernels"),
        (".entry k() { call.uni (x), helper, (y); }", "a call of a function, helper; only"),
        (".entry k() { {.param .b32 x;\ncall.uni\nvprintf,\n(x\n); } }", "function, vprintf; only"),
        (".entry k() .frobnicated { ret; }", "line 4: not known: "),
    ],
)
def test_a_kernel_that_is_not_understood_harms_no_other(kernel: str, words: str) -> None:
    module = parse(f"{HEADER}{kernel}\n.entry right() {{ ret; }}\n")
    assert module.names == ("right", "k")
    assert module.kernel("right").name == "right"
    with pytest.raises(SourceError) as error:
        module.kernel("k")
    assert words in str(error.value)


def test_a_table_of_addresses_harms_only_who_reads_it() -> None:
    table = ".global .align 8 .u64 table[2] = {helper, generic(other)}, next = 5;"
    launch(entry("ret;", module=table), Memory(), [0, 0, 0], grid=(1, 1, 1), threads=(1, 1, 1))
    reads = entry("ld.global.u64 %rd1, [table];", module=table)
    with pytest.raises(SourceError, match="table begins with an address, which is not known"):
        launch(reads, Memory(), [0, 0, 0], grid=(1, 1, 1), threads=(1, 1, 1))


def test_parameters_are_counted() -> None:
    with pytest.raises(SourceError, match="line 5: k has 3 parameters, not 2"):
        launch(entry("ret;"), Memory(), [0, 0], grid=(1, 1, 1), threads=(1, 1, 1))
