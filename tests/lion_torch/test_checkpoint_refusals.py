"""A file of PyTorch that is no run is refused in one line, and none of it is run (C34)."""

from __future__ import annotations

import argparse
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lion_torch import checkpoints
from tests.lion_torch.torch_files import LIONS, a_file, a_model, momenta_of, state_dict

pytestmark = pytest.mark.clause("C34")


def with_group(**options: Any) -> dict[str, Any]:
    model = a_model()
    momenta = momenta_of([name for name, _ in model.named_parameters()], model)
    return {"optimizer": state_dict(momenta, {**LIONS["lion-pytorch 0.2.5"], **options})}


def with_state(**entries: Any) -> dict[str, Any]:
    parts = with_group()
    parts["optimizer"]["state"][0].update(entries)
    return parts


def same_shapes(options: dict[str, Any], groups: int) -> dict[str, Any]:
    """Two parameters of a shape, in so many groups, and a buffer of the same if in one."""
    model = {name: torch.zeros(3) for name in ("a", "b", *(["buffer"] if groups == 1 else []))}
    state = {number: {"exp_avg": torch.zeros(3)} for number in range(2)}
    keys = [[0, 1]] if groups == 1 else [[0], [1]]
    param_groups = [{**options, "params": own} for own in keys]
    return {"model": model, "optimizer": {"state": state, "param_groups": param_groups}}


