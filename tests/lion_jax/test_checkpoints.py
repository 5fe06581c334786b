"""Orbax's folders to a run state's tensors and back: forms, numbers, and what is refused (C34)."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import flax.training.train_state
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lion_jax
from lion_jax import checkpoints
from lion_ref.arithmetic import same_bits
from lion_ref.run_state import Checkpoint, Group, Tensors
from lion_ref.schedules import Schedule
from tests.lion_jax.doors import normal

orbax: Any = pytest.importorskip("orbax.checkpoint", reason="reads and writes Orbax's checkpoints")

NUMBERS = Group(0.1, 0.8, 0.97, 0.3)
NAMES = ["blocks/0", "blocks/1", "dense/bias", "dense/kernel"]


def params_of(seed: int) -> dict[str, Any]:
    return {
        "dense": {
            "kernel": jnp.asarray(normal(seed, (3, 2))[0]),
            "bias": jnp.asarray(normal(seed + 1, (2,), ("bfloat16",) * 3)[0]),
        },
        "blocks": [jnp.asarray(normal(seed + 2, ())[0]), jnp.asarray(normal(seed + 3, (2,))[0])],
    }


PARAMS, MU = params_of(0), params_of(10)


def filled(state: Any) -> Any:
    """An optax.lion state in which seven steps have been done."""

    def fill(part: Any) -> Any:
        if isinstance(part, lion_jax.LionState):
            return lion_jax.LionState(jnp.int32(7), MU)
        return jax.tree.map(lambda _: jnp.int32(7), part)

    return jax.tree.map(fill, state, is_leaf=lambda x: isinstance(x, lion_jax.LionState))


def saved(path: Path, tree: Any, checkpointer: Any = None) -> Path:
    with checkpointer or orbax.StandardCheckpointer() as it:
        it.save(path, tree)
        if hasattr(it, "wait_until_finished"):
            it.wait_until_finished()
    return path


def same(ours: Any, theirs: Any) -> bool:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    alike = (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    return alike and bool(same_bits(np.atleast_1d(ours), np.atleast_1d(theirs)).all())


def check(found: Checkpoint) -> None:
    assert sorted(found.tensors) == NAMES
    assert found.step == 7
    for name, (theta, m) in found.tensors.items():
        key, last = name.split("/")
        at = int(last) if key == "blocks" else last
        assert same(theta, PARAMS[key][at]), name
        assert same(m, MU[key][at]), name


SCHEDULE = optax.constant_schedule(0.1)
STATES = {
    "LionState": lion_jax.lion(0.1),
    "optax.lion": optax.lion(0.1),
    "schedules": optax.lion(SCHEDULE, weight_decay=SCHEDULE),
    "a mask": optax.lion(0.1, mask=jax.tree.map(lambda _: True, PARAMS)),
    "a chain": optax.chain(optax.clip_by_global_norm(1.0), optax.lion(SCHEDULE)),
    "a chain of ours": optax.chain(optax.clip_by_global_norm(1.0), lion_jax.lion(SCHEDULE)),
}


@pytest.mark.parametrize("kind", STATES)
@pytest.mark.clause("C34")
def test_every_form_of_the_state_is_read(kind: str, tmp_path: Path) -> None:
    tree = {"params": PARAMS, "opt_state": filled(STATES[kind].init(PARAMS)), "rng": jnp.ones(2)}
    found = checkpoints.read(saved(tmp_path / "run", tree), numbers=NUMBERS)
    check(found)
    assert found.groups[0].hyperparameters == NUMBERS.hyperparameters
    assert sorted(found.groups[0].names or ()) == NAMES


@pytest.mark.parametrize("make", [orbax.StandardCheckpointer, orbax.PyTreeCheckpointer])
@pytest.mark.clause("C34")
def test_a_train_state_is_read(make: Any, tmp_path: Path) -> None:
    made = flax.training.train_state.TrainState.create(
        apply_fn=None, params=PARAMS, tx=optax.lion(0.1)
    )
    tree = made.replace(step=9, opt_state=filled(made.opt_state))
    if make is orbax.PyTreeCheckpointer:
        orbax.PyTreeCheckpointer().save(tmp_path / "run", tree)
    else:
        saved(tmp_path / "run", tree)
    check(checkpoints.read(tmp_path / "run", numbers=NUMBERS))
    assert checkpoints.read(tmp_path / "run", numbers=NUMBERS, step=9).step == 9


@pytest.mark.clause("C34")
def test_a_step_of_a_manager_is_read(tmp_path: Path) -> None:
    tree = {"params": PARAMS, "opt_state": filled(optax.lion(0.1).init(PARAMS))}
    with orbax.CheckpointManager(tmp_path / "runs") as manager:
        manager.save(1000, args=orbax.args.StandardSave(tree))
        manager.wait_until_finished()
    check(checkpoints.read(tmp_path / "runs" / "1000", numbers=NUMBERS))
    with pytest.raises(ValueError, match=r"runs has no _METADATA; legal: a folder that Orbax made"):
        checkpoints.read(tmp_path / "runs", numbers=NUMBERS)


@pytest.mark.clause("C34")
def test_one_parameter_is_read_at_a_time(tmp_path: Path) -> None:
    """Not the whole tree, neither for the names nor for one parameter."""
    tree = {"params": PARAMS, "opt_state": filled(optax.lion(0.1).init(PARAMS))}
    saved(tmp_path / "run", tree)
    asked: list[int] = []
    restore = orbax.Checkpointer.restore

    def counting(self: Any, path: Any, *, args: Any) -> Any:
        result = restore(self, path, args=args)
        asked.append(sum(isinstance(x, np.ndarray) for x in jax.tree.leaves(result)))
        return result

    with mock.patch.object(orbax.Checkpointer, "restore", counting):
        found = checkpoints.read(tmp_path / "run", numbers=NUMBERS)
        assert asked == [1]  # the count
        assert same(found.tensors["dense/kernel"].momentum, MU["dense"]["kernel"])
    assert asked == [1, 2]


@pytest.mark.clause("C34")
def test_parameters_without_a_momentum_are_no_part_of_a_run(tmp_path: Path) -> None:
    trained = {"dense": True, "blocks": False}
    masked = optax.masked(optax.lion(0.1), trained).init(PARAMS)
    saved(tmp_path / "run", {"params": PARAMS, "opt_state": masked})
    found = checkpoints.read(tmp_path / "run", numbers=NUMBERS)
    assert sorted(found.tensors) == ["dense/bias", "dense/kernel"]


def run() -> Checkpoint:
    lr = Schedule("cosine", first=0.3, steps=9)
    groups = (
        Group(0.1, 0.8, 0.97, 0.3, ("dense/kernel",), lr),
        Group(0.1, 0.8, 0.97, 0.0, ("dense/bias", "blocks/0", "blocks/1"), lr),
    )
    tensors = {
        f"{key}/{last}": Tensors(np.asarray(PARAMS[key][last]), np.asarray(MU[key][last]))
        for key, last in [("dense", "kernel"), ("dense", "bias"), ("blocks", 0), ("blocks", 1)]
    }
    return Checkpoint(tensors, 7, groups)


@pytest.mark.clause("C34")
def test_what_is_written_is_read_with_its_numbers(tmp_path: Path) -> None:
    checkpoints.write(run(), tmp_path / "run")
    found = checkpoints.read(tmp_path / "run")
    check(found)
    assert found.groups == run().groups
    assert checkpoints.read(tmp_path / "run", numbers=NUMBERS).groups[0].lr == NUMBERS.lr


@pytest.mark.clause("C34")
def test_what_is_written_is_restored_by_who_has_optax(tmp_path: Path) -> None:
    """With its own template where there is no sequence; a schedule's count is there, too."""
    lr = Schedule("cosine", first=0.3, steps=9)
    only = {"dense": PARAMS["dense"]}
    tensors = {name: x for name, x in run().tensors.items() if name.startswith("dense")}
    for named, rate in ((None, 0.1), (lr, SCHEDULE)):
        group = Group(0.1, 0.8, 0.97, 0.3, lr_schedule=named)
        checkpoints.write(Checkpoint(tensors, 7, (group,)), tmp_path / str(named)[:8])
        template = {"params": only, "opt_state": optax.lion(rate).init(only)}
        with orbax.StandardCheckpointer() as checkpointer:
            restored = checkpointer.restore(tmp_path / str(named)[:8], template)
        assert all(int(x) == 7 for x in jax.tree.leaves(restored["opt_state"]) if not x.shape)
        state = lion_jax.from_optax(restored["opt_state"])
        assert int(state.count) == 7
        for name in ("bias", "kernel"):
            assert same(restored["params"]["dense"][name], PARAMS["dense"][name])
            assert same(state.mu["dense"][name], MU["dense"][name])


