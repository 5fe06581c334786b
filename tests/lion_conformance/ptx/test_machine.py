"""What threads do: divergence, loops, barriers, memory of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lion_conformance.ptx import machine
from lion_conformance.ptx.findings import Finding
from lion_conformance.ptx.machine import launch
from lion_conformance.ptx.memory import Memory
from lion_conformance.ptx.run import Run
from lion_conformance.ptx.source import parse
from tests.lion_conformance.ptx.assembled import HEADER, TAIL, entry, launched

DOUBLED = f"""{TAIL}
    ld.global.f32 %f1, [%rd4];
    add.rn.f32 %f1, %f1, %f1;
    st.global.f32 [%rd4], %f1;
DONE:
    ret;
"""

# Each thread goes i % 4 times round, and in odd rounds takes the other side of an if.
NESTED = f"""{TAIL}
    and.b32 %r6, %r5, 3;
    mov.u32 %r7, 0;
    mov.f32 %f1, 0f00000000;
LOOP:
    setp.ge.u32 %p2, %r7, %r6;
    @%p2 bra OUT;
    and.b32 %r8, %r7, 1;
    setp.eq.u32 %p3, %r8, 0;
    @%p3 bra EVEN;
    add.rn.f32 %f1, %f1, 0f41200000;
    bra.uni JOINED;
EVEN:
    add.rn.f32 %f1, %f1, 0f3F800000;
JOINED:
    add.u32 %r7, %r7, 1;
    bra LOOP;
OUT:
    st.global.f32 [%rd4], %f1;
DONE:
    ret;
"""

GRID_STRIDE = """
    mov.u32 %r6, %nctaid.x;
    mul.lo.u32 %r6, %r6, %r3;
LOOP:
    setp.ge.u32 %p1, %r5, %r1;
    @%p1 bra DONE;
    mul.wide.u32 %rd3, %r5, 4;
    add.s64 %rd4, %rd1, %rd3;
    ld.global.f32 %f1, [%rd4];
    add.rn.f32 %f1, %f1, 0f3F800000;
    st.global.f32 [%rd4], %f1;
    add.u32 %r5, %r5, %r6;
    bra LOOP;
DONE:
    ret;
"""

TILE = ".shared .align 4 .b8 tile[128];"
REVERSED = """
    shl.b32 %r6, %r4, 2;
    mov.u32 %r7, tile;
    add.u32 %r8, %r7, %r6;
    ld.global.f32 %f1, [%rd4];
    st.shared.f32 [%r8], %f1;
    bar.sync 0;
    sub.u32 %r9, %r7, %r6;
    ld.shared.f32 %f2, [%r9+124];
    st.global.f32 [%rd4], %f2;
    ret;
"""


def test_a_tail_leaves_the_others_alone() -> None:
    a, _ = launched(DOUBLED, 37, size=40, grid=2)
    assert np.array_equal(a[:37], 2 * np.arange(37))
    assert np.array_equal(a[37:], [37, 38, 39])


def test_an_if_in_a_loop() -> None:
    a, _ = launched(NESTED, 50, grid=2)
    assert np.array_equal(a, np.array([0, 1, 11, 12])[np.arange(50) % 4])


@pytest.mark.parametrize("grid", [1, 2, 5])
def test_a_grid_that_strides(grid: int) -> None:
    a, _ = launched(GRID_STRIDE, 101, grid=grid)
    assert np.array_equal(a, np.arange(101) + 1)


def test_programs_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MOST_LANES", 64)
    a, _ = launched(DOUBLED, 300, grid=10)
    assert np.array_equal(a, 2 * np.arange(300))


@pytest.mark.parametrize(("kernel", "n"), [(NESTED, 50), (DOUBLED, 37)])
def test_a_mask_matters(kernel: str, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine in which those do something whose turn it is not is told apart."""
    right = launched(kernel, n, size=64, grid=2)[0]
    enter = Run.enter

    def everybody(self: Run, lanes: Any, _all: bool, _alone: bool) -> None:
        enter(self, lanes, everybody=True, alone=True)

    monkeypatch.setattr(Run, "enter", everybody)
    assert not np.array_equal(launched(kernel, n, size=64, grid=2)[0], right)


