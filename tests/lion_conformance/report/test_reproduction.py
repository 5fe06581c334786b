"""Reproductions: run as programs, they exit with 1 while the port is wrong and with 0 once not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance import Report, from_callable, verify
from lion_conformance.cli import main
from lion_conformance.report.origin import Origin
from lion_conformance.report.reproduction import SHOWN, file_name, write

pytestmark = pytest.mark.clause("C29")

QUICK = ["--max-examples", "2", "--dtype"]

# Each fault, and the dtype in which it is looked for; the port is right where it is mended.
FAULTS = {
    "new momentum in the sign": ("float32", "p = ref.step(param, m, grad, **s)[0]"),
    "in bfloat16": ("bfloat16", "p = ref.step(param, m, grad, **s)[0]"),
    "a soft sign at infinity": ("float64", "m = np.where(np.isinf(m), np.copysign(1, m), m)"),
    "a tail left out": ("float32", "p.reshape(-1)[1000:] = param.reshape(-1)[1000:]"),
    "a stride ignored": ("float32", "p = p if param.flags.c_contiguous else p[::-1].copy()"),
    "an exception": ("float32", "raise RuntimeError('no kernel')"),
    "another dtype": ("float16", "p = p.astype(np.float32)"),
    "one value": ("float32", "return p"),
    "an input written to": ("float32", "grad *= 2"),
    "an exit": ("float32", "raise SystemExit(0)"),
}


def port_module(folder: Path, fault: str) -> None:
    (folder / "my_lion.py").write_text(
        "import numpy as np\nimport lion_ref as ref\n\n"
        "def step(param, momentum, grad, **s):\n"
        "    p, m = ref.step(param, momentum, grad, **s)\n"
        f"    {fault}\n"
        "    return p, m\n"
    )


def run(program: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", str(program)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"),
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in, from which a port can be imported anew."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "my_lion", raising=False)
    yield tmp_path
    sys.modules.pop("my_lion", None)


EXPLAINED = (
    "in bfloat16",
    "a soft sign at infinity",
    "a tail left out",
    "a stride ignored",
)
"""Those for which a semantics is sought first, which takes long; one of that kind stays."""


@pytest.mark.parametrize(
    ("dtype", "fault"),
    [
        pytest.param(*fault, id=name, marks=pytest.mark.slow if name in EXPLAINED else ())
        for name, fault in FAULTS.items()
    ],
)
def test_a_failing_run_writes_a_program_that_fails_until_the_port_is_mended(
    dtype: str, fault: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port_module(here, fault)
    program = Path("build", "lion-conformance", "reproduce-my_lion-step.py")
    assert main(["verify", "my_lion:step", *QUICK, dtype]) == 1
    assert f"to reproduce: python {program}" in capsys.readouterr().out
    text = program.read_text(encoding="utf-8")
    assert "lion_ref" not in text.split("CASE =", 1)[1], "it stands on NumPy alone"
    wrong = run(program, here)
    assert (wrong.returncode, wrong.stderr) == (1, "")
    assert wrong.stdout.startswith("WRONG")
    port_module(here, "pass")
    mended = run(program, here)
    assert (mended.returncode, mended.stderr) == (0, "")
    assert mended.stdout.startswith("RIGHT: every result is accepted\n")


def test_it_shows_decimal_and_bits_the_accepted_set_versions_and_the_command(here: Path) -> None:
    port_module(here, "m = momentum.copy()")
    assert main(["verify", "my_lion:step", *QUICK, "float32"]) == 1
    program = here / "build" / "lion-conformance" / "reproduce-my_lion-step.py"
    text = program.read_text(encoding="utf-8")
    assert "#     lion-conformance verify my_lion:step --max-examples 2 --dtype float32\n" in text
    said = run(program, here).stdout
    assert f"numpy: found with {np.__version__}, now {np.__version__}" in said
    assert "    expected momentum float32  0x3f800000 1.0\n" in said
    assert "    accepted momentum float32  0x3f7ffffe 0.9999999  to  float32  0x3f800001" in said
    assert "    got      momentum float32  0x00000000 0.0\n" in said


def test_a_large_case_is_packed_and_mostly_repeats(here: Path) -> None:
    port_module(here, "p.reshape(-1)[65_535:] = param.reshape(-1)[65_535:]")
    assert main(["verify", "my_lion:step", *QUICK, "float32", "--reproduction", "large.py"]) == 1
    text = Path("large.py").read_text(encoding="utf-8")
    assert "'shape': (257, 259)" in text
    assert len(text) < SHOWN
    assert run(Path("large.py"), here).returncode == 1
    port_module(here, "pass")
    assert run(Path("large.py"), here).returncode == 0


STATEFUL = (
    "\ncalls = 0\n\ndef later(param, momentum, grad, **s):\n"
    "    global calls\n    calls += 1\n"
    "    p, m = ref.step(param, momentum, grad, **s)\n"
    "    return p, (m if calls < 60 or calls > 70 else momentum.copy())\n"
)


def test_what_no_case_alone_shows_is_judged_once_more(here: Path) -> None:
    port_module(here, "pass")
    module = here / "my_lion.py"
    module.write_text(module.read_text() + STATEFUL)
    assert main(["verify", "my_lion:later", *QUICK, "float32", "--reproduction", "again.py"]) == 1
    wrong = run(Path("again.py"), here)
    assert wrong.returncode == 1, wrong.stderr
    module.write_text(module.read_text().replace("calls < 60", "True"))
    mended = run(Path("again.py"), here)
    assert mended.returncode == 0, mended.stdout + mended.stderr


def test_a_declaration_that_is_broken_is_reproduced(here: Path) -> None:
    port_module(here, "pass")
    module = here / "my_lion.py"
    module.write_text(
        module.read_text()
        + "from lion_conformance import from_callable\n"
        + "def fused(*a, **s):\n"
        + "    return ref.step(*a, **s, semantics=ref.Semantics(momentum_fused='gradient'))\n"
        + "port = from_callable(fused, declared=ref.CANONICAL)\n"
    )
    assert main(["verify", "my_lion:port", *QUICK, "float32", "--reproduction", "broken.py"]) == 1
    wrong = run(Path("broken.py"), here)
    assert (wrong.returncode, wrong.stderr) == (1, "")
    assert "momentum: 1 of 1 elements are wrong" in wrong.stdout
    module.write_text(module.read_text().replace("gradient", "none"))
    assert run(Path("broken.py"), here).returncode == 0


ANSWER = """
import sys
import numpy as np
from lion_conformance.ports.hexadecimal import decode, encode
import lion_ref
print("lion-pipe 1\\ndtypes float32 float32 float32\\nready", flush=True)
for head in sys.stdin:
    count, *scalars = head.split()[4:]
    lines = "".join(sys.stdin.readline() for _ in range(int(count)))
    arrays = decode(lines.encode(), [np.dtype(np.float32)] * 3, int(count))
    lr, beta1, beta2, weight_decay = (
        float(np.array([int(x, 16)], np.uint64).view(np.float64)[0]) for x in scalars
    )
    p, m = lion_ref.step(*arrays, lr=lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay)
    # here
    sys.stdout.write(encode([p, m]).decode() + "end\\n")
    sys.stdout.flush()
