"""What an import or export of a run refuses: in one line, and nothing is changed (C13, C34)."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lion_ref import run_state
from lion_ref.run_state import Group
from lion_ref.schedules import Schedule
from lion_tf import Lion, export_state, import_state
from tests.lion_tf.test_run_state import LR, RATES, SHAPES, named, start


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


def held(opt: Any, variables: dict[str, Any]) -> list[Any]:
    """All that an import may change."""
    tensors = [x.numpy().tolist() for x in (*variables.values(), *opt.variables)]
    return [tensors, opt.built, opt.get_config()]


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
