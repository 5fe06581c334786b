"""What no kernel may do is found, and its clean twin is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lion_conformance.ptx.findings import Finding
from lion_conformance.ptx.machine import Groups, launch
from lion_conformance.ptx.memory import Memory
from tests.lion_conformance.ptx.assembled import TAIL, entry, launched

TILE = ".shared .align 4 .b8 tile[128];"
OTHERS = ".extern .shared .align 16 .b8 dynamic[];\n.shared .align 4 .b8 more[512];"
"""Shared memory that another kernel of the file has."""


def found(body: str, n: int = 32, *, variables: str = "", **options: Any) -> tuple[str, str]:
    """The code of what is found and its words, without the line."""
    with pytest.raises(Finding) as error:
        launched(entry(body, variables=variables), n, **options)
    return error.value.code, str(error.value)


def test_one_thread_past_the_end() -> None:
    tail = TAIL.replace(".ge.", ".gt.")
    wrong = f"{tail} mov.f32 %f1, 0f3F800000; st.global.f32 [%rd4], %f1; DONE: ret;"
    code, words = found(wrong, 31)
    assert code == "out-of-bounds"
    assert words.startswith(
        "out of bounds: thread 31 of program 0 writes 4 bytes past the end of a (line "
    )
    assert words.endswith(": st.global.f32 [%rd4], %f1)")
    launched(wrong.replace(".gt.", ".ge."), 31)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "ld.global.f32 %f1, [%rd4+-4];",
            "thread 0 of program 0 reads 4 bytes, 4 bytes before the",
        ),
        ("ld.global.f32 %f1, [%rd4+8];", "thread 30 of program 0 reads 4 bytes past the end of a"),
        ("ld.global.f32 %f1, [%rd1+132];", "reads 4 bytes, 4 bytes past the end of a"),
        (
            "ld.global.v2.f32 {%f1, %f2}, [%rd1+-4];",
            "reads 8 bytes, 4 of them before the beginning",
        ),
        ("ld.global.v2.f32 {%f1, %f2}, [%rd1+124];", "reads 8 bytes, 4 of them past the end of a"),
        ("ld.global.f32 %f1, [%rd3];", "at 0x0, where there is no array"),
        ("ld.global.f32 %f1, [64];", "at 0x40, where there is no array"),
        ("ld.f32 %f1, [%rd4+1073741824];", "bytes past the end of a"),
        ("ld.shared.f32 %f1, [128];", "4 bytes past the end of the shared memory of its program"),
        ("ld.shared.f32 %f1, [%r4+-4];", "before the beginning of the shared memory"),
        ("ld.local.f32 %f1, [0];", "past the end of the local memory of its thread"),
    ],
)
def test_out_of_bounds(body: str, words: str) -> None:
    code, said = found(f"{body} ret;", variables=TILE)
    assert (code, words in said) == ("out-of-bounds", True), said


def test_the_shared_memory_of_another_kernel_is_none_of_its_own() -> None:
    for body in ("ld.shared.f32 %f1, [128]; ret;", "st.shared.f32 [128], %f1; ret;"):
        kernel = entry(body.replace("%f1;", "0f00000000;"), variables=TILE, module=OTHERS)
        with pytest.raises(Finding, match="4 bytes past the end of the shared memory"):
            launched(kernel, 32)


def test_what_is_read_past_the_coherent_caches_is_not_written_before() -> None:
    """ld.global.nc, of __ldg, may give what was there before; read before the write, it does."""
    read, write = "ld.global.nc.f32 %f1, [%rd4];", "st.global.f32 [%rd4], 0f3F800000;"
    code, words = found(f"{write} {read} ret;")
    assert code == "race"
    assert "thread 0 of program 0 reads element 0 of a by ld.global.nc (" in words
    assert "which was written before (" in words
    assert "the cache that it reads may still hold what was there" in words
    assert found(f"{write} bar.sync 0; {read} ret;")[0] == "race"
    launched(f"{read} {write} ret;", 32)
    launched(f"{write} {read.replace('.nc', '')} ret;", 32)


def test_threads_that_do_the_same_are_counted() -> None:
    body = "st.global.f32 [%rd4], %f0; ret;".replace("%f0", "0f00000000")
    assert found(body, 31)[1].endswith("%rd4], 0f00000000)".replace("%rd4", "[%rd4"))
    assert found(body, 30)[1].endswith("; one more thread does so")
    assert found(body, 20)[1].endswith("; 11 more threads do so")


def test_a_predicate_keeps_a_load_inside() -> None:
    clean = """
        setp.lt.s32 %p1, %r5, %r1;
        mov.f32 %f1, 0f00000000;
        @%p1 ld.global.f32 %f1, [%rd4];
        @%p1 st.global.f32 [%rd5], %f1;
        ret;
    """
    _, b = launched(clean, 20)
    assert np.array_equal(b, np.arange(20))
    assert found(clean.replace("@%p1 ld", "ld"), 20)[0] == "out-of-bounds"
    assert found(clean.replace("@%p1 st", "@!%p1 st"), 20)[0] == "out-of-bounds"


@pytest.mark.parametrize(("offset", "width"), [(4, 8), (8, 16), (2, 4)])
def test_misaligned(offset: int, width: int) -> None:
    load = {
        4: "ld.global.f32 %f1, [%rd1];",
        8: "ld.global.v2.f32 {%f1, %f2}, [%rd1];",
        16: "ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd1];",
    }[width]
    code, words = found(f"{load} ret;", offset=offset)
    assert code == "misaligned"
    assert f"reads {width} bytes of a at an address that is no multiple of {width} (line" in words
    launched(f"{load} ret;", offset=width)


def test_arrays_that_begin_between_cells() -> None:
    """Two halves of an element at once, in an array that begins in the middle of 4 bytes."""
    body = "ld.global.b32 %r6, [%rd1+2]; st.global.b32 [%rd1+6], %r6; ret;"
    memory = Memory()
    halves = np.arange(9, dtype=np.uint16)
    address = memory.place("a", halves, offset=2)
    launch(entry(body), memory, [address, 0, 0], grid=(1, 1, 1), threads=(1, 1, 1))
    assert memory.read("a", np.uint16).tolist() == [0, 1, 2, 1, 2, 5, 6, 7, 8]
    body = "ld.global.b32 %r6, [%rd1+16]; ret;"
    address = memory.place("b", halves, offset=2)
    with pytest.raises(Finding, match="2 of them past the end of b"):
        launch(entry(body), memory, [address, 0, 0], grid=(1, 1, 1), threads=(1, 1, 1))


def test_a_register_that_nobody_wrote() -> None:
    code, words = found("st.global.f32 [%rd4], %f1; ret;")
    assert (code, "thread 0 of program 0 reads %f1, which it never wrote (line" in words) == (
        "uninitialized",
        True,
    )
    half = """
        setp.lt.u32 %p1, %r4, 16;
        @%p1 mov.f32 %f1, 0f3F800000;
        {}
        st.global.f32 [%rd4], %f1;
        ret;
    """
    code, words = found(half.format(""))
    assert (code, "thread 16 of program 0 reads %f1" in words) == ("uninitialized", True)
    launched(half.format("@!%p1 mov.f32 %f1, 0f40000000;"))
    # A branch on one, and a branch around one.
    assert found("@%p5 bra A; A: ret;")[0] == "uninitialized"
    around = "setp.lt.u32 %p1, %r4, 16; @%p1 bra A; mov.f32 %f1, 0f3F800000; A: {} DONE: ret;"
    assert found(around.format("st.global.f32 [%rd4], %f1;"))[0] == "uninitialized"
    launched(around.format("@%p1 bra DONE; st.global.f32 [%rd4], %f1;"))


def test_memory_that_nobody_wrote() -> None:
    code, words = found("ld.global.f32 %f1, [%rd5]; ret;", written=False)
    assert code == "uninitialized"
    assert "thread 0 of program 0 reads element 0 of b, which nobody wrote (line" in words
    launched("mov.f32 %f1, 0f3F800000; st.global.f32 [%rd5], %f1; ld.global.f32 %f2, [%rd5]; ret;")
    half = "st.global.u16 [%rd5], 1; ld.global.{} [%rd5]; ret;"
    assert found(half.format("u32 %r6,"), written=False)[0] == "uninitialized"
    launched(half.format("u16 %h1,"), written=False)
    code, words = found("ld.shared.f32 %f1, [16]; ret;", variables=TILE)
    assert (code, "byte 16 of shared memory" in words) == ("uninitialized", True)


SHARED = """
    shl.b32 %r6, %r4, 2;
    ld.global.f32 %f1, [%rd4];
    st.shared.f32 [%r6], %f1;
    {}
    xor.b32 %r7, %r6, 64;
    ld.shared.f32 %f2, [%r7];
    {}
    st.shared.f32 [%r6], %f2;
    st.global.f32 [%rd4], %f2;
    ret;
