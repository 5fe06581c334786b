"""`lion-ref convert`: the same bits in every form, and one line for what it refuses (C34)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lion_adapters import command, convert, forms
from lion_ref import run_state
from lion_ref.arithmetic import all_same_bits
from lion_ref.dtypes import STORAGE_DTYPES
from lion_ref.run_state import Group, Tensors
from lion_ref.schedules import Schedule
from lion_ref.semantics import Semantics

SHAPES = {"fc.weight": (3, 4), "fc.bias": (4,), "scale": (), "none": (0, 2)}
NUMBERS: dict[str, float] = {"lr": 0.1, "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.3}
LR = Schedule("linear", first=0.5, last=0.125, steps=10)


def tensors(param: str = "float32", momentum: str = "float32", **shapes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        name: tuple(
            np.asarray(rng.standard_normal(shape)).astype(STORAGE_DTYPES[dtype])
            for dtype in (param, momentum)
        )
        for name, shape in (shapes or SHAPES).items()
    }


def saved(path: Path, given: dict[str, Any] | None = None, **group: Any) -> Path:
    numbers: dict[str, Any] = {**NUMBERS, **group}
    run_state.save(path, given or tensors(), step=300, groups=Group(**numbers))
    return path


def ran(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str]:
    """The exit status, and the one line that was printed."""
    status = command.main(["convert", *map(str, argv)])
    printed = capsys.readouterr()
    out, err = printed if status == 0 else (printed.err, printed.out)
    assert out.count("\n") == 1, printed
    assert not err, printed
    return status, out.rstrip("\n")


def done(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    status, line = ran(capsys, *argv)
    assert status == 0, line
    return line


def refused(capsys: pytest.CaptureFixture[str], folder: Path, *argv: object) -> str:
    """What was said; nothing is changed in the folder, and nothing is there besides."""
    before = content(folder)
    status, line = ran(capsys, *argv)
    assert status == 1, line
    assert content(folder) == before
    return line.removeprefix("lion-ref convert: ")


def content(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def same_run(one: Path, other: Path) -> bool:
    first, second = map(run_state.load, (one, other))
    return (
        first.header.step == second.header.step
        and first.header.groups == second.header.groups
        and set(first.tensors) == set(second.tensors)
        and all(
            all_same_bits(a, b)
            for name in first.tensors
            for a, b in zip(first.tensors[name], second.tensors[name], strict=True)
        )
    )


def need(*modules: str) -> None:
    for module in modules:
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.clause("C34")
def test_a_chain_of_conversions_ends_in_the_same_bits(
    dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need("torch", "jax", "optax", "orbax")
    momentum = "float32" if dtype == "bfloat16" else dtype
    shapes = {name: shape for name, shape in SHAPES.items() if 0 not in shape}
    first = saved(tmp_path / "1.safetensors", tensors(dtype, momentum, **shapes))
    done(capsys, first, tmp_path / "2.pt")
    done(capsys, tmp_path / "2.pt", tmp_path / "3.safetensors")
    done(capsys, tmp_path / "3.safetensors", tmp_path / "4.orbax")
    done(capsys, tmp_path / "4.orbax", tmp_path / "5.safetensors")
    done(capsys, tmp_path / "5.safetensors", tmp_path / "6.pt")
    line = done(capsys, tmp_path / "6.pt", tmp_path / "7.safetensors")
    assert same_run(first, tmp_path / "7.safetensors")
    assert line == (
        f"{tmp_path / '7.safetensors'}: 3 parameters and their momenta, "
        f"{(tmp_path / '7.safetensors').stat().st_size} bytes, step 300; η 0.1, β1 0.8, β2 0.95, "
        "λ 0.3; a run state of a PyTorch checkpoint"
    )


@pytest.mark.clause("C34")
def test_a_checkpoint_of_a_training_script_is_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch = pytest.importorskip("torch")
    from lion_torch import Lion

    model = torch.nn.Linear(4, 3)
    optimizer = Lion(model.parameters(), lr=1e-3, weight_decay=0.1)
    model(torch.ones(4)).sum().backward()
    optimizer.step()
    path = tmp_path / "checkpoint.ckpt"
    content = {
        "state_dict": model.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "global_step": 1,
    }
    torch.save(content, path)
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"weight": ["dense/kernel", [1, 0]], "bias": "dense/bias"}))
    done(capsys, path, tmp_path / "run.safetensors", "--map", names)
    state = run_state.load(tmp_path / "run.safetensors")
    kernel = state.tensors["dense/kernel"]
    assert np.array_equal(kernel.param, model.weight.detach().numpy().T)
    assert np.array_equal(kernel.momentum, optimizer.state[model.weight]["exp_avg"].numpy().T)
    assert state.header.group_of("dense/bias").weight_decay == 0.1


@pytest.mark.clause("C34")
def test_keras_files_are_read_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need("tensorflow", "keras")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras

    def model(rate: float) -> Any:
        made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        made.compile(keras.optimizers.Lion(rate, weight_decay=0.1), loss="mse", run_eagerly=True)
        made.fit(np.ones((2, 4)), np.ones((2, 3)), verbose=0)
        return made

    model(0.5).save(tmp_path / "model.keras")
    other = model(0.25)
    other.save(tmp_path / "other.keras")
    other.save_weights(tmp_path / "other.weights.h5")
    first = tmp_path / "run.safetensors"
    line = done(capsys, tmp_path / "model.keras", first)
    assert line.endswith("step 1; η 0.5, β1 0.9, β2 0.99, λ 0.1; a run state of a Keras file")
    like = ("--like", tmp_path / "other.keras")
    done(capsys, first, tmp_path / "new.keras", *like)
    done(capsys, tmp_path / "new.keras", tmp_path / "again.safetensors")
    assert same_run(first, tmp_path / "again.safetensors")
    weights = tmp_path / "new.weights.h5"
    line = done(capsys, first, weights, "--like", tmp_path / "other.weights.h5")
    assert line.endswith("β1, β2 and λ are left to the code that loads it")
    third = tmp_path / "third.safetensors"
    done(capsys, weights, third, "--lr", "0.5", "--weight-decay", "0.1", "--step", "1")
    assert same_run(first, third)
    words = refused(capsys, tmp_path, first, tmp_path / "x.keras")
    assert "Keras alone can make a file of a model" in words
    words = refused(capsys, tmp_path, weights, tmp_path / "x.safetensors")
    assert "a .weights.h5 file has no β1, β2 and λ" in words


@pytest.mark.clause("C34")
def test_a_run_state_keeps_what_it_alone_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, new = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    flushed = Semantics(subnormals="flush")
    groups = Group(**{**NUMBERS, "lr": LR(3)}, lr_schedule=LR)  # type: ignore[arg-type]
    run_state.save(path, tensors(), step=3, groups=groups, semantics=flushed, versions={"a": "1"})
    names = tmp_path / "names.json"
    names.write_text('{"scale": "s"}')
    done(capsys, path, new, "--map", names)
    old, header = run_state.load(path).header, run_state.load(new).header
    assert (header.semantics, header.versions) == (flushed, old.versions)
    assert header.groups[0].lr_schedule == LR
    assert header.groups[0].names == tuple(
        "s" if name == "scale" else name for name in old.groups[0].names or ()
    )


@pytest.mark.clause("C33", "C34")
def test_a_run_that_flushed_says_so_in_every_form_that_can(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need("torch", "tensorflow")
    import torch

    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    flushed = Semantics(subnormals="flush")
    run_state.save(one, tensors(), step=1, groups=Group(lr=0.5), semantics=flushed)
    done(capsys, one, tmp_path / "run.pt")
    saved_by_torch = torch.load(tmp_path / "run.pt", weights_only=True)
    assert saved_by_torch["optimizer"]["param_groups"][0]["subnormals"] == "flush"
    done(capsys, tmp_path / "run.pt", two)
    assert run_state.load(two).header.semantics == flushed

    import keras

    import lion_tf

    for rule, semantics in (("flush", flushed), ("native", Semantics())):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        optimizer = lion_tf.Lion(0.5, subnormals=rule)  # type: ignore[arg-type]
        model.compile(optimizer, loss="mse")
        model.fit(np.ones((2, 2)), np.ones((2, 1)), verbose=0)
        model.save(tmp_path / f"{rule}.keras")
        done(capsys, tmp_path / f"{rule}.keras", tmp_path / f"{rule}.safetensors")
        assert run_state.load(tmp_path / f"{rule}.safetensors").header.semantics == semantics


@pytest.mark.clause("C34", "C35")
def test_a_run_state_is_told_whatever_its_length(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SPEC C34: one in 32 begins with the byte of a pickle, which is its header's length."""
    new = tmp_path / "new.safetensors"
    first = set()
    for length in range(1, 257, 8):
        old = saved(tmp_path / "run.safetensors", {"w" * length: tensors()["fc.bias"]})
        first.add(old.read_bytes()[0])
        done(capsys, old, new, "--force")
        assert new.read_bytes() == old.read_bytes()
    assert 0x80 in first


