"""A run goes from NumPy to Keras and back with the bits of one that never stopped (C34)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import lion_ref
from lion_ref import run_state
from lion_ref.run_state import Group, Unfinished
from lion_ref.schedules import Schedule
from lion_ref.semantics import Semantics
from lion_tf import Lion, export_state, hyperparameters, import_state
from tests.lion_tf.doors import SEMANTICS, difference, normal
from tests.repo.preloaded import Program, run

SHAPES = {"dense/kernel": (3, 4), "dense/bias": (4,), "scale": ()}
RATES: dict[str, Any] = {"lr": 0.1, "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.3}
LR = Schedule("linear", first=0.5, last=0.125, steps=10, warmup=2)


def start(*dtypes: str) -> dict[str, tuple[Any, Any]]:
    """θ and m by name."""
    return {
        name: normal(seed, shape, *((dtypes * 2)[:2]))  # type: ignore[misc]
        for seed, (name, shape) in enumerate(SHAPES.items())
    }


def gradients(step: int, dtype: str) -> dict[str, Any]:
    return {
        name: normal(100 * step + seed, shape, dtype)[0]
        for seed, (name, shape) in enumerate(SHAPES.items())
    }


def stepped(
    state: dict[str, tuple[Any, Any]], steps: range, dtype: str, **numbers: Any
) -> dict[str, tuple[Any, Any]]:
    """By lion_ref; a number may be a function of the step."""
    for step in steps:
        given = {k: v(step) if callable(v) else v for k, v in {**RATES, **numbers}.items()}
        bare = given.pop("bare", ())
        state = {
            name: lion_ref.step(
                *pair,
                gradients(step, dtype)[name],
                **{**given, **({"weight_decay": 0.0} if name in bare else {})},
                semantics=SEMANTICS,
            )
            for name, pair in state.items()
        }
    return state


def named(shapes: dict[str, tuple[int, ...]], dtype: str) -> dict[str, Any]:
    """Variables with these paths, of ones."""
    found = {}
    for name, shape in shapes.items():
        found[name] = keras.Variable(np.ones(shape), dtype=dtype, name=name.rpartition("/")[2])
        found[name]._path = name
    return found


def apply(opt: Any, variables: dict[str, Any], steps: range, dtype: str) -> None:
    for step in steps:
        given = gradients(step, dtype)
        opt.apply([tf.constant(given[name]) for name in variables], list(variables.values()))


def same(state: Any, expected: dict[str, tuple[Any, Any]]) -> str:
    return "".join(
        difference([tuple(state.tensors[name])], [pair]) for name, pair in expected.items()
    )


def there_and_back(tmp_path: Path, dtype: str, **numbers: Any) -> str:
    """What differs after two steps here, two in Keras, exported and imported, and two here."""
    path = tmp_path / "run.safetensors"
    state = stepped(start(dtype), range(2), dtype, **numbers)
    given = {k: v for k, v in {**RATES, **numbers}.items() if not callable(v) and k != "bare"}
    given |= {f"{k}_schedule": v for k, v in numbers.items() if callable(v)}
    given |= {k: v(2) for k, v in numbers.items() if callable(v)}
    bare = tuple(numbers.get("bare", ()))
    groups = [Group(**given, names=tuple(x for x in SHAPES if x not in bare))]
    groups += [Group(**{**given, "weight_decay": 0.0}, names=bare)] if bare else []
    run_state.save(path, state, step=2, groups=groups)

    variables, opt = named(SHAPES, dtype), Lion(7.0)
    opt.exclude_from_weight_decay(var_list=[variables[name] for name in bare])
    header = import_state(opt, path, variables=variables.values())
    assert header == run_state.load(path).header
    apply(opt, variables, range(2, 4), dtype)
    export_state(opt, path)
    again = run_state.load(path)
    assert (again.header.step, again.header.semantics) == (4, SEMANTICS)
    assert set(again.header.versions) == {"lion_ref", "tensorflow", "keras"}
    for name in SHAPES:
        group = again.header.group_of(name)
        expected = {k: v(4) if callable(v) else v for k, v in {**RATES, **numbers}.items()}
        if name in bare:
            expected["weight_decay"] = 0.0
        assert {k: getattr(group, k) for k in RATES} == {k: expected[k] for k in RATES}
        assert group.lr_schedule == (numbers["lr"] if callable(numbers.get("lr")) else None)
    state = stepped(state, range(2, 4), dtype, **numbers)
    return same(again, state)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.clause("C34")
def test_a_run_goes_on_in_keras_and_comes_back(dtype: str, tmp_path: Path) -> None:
    assert not there_and_back(tmp_path, dtype)


@pytest.mark.clause("C34", "C35")
def test_schedules_go_with_it(tmp_path: Path) -> None:
    decay = Schedule("exponential", first=0.5, last=0.25, steps=3)
    assert not there_and_back(tmp_path, "float32", lr=LR, weight_decay=decay)


@pytest.mark.clause("C30", "C34")
def test_variables_without_a_decay_are_a_group(tmp_path: Path) -> None:
    assert not there_and_back(tmp_path, "float32", bare=("dense/bias", "scale"))


def _swapped(self: Any, name: str) -> Any:
    return run_state.Tensors(*reversed(UNFINISHED(self, name)))


UNFINISHED = Unfinished.__getitem__


@pytest.mark.parametrize("wrong", ["θ as m", "the last step", "η in float32", "another count"])
def test_a_wrong_export_is_rejected(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wrong == "θ as m":
        monkeypatch.setattr(Unfinished, "__getitem__", _swapped)
    elif wrong == "the last step":
        monkeypatch.setattr("lion_tf.run_state.steps_done", lambda opt: int(opt.iterations) - 1)
    elif wrong == "η in float32":
        monkeypatch.setattr(Lion, "_exact_learning_rate", lambda opt: float(opt._learning_rate))
    else:
        monkeypatch.setattr(hyperparameters, "_number", lambda value, opt, step: 0.3 + step)
    with pytest.raises(AssertionError):
        assert not there_and_back(tmp_path, "float32")


@pytest.mark.clause("C34")
def test_a_model_that_fits_goes_on_in_another(tmp_path: Path) -> None:
    """By fit, whole models, and names that Keras counts on."""
    from tests.lion_tf.test_saving import model, same_state, train

    path = tmp_path / "run.safetensors"
    whole, part, other = (model(Lion(1e-2, weight_decay=0.1), jit_compile=False) for _ in range(3))
    train(whole, 3)
    train(part, 1)
    export_state(part.optimizer, path)
    names = {
        v.path: w.path
        for v, w in zip(part.trainable_variables, other.trainable_variables, strict=True)
    }
    other.optimizer.learning_rate = 7.0
    import_state(
        other.optimizer, path, variables=other.trainable_variables, mapping=lambda x, _: names[x]
    )
    train(other, 2)
    assert same_state(whole, other)
    assert other.optimizer.get_config()["learning_rate"] == 1e-2


@pytest.mark.clause("C34")
def test_axes_are_turned_by_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    theta, momentum = normal(3, (4, 3), "float32", "float32")
    run_state.save(path, {"fc.weight": (theta, momentum)}, step=1, groups=Group(**RATES))
    variables = named({"fc/kernel": (3, 4)}, "float32")
    opt = Lion()
    import_state(
        opt,
        path,
        variables=variables.values(),
        mapping={"fc.weight": ("fc/kernel", (1, 0))},
    )
    assert np.array_equal(variables["fc/kernel"].numpy(), theta.T)
    assert np.array_equal(opt.variables[-1].numpy(), momentum.T)


@pytest.mark.clause("C34")
def test_a_config_that_excludes_variables_is_heard_before_the_optimizer_is_built(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.safetensors"
    variables, opt = named(SHAPES, "float32"), Lion(0.1, weight_decay=0.3)
    opt.exclude_from_weight_decay(var_names=["bias"])
    opt.build(list(variables.values()))
    export_state(opt, path)
    assert run_state.load(path).header.group_of("dense/bias").weight_decay == 0.0
    again = Lion.from_config(opt.get_config())
    import_state(again, path, variables=named(SHAPES, "float32").values())
    assert again.get_config() == opt.get_config()
    export_state(again, tmp_path / "again.safetensors")
    assert run_state.load(tmp_path / "again.safetensors").header == run_state.load(path).header


@pytest.mark.clause("C34")
def test_accumulated_steps_are_counted_as_steps(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    variables = named(SHAPES, "float32")
    opt = Lion(
        keras.optimizers.schedules.PiecewiseConstantDecay([5], [0.5, 0.25]),
        weight_decay=0.3,
        gradient_accumulation_steps=3,
    )
    apply(opt, variables, range(3), "float32")
    export_state(opt, path)
    header = run_state.load(path).header
    # The next step is made with the sixth batch, before which Keras has counted five.
    assert (header.step, header.groups[0].lr) == (1, 0.5)
    again = Lion(0.1, gradient_accumulation_steps=3)
    import_state(again, path, variables=variables.values())
    assert int(again._iterations) == 3
    apply(opt, variables, range(1), "float32")
    with pytest.raises(ValueError, match=r"^optimizer has accumulated the gradients of 1 of 3 bat"):
        export_state(opt, path)
    with pytest.raises(ValueError, match=r"^optimizer has accumulated the gradients of 1 of 3 bat"):
        import_state(opt, path)
    assert run_state.load(path).header == header


@pytest.mark.clause("C33", "C34")
def test_the_file_says_which_rule_the_steps_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a device that keeps them, where the rule makes a difference."""
    monkeypatch.setattr(
        "lion_tf.run_state.declared_semantics",
        lambda _, *, subnormals: Semantics(subnormals="flush" if subnormals == "flush" else "keep"),
    )
    path = tmp_path / "run.safetensors"
    for rule, expected in (("flush", "flush"), ("native", "keep")):
        opt = Lion(0.5, subnormals=rule)  # type: ignore[arg-type]
        opt.build(list(named(SHAPES, "float32").values()))
        export_state(opt, path)
        assert run_state.load(path).header.semantics.subnormals == expected


@pytest.mark.clause("C34")
def test_mirrored_variables_are_written_once_and_read_by_all() -> None:
    program = str(Path(__file__).with_name("run_state_program.py"))
    (process,) = run([Program([program])], ["keras", "tensorflow"])
    assert process.returncode == 0, process
    assert process.stdout.strip().splitlines() == ["2 copies: same bits", "back: same bits"]
