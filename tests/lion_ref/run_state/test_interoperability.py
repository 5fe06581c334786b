"""The safetensors package reads what is saved, and writes what is loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from lion_ref.run_state import Group, load, save
from tests.lion_ref.run_state.files import PAIRS, bits, every_kind, small

pytestmark = pytest.mark.clause("C34")


@pytest.mark.parametrize(("param", "momentum"), PAIRS)
def test_safetensors_reads_what_is_saved(tmp_path: Path, param: str, momentum: str) -> None:
    path = tmp_path / "run.safetensors"
    shapes = {"vector": (9,), "scalar": (), "empty": (0, 3)}
    tensors = {name: (every_kind(param, s), every_kind(momentum, s)) for name, s in shapes.items()}
    save(path, tensors, step=1, groups=Group(lr=0.1))
    with safe_open(path, "numpy") as file:
        assert file.metadata()["format"] == "lion-ref run state 1"
        assert len(file.keys()) == 2 * len(shapes)
        for name, (theta, m) in tensors.items():
            assert bits(file.get_tensor(f"param.{name}")) == bits(theta)
            assert bits(file.get_tensor(f"momentum.{name}")) == bits(m)


@pytest.mark.parametrize(("param", "momentum"), PAIRS)
def test_what_safetensors_writes_is_loaded(tmp_path: Path, param: str, momentum: str) -> None:
    ours, theirs = tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors"
    pair = every_kind(param, (3, 3)), every_kind(momentum, (3, 3))
    odd = every_kind(param, (3,)), every_kind(momentum, (3,))
    save(ours, {"w": pair, "odd": odd}, step=5, groups=Group(lr=0.1))
    with safe_open(ours, "numpy") as file:
        metadata = file.metadata()
        save_file({key: file.get_tensor(key) for key in file.keys()}, theirs, metadata)  # noqa: SIM118 - it is no mapping
    state = load(theirs)
    assert state.header == load(ours).header
    assert list(map(bits, state.tensors["w"])) == list(map(bits, pair))
    assert list(map(bits, state.tensors["odd"])) == list(map(bits, odd))


def test_every_dtype_in_one_file_goes_both_ways(tmp_path: Path) -> None:
    ours, theirs = small(tmp_path / "ours.safetensors"), tmp_path / "theirs.safetensors"
    with safe_open(ours, "numpy") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no mapping
        save_file(tensors, theirs, file.metadata())
    mine, other = load(ours), load(theirs)
    assert mine.header == other.header
    for name in mine.tensors:
        assert list(map(bits, mine.tensors[name])) == list(map(bits, other.tensors[name]))


def test_a_file_of_safetensors_that_is_no_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"fc.weight": np.zeros(3, np.float32)}, path, {"format": "pt"})
    with pytest.raises(ValueError, match=r"it has a tensor 'fc.weight'; legal: param.NAME"):
        load(path)
    save_file({"param.w": np.zeros(3, np.float32), "momentum.w": np.zeros(3, np.float32)}, path)
    with pytest.raises(ValueError, match=r"it has no format; legal: 'lion-ref run state 1'"):
        load(path)
