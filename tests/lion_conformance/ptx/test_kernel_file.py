"""kernel.toml: what it may say, and one line about whatever else it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from lion_conformance.ptx import kernel_file
from lion_ref import Semantics
from tests.lion_conformance.ptx.kernels import PTX, TOML

pytestmark = pytest.mark.clause("C29")


def written(folder: Path, text: str) -> Path:
    (folder / "my_lion.ptx").write_text(PTX)
    path = folder / "lion.toml"
    path.write_text(text)
    return path


def test_a_file_makes_the_port_that_it_describes(tmp_path: Path) -> None:
    port = kernel_file.load(written(tmp_path, TOML))
    assert (port.name, port.door) == ("my_lion.ptx", "PTX")
    assert port.triples == (("float32", "float32", "float32"),)
    assert port.declared is None


def test_it_can_say_everything_that_the_function_takes(tmp_path: Path) -> None:
    more = (
        'entry = "lion"\naligned = 4\ndtypes = [["float32", "float32", "float32"]]\n'
        'declared = { subnormals = "flush" }\n'
    )
    port = kernel_file.load(written(tmp_path, more + TOML))
    assert port.declared == Semantics(subnormals="flush")
    assert "aligned=4" in port.recipe


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("threads = 128", "thread = 128", "key 'thread' is not legal; legal: source, entry, "),
        ("threads = 128", 'threads = "128"', "threads = '128' is not legal; legal: a whole number"),
        ("threads = 128", "threads = true", "threads = True is not legal; legal: a whole number"),
        ("threads = 128", "threads = 0", "threads = 0 is not legal; legal: a whole number >= 1"),
        ("threads = 128", "threads = 4096", "threads=4096 is not legal; legal: at most 1024"),
        ("threads = 128", "", "threads=None is not legal where the PTX has no .reqntid"),
        ("threads = 128", "threads = 128\nentry = 1", "entry = 1 is not legal; legal: the name"),
        ("threads = 128", "threads = 128\naligned = 3", "aligned=3 is not legal; legal: a power"),
        (
            "threads = 128",
            'threads = 128\ndtypes = [["float32", "float32"]]',
            "dtypes = [['float32', 'float32']] is not legal; legal: a list of three dtypes each",
        ),
        (
            "threads = 128",
            'threads = 128\ndtypes = [["f32", "f32", "f32"]]',
            "triples holds ('f32', 'f32', 'f32'), which is not legal",
        ),
        (
            "threads = 128",
            'threads = 128\ndeclared = "flush"',
            "declared = 'flush' is not legal; legal: choices of semantics, as { subnormals",
        ),
        (
            "threads = 128",
            'threads = 128\ndeclared = { rounding = "up" }',
            "choice 'rounding' is not legal; legal: sign_interpolation",
        ),
        ("elements_per_program = 256", "", "the key 'elements_per_program' is missing; legal: a"),
        ('"size",', '"n",', "argument 'n' for .u32 size is not legal; legal: param, momentum"),
        ('"size",', '"size", 3,', "has 11; legal: 10, one for each parameter: .u64 param, "),
        ('"param", "momentum"', '"param", []', "is not legal; legal: a list of names and numbers"),
        ('source = "my_lion.ptx"', "", "the key 'source' is missing; legal: the PTX's path"),
        ('source = "my_lion.ptx"', "source = 3", "source = 3 is not legal; legal: the PTX's path"),
        ("threads = 128", "threads = ", "Invalid value (at line 7, column 11)"),
    ],
)
def test_whatever_else_it_says_is_named(right: str, wrong: str, said: str, tmp_path: Path) -> None:
    assert TOML.count(right) == 1
    path = written(tmp_path, TOML.replace(right, wrong))
    with pytest.raises(ValueError, match=r"lion.toml: ") as raised:
        kernel_file.load(path)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_path_in_it_is_relative_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "below"
    folder.mkdir()
    (tmp_path / "my_lion.ptx").write_text(PTX)
    path = folder / "lion.toml"
    path.write_text(TOML.replace('source = "my', 'source = "../my'))
    assert kernel_file.load(path).name == "my_lion.ptx"


def test_a_missing_ptx_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, TOML.replace('my_lion.ptx"\narg', 'none.ptx"\narg'))
    with pytest.raises(OSError, match=r"none\.ptx"):
        kernel_file.load(path)
