"""Machine code: what counts as a contraction, what flushes, and what only looks like either."""

from __future__ import annotations

import importlib.util
import struct
import subprocess
from pathlib import Path
from typing import Final

import pytest

from lion_conformance.ptx import sass

needs_a_disassembler = pytest.mark.skipif(
    sass.disassembler("ptxas") is None or sass.disassembler() is None,
    reason="pip install triton",
)

HEAD: Final = ".version 8.0\n.target {target}\n.address_size 64\n"
KERNEL: Final = """
.visible .entry {name}(.param .u64 where)
{{
    .reg .b64 %rd<4>;
    .reg .f32 %f<8>;
    .reg .f64 %d<8>;
    .reg .b32 %r<8>;
    .reg .b16 %h<8>;
    ld.param.u64 %rd1, [where];
    cvta.to.global.u64 %rd2, %rd1;
    ld.global.f32 %f1, [%rd2];
    ld.global.f32 %f2, [%rd2+4];
    ld.global.f32 %f3, [%rd2+8];
    ld.global.f64 %d1, [%rd2+16];
    ld.global.f64 %d2, [%rd2+24];
    ld.global.f64 %d3, [%rd2+32];
    ld.global.b16 %h1, [%rd2+40];
    ld.global.b16 %h2, [%rd2+42];
    ld.global.b16 %h3, [%rd2+44];
{body}
    ret;
}}
"""
STORE: Final = {"f": "st.global.f32", "d": "st.global.f64", "h": "st.global.b16"}


def ptx(target: str, **bodies: str) -> str:
    """A module with a kernel for each body, whose result is in a register 7, stored."""
    kernels = []
    for name, body in bodies.items():
        kind = name[0]
        text = f"    {body}\n    {STORE[kind]} [%rd2], %{kind}7;"
        kernels.append(KERNEL.format(name=name, body=text))
    return HEAD.format(target=target) + "".join(kernels)


def assembled(folder: Path, text: str, target: str, *options: str) -> Path:
    """The cubin that ptxas makes of it."""
    source, cubin = folder / "kernel.ptx", folder / f"kernel.{target}.cubin"
    source.write_text(text)
    program = sass.disassembler("ptxas")
    assert program is not None
    subprocess.run([program, f"-arch={target}", *options, source, "-o", cubin], check=True)
    return cubin


def fatbin(*cubins: tuple[int, bytes]) -> bytes:
    """Cubins for several architectures as nvcc puts them into one file and into programs."""
    body = b""
    for architecture, cubin in cubins:
        padded = cubin + bytes(-len(cubin) % 8)
        kind, header, length = 2, 64, len(padded)
        numbers = kind, 0x101, header, length, 0, 0, 8, 1, architecture, 0, 0, 0x11, 0, 0
        body += struct.pack("<HHIQIIHHIIIQQQ", *numbers) + padded
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


FLOAT: Final = {
    "f_twice": "mul.rn.f32 %f4, %f1, %f2; add.rn.f32 %f7, %f4, %f3;",
    "f_free": "mul.f32 %f4, %f1, %f2; add.f32 %f7, %f4, %f3;",
    "f_once": "fma.rn.f32 %f7, %f1, %f2, %f3;",
    "f_flushed": "mul.rn.ftz.f32 %f4, %f1, %f2; add.rn.ftz.f32 %f7, %f4, %f3;",
    "f_sum": "fma.rn.f32 %f7, %f1, 0f3F800000, %f3;",
    "f_cut": "mul.rn.sat.f32 %f7, %f1, %f2;",
    "f_down": "add.rm.f32 %f7, %f1, %f2;",
    "f_divided": "div.rn.f32 %f7, %f1, %f2;",
    "f_about": "ex2.approx.f32 %f7, %f1;",
    "f_whole": "cvt.rzi.ftz.s32.f32 %r1, %f1; cvt.rn.f32.s32 %f7, %r1;",
    "d_twice": "mul.rn.f64 %d4, %d1, %d2; add.rn.f64 %d7, %d4, %d3;",
    "d_once": "fma.rn.f64 %d7, %d1, %d2, %d3;",
    "h_twice": "mul.rn.f16 %h4, %h1, %h2; add.rn.f16 %h7, %h4, %h3;",
    "h_once": "fma.rn.f16 %h7, %h1, %h2, %h3;",
    "h_stored": "cvt.rn.bf16.f32 %h7, %f1;",
}
CALM = "nothing contracted, nothing flushed"
ONCE = "a product and a sum rounded once (contraction)"


