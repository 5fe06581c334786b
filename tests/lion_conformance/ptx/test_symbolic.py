"""The machine on symbols: with numbers put in, its results are those of the machine on numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lion_conformance.operations.evaluate import evaluate
from lion_conformance.operations.expression import Node, leaf
from lion_conformance.operations.operation import WIDTHS
from lion_conformance.operations.traced import NotTracedError, Traced
from lion_conformance.ptx.machine import launch
from lion_conformance.ptx.memory import Memory
from lion_conformance.ptx.paths import ALWAYS, both, either
from lion_conformance.ptx.run import DTYPES
from lion_conformance.ptx.symbols import SymbolicMemory
from lion_conformance.ptx.syntax import Entry
from lion_conformance.ptx.trace import launch_symbolically, traced
from tests.lion_conformance.ptx.assembled import TAIL, entry, launched
from tests.lion_conformance.ptx.test_machine import DOUBLED, GRID_STRIDE, NESTED, REVERSED, TILE

Numbers = dict[str, npt.NDArray[Any]]


def number(node: Node, numbers: Numbers, known: dict[Node, Any]) -> Any:
    """The value of an expression where its leaves have these bits."""
    if node not in known:
        operation = node.operation
        if operation.name == "input":
            value = numbers[operation.of][operation.index : operation.index + 1]
        elif operation.name == "constant":
            value = np.array([operation.bits], DTYPES[WIDTHS[operation.type]])
        else:
            value = evaluate(operation, *(number(a, numbers, known) for a in node.arguments))
        known[node] = value
    return known[node]


def both_ways(
    kernel: Entry | str, n: int, *, grid: int = 1, size: int = 0, **options: Any
) -> Traced:
    """The update of a as param and b as momentum, after a look that numbers come to the same."""
    made = kernel if isinstance(kernel, Entry) else entry(kernel)
    size = size or n

    def run(memory: SymbolicMemory, at: dict[str, int]) -> None:
        arguments = [at["param"], at["momentum"], n]
        launch_symbolically(
            made, memory, arguments, grid=(grid, 1, 1), threads=(32, 1, 1), **options
        )

    update = traced(("f32", "f32", "f32"), size, run)
    if not update.findings:
        rng = np.random.default_rng(1)
        a, b = rng.standard_normal((2, size)).astype(np.float32)
        memory = Memory()
        addresses = memory.place("param", a), memory.place("momentum", b)
        launch(made, memory, [*addresses, n], grid=(grid, 1, 1), threads=(32, 1, 1), **options)
        numbers = {"param": a.view(np.uint32), "momentum": b.view(np.uint32)}
        known: dict[Node, Any] = {}
        for name, nodes in (("param", update.new_param), ("momentum", update.new_momentum)):
            values = [int(number(node, numbers, known)[0]) for node in nodes]
            assert values == memory.read(name, np.uint32).tolist()
    return update


@pytest.mark.parametrize(
    ("kernel", "n", "grid"),
    [(DOUBLED, 37, 2), (NESTED, 50, 2), (GRID_STRIDE, 101, 2)],
)
def test_what_numbers_decide(kernel: str, n: int, grid: int) -> None:
    update = both_ways(kernel, n, grid=grid, size=n + 3)
    assert update.new_momentum[0] is leaf("momentum", "f32", 0)
    assert update.new_param[-1] is (
        leaf("param", "f32", n + 2) if kernel != NESTED else update.new_param[-1]
    )


def test_through_shared_memory() -> None:
    update = both_ways(entry(REVERSED, variables=TILE), 32)
    assert update.new_param[0] is leaf("param", "f32", 31)


# By the sign of a: b, -b, or a NaN as it is; each way another store.
BRANCHES = f"""{TAIL}
    ld.global.f32 %f1, [%rd4];
    ld.global.f32 %f2, [%rd5];
    setp.gt.f32 %p2, %f1, 0f00000000;
    @%p2 bra MORE;
    setp.lt.f32 %p3, %f1, 0f00000000;
    @%p3 bra LESS;
    mov.f32 %f3, %f1;
    bra STORE;