def test_a_schedule_goes_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("torch", "jax", "optax", "orbax")
    path = saved(tmp_path / "1.safetensors", tensors(w=(2,)), lr=LR(300), lr_schedule=LR)
    for source, target in (("1.safetensors", "2.pt"), ("2.pt", "3.orbax"), ("3.orbax", "4.bin")):
        done(capsys, tmp_path / source, tmp_path / target)
    done(capsys, tmp_path / "4.bin", tmp_path / "5.safetensors")
    assert run_state.load(path).header.groups[0].lr_schedule == LR
    assert same_run(path, tmp_path / "5.safetensors")


# What is there stays there.


@pytest.mark.clause("C34")
def test_what_is_there_is_replaced_only_if_asked_for_and_only_if_it_is_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "run.safetensors")
    old = saved(tmp_path / "old.safetensors", lr=0.7)
    words = refused(capsys, tmp_path, path, old)
    assert words == f"{str(old)!r} is there already; legal: another name, or --force"
    assert "old.safetensors" in done(capsys, path, old, "--force")
    assert same_run(path, old)
    assert refused(capsys, tmp_path, path, path, "--force") == (
        f"{str(path)!r} is the source; legal: another name"
    )
    notes = tmp_path / "notes.safetensors"
    notes.write_text("dear diary")
    words = refused(capsys, tmp_path, path, notes, "--force")
    assert words == f"{str(notes)!r} is there, and is no file of a run; legal: another name"
    folder = tmp_path / "home.safetensors"
    folder.mkdir()
    assert "is no file of a run" in refused(capsys, tmp_path, path, folder, "--force")


