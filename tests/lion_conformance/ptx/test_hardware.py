"""Instructions on a GPU, beside what they are taken to mean: the interpreter held to hardware.

Each is one kernel, an instruction between loads and stores. Without a GPU the same kernels are
compiled and interpreted, so that what a GPU will be asked is known to be right.
"""

# Not Python but Triton, which reads annotations as its own types.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

triton = pytest.importorskip("triton", reason="pip install triton")
torch = pytest.importorskip("torch", reason="pip install torch")

import triton.language as tl  # noqa: E402
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from lion_conformance.operations.operation import FLOATS, WIDTHS, Operation  # noqa: E402
from lion_conformance.operations.patterns import BITS, NUMBERS, Array  # noqa: E402
from lion_conformance.ptx.instructions import meaning  # noqa: E402
from lion_conformance.ptx.machine import launch  # noqa: E402
from lion_conformance.ptx.memory import Memory  # noqa: E402
from lion_conformance.ptx.source import parse  # noqa: E402
from lion_ref.arithmetic import same_bits  # noqa: E402
from tests.lion_conformance.operations.numbers import arguments, patterns  # noqa: E402
from tests.lion_conformance.ptx.on_numbers import Numbers  # noqa: E402

pytestmark = pytest.mark.clause("C36")

BLOCK = 256
SIZE = 1 << 16

ROUNDED = [
    f"{name}.{rounding}{ftz}{sat}.f32"
    for name in ("add", "sub", "mul", "fma")
    for rounding in ("rn", "rz", "rm", "rp")
    for ftz in ("", ".ftz")
    for sat in ("", ".sat")
]
WIDE = [f"{name}.{rounding}.f64" for name in ("add", "mul", "fma") for rounding in ("rn", "rz")]
EXACT = [f"{name}.rn{ftz}.f32" for name in ("div", "sqrt", "rcp") for ftz in ("", ".ftz")]
HALVES = ["add.rn.f16", "mul.rn.ftz.f16", "fma.rn.f16", "fma.rn.bf16", "fma.rn.ftz.f16"]
OTHERS = ["min.f32", "max.f32", "min.NaN.f32", "min.ftz.f32", "neg.f32", "abs.ftz.f32"]
CONVERSIONS = [
    "cvt.rn.bf16.f32",
    "cvt.rz.bf16.f32",
    "cvt.rn.f16.f32",
    "cvt.rn.ftz.f16.f32",
    "cvt.rn.f32.f64",
    "cvt.rn.ftz.f32.f64",
    "cvt.f32.f16",
    "cvt.rni.s32.f32",
    "cvt.rzi.ftz.s32.f32",
    "cvt.rn.f32.s32",
]
OPCODES = [*ROUNDED, *WIDE, *EXACT, *HALVES, *OTHERS, *CONVERSIONS]
CONSTRAINTS = {16: "h", 32: "r", 64: "l"}
POINTERS = {16: "*i16", 32: "*i32", 64: "*i64"}