LESS:
    neg.f32 %f3, %f2;
    bra STORE;
MORE:
    mov.f32 %f3, %f2;
STORE:
    add.rn.f32 %f3, %f3, %f2;
    st.global.f32 [%rd4], %f3;
DONE:
    ret;
"""

STORES = f"""{TAIL}
    ld.global.f32 %f1, [%rd4];
    ld.global.f32 %f2, [%rd5];
    setp.gt.f32 %p2, %f1, %f2;
    @%p2 st.global.f32 [%rd5], %f1;
    @!%p2 add.rn.f32 %f1, %f1, %f2;
    @%p2 bra DONE;
    st.global.f32 [%rd4], %f1;
DONE:
    ret;
"""


# A register that each of three ways writes, and no instruction without a condition.
THIRDS = f"""{TAIL}
    ld.global.f32 %f1, [%rd4];
    setp.gt.f32 %p2, %f1, 0f3F800000;
    setp.lt.f32 %p3, %f1, 0fBF800000;
    @%p2 bra STORE_MORE;
    @%p3 mov.f32 %f3, 0f40000000;
    @!%p3 mov.f32 %f3, %f1;
    bra STORE;
STORE_MORE:
    mov.f32 %f3, 0f40400000;
STORE:
    st.global.f32 [%rd4], %f3;
DONE:
    ret;
"""


@pytest.mark.parametrize("kernel", [BRANCHES, STORES, THIRDS])
def test_what_symbols_decide(kernel: str) -> None:
    update = both_ways(kernel, 40, grid=2)
    assert update.new_param[0].operation.name in {"add", "select"}


HALVES = """
    ld.global.u16 %h1, [%rd4];
    ld.global.u16 %h2, [%rd4+2];
    mov.b32 %r6, {%h2, %h1};
    st.global.b32 [%rd4], %r6;
    ld.global.b32 %r7, [%rd5];
    and.b32 %r7, %r7, 0xFFFF;
    st.global.u8 [%rd5+1], %r7;
    ret;