@pytest.mark.clause("C34")
def test_folders_are_replaced_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("jax", "optax", "orbax")
    path = saved(tmp_path / "run.safetensors", tensors(w=(2,)))
    folder = tmp_path / "run.orbax"
    done(capsys, path, folder)
    again = saved(tmp_path / "again.safetensors", tensors(w=(3,)), lr=0.7)
    done(capsys, again, folder, "--force")
    done(capsys, folder, tmp_path / "back.safetensors")
    assert same_run(again, tmp_path / "back.safetensors")
    done(capsys, path, folder, "--force", "--to", "run-state")  # a file in a folder's place
    assert same_run(path, folder)
    done(capsys, again, folder, "--force")  # and the other way
    assert forms.recognised(folder) == "orbax"
    assert sorted(x.name for x in tmp_path.iterdir()) == sorted(
        ["run.safetensors", "again.safetensors", "back.safetensors", "run.orbax"]
    )


@pytest.mark.clause("C34")
def test_an_interrupted_conversion_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "run.safetensors")
    old = saved(tmp_path / "old.safetensors", lr=0.7)
    before = content(tmp_path)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for place in ("lion_adapters.convert._write", "lion_adapters.convert._put"):
        with monkeypatch.context() as patched:
            patched.setattr(place, stop)
            with pytest.raises(KeyboardInterrupt):
                command.main(["convert", str(path), str(old), "--force"])
        assert content(tmp_path) == before


PROGRAM = """
import sys

class Without:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Without)
from lion_adapters.command import main
sys.exit(main(sys.argv[1:]))
"""


def process(absent: list[str], *argv: object) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(absent=absent)
    return subprocess.run(
        [sys.executable, "-c", program, "convert", *map(str, argv)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.clause("C34")
def test_no_framework_is_needed_but_that_of_the_file(tmp_path: Path) -> None:
    need("torch")
    path = saved(tmp_path / "run.safetensors")
    every = ["torch", "jax", "tensorflow", "keras", "optax", "orbax", "h5py"]
    for absent, target in ((every, "new.safetensors"), (every[1:], "new.pt")):
        ended = process(absent, path, tmp_path / target)
        assert (ended.returncode, ended.stderr) == (0, "")
    ended = process(["torch"], path, tmp_path / "other.pt")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "lion-ref convert: 'torch' needs torch, which is not installed: pip install "
        "'lion-ref[torch]'\n"
    )


# What the tests above reject.


@pytest.mark.parametrize("wrong", ["m as θ", "the step before", "not turned"])
def test_a_wrong_conversion_is_rejected(
    wrong: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need("torch")
    read = convert._read

    def changed(*given: Any) -> Any:
        found = read(*given)
        run = found.checkpoint
        if wrong == "m as θ":
            swapped = {name: Tensors(*pair[::-1]) for name, pair in run.tensors.items()}
            return found._replace(checkpoint=run._replace(tensors=swapped))
        return found._replace(checkpoint=run._replace(step=run.step - 1))

    if wrong == "not turned":
        monkeypatch.setattr(np, "transpose", lambda x, _: x)
        with pytest.raises(AssertionError):
            test_a_checkpoint_of_a_training_script_is_converted(tmp_path, capsys)
    else:
        monkeypatch.setattr(convert, "_read", changed)
        path, new = saved(tmp_path / "1.safetensors"), tmp_path / "2.safetensors"
        done(capsys, path, new)
        assert not same_run(path, new)
