"""One port on a command line, in every way that there is to name it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

import lion_ref
from lion_conformance import from_callable
from lion_conformance.ports.backends import BACKENDS
from lion_conformance.ports_asked import add_port_options, asked_port, asked_ports
from tests.lion_conformance.ptx.kernels import PTX, TOML

pytestmark = pytest.mark.clause("C29")


def parsed(*words: str, backend: bool = True) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_port_options(parser, backend=backend)
    return parser.parse_args(words)


def test_a_callable_is_found_by_its_name() -> None:
    with asked_port(parsed("lion_ref:step")) as (port, origin):
        assert port is lion_ref.step
    assert (origin.kind, origin.name) == ("import", "lion_ref:step")


def test_a_program_runs_as_long_as_it_is_asked(tmp_path: Path) -> None:
    greeting = "lion-pipe 1\\nname mine\\ndtypes float32 float32 float32\\nready"
    program = tmp_path / "program.py"
    program.write_text(f"print('{greeting}', flush=True)\ninput()\n")
    command = f"{sys.executable} {program}"
    with asked_port(parsed("--exec", command, "--timeout", "9")) as (port, origin):
        assert port.name == "mine"  # type: ignore[union-attr]
    assert (origin.kind, origin.name, origin.timeout) == ("exec", command, 9.0)


def test_a_kernel_is_described_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "my_lion.ptx").write_text(PTX)
    description = tmp_path / "lion.toml"
    description.write_text(TOML)
    with asked_port(parsed("--kernel", str(description))) as (port, origin):
        assert port.name == "my_lion.ptx"  # type: ignore[union-attr]
    assert origin.kind == "recipe"
    assert str(tmp_path / "my_lion.ptx") in origin.name


def test_the_ptx_and_the_kernel_can_be_others_than_the_file_says(tmp_path: Path) -> None:
    other = tmp_path / "other.ptx"
    other.write_text(PTX.replace(".entry lion(", ".entry other("))
    description = tmp_path / "lion.toml"
    description.write_text(TOML)
    words = ("--ptx", str(other), "--kernel", str(description), "--entry")
    with asked_port(parsed(*words, "other")) as (_, origin):
        assert "entry='other'" in origin.name
    with (
        pytest.raises(ValueError, match=r"lion.toml: entry='lion' is not legal; legal: other"),
        asked_port(parsed(*words, "lion")),
    ):
        pass


def test_a_backend_has_several_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    doors = [from_callable(lion_ref.step, name=name) for name in ("one", "other")]
    monkeypatch.setattr("lion_conformance.ports_asked.load", lambda *_: doors)
    with asked_ports(parsed("--backend", "torch")) as asked:
        assert [port for port, _ in asked] == doors
        assert {origin.name for _, origin in asked} == {BACKENDS["torch"].module}
    with (
        pytest.raises(ValueError, match=r"2 ports: one step\(...\), other step\(...\); legal: one"),
        asked_port(parsed("--backend", "torch")),
    ):
        pass


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "a port to judge; legal: either MODULE:CALLABLE, --exec PROGRAM, --ptx FILE --kernel"),
        (["a:b", "--exec", "c"], "a port to judge; legal: either MODULE:CALLABLE"),
        (["a:b", "--kernel", "c"], "a port to judge; legal: either MODULE:CALLABLE"),
        (["a:b", "--ptx", "c"], "a port to judge; legal: either MODULE:CALLABLE"),
        (["--exec", "b", "--backend", "numpy"], "TOML, or --backend NAME"),
        (["a:b", "--timeout", "3"], "--timeout 3 is not legal without --exec PROGRAM"),
        (["a:b", "--entry", "e"], "--entry e is not legal without --kernel TOML"),
        (["--ptx", "lion.ptx"], "--ptx lion.ptx is not legal without --kernel TOML"),
        (["--backend", "pytorch"], "backend='pytorch' is not legal; legal: numpy, torch"),
    ],
)
def test_other_words_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=r"legal") as raised, asked_ports(parsed(*words)):
        pass
    assert said in str(raised.value)


def test_a_command_that_takes_no_backend_does_not_name_it() -> None:
    with (
        pytest.raises(ValueError, match=r"PROGRAM or --ptx FILE --kernel TOML$"),
        asked_port(parsed(backend=False)),
    ):
        pass


def test_a_backend_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with (
        pytest.raises(ValueError, match="--backend jax cannot be run: jax is not installed; pip"),
        asked_ports(parsed("--backend", "jax")),
    ):
        pass
