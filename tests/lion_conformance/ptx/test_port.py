"""A kernel as a port: what its host does, what is refused, and what is said of what it comes to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lion_conformance
import lion_ref
from lion_conformance import Port, PortError, Report, Verdict, diagnosis, verify
from lion_conformance.checks import Check, Checklist
from lion_conformance.cli import main
from lion_conformance.ports.layouts import shifted
from lion_conformance.ports.protocol import ScalarArguments, run_once
from lion_conformance.ptx.findings import Finding
from lion_conformance.report.as_text import render
from lion_conformance.report.origin import Origin
from lion_ref import Semantics
from lion_ref.arithmetic import Array
from tests.lion_conformance.ptx.kernels import ARGUMENTS, PTX, TOML, kernel, with_line

pytestmark = pytest.mark.clause("C29", "C36")

SCALARS: ScalarArguments = {"lr": 3e-4, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1}
CONTRACTED = PTX.replace("mul.rn.f32 %b", "mul.f32 %b").replace("add.rn.f32 %c", "add.f32 %c")
ELSEWHERE = (
    PTX.replace(
        ".param .f32 weight_decay)",
        ".param .f32 weight_decay, .param .u64 new_param, .param .u64 new_momentum)",
    )
    .replace("st.global.f32 [%param_at]", "st.global.f32 [%new_param_at]")
    .replace("st.global.f32 [%momentum_at]", "st.global.f32 [%new_momentum_at]")
    .replace(
        "%grad_at;",
        "%grad_at, %new_param_at, %new_momentum_at;",
    )
    .replace(
        "    add.u64 %grad_at, %grads, %at;",
        "    add.u64 %grad_at, %grads, %at;\n"
        "    ld.param.u64 %new_param_at, [new_param];\n"
        "    add.u64 %new_param_at, %new_param_at, %at;\n"
        "    ld.param.u64 %new_momentum_at, [new_momentum];\n"
        "    add.u64 %new_momentum_at, %new_momentum_at, %at;",
    )
)
WHERE = (*ARGUMENTS, "new_param", "new_momentum")


def arrays(size: int = 5) -> list[Array]:
    rng = np.random.default_rng(3)
    return [rng.normal(size=size).astype(np.float32) for _ in range(3)]


def stepped(port: Port, given: list[Array]) -> tuple[Array, Array]:
    return run_once(port, *given, **SCALARS)


def test_the_right_kernel_is_bit_exact() -> None:
    report = verify(kernel(), max_examples=1)
    assert report.verdict is Verdict.BIT_EXACT
    assert report.ok
    first = render([report]).splitlines()[0]
    assert first == "bit-exact  lion (PTX, no GPU: PTX interpreted), float32: equals the reference"
    assert "Events" not in first
    assert report.results[0].events  # runs too, of several tensors, frozen and split ones


def test_results_can_go_elsewhere() -> None:
    port = kernel(ELSEWHERE, arguments=WHERE)
    given = arrays(700)
    for got, right in zip(stepped(port, given), lion_ref.step(*given, **SCALARS), strict=True):
        assert got.tobytes() == right.tobytes()


def test_what_goes_elsewhere_has_to_be_written() -> None:
    left_out = ELSEWHERE.replace("    st.global.f32 [%new_momentum_at], %m;\n", "")
    with pytest.raises(Finding, match="element 0 of new_momentum is never written, of 5"):
        stepped(kernel(left_out, arguments=WHERE), arrays())


def test_inputs_are_only_read() -> None:
    written = with_line(
        "st.global.f32 [%momentum_at], %m;",
        "st.global.f32 [%momentum_at], %m;\n    st.global.f32 [%grad_at], %m;",
    )
    report = verify(kernel(written), max_examples=1)
    assert report.cause is not None
    assert report.cause.code == "input-written"
    beside = ELSEWHERE.replace("st.global.f32 [%new_param_at], %theta;", "$&").replace(
        "$&",
        "st.global.f32 [%new_param_at], %theta;\n    st.global.f32 [%param_at], %theta;",
    )
    with pytest.raises(PortError, match="the port changed its input param"):
        stepped(kernel(beside, arguments=WHERE), arrays())


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (3, 5), (2, 3, 4)])
def test_arrays_of_every_shape_are_taken(shape: tuple[int, ...]) -> None:
    given = [x.reshape(shape) for x in arrays(int(np.prod(shape)))]
    got = stepped(kernel(), given)
    assert [x.shape for x in got] == [shape, shape]
    for one, right in zip(got, lion_ref.step(*given, **SCALARS), strict=True):
        assert one.tobytes() == right.tobytes()


VECTORS = with_line(
    "next:\n",
    "    setp.ge.u32 %up, %size, 2;\n    @%up ld.global.v2.f32 {%a, %b}, [%grads];\nnext:\n",
)


def test_arrays_are_aligned_as_the_host_promises() -> None:
    """What begins in the middle of another is copied, unless so little is promised."""
    given = [shifted(x) for x in arrays()]
    stepped(kernel(VECTORS), given)
    stepped(kernel(VECTORS, aligned=4), arrays())
    with pytest.raises(Finding, match="misaligned: thread 0 of program 0 reads 8 bytes of grad"):
        stepped(kernel(VECTORS, aligned=4), given)


def test_a_kernel_that_is_right_wherever_arrays_begin_stays_so() -> None:
    given = arrays(300)
    got = stepped(kernel(aligned=4), [shifted(x) for x in given])
    for one, right in zip(got, lion_ref.step(*given, **SCALARS), strict=True):
        assert one.tobytes() == right.tobytes()


def test_scalars_are_rounded_once_to_the_type_of_their_parameter() -> None:
    """One that the kernel forms of a rounded one has other bits."""
    formed = PTX.replace("ld.param.f32 %rest1, [rest1];", "sub.rn.f32 %rest1, 0f3F800000, %beta1;")
    given = [np.array([x], np.float32) for x in (0.0, -0.013970023952424526, 0.1257302165031433)]
    twice = Semantics(sign_complement="compute", momentum_complement="compute")
    assert stepped(kernel(), given)[0] == lion_ref.step(*given, **SCALARS)[0] == 0
    moved = lion_ref.step(*given, **SCALARS, semantics=twice)[0]
    assert stepped(kernel(formed), given)[0] == moved != 0


@pytest.fixture(scope="module")
def promising() -> Report:
    """On a kernel whose bits depend on the assembler, though it promises them."""
    return verify(kernel(CONTRACTED, declared=Semantics()), max_examples=1)


def test_the_verdict_says_what_depends_on_the_assembler() -> None:
    port = kernel(CONTRACTED)
    report = verify(port, max_examples=1)
    assert report.verdict is Verdict.ACCEPTED
    assert report.ok
    assert report.semantics is None
    assert report.sentence.split("; ") == [
        f"its bits depend on {port.variants[0].depends_on}",
        "as written: equals the reference",
        "contracted: equals the reference in which c = fma(1-β1, g, β1·m)",
        "mul.rn and add.rn decide it: nvcc --fmad=false, or Triton's enable_fp_fusion=False",
    ]
    assert [variant.words for variant in port.variants] == ["contracted"]
    found = diagnosis(port)
    assert (found.semantics, found.sentence) == (None, report.sentence)


def test_where_both_products_may_be_contracted_both_are_judged() -> None:
    either = CONTRACTED.replace("mul.rn.f32 %a", "mul.f32 %a")
    words = [variant.words for variant in kernel(either).variants]
    assert words == ["contracted", "contracted otherwise"]


def test_what_the_code_decides_has_no_variants() -> None:
    """A product that is rounded for itself, and a sum that is."""
    assert not kernel().variants
    assert not kernel(PTX.replace("mul.rn.f32 %b", "mul.f32 %b")).variants
    assert not kernel(PTX.replace("add.rn.f32 %c", "add.f32 %c")).variants


def test_a_promise_is_broken_if_one_of_them_breaks_it(promising: Report) -> None:
    assert not promising.ok
    first = render([promising]).splitlines()[0]
    assert first.startswith("falls short  lion (PTX, no GPU: PTX interpreted), float32: accepted,")
    assert promising.counterexample is not None
    assert promising.counterexample.why == "contracted: the bits are not those declared: canonical"
    assert promising.origin.variant == 0


def test_a_test_suite_holds_what_the_assembler_may_make_of_it_too() -> None:
    port = kernel(CONTRACTED, declared=Semantics())
    checklist = Checklist(port, dtypes=None, max_examples=1, seed=0, origin=Origin.of(port))
    found = checklist.shortfall("float32", Check.DECLARED)
    assert found is not None
    assert found.port == "lion, contracted"
    assert found.origin.variant == 0
    assert checklist.shortfall("float32", Check.ANSWERS) is None


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"threads": None}, ValueError, "threads=None is not legal where the PTX has no .reqntid"),
        ({"threads": 0}, ValueError, "threads=0 is not legal; legal: a whole number >= 1"),
        ({"threads": 1.0}, TypeError, "threads=1.0 is not legal; legal: a whole number >= 1"),
        ({"threads": 1025}, ValueError, "threads=1025 is not legal; legal: at most 1024"),
        ({"elements_per_program": 0}, ValueError, "elements_per_program=0 is not legal"),
        ({"elements_per_program": True}, TypeError, "elements_per_program=True is not legal"),
        ({"aligned": 24}, ValueError, "aligned=24 is not legal; legal: a power of 2 up to 256"),
        ({"aligned": 512}, ValueError, "aligned=512 is not legal; legal: a power of 2 up to 256"),
        ({"entry": "tiger"}, ValueError, "entry='tiger' is not legal; legal: lion"),
        ({"dtypes": ()}, ValueError, "triples=() is not legal"),
        ({"name": ""}, ValueError, "name='' is not legal; legal: 1 to 200 printable characters"),
        ({"declared": "flush"}, TypeError, "declared='flush' is not legal; legal: a lion_ref"),
        ({"arguments": ["param"]}, ValueError, "arguments=['param'] has 1; legal: 10, one for"),
    ],
)
def test_what_is_not_legal_is_named(
    fields: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as raised:
        kernel(**fields)
    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        (3, TypeError, "source=3 is not legal; legal: PTX, or the path to it"),
        ("none.ptx", OSError, "[Errno 2] No such file or directory: 'none.ptx'"),
        (".version 7.0\n.target sm_80\n", ValueError, "source has no kernel; legal: PTX with an"),
        (
            with_line("mul.rn.f32 %a,", "ex2.approx.f32 %c,"),
            ValueError,
            "the PTX is not understood: line 48: ex2.approx.f32 %c, %beta1, %m: ex2.approx.f32 is",
        ),
        (
            with_line("mul.rn.f32 %a,", "roar.f32 %a,"),
            ValueError,
            "the PTX is not understood: line 48: roar.f32 %a, %beta1, %m: roar",
        ),
        ("\nroar", ValueError, "the PTX is not understood: line 2: "),
    ],
)
def test_ptx_that_is_not_understood_is_named_by_its_line(
    source: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as raised:
        kernel(source)
    assert str(raised.value).startswith(said)


def bounded(directive: str) -> str:
    return with_line(".param .f32 weight_decay)\n", f".param .f32 weight_decay)\n{directive}\n")


def test_the_ptx_says_how_many_threads_it_is_for() -> None:
    required = bounded(".reqntid 128, 1, 1")
    assert kernel(required, threads=None).recipe.endswith("    elements_per_program=256,\n)")
    with pytest.raises(ValueError, match="threads=64 is not legal; legal: 128, as the PTX"):
        kernel(required, threads=64)
    with pytest.raises(ValueError, match="threads=128 is not legal; legal: at most 64, as "):
        kernel(bounded(".maxntid 64, 1, 1"))


def test_one_of_several_kernels_is_named() -> None:
    two = PTX + PTX[PTX.index(".visible") :].replace(".entry lion(", ".entry lion2(")
    assert kernel(two, entry="lion2").name == "lion2"
    with pytest.raises(ValueError, match="entry=None is not legal; legal: lion, lion2"):
        kernel(two)


def test_parameters_that_are_never_read_may_be_left_out() -> None:
    hidden = with_line(
        ".param .f32 weight_decay)", ".param .f32 weight_decay, .param .u64 a, .param .u64 b)"
    )
    assert stepped(kernel(hidden), arrays())
    read = hidden.replace("ld.param.u64 %params, [param];", "ld.param.u64 %params, [b];")
    with pytest.raises(ValueError, match="Triton's last two are pointers to its scratch memory"):
        kernel(read)


def test_a_recipe_makes_the_port_again(tmp_path: Path) -> None:
    path = tmp_path / "my lion.ptx"
    path.write_text(PTX)
    for port in (
        kernel(PTX, name="it", declared=Semantics(subnormals="flush"), aligned=8),
        kernel(path),  # type: ignore[arg-type]
    ):
        names = {"lion_conformance": lion_conformance, "lion_ref": lion_ref}
        again = eval(port.recipe, names)  # noqa: S307 - as a reproduction does
        assert (again.recipe, again.name, again.declared) == (
            port.recipe,
            port.name,
            port.declared,
        )


def test_a_reproduction_fails_until_the_kernel_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = with_line("setp.ge.u32 %done, %i, %size;", "setp.gt.u32 %done, %i, %size;")
    (tmp_path / "my_lion.ptx").write_text(wrong)
    (tmp_path / "lion.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "reproduce.py"
    words = ["--max-examples", "1", "--reproduction", str(program)]
    assert main(["verify", "--kernel", "lion.toml", *words]) == 1
    assert "explain out-of-bounds" in capsys.readouterr().out
    assert replayed(program).startswith("WRONG")
    (tmp_path / "my_lion.ptx").write_text(PTX)
    assert replayed(program).startswith("RIGHT")


def test_a_variant_is_replayed_as_such(promising: Report, tmp_path: Path) -> None:
    program = tmp_path / "reproduce.py"
    program.write_text(promising.reproduction())
    assert replayed(program).startswith("WRONG")
    program.write_text(promising.reproduction().replace(".variants[0].port", ""))
    assert replayed(program).startswith("RIGHT")


def replayed(program: Path) -> str:
    run = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stderr
    assert run.returncode == run.stdout.startswith("WRONG")
    return run.stdout


def test_what_was_asked_before_is_not_launched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    port, given = kernel(), arrays()
    first = stepped(port, given)
    first[0][:] = 0  # what is handed out is not what is kept
    monkeypatch.setattr("lion_conformance.ptx.host.launch", None)
    for got, right in zip(stepped(port, given), lion_ref.step(*given, **SCALARS), strict=True):
        assert got.tobytes() == right.tobytes()
    for other in ([-x for x in given], [x.reshape(5, 1) for x in given]):
        with pytest.raises(PortError, match="not callable"):
            stepped(port, other)
    with pytest.raises(PortError, match="not callable"):
        run_once(port, *given, lr=3e-4, beta1=0.9, beta2=0.99, weight_decay=-0.0)
    assert stepped(port, given)[0].any()


def test_a_kernel_shows_its_update_at_every_edge_of_its_programs() -> None:
    port = kernel(threads=4, elements_per_program=4)
    assert port.trace is not None
    shown = list(port.trace(("float32",) * 3))
    assert [x.size for x in shown] == [0, 1, 2, 3, 4, 5, 9]
    assert all(len(x.new_param) == len(x.new_momentum) == x.size for x in shown)
    assert not any(x.findings for x in shown)
    elsewhere = kernel(ELSEWHERE, arguments=WHERE, threads=4, elements_per_program=4)
    assert elsewhere.trace is not None
    again = list(elsewhere.trace(("float32",) * 3))
    assert [x.new_param for x in again] == [x.new_param for x in shown]


def test_what_a_variant_shows_is_the_variant() -> None:
    port = kernel(CONTRACTED, threads=4, elements_per_program=4)
    as_written, contracted = (
        [x.new_param for x in one.trace(("float32",) * 3)]  # type: ignore[misc]
        for one in (port, port.variants[0].port)
    )
    assert as_written != contracted


def test_a_finding_is_shown_with_the_update() -> None:
    wrong = with_line("setp.ge.u32 %done, %i, %size;", "setp.gt.u32 %done, %i, %size;")
    port = kernel(wrong, threads=4, elements_per_program=4)
    assert port.trace is not None
    assert any("past the end" in str(x.findings) for x in port.trace(("float32",) * 3))