WITHOUT_COUNT = {"params": PARAMS, "opt_state": {"mu": MU}}
REFUSED: dict[str, tuple[Any, str]] = {
    "no parameters": (
        {"opt_state": filled(optax.lion(0.1).init(PARAMS))},
        "it has no 'params'; le",
    ),
    "no state": ({"params": PARAMS}, "it has no 'opt_state'; legal: a folder that Orbax made of"),
    "Adam": (
        {"params": PARAMS, "opt_state": optax.adamw(0.1).init(PARAMS)},
        "opt_state/0 is the state of Adam; legal: that of Lion",
    ),
    "momentum": (
        {"params": PARAMS, "opt_state": optax.sgd(0.1, momentum=0.9).init(PARAMS)},
        "opt_state/0 is the state of SGD with momentum; legal: that of Lion",
    ),
    "no Lion": (
        {"params": PARAMS, "opt_state": optax.sgd(SCHEDULE).init(PARAMS)},
        "opt_state holds 0 states of Lion; legal: one",
    ),
    "two": (
        {"params": PARAMS, "opt_state": optax.chain(*[lion_jax.lion(0.1)] * 4).init(PARAMS)},
        "opt_state holds 4 states of Lion; legal: one",
    ),
    "accumulated gradients": (
        {"params": PARAMS, "opt_state": optax.MultiSteps(optax.lion(0.1), 2).init(PARAMS)},
        "it holds opt_state/acc_grads/.*, which is no part of a Lion's state and would be lost; ",
    ),
    "a momentum of nothing": (
        {"params": {"w": PARAMS["blocks"][0]}, "opt_state": lion_jax.lion(0.1).init(PARAMS)},
        "the momentum 'blocks/0' is of no parameter; legal: a tree like params",
    ),
    "another shape": (
        {"params": {"w": jnp.ones(2)}, "opt_state": lion_jax.lion(0.1).init({"w": jnp.ones(3)})},
        r"at params\['w'\]: momentum has shape \(3,\), but param has shape \(2,\)",
    ),
    "no count": (WITHOUT_COUNT, "opt_state holds 0 states of Lion; legal: one"),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.clause("C34")
def test_what_is_no_run_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    tree, message = REFUSED[kind]
    with pytest.raises((TypeError, ValueError), match=f"run: {message}") as refusal:
        checkpoints.read(saved(tmp_path / "run", tree), numbers=NUMBERS)
    assert "\n" not in str(refusal.value)


@pytest.mark.clause("C34")
def test_numbers_that_nobody_gave_are_refused(tmp_path: Path) -> None:
    tree = {"params": PARAMS, "opt_state": optax.lion(0.1).init(PARAMS)}
    message = (
        r"it has no η, β1, β2 and λ, which are no part of an optax state; legal: these numbers "
    )
    with pytest.raises(ValueError, match=message):
        checkpoints.read(saved(tmp_path / "run", tree))


@pytest.mark.clause("C34")
@pytest.mark.parametrize("own", [5, {"format": 5}, {"format": "x"}])
def test_numbers_that_nobody_wrote_so_are_refused(own: Any, tmp_path: Path) -> None:
    """What is under our key in Orbax's metadata is held against what `write` puts there."""
    folder = tmp_path / "run"
    checkpoints.write(run(), folder)
    file = folder / "_CHECKPOINT_METADATA"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "custom_metadata": {"lion_ref": own}}))
    with pytest.raises(
        ValueError, match=r"run: it(s metadata has lion_ref=| has the format ).*legal"
    ):
        checkpoints.read(folder)