def test_shared_memory() -> None:
    a, _ = launched(entry(REVERSED, variables=TILE))
    assert np.array_equal(a, np.arange(32)[::-1])
    # Each program has its own.
    a, _ = launched(entry(REVERSED, variables=TILE), 64, grid=2)
    assert np.array_equal(a, np.arange(64).reshape(2, 32)[:, ::-1].ravel())


def test_shared_memory_whose_size_the_launch_says() -> None:
    kernel = entry(REVERSED, module=".extern .shared .align 16 .b8 tile[];")
    assert np.array_equal(launched(kernel, shared=128)[0], np.arange(32)[::-1])
    with pytest.raises(Finding, match="4 bytes past the end of the shared memory of its program"):
        launched(kernel, shared=124)


def test_a_barrier_in_a_loop_of_some_programs() -> None:
    """Programs go round as often as their number; those that are done do not hold up the others."""
    body = """
        mov.u32 %r7, 0;
    LOOP:
        setp.ge.u32 %p1, %r7, %r2;
        @%p1 bra OUT;
        bar.sync 0;
        add.u32 %r7, %r7, 1;
        bra LOOP;
    OUT:
        cvt.rn.f32.u32 %f1, %r7;
        st.global.f32 [%rd4], %f1;
        ret;
    """
    a, _ = launched(body, 128, grid=4)
    assert np.array_equal(a, np.repeat(np.arange(4), 32))


def test_who_has_left_is_not_waited_for() -> None:
    body = f"{TAIL} bar.sync 0; mov.f32 %f1, 0f3F800000; st.global.f32 [%rd4], %f1; DONE: ret;"
    assert launched(body, 20, size=32)[0][:20].tolist() == [1] * 20


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            # Half of a warp waits at one barrier and half at the next.
            "setp.lt.u32 %p1, %r4, 16; @%p1 bra A; bar.sync 0; bra B; A: bar.sync 0; B: ret;",
            "a warp has to come to a barrier together",
        ),
        (
            "setp.lt.u32 %p1, %r4, 16; @%p1 bra A; bar.sync 1; bra B; A: bar.sync 2; B: ret;",
            "for other threads of its program, which wait at line",
        ),
    ],
)
def test_deadlock(body: str, words: str) -> None:
    with pytest.raises(
        Finding, match=r"^deadlock: thread \d+ of program 0 waits at a barrier \(line "
    ) as error:
        launched(body)
    assert error.value.code == "deadlock"
    assert words in str(error.value)
    # Whole warps may come to the barrier from different places.
    if "together" in words:
        launched(body.replace("16", "32"), 64, threads=64)


def test_what_never_ends() -> None:
    with pytest.raises(Finding) as error:
        launched("LOOP: bra LOOP;", most_steps=1000)
    assert error.value.code == "never-ends"
    assert "thread 0 of program 0 is still at work (line " in str(error.value)


def test_types_are_widened_and_cut() -> None:
    body = """
        mov.b32 %r6, 0xFFFFFF80;
        st.global.u8 [%rd1], %r6;
        ld.global.s8 %r7, [%rd1];
        ld.global.u8 %r8, [%rd1];
        ld.global.s8 %rd6, [%rd1];
        st.global.u32 [%rd2], %r7;
        st.global.u32 [%rd2+4], %r8;
        st.global.u64 [%rd2+8], %rd6;
        mov.b64 %rd7, {%r7, %r8};
        mov.b64 {_, %r9}, %rd7;
        st.global.v2.u32 [%rd2+16], {%r9, 7};
        ret;
    """
    _, b = launched(body, 16, threads=1)
    bits = b.view(np.uint32)[:6].tolist()
    assert bits == [0xFFFFFF80, 0x80, 0xFFFFFF80, 0xFFFFFFFF, 0x80, 7]