"""


def test_a_barrier_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    bar = "bar.sync 0;"
    a, _ = launched(entry(SHARED.format(bar, bar), variables=TILE))
    assert np.array_equal(a, np.arange(32) ^ 16)
    code, words = found(SHARED.format("", bar), variables=TILE)
    assert code == "race"
    assert "of shared memory" in words
    assert words.endswith("and no barrier is between them")
    assert found(SHARED.format(bar, ""), variables=TILE)[0] == "race"

    # A machine that takes no notice of barriers finds fault with the clean one.
    def unnoticed(self: Groups, number: int, lanes: Any) -> None:
        self.join(number + 1, lanes)

    monkeypatch.setattr(Groups, "arrive", unnoticed)
    assert found(SHARED.format(bar, bar), variables=TILE)[0] == "race"


@pytest.mark.parametrize(
    ("body", "grid"),
    [
        ("st.global.f32 [%rd1], 0f00000000; ret;", 1),
        ("mul.wide.s32 %rd6, %r4, 4; add.s64 %rd6, %rd1, %rd6; st.global.u32 [%rd6], 1; ret;", 2),
        ("and.b64 %rd6, %rd4, -8; st.global.v2.f32 [%rd6], {0f00000000, 0f00000000}; ret;", 1),
        ("ld.global.f32 %f1, [%rd1+8]; st.global.f32 [%rd4], %f1; ret;", 1),
        ("bar.sync 0; ld.global.f32 %f1, [%rd1+8]; bar.sync 0; st.global.f32 [%rd4], %f1; ret;", 2),
        ("st.global.u8 [%rd4], 0; ld.global.u8 %r6, [%rd1+4]; ret;", 1),
    ],
)
def test_races(body: str, grid: int) -> None:
    """Also where both write the same value."""
    code, words = found(body, 64, grid=grid)
    assert code == "race"
    assert " of a (line " in words
    assert ("it is a race even if they write the same" in words) == (" writes element" in words)
    if grid == 2:
        assert "and nothing orders two programs" in words


def test_a_race_between_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lion_conformance.ptx.machine.MOST_LANES", 32)
    body = "mul.wide.s32 %rd6, %r4, 4; add.s64 %rd6, %rd1, %rd6; st.global.u32 [%rd6], 1; ret;"
    assert "thread 0 of program" in found(body, 64, grid=2)[1]


@pytest.mark.parametrize(
    "body",
    [
        # One program, a barrier between.
        "ld.global.f32 %f1, [%rd1+8]; bar.sync 0; st.global.f32 [%rd4], %f1; ret;",
        # A thread may read what it wrote itself; all may read what none writes.
        "ld.global.f32 %f1, [%rd2]; st.global.f32 [%rd4], %f1; ld.global.f32 %f2, [%rd4]; ret;",
        # Neighbours in one element, byte by byte.
        (
            "add.s64 %rd6, %rd1, 0; cvt.u64.u32 %rd7, %r4; add.s64 %rd6, %rd6, %rd7;"
            "st.global.u8 [%rd6], 1; ld.global.u8 %r6, [%rd6]; ret;"
        ),
    ],
)
def test_no_races(body: str) -> None:
    launched(body)


def test_what_a_module_keeps_is_not_written() -> None:
    kernel = entry("st.global.u32 [counter], 1; ret;", module=".global .align 4 .u32 counter = 5;")
    with pytest.raises(Exception, match="a store to counter, a variable of the module"):
        launched(kernel, threads=1)


def test_arrays_lie_apart() -> None:
    memory = Memory()
    addresses = [memory.place(name, np.zeros(1 << 16)) for name in "abc"]
    assert min(np.diff(addresses)) >= 1 << 40
    assert all(address % 256 == 0 for address in addresses)
    assert memory.place("d", np.zeros(1), offset=4) % 256 == 4