PLAIN = LIONS["lion-pytorch 0.2.5"]
REFUSED: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "AdamW": (lambda: with_state(exp_avg_sq=torch.zeros(1)), "'exp_avg_sq' in its state"),
    "SGD": (lambda: with_state(momentum_buffer=torch.zeros(1)), "'momentum_buffer' in its state"),
    "Adam before its first step": (
        lambda: with_group(amsgrad=False),
        "'amsgrad' among its options",
    ),
    "no betas": (
        lambda: {"optimizer": {"state": {}, "param_groups": [{"params": [0], "lr": 0.1}]}},
        "no 'betas' among its options",
    ),
    "a cautious Lion": (lambda: with_group(caution=True), "caution=True, which is another update"),
    "a Lion with a compensation": (
        lambda: with_state(kahan_comp=torch.zeros(1)),
        "parameter 0 has 'kahan_comp', which Lion's update does not have",
    ),
    "maximize": (lambda: with_group(maximize=True), "group 0 has maximize=True"),
    "a schedule that is none": (
        lambda: with_group(lr_schedule={"name": "cosine"}),
        "lr_schedule={'name': 'cosine'} is not legal: .*'first'; legal: a dict of the arguments of",
    ),
    "a number that is none": (lambda: with_group(lr=-1.0), "lr=-1.0 is not legal"),
    "no weight decay": (
        lambda: {
            "optimizer": {
                "state": {},
                "param_groups": [{"params": [], "lr": 0.1, "betas": (0.9, 0.99)}],
            }
        },
        "a group of the state dict has no 'weight_decay'",
    ),
    "no model": (
        lambda: {"model": None},
        r"of the keys of the model's state dict it has none, but \['optimizer', 'step'\]; ",
    ),
    "two models": (
        lambda: {"state_dict": {}},
        "of the keys of the model's state dict it has several: model, state_dict",
    ),
    "no optimizer": (lambda: {"optimizer": None}, "of the keys of the optimizer's state dict"),
    "two optimizers": (
        lambda: {"optimizer": None, "optimizer_states": [{}, {}]},
        "it holds the states of 2 optimizers; legal: of one",
    ),
    "a model that is a name": (lambda: {"model": "vit"}, "is no dict of tensors by name"),
    "no step": (
        lambda: {"step": None},
        "of step, global_step, iteration it has none; .*or one beside it",
    ),
    "two steps": (
        lambda: {"global_step": 4},
        "it has {'step': 3, 'global_step': 4}; legal: one number of steps, or one b",
    ),
    "a step that is none": (lambda: {"step": 1.5}, "step=1.5 is not legal"),
    "names that the model does not have": (
        lambda: with_group(param_names=["module.w"] * 7),
        "the optimizer's parameter 'module.w' is not among the model's tensors",
    ),
    "too few names": (
        lambda: with_group(param_names=["0.weight"]),
        r"of 7 parameters has param_names=\['0.weight'\]; legal: a name for each",
    ),
    "a name twice": (
        lambda: with_group(param_names=["0.weight"] * 7),
        "the optimizer has '0.weight' twice",
    ),
    "a state that no group has": (
        lambda: {"optimizer": {"state": {9: {}}, "param_groups": [{**PLAIN, "params": []}]}},
        "it has a state of parameter 9, which no group has",
    ),
    "more parameters than tensors": (
        lambda: {**with_group(), "model": {"w": torch.zeros(1)}},
        "the optimizer has 7 parameters, and the model 1 tensors",
    ),
    "a buffer that may be a parameter": (
        lambda: same_shapes(PLAIN, 1),
        "cannot be told by their order and shapes: there are several ways; legal: param_names in",
    ),
    "groups that may be exchanged": (
        lambda: same_shapes(PLAIN, 2),
        "cannot be told by their order and shapes: there are several ways",
    ),
    "no order that fits": (
        lambda: {**same_shapes(PLAIN, 2), "model": {"a": torch.zeros(3), "b": torch.zeros(2)}},
        "the momenta do not have the shapes of the model's tensors, in their order",
    ),
    "a momentum of another shape": (
        lambda: {
            "model": {"w": torch.zeros(2)},
            "optimizer": state_dict({"w": torch.zeros(3)}, {**PLAIN, "param_names": ["w"]}),
        },
        r"exp_avg of parameter 0 has shape \(3,\); legal: \(2,\)",
    ),
    "a dtype that is none": (
        lambda: {
            "model": {"w": torch.zeros(2, dtype=torch.int32)},
            "optimizer": state_dict({"w": torch.zeros(2)}, {**PLAIN, "param_names": ["w"]}),
        },
        "'w': param has dtype int32",
    ),
    "sparse": (
        lambda: {
            "model": {"w": torch.zeros(2).to_sparse()},
            "optimizer": state_dict({"w": torch.zeros(2)}, {**PLAIN, "param_names": ["w"]}),
        },
        "'w' is no dense tensor with its numbers",
    ),
    "meta": (
        lambda: {
            "model": {"w": torch.zeros(2, device="meta")},
            "optimizer": state_dict({"w": torch.zeros(2)}, {**PLAIN, "param_names": ["w"]}),
        },
        "'w' is no dense tensor with its numbers",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_run_is_refused_in_one_line(what: str, tmp_path: Path) -> None:
    parts, words = REFUSED[what]
    path = a_file(tmp_path / "file.pt", **parts())
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        checkpoints.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_an_optimizer_s_state_alone_is_refused(tmp_path: Path) -> None:
    torch.save(with_group()["optimizer"], tmp_path / "optimizer.pt")
    words = r"an optimizer's state alone, without parameters; legal: torch\.save\(\{'model': model"
    with pytest.raises(ValueError, match=words):
        checkpoints.read(tmp_path / "optimizer.pt")


class Code:
    """Runs when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


@pytest.mark.parametrize(
    ("held", "named"), [(Code(), r"posix\.mkdir"), (argparse.Namespace(), r"argparse\.Namespace")]
)
def test_code_in_a_file_is_not_run(
    held: Any, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # What would let torch unpickle anything, where it is not told otherwise.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path = a_file(tmp_path / "file.pt", args=held)
    with pytest.raises(ValueError, match=f"asks for '{named}', and nothing .* is run") as caught:
        checkpoints.read(path)
    assert "\n" not in str(caught.value)
    (tmp_path / "file.pkl").write_bytes(pickle.dumps(held))
    with pytest.raises(ValueError, match=r"no whole file of torch\.save's"):
        checkpoints.read(tmp_path / "file.pkl")
    assert not (tmp_path / "ran").exists()
    # It does run where it is let.
    if isinstance(held, Code):
        pickle.loads((tmp_path / "file.pkl").read_bytes())
        assert (tmp_path / "ran").exists()


def damaged(path: Path) -> None:
    """The pickle of the file is no pickle any more."""
    data = a_file(path).read_bytes()
    path.write_bytes(data.replace(b"ccollections\nOrderedDict", b"\xffcollections\nOrderedDict"))


def continued_elsewhere(path: Path) -> None:
    """The end of the archive says that it has two parts."""
    data = bytearray(a_file(path).read_bytes())
    data[data.rindex(b"PK\x06\x07") + 16] = 2
    path.write_bytes(data)


BROKEN: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "cut short": (
        "file.pt",
        lambda path: path.write_bytes(a_file(path).read_bytes()[:-100]),
        r"no whole file of torch\.save's",
    ),
    "damaged": ("file.pt", damaged, r"torch\.load cannot read it: "),
    "of several parts": ("file.pt", continued_elsewhere, "no whole file"),
    "empty": ("file.pt", Path.touch, "no whole file"),
    "a pipe": ("file.pt", os.mkfifo, "no whole file"),
    "a folder": ("file.pt", Path.mkdir, "no whole file"),
    "of another kind": ("file.safetensors", a_file, "no whole file"),
    "an older form": (
        "file.pt",
        lambda path: torch.save({}, path, _use_new_zipfile_serialization=False),
        "no whole file",
    ),
    "a list": ("file.pt", lambda path: torch.save([1], path), "it holds a list"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_another_file_is_refused_in_one_line(what: str, tmp_path: Path) -> None:
    name, make, words = BROKEN[what]
    make(tmp_path / name)
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        checkpoints.read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        checkpoints.read(tmp_path / "file.pt")