@triton.jit
def operate(
    out, a, b, c, size, ASM: tl.constexpr, WANTS: tl.constexpr, COUNT: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """One instruction, of one, two or three operands, for each element."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < size
    x = tl.load(a + i, mask=inside)
    y = tl.load(b + i, mask=inside)
    z = tl.load(c + i, mask=inside)
    if COUNT == 1:
        given = [x]
    elif COUNT == 2:
        given = [x, y]
    else:
        given = [x, y, z]
    result = tl.inline_asm_elementwise(
        ASM, WANTS, given, dtype=out.dtype.element_ty, is_pure=True, pack=1
    )
    tl.store(out + i, result, mask=inside)


def constants(opcode: str) -> dict[str, Any]:
    of = meaning(opcode)
    kinds = [*of.results, *of.sources]
    operands = ", ".join(f"${i}" for i in range(len(kinds)))
    wants = ",".join(CONSTRAINTS[WIDTHS[kind]] for kind in kinds)
    return {
        "ASM": f"{opcode} {operands};",
        "WANTS": f"={wants}",
        "COUNT": len(of.sources),
        "BLOCK": BLOCK,
    }


def operands(opcode: str, size: int) -> list[Array]:
    """Bits for each of three operands; those that an instruction does not have are zero."""
    rng = np.random.default_rng(7)
    sources = meaning(opcode).sources
    name, kind = opcode.partition(".")[0], sources[0]
    if name in ("add", "sub", "mul", "fma", "div", "sqrt") and kind in FLOATS:
        given = arguments(rng, Operation(name, kind), size)
    elif kind in FLOATS:
        given = [patterns(rng, x, size) for x in sources]
    else:
        given = [rng.integers(0, 1 << 32, size, np.uint32)]
    return [*given, *[np.zeros(size, BITS[kind])] * (3 - len(given))]


def expected(opcode: str, given: list[Array]) -> Array:
    of = meaning(opcode)
    (result,) = of.compute(Numbers(), *given[: len(of.sources)])
    return np.asarray(result)


def assert_same(opcode: str, found: Array, given: list[Array]) -> None:
    kind = meaning(opcode).results[0]
    wanted = expected(opcode, given)
    if kind in FLOATS:
        same = same_bits(found.view(NUMBERS[kind]), wanted.view(NUMBERS[kind]))
    else:
        same = found == wanted
    wrong = np.flatnonzero(~same)
    shown = [[hex(x[i]) for x in (*given, wanted, found)] for i in wrong[:3]]
    assert not wrong.size, f"{wrong.size} of {found.size}; a, b, c, expected, found: {shown}"


def interpreted(opcode: str, given: list[Array]) -> Array:
    of = meaning(opcode)
    pointers = (POINTERS[WIDTHS[x]] for x in (of.results[0], *[of.sources[0]] * 3))
    fixed = constants(opcode)
    signature = dict(zip(("out", "a", "b", "c"), pointers, strict=True)) | {"size": "i32"}
    source = ASTSource(operate, signature | dict.fromkeys(fixed, "constexpr"), fixed)
    options = {"num_warps": 4, "enable_fp_fusion": False}
    text = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options).asm["ptx"]
    (entry,) = parse(text).entries.values()
    memory = Memory()
    out = np.zeros(given[0].size, BITS[of.results[0]])
    names = [memory.place(name, x) for name, x in zip("oabc", (out, *given), strict=True)]
    arguments = [*names, out.size, 0, 0]
    grid = (-(-out.size // BLOCK), 1, 1)
    launch(entry, memory, arguments[: len(entry.params)], grid=grid, threads=(128, 1, 1))
    return np.asarray(memory.read("o")).view(out.dtype)


@pytest.mark.parametrize("opcode", ["fma.rz.ftz.sat.f32", "cvt.rn.bf16.f32"])
def test_a_gpu_would_be_asked_for_the_instruction(opcode: str) -> None:
    given = operands(opcode, 1000)
    found = interpreted(opcode, given)
    assert_same(opcode, found, given)
    with pytest.raises(AssertionError, match="1 of 1000; a, b, c, expected, found"):
        assert_same(opcode, np.where(np.arange(1000) == 5, found ^ 1, found), given)


@pytest.mark.slow
@pytest.mark.parametrize("opcode", OPCODES)
def test_a_gpu_would_be_asked_for_every_instruction(opcode: str) -> None:
    given = operands(opcode, 1000)
    assert_same(opcode, interpreted(opcode, given), given)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("opcode", OPCODES)
def test_hardware_does_what_an_instruction_is_taken_to_mean(opcode: str) -> None:
    """Where a result is tiny with .ftz, too, of which the PTX ISA does not say when it is told."""
    given = operands(opcode, SIZE)
    on_device = [torch.from_numpy(x.view(f"i{x.itemsize}")).cuda() for x in given]
    result = BITS[meaning(opcode).results[0]]
    out = torch.zeros(SIZE, dtype=getattr(torch, f"int{8 * result.itemsize}"), device="cuda")
    operate[(SIZE // BLOCK,)](
        out, *on_device, SIZE, **constants(opcode), num_warps=4, enable_fp_fusion=False
    )
    assert_same(opcode, out.cpu().numpy().view(result), given)