"""


def test_a_program_behind_a_pipe_is_asked_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    program = here / "port.py"
    program.write_text(ANSWER.replace("# here", "m = -m"))
    command = f"{sys.executable} port.py"
    arguments = ["verify", "--exec", command, *QUICK, "float32", "--reproduction", "piped.py"]
    assert main(arguments) == 1
    wrong = run(Path("piped.py"), here)
    assert (wrong.returncode, wrong.stderr) == (1, "")
    program.write_text(ANSWER)
    mended = run(Path("piped.py"), here)
    assert (mended.returncode, mended.stderr) == (0, "")
    program.write_text("print('lion-pipe 1\\nready')")
    silent = run(Path("piped.py"), here)
    assert silent.returncode == 1
    assert "the program gave no answer, status 0" in silent.stdout
    program.write_text(ANSWER.replace("sys.stdout.flush()", "pass"))
    text = Path("piped.py").read_text(encoding="utf-8").replace("timeout=60.0", "timeout=2.0")
    Path("piped.py").write_text(text, encoding="utf-8")
    buffered = run(Path("piped.py"), here)
    assert buffered.returncode == 1, "it answers only at the end of its input"
    assert "gave no answer, in 2 s, with its input open" in buffered.stdout


def still(param: Any, momentum: Any, grad: Any, **_: Any) -> Any:
    return param.copy(), momentum.copy()


def judged(step: Any, **more: Any) -> Report:
    return verify(from_callable(step, **more), dtypes=["float32"], max_examples=1)


def test_an_object_without_a_name_has_a_place_to_put_it(tmp_path: Path) -> None:
    program = tmp_path / "reproduce.py"
    text = judged(still, name="mine").reproduction()
    program.write_text(text, encoding="utf-8")
    asked = run(program, tmp_path)
    assert asked.returncode == 2
    assert "load_port() returns None: put your port there" in asked.stderr
    ported = "import lion_ref\n    return lion_ref.step"
    program.write_text(text.replace("return None", ported), encoding="utf-8")
    assert run(program, tmp_path).returncode == 0


def test_a_port_that_cannot_be_had_is_no_success(tmp_path: Path, here: Path) -> None:
    port_module(here, "m = -m")
    assert main(["verify", "my_lion:step", *QUICK, "float32", "--reproduction", "r.py"]) == 1
    (here / "my_lion.py").write_text("raise SystemExit(0)")
    gone = run(Path("r.py"), here)
    assert gone.returncode == 2
    assert "the port cannot be had: SystemExit: 0" in gone.stderr


def test_an_origin_is_found_where_a_name_leads_back() -> None:
    assert Origin.of(lion_ref.step) == Origin("import", "lion_ref.update:step")
    assert Origin.of(lambda: None).kind == "object"
    assert Origin.of(3).kind == "object"


def test_nothing_is_written_where_nothing_fell_short(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judged(lion_ref.step).reproduction() == ""
    assert main(["verify", "lion_ref:step", *QUICK, "float32", "--reproduction", "r.py"]) == 0
    assert not Path("r.py").exists()
    assert "to reproduce" not in capsys.readouterr().out


def test_several_failures_are_several_files(tmp_path: Path) -> None:
    reports = [judged(still, name=name) for name in ("first", "second")]
    given = write(reports, tmp_path / "r.py", tmp_path)
    assert [path.name for path in given] == ["r.py", "r-2.py"]
    named = write(reports, None, tmp_path / "deep")
    assert [path.name for path in named] == ["reproduce-first.py", "reproduce-second.py"]
    assert "second" in named[1].read_text(encoding="utf-8")


def test_a_name_of_a_file_has_no_odd_characters() -> None:
    assert file_name(judged(still, name="a/b c:d")) == "reproduce-a-b-c-d.py"
    assert file_name(judged(still, name="Лев")) == "reproduce-port.py"


def test_dtypes_that_fell_short_too_are_named(here: Path) -> None:
    """It is about one case of one dtype, and right there does not mean right."""
    port_module(here, "raise RuntimeError('no kernel')")
    options = ["--max-examples", "1", "--dtype", "float16", "--dtype", "float32"]
    assert main(["verify", "my_lion:step", *options, "--reproduction", "r.py"]) == 1
    port_module(here, "m.shape if param.dtype == np.float16 else m.no_kernel")
    mended = run(Path("r.py"), here)
    assert mended.returncode == 0
    assert mended.stdout.splitlines()[:2] == [
        "RIGHT: every result is accepted",
        "float32 fell short too: judge the port again",
    ]


def test_a_folder_that_cannot_be_written_leaves_the_verdict(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port_module(here, "m = -m")
    (here / "build").write_text("a file, no folder")
    assert main(["verify", "my_lion:step", *QUICK, "float32"]) == 1
    assert "lion-conformance: no reproduction was written" in capsys.readouterr().err
