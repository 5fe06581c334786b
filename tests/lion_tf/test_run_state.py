"""A run goes from NumPy to Keras and back with the bits of one that never stopped (C34)."""

from __future__ import annotations

import re
from collections.abc import Callable
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


def held(opt: Any, variables: dict[str, Any]) -> list[Any]:
    """All that an import may change."""
    tensors = [x.numpy().tolist() for x in (*variables.values(), *opt.variables)]
    return [tensors, opt.built, opt.get_config()]


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


# What is refused, in one line, and nothing is changed.


def saved(path: Path, dtypes: tuple[str, ...] = ("float32",), step: int = 2, **group: Any) -> None:
    groups: Any = Group(**RATES | group)
    run_state.save(path, start(*dtypes), step=step, groups=groups)


def in_groups(path: Path, *groups: dict[str, Any]) -> None:
    names = list(SHAPES)
    made = [
        Group(**RATES | group, names=(name,)) for group, name in zip(groups, names, strict=True)
    ]
    run_state.save(path, start("float32"), step=2, groups=made)


def lion(**arguments: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda _: Lion(**{"learning_rate": 7.0} | arguments)


def excluding(variables: dict[str, Any]) -> Any:
    opt = Lion(7.0)
    opt.exclude_from_weight_decay(var_list=[variables["dense/bias"]])
    return opt


def traced(variables: dict[str, Any]) -> Any:
    opt = Lion(7.0, beta_1=0.8, beta_2=0.95)
    opt.build(list(variables.values()))
    zeros = [tf.zeros(v.shape) for v in variables.values()]
    tf.function(lambda: opt.apply(zeros))()
    return opt


Save = Callable[[Path], None]
REFUSED: dict[str, tuple[Save, Callable[[dict[str, Any]], Any], str]] = {
    "a momentum of another dtype": (
        lambda path: saved(path, ("float32", "bfloat16")),
        lion(),
        "of another dtype: 'dense/bias' m bfloat16 in the file, float32 here, 'dense/kernel' m ",
    ),
    "two learning rates": (
        lambda path: in_groups(path, {}, {"lr": 0.2}, {}),
        lion(),
        (
            "lr is 0.1 of 'dense/kernel' and 0.2 of 'dense/bias' in the file, but a Keras "
            "optimizer has one for all; legal: one lr"
        ),
    ),
    "two decays": (
        lambda path: in_groups(path, {}, {"weight_decay": 0.0}, {"weight_decay": 0.0}),
        lion(),
        (
            "λ is 0.3 of 'dense/kernel' and 0.0 of 'dense/bias' in the file, but a Keras "
            "optimizer has one; legal: one λ, and 0 for variables that the optimizer excludes "
            "from the decay, by exclude_from_weight_decay before it is built: 'dense/bias', 'scale'"
        ),
    ),
    "three decays": (
        lambda path: in_groups(path, {}, {"weight_decay": 0.0}, {"weight_decay": 0.5}),
        lion(),
        "λ is 0.3 of 'dense/kernel' and 0.0 of 'dense/bias' in the file",
    ),
    "a decay where there is none": (
        saved,
        excluding,
        (
            "'dense/bias' is excluded from the weight decay here, but has λ = 0.3 in the file; "
            "legal: an optimizer that does not exclude it"
        ),
    ),
    "moving averages": (
        saved,
        lion(use_ema=True),
        "optimizer keeps moving averages of the variables, which no run has; legal: use_ema=False",
    ),
    "a schedule of batches": (
        lambda path: saved(path, lr=LR(2), lr_schedule=LR),
        lion(gradient_accumulation_steps=2),
        (
            "it has a schedule of η by steps, but with gradient_accumulation_steps=2 Keras counts "
            "batches; legal: an optimizer without accumulation"
        ),
    ),
    "a schedule that does not go on": (
        lambda path: saved(path, lr_schedule=LR),
        lion(),
        (
            f"lr_schedule gives {LR(2)!r} for the step after 2, but it has 0.1 there; legal: a "
            "schedule that goes on with it"
        ),
    ),
    "another schedule here": (
        saved,
        lion(learning_rate=LR),
        (
            f"learning_rate is TableSchedule here and gives {LR(2)!r} for the step after 2, but η "
            "is 0.1 in the file; legal: a number, or what goes on with the file's"
        ),
    ),
    "a step beyond": (
        lambda path: saved(path, step=2**62),
        lion(),
        f"step={2**62} is not legal here; legal: less than {2**62}",
    ),
    "a rate beyond": (
        lambda path: saved(path, lr=1e300),
        lion(),
        "lr=1e+300 is not legal; legal: a finite number >= 0, finite also in float32",
    ),
    "a traced step": (
        saved,
        traced,
        (
            "λ would change, but TensorFlow has traced a step with what was; legal: an optimizer "
            "that has done no step yet"
        ),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.clause("C13", "C14", "C34")
def test_what_keras_cannot_have_is_refused_and_nothing_changed(case: str, tmp_path: Path) -> None:
    save, make, message = REFUSED[case]
    path = tmp_path / "run.safetensors"
    save(path)
    variables = named(SHAPES, "float32")
    opt = make(variables)
    before = held(opt, variables)
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        import_state(opt, path, variables=variables.values())
    assert "\n" not in str(raised.value)
    assert held(opt, variables) == before


@pytest.mark.clause("C34")
def test_a_traced_step_goes_on_with_the_numbers_that_it_knows(tmp_path: Path) -> None:
    variables = named(SHAPES, "float32")
    opt = traced(variables)
    saved(tmp_path / "run.safetensors", weight_decay=0.0)
    import_state(opt, tmp_path / "run.safetensors")
    assert (float(opt.learning_rate), int(opt.iterations)) == (float(np.float32(0.1)), 2)


@pytest.mark.clause("C13", "C34")
def test_a_file_that_does_not_fit_is_refused_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    saved(path)
    variables = named({"dense/kernel": (3, 4), "dense/bias": (5,), "other": ()}, "float32")
    opt = Lion(7.0)
    before = held(opt, variables)
    message = (
        f"{str(path)!r} does not fit. of another shape: 'dense/bias' (4,) in the file, (5,) here; "
        "left over in the file: 'scale'; missing in the file: 'other'; legal: "
    )
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        import_state(opt, path, variables=variables.values())
    assert held(opt, variables) == before


@pytest.mark.clause("C13", "C34")
def test_an_optimizer_that_has_no_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    built = named(SHAPES, "float32")

    def refuse(opt: Any, message: str, kind: type[Exception] = ValueError, **given: Any) -> None:
        with pytest.raises(kind, match="^" + re.escape(message)):
            import_state(opt, path, **given) if given else export_state(opt, path)
        assert not path.exists()

    refuse(Lion(), "optimizer has no variables yet; legal: one that is built, as by ")
    refuse(
        keras.optimizers.Lion(),
        "optimizer is of type keras.src.optimizers.lion.Lion; legal: lion_tf.Lion",
        TypeError,
    )
    refuse(
        keras.optimizers.LossScaleOptimizer(Lion()),
        "optimizer is of type keras.src.optimizers.loss_scale_optimizer.LossScaleOptimizer; "
        "legal: lion_tf.Lion, as its inner_optimizer is; the loss scale is no part of a run",
        TypeError,
    )
    averaging = Lion(use_ema=True)
    averaging.build(list(built.values()))
    refuse(averaging, "optimizer keeps moving averages of the variables, which no run has; legal: ")
    opt = Lion()
    opt.build([keras.Variable(np.ones(size), name="w") for size in (2, 3)])
    refuse(opt, "two variables have the path 'w'; legal: a path each, as layers of other ")
    refuse(Lion(), "optimizer has no variables yet; legal: variables=", variables=None)
    opt = Lion()
    opt.build([built["scale"]])
    refuse(opt, "optimizer is built for other variables than these; ", variables=built.values())


@pytest.mark.clause("C34", "C35")
def test_a_schedule_by_name_has_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    opt = Lion(keras.optimizers.schedules.PolynomialDecay(0.5, 4, 0.25))
    opt.build(list(named(SHAPES, "float32").values()))
    export_state(opt, path, lr_schedule=Schedule("linear", first=0.5, last=0.25, steps=4))
    assert run_state.load(path).header.groups[0].lr_schedule is not None
    message = (
        f"lr_schedule gives {LR(0)!r} for the step after 0, but the optimizer has 0.5 there; "
        "legal: a schedule that goes on with it"
    )
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        export_state(opt, path, lr_schedule=LR)


@pytest.mark.clause("C34")
def test_mirrored_variables_are_written_once_and_read_by_all() -> None:
    program = str(Path(__file__).with_name("run_state_program.py"))
    (process,) = run([Program([program])], ["keras", "tensorflow"])
    assert process.returncode == 0, process
    assert process.stdout.strip().splitlines() == ["2 copies: same bits", "back: same bits"]