"""


def test_pieces_of_elements() -> None:
    both_ways(HALVES, 32)


def test_two_elements_at_once() -> None:
    def run(memory: SymbolicMemory, at: dict[str, int]) -> None:
        kernel = entry("ld.global.b32 %r6, [%rd4]; st.global.b32 [%rd5], %r6; ret;")
        arguments = [at["param"], at["momentum"], 8]
        launch_symbolically(kernel, memory, arguments, grid=(1, 1, 1), threads=(4, 1, 1))

    update = traced(("bf16", "bf16", "bf16"), 8, run)
    bits = np.arange(8, dtype=np.uint16) + 7
    numbers = {"param": bits, "momentum": bits}
    values = [int(number(node, numbers, {})[0]) for node in update.new_momentum]
    assert values == bits.tolist()


def test_scalars_are_symbols() -> None:
    def run(memory: SymbolicMemory, at: dict[str, int]) -> None:
        kernel = entry(
            "mov.b32 %f1, %r1; ld.global.f32 %f2, [%rd4]; mul.rn.f32 %f2, %f1, %f2;"
            "st.global.f32 [%rd4], %f2; ret;"
        )
        arguments: list[int | bytes | Node] = [at["param"], at["momentum"], leaf("lr", "f32")]
        launch_symbolically(kernel, memory, arguments, grid=(1, 1, 1), threads=(1, 1, 1))

    (node,) = traced(("f32", "f32", "f32"), 1, run).new_param
    assert {argument.operation.of for argument in node.arguments} == {"lr", "param"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            (
                "ld.global.u32 %r6, [%rd4]; LOOP: add.u32 %r6, %r6, 1; setp.lt.u32 %p1, %r6, 5;"
                "@%p1 bra LOOP; ret;"
            ),
            "how often a loop runs depends on the numbers in the arrays (line ",
        ),
        (
            (
                "ld.global.u32 %r6, [%rd4]; cvt.u64.u32 %rd6, %r6; add.s64 %rd6, %rd1, %rd6;"
                "ld.global.u32 %r7, [%rd6]; ret;"
            ),
            "an address depends on the numbers in the arrays (line ",
        ),
        (
            (
                "ld.global.u32 %r6, [%rd4]; setp.lt.u32 %p1, %r6, 5; @%p1 bra DONE; bar.sync 0;"
                "DONE: ret;"
            ),
            "whether a thread comes to a barrier depends on the numbers in the arrays (line ",
        ),
    ],
)
def test_what_takes_numbers(body: str, words: str) -> None:
    with pytest.raises(NotTracedError) as error:
        both_ways(body, 32)
    assert words in str(error.value)
    # Numbers alone can do it.
    if "address" not in words:
        launched(body)


def test_findings_take_the_place_of_results() -> None:
    update = both_ways("st.global.f32 [%rd4+4], 0f00000000; ret;", 32)
    (words,) = update.findings
    assert words.startswith("out of bounds: thread 31 of program 0 writes 4 bytes past the end")
    (words,) = both_ways("st.global.f32 [%rd1], 0f00000000; ret;", 32).findings
    assert words.startswith("race: ")


@pytest.mark.parametrize("always", [True, False])
def test_results_that_are_not_always_written(always: bool) -> None:
    body = """
        ld.global.f32 %f1, [%rd4];
        setp.gt.f32 %p1, %f1, 0f00000000;
        @%p1 st.global.f32 [%rd5], %f1;
    """ + ("@!%p1 st.global.f32 [%rd5], 0f00000000; ret;" if always else "ret;")

    def run(memory: SymbolicMemory, at: dict[str, int]) -> None:
        for name in ("new_param", "new_momentum"):
            arguments = [at["param"], at[name], 4]
            launch_symbolically(entry(body), memory, arguments, grid=(1, 1, 1), threads=(4, 1, 1))

    update = traced(("f32", "f32", "f32"), 4, run, elsewhere=True)
    if always:
        assert not update.findings
    else:
        assert update.findings == ("uninitialized: element 0 of new_param is not always written",)


TILE_BY_A_SIGN = """
    shl.b32 %r6, %r4, 2;
    ld.global.f32 %f1, [%rd4];
    ld.global.f32 %f2, [%rd5];
    {}
    setp.gt.f32 %p1, %f1, 0f00000000;
    @%p1 st.shared.f32 [%r6], %f1;
    ld.shared.f32 %f3, [%r6];
    st.global.f32 [%rd4], %f3;
    ret;
"""


@pytest.mark.parametrize("first", ["%f2", "0f3F800000"])
def test_shared_memory_that_is_written_by_a_condition(first: str) -> None:
    body = TILE_BY_A_SIGN.format(f"st.shared.f32 [%r6], {first};")
    assert not both_ways(entry(body, variables=TILE), 32).findings
    # The other half of the tile is written by all; this one is not.
    body = TILE_BY_A_SIGN.format(f"st.shared.f32 [%r6+128], {first};")
    (words,) = both_ways(entry(body, variables=TILE.replace("128", "256")), 32).findings
    assert words == "uninitialized: element 0 of param is not always written"


def test_a_register_that_is_not_always_written() -> None:
    """What a thread without the condition stores is nobody's number."""
    body = """
        ld.global.f32 %f1, [%rd4];
        setp.gt.f32 %p1, %f1, 0f00000000;
        @%p1 mov.f32 %f2, 0f3F800000;
        st.global.f32 [%rd4], %f2;
        ret;
    """
    (words,) = both_ways(body, 32).findings
    assert words == "uninitialized: element 0 of param is not always written"


def test_conditions() -> None:
    p, q = leaf("p", "pred"), leaf("q", "pred")
    yes, no = both(ALWAYS, (p, True)), both(ALWAYS, (p, False))
    assert either(yes, no) == ALWAYS
    assert not both(yes, (p, False))
    # A choice of three joins in whatever order its ways meet.
    no_yes, no_no = both(no, (q, True)), both(no, (q, False))
    assert either(either(yes, no_yes), no_no) == ALWAYS
    assert either(either(no_yes, no_no), yes) == ALWAYS
    assert either(yes, no_yes) != ALWAYS