@pytest.fixture(scope="module", params=["sm_80", "sm_90"])
def code(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> sass.Code:
    """Of the kernels above."""
    folder = tmp_path_factory.mktemp("sass")
    return sass.read(assembled(folder, ptx(request.param, **FLOAT), request.param))


@needs_a_disassembler
@pytest.mark.parametrize(
    ("name", "first", "more"),
    [
        ("f_twice", f"products 1, sums 1, {CALM}", []),
        ("f_free", "nothing flushed", [f"1 FFMA: {ONCE}"]),
        ("f_once", "nothing flushed", [f"1 FFMA: {ONCE}"]),
        ("f_flushed", "products 1, sums 1, nothing contracted", ["FTZ: subnormals flushed"]),
        ("f_sum", f"sums 1, {CALM}", []),
        ("f_cut", f"products 1, {CALM}", ["1 FMUL.SAT: cut to [0, 1]"]),
        ("f_down", f"sums 1, {CALM}", ["1 FADD.RM: rounded down"]),
        ("f_whole", f"conversions 1, {CALM}", []),
        ("d_twice", f"products 1, sums 1, {CALM}", []),
        ("d_once", "nothing flushed", [f"1 DFMA: {ONCE}"]),
        ("h_twice", f"products 1, sums 1, {CALM}", []),
        ("h_once", "nothing flushed", [f": {ONCE}"]),
        ("h_stored", f"conversions 1, {CALM}", []),
    ],
)
def test_what_is_rounded_is_said(code: sass.Code, name: str, first: str, more: list[str]) -> None:
    (kernel,) = code.of(name)
    lines = kernel.lines()
    assert lines[0] == f"{name} for {kernel.target}: {first}"
    assert len(lines) == 1 + len(more)
    for line, words in zip(lines[1:], more, strict=True):
        assert f"{words}; the first at 0x" in line


@needs_a_disassembler
def test_a_division_is_made_of_contractions(code: sass.Code) -> None:
    (kernel,) = code.of("f_divided")
    text = "\n".join(kernel.lines())
    assert "(contraction, or what a division is made of)" in text
    assert "MUFU.RCP" in text
    assert kernel.beyond(["div.rn.f32"]) == []
    (about,) = code.of("f_about")
    assert any("1 MUFU.EX2: approximated; " in x for x in about.lines())


@needs_a_disassembler
@pytest.mark.parametrize(
    ("name", "opcodes", "found"),
    [
        ("f_twice", ["mul.rn.f32", "add.rn.f32"], ""),
        ("f_once", ["mul.rn.f32", "add.rn.f32"], "1 FFMA: contracted, where the PTX rounds twice"),
        ("f_once", ["fma.rn.f32"], ""),
        ("f_once", ["mad.rn.f32"], ""),
        ("f_once", ["fma.rn.f64", "mad.lo.s32"], "1 FFMA: contracted, where the PTX rounds twice"),
        ("d_once", ["mul.rn.f64", "add.rn.f64"], "1 DFMA: contracted, where the PTX rounds twice"),
        ("d_once", ["fma.rn.f64"], ""),
        ("h_once", ["fma.rn.f32"], "contracted, where the PTX rounds twice"),
        ("h_once", ["fma.rn.bf16x2"], ""),
        ("f_flushed", ["mul.rn.f32", "add.rn.f32"], "flushed, where the PTX keeps them"),
        ("f_flushed", ["mul.rn.ftz.f32", "add.rn.f32"], ""),
    ],
)
def test_it_is_held_against_its_ptx(
    code: sass.Code, name: str, opcodes: list[str], found: str
) -> None:
    (kernel,) = code.of(name)
    lines = kernel.beyond(opcodes)
    assert len(lines) == bool(found)
    assert all(found in line for line in lines)


@needs_a_disassembler
def test_ptxas_is_not_free_where_the_ptx_says_how(tmp_path: Path) -> None:
    """The same lines without .rn are contracted, unless ptxas is told not to."""
    text = ptx("sm_80", f_free=FLOAT["f_free"])
    told = sass.read(assembled(tmp_path, text, "sm_80", "-fmad=false"))
    assert told.lines() == [f"f_free for sm_80: products 1, sums 1, {CALM}"]
    assert sass.read(assembled(tmp_path, text, "sm_80")).of("f_free")[0].fused()


@needs_a_disassembler
def test_a_fatbin_has_its_kernel_for_each_gpu(tmp_path: Path) -> None:
    both = []
    for architecture in (80, 90):
        text = ptx(f"sm_{architecture}", f_once=FLOAT["f_once"])
        both.append((architecture, assembled(tmp_path, text, f"sm_{architecture}").read_bytes()))
    file = tmp_path / "kernel.fatbin"
    file.write_bytes(fatbin(*both))
    kernels = sass.read(file).of("f_once")
    assert [(x.target, len(x.fused())) for x in kernels] == [("sm_80", 1), ("sm_90", 1)]


@needs_a_disassembler
def test_what_no_kernel_is_in_is_said(tmp_path: Path, code: sass.Code) -> None:
    with pytest.raises(
        ValueError, match=r"no kernel lion in the machine code; there are: d_once, "
    ):
        code.of("lion")
    other = tmp_path / "kernel.txt"
    other.write_text("mul.f32")
    with pytest.raises(ValueError, match=r"no machine code for a GPU in .*kernel\.txt: "):
        sass.read(other)
    cut = tmp_path / "cut.cubin"
    cut.write_bytes(
        assembled(tmp_path, ptx("sm_80", f_once=FLOAT["f_once"]), "sm_80").read_bytes()[:99]
    )
    with pytest.raises(ValueError, match=r"no machine code for a GPU in .*cut\.cubin: nvdisasm"):
        sass.read(cut)
    with pytest.raises(FileNotFoundError):
        sass.read(tmp_path / "none.cubin")


def test_without_a_disassembler_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    cubin = tmp_path / "kernel.cubin"
    cubin.write_bytes(b"")
    with pytest.raises(sass.NoDisassemblerError, match=r"^not run: no nvdisasm: pip install tri"):
        sass.read(cubin)
    found = tmp_path / "bin" / "cuobjdump"
    found.parent.mkdir()
    found.touch(mode=0o755)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert sass.disassembler("cuobjdump") == str(found)


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("FFMA R9, R0.reuse, c[0x0][0x180], R9", "both"),
        ("FFMA R8, R9, 1, R8", "sum"),
        ("FFMA R8, R9, -1, R8", "sum"),
        ("FFMA R8, R9, 2, R8", "both"),
        ("FFMA R7, R3, R6, RZ", "product"),
        ("FFMA R7, R3, R6, -RZ", "product"),
        ("FFMA R0, RZ, R7, R3", ""),
        ("UFFMA UR4, -UR4, UR5, 1", "both"),
        ("FFMA2 R8, R8, R4, R6", "both"),
        ("FFMA32I R8, R9, 0.5, R8", "both"),
        ("FFMA R8, R9, +INF , R8", "both"),
        ("FFMA R8, R9, +QNAN , R8", "both"),
        ("FADD.FTZ R4, -R8, -RZ", ""),
        ("FADD R4, -R8, |R2|", "sum"),
        ("FADD R9, R8, -1", "sum"),
        ("FMUL R9, R8, 1", ""),
        ("FMUL R9, R8, 0.5", "product"),
        ("DFMA R8, R8, 2, -R20", "both"),
        ("HFMA2.MMA R5, -RZ, RZ, 0, 2.384185791015625e-07", ""),
        ("HFMA2 R0, -RZ, RZ, 0, 0", ""),
        ("HFMA2.BF16_V2 R0, R5.H0_H0, 1, 1, R0.H0_H0", "sum"),
        ("HFMA2.BF16_V2 R0, R5.H0_H0, 1, 2, R0.H0_H0", "both"),
        ("HFMA2.BF16_V2 R5, R2.H0_H0, R5.H0_H0, -RZ.H0_H0", "product"),
        ("HFMA2.MMA R0, R2, R5, R0", "both"),
        ("HADD2.F32 R7, -RZ, R8.H0_H0", ""),
        ("HADD2 R7, R8, 1, 1", "sum"),
        ("F2FP.BF16.F32.PACK_AB R0, RZ, R0", "conversion"),
        ("IMAD.MOV.U32 R1, RZ, RZ, R2", ""),
        ("FSETP.GT.FTZ.AND P1, PT, R9, RZ, PT", ""),
    ],
)
def test_fused_forms_that_move_or_add_or_multiply_are_no_contractions(text: str, role: str) -> None:
    printed = f"\tcode for sm_86\n\t\tFunction : lion\n        /*0040*/              @!P0 {text} ;"
    ((instruction,),) = (kernel.instructions for kernel in sass.parse(printed).kernels)
    assert instruction.address == 0x40
    assert instruction.role == role


def test_a_file_for_several_gpus_has_each_kernel_for_each() -> None:
    """As cuobjdump prints a fatbin: the older form of header beside the newer."""
    printed = "".join(
        f'\tcode for {x}\n\t\tFunction : lion\n\t.headerflags\t@"EF_CUDA_SM80"\n'
        "        /*0000*/      FADD R9, R8, R7 ;      /* 0xbf800000080b7421 */\n"
        for x in ("sm_80", "sm_90a")
    )
    assert [x.target for x in sass.parse(printed).of("lion")] == ["sm_80", "sm_90a"]
    old = '\t.headerflags\t@"EF_CUDA_SM75 EF_CUDA_VIRTUAL_SM(EF_CUDA_SM75)"\n.text.lion:\n'
    assert [x.target for x in sass.parse(old).kernels] == ["sm_75"]