# What else Orbax's threads find damaged they report to a loop that is closed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.clause("C34")
def test_a_damaged_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    tree = {"params": PARAMS, "opt_state": optax.lion(0.1).init(PARAMS)}
    folder = saved(tmp_path / "run", tree)
    for file in [*folder.glob("d/*"), *folder.glob("ocdbt.process_0/d/*")]:
        file.write_bytes(file.read_bytes()[:10])
    with pytest.raises(ValueError, match=r"Orbax cannot read it, .*; legal: a f") as refusal:
        checkpoints.read(folder, numbers=NUMBERS)
    assert "\n" not in str(refusal.value)
    (folder / "_METADATA").write_text("{")
    with pytest.raises(ValueError, match=r"Orbax cannot read it, ValueError: a part of its metad"):
        checkpoints.read(folder, numbers=NUMBERS)
    gc.collect()  # so that they do it here
    with pytest.raises(ValueError, match="nowhere has no _METADATA; legal: a folder that Orbax"):
        checkpoints.read(tmp_path / "nowhere")


@pytest.mark.clause("C34")
def test_what_cannot_be_written_is_refused_and_nothing_is(tmp_path: Path) -> None:
    w = Tensors(np.ones(2, np.float32), np.ones(2, np.float32))
    groups = (Group(0.1),)
    path = tmp_path / "run"
    for names in (["a", "a/b"], ["a/b", "a"]):
        with pytest.raises(ValueError, match=r"'a(/b)?' cannot be a path beside the other name"):
            checkpoints.write(Checkpoint(dict.fromkeys(names, w), 0, groups), path)
    with pytest.raises(
        ValueError, match="step=2147483648 is not legal in an optax state; legal: b"
    ):
        checkpoints.write(Checkpoint({"w": w}, 2**31, groups), path)
    assert list(tmp_path.iterdir()) == []
    path.write_text("what was there")
    with pytest.raises(ValueError, match="run is there already; legal: a path where nothing is"):
        checkpoints.write(Checkpoint({"w": w}, 0, groups), path)
    assert path.read_text() == "what was there"


@pytest.mark.clause("C34")
def test_without_orbax_it_is_said_what_to_install(tmp_path: Path) -> None:
    with mock.patch.dict(sys.modules, {"orbax.checkpoint": None, "orbax": None}):
        for call in (
            lambda: checkpoints.read(tmp_path),
            lambda: checkpoints.write(run(), tmp_path / "run"),
        ):
            with pytest.raises(ImportError, match="not installed: pip install orbax-checkpoint"):
                call()