def test_addresses_of_every_kind() -> None:
    """Generic, global, shared, local and constant addresses mean what cvta says of them."""
    body = """
        cvta.to.global.u64 %rd6, %rd4;
        ld.global.f32 %f1, [%rd6];
        ld.f32 %f2, [%rd4];
        add.rn.f32 %f1, %f1, %f2;
        mov.u64 %rd7, own;
        cvta.local.u64 %rd8, %rd7;
        st.f32 [%rd8+4], %f1;
        ld.local.f32 %f3, [%rd7+4];
        mov.u64 %rd9, tile;
        cvta.shared.u64 %rd10, %rd9;
        mul.wide.u32 %rd11, %r4, 4;
        add.s64 %rd10, %rd10, %rd11;
        st.f32 [%rd10], %f3;
        cvta.to.shared.u64 %rd12, %rd10;
        ld.shared.f32 %f4, [%rd12];
        ld.const.f32 %f5, [table+4];
        mov.u64 %rd13, table;
        ld.const.f32 %f6, [%rd13];
        cvta.const.u64 %rd14, %rd13;
        ld.f32 %f7, [%rd14];
        add.rn.f32 %f4, %f4, %f5;
        add.rn.f32 %f4, %f4, %f6;
        add.rn.f32 %f4, %f4, %f7;
        ld.global.u32 %r10, [counter];
        cvt.rn.f32.u32 %f8, %r10;
        add.rn.f32 %f4, %f4, %f8;
        st.global.f32 [%rd4], %f4;
        ret;
    """
    kernel = entry(
        body,
        variables=f"{TILE} .local .align 8 .b8 own[8];",
        module=".const .align 4 .b8 table[8] = {0, 0, 128, 63, 0, 0, 0, 64};"
        ".global .align 4 .u32 counter = 5;",
    )
    a, _ = launched(kernel, 64, grid=2)
    assert np.array_equal(a, 2 * np.arange(64) + 2 + 1 + 1 + 5)


def test_three_dimensions() -> None:
    text = (
        HEADER
        + """.visible .entry k(.param .u64 a) {
        .reg .b32 %r<20>; .reg .b64 %rd<5>;
        ld.param.u64 %rd1, [a];
        mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.y; mov.u32 %r3, %tid.z;
        mov.u32 %r4, %ctaid.x; mov.u32 %r5, %ctaid.y; mov.u32 %r6, %ctaid.z;
        mov.u32 %r7, %ntid.x; mov.u32 %r8, %ntid.y; mov.u32 %r9, %ntid.z;
        mad.lo.u32 %r10, %r3, %r8, %r2;
        mad.lo.u32 %r10, %r10, %r7, %r1;
        mov.u32 %r11, %nctaid.x; mov.u32 %r12, %nctaid.y;
        mad.lo.u32 %r13, %r6, %r12, %r5;
        mad.lo.u32 %r13, %r13, %r11, %r4;
        mul.lo.u32 %r14, %r7, %r8; mul.lo.u32 %r14, %r14, %r9;
        mad.lo.u32 %r15, %r13, %r14, %r10;
        mul.wide.u32 %rd2, %r15, 4; add.s64 %rd3, %rd1, %rd2;
        mov.u32 %r16, %laneid; mov.u32 %r17, %warpid;
        mad.lo.u32 %r18, %r17, 32, %r16;
        st.global.u32 [%rd3], %r18; ret; }"""
    )
    memory = Memory()
    address = memory.place("a", np.zeros(2 * 3 * 2 * 4 * 5 * 3, np.uint32))
    launch(parse(text).entries["k"], memory, [address], grid=(2, 3, 2), threads=(4, 5, 3))
    assert np.array_equal(memory.read("a", np.uint32), np.tile(np.arange(60), 12))
    memory = Memory()
    address = memory.place("a", np.zeros(2 * 3 * 2 * 4 * 5 * 3 - 20, np.uint32))
    with pytest.raises(Finding, match=r"thread \(0, 0, 2\) of program \(1, 2, 1\) writes"):
        launch(parse(text).entries["k"], memory, [address], grid=(2, 3, 2), threads=(4, 5, 3))
