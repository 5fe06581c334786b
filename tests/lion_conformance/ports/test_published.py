"""The Lions of other projects: those that are installed, and stand-ins for those that are not."""

from __future__ import annotations

import importlib.util
import queue
import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import torch

import lion_ref
from lion_conformance.diagnosis import canaries, probes
from lion_conformance.ports.backends import NotRunnable, load
from lion_conformance.ports.protocol import Port, run_once
from lion_conformance.ports.published import FAMILIES, family
from lion_conformance.ports.published.through_torch import torch_port
from lion_conformance.report import as_survey
from lion_conformance.report.survey_answers import outcome
from lion_conformance.runner import Options, judge_backend
from lion_conformance.verdict.verdict import Verdict
from lion_conformance.verify import verify
from lion_ref import CANONICAL, Semantics
from lion_ref.arithmetic import same_bits

pytestmark = pytest.mark.clause("C16")

FLOATS = (("float32",) * 3,)
INSTALLED = {"optax", "keras", "keras-torch", "keras-jax"}
"""The families whose libraries the environment has."""


class StandIn(torch.optim.Optimizer):
    """Lion in torch's single operations, its decay a factor."""

    def __init__(self, params: Any, lr: float, betas: tuple[float, float], **_: Any) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for param in group["params"]:
                self.move(param, group)

    def move(self, param: Any, group: Any) -> None:
        """With the momentum made where there is none, as all of them do."""
        state, (beta1, beta2) = self.state[param], group["betas"]
        if not state:
            state["exp_avg"] = torch.zeros_like(param)
        m = state["exp_avg"]
        param.mul_(1 - group["lr"] * group["weight_decay"])
        u = m.mul(beta1).add_(param.grad.mul(1 - beta1)).sign_()
        param.sub_(u.mul_(group["lr"]))
        m.mul_(beta2).add_(param.grad.mul(1 - beta2))


class Lerping(StandIn):
    """Lion with torch.lerp, as the lists of lion-pytorch, timm and others have it."""

    def move(self, param: Any, group: Any) -> None:
        m, (beta1, beta2) = self.state[param]["exp_avg"], group["betas"]
        param.mul_(1 - group["lr"] * group["weight_decay"])
        u = m.lerp(param.grad, 1 - beta1).sign_()
        param.sub_(u.mul_(group["lr"]))
        m.lerp_(param.grad, 1 - beta2)


class Unscaled(StandIn):
    """Another algorithm: its decay does not know the learning rate."""

    def move(self, param: Any, group: Any) -> None:
        weight_decay = group["weight_decay"]
        param.sub_(param.mul(weight_decay))
        super().move(param, {**group, "weight_decay": 0.0})


class InLists(Lerping):
    """Lion on lists of tensors, whose products take a scalar in the dtype of the tensors."""

    def move(self, param: Any, group: Any) -> None:
        m, (beta1, beta2) = self.state[param]["exp_avg"], group["betas"]
        torch._foreach_mul_([param], 1 - group["lr"] * group["weight_decay"])
        updates = torch._foreach_lerp([m], [param.grad], weight=1 - beta1)
        torch._foreach_sign_(updates)
        torch._foreach_add_([param], updates, alpha=-group["lr"])
        torch._foreach_lerp_([m], [param.grad], weight=1 - beta2)


def port_of(lion: Callable[..., Any], dtype: str = "float32", **options: Any) -> Port:
    return torch_port("stand-in", "step()", "cpu", lion, triples=((dtype,) * 3,), **options)


def has_bits(port: Port, semantics: Semantics, dtype: str = "float32") -> bool:
    """Whether a port's bits are those of a semantics, where any single choice would show."""
    for case in (*canaries.cases(dtype), *probes.cases((dtype,) * 3)[:2]):
        got = run_once(port, *case.arrays, **case.scalars)
        expected = lion_ref.step(*case.arrays, **case.scalars, semantics=semantics)
        if not all(same_bits(a, b).all() for a, b in zip(got, expected, strict=True)):
            return False
    return True


PLAIN: Any = {"decay": "factor", "nan_sign": "zero"}
LERPED: Any = {
    "sign_interpolation": "lerp-from-nearer",
    "sign_fused": "difference",
    "momentum_interpolation": "lerp-from-nearer",
    "momentum_fused": "difference",
}


def test_a_torch_optimizer_is_driven_through_its_step() -> None:
    assert has_bits(port_of(StandIn), Semantics(**PLAIN))
    for name in PLAIN:  # each choice is needed, and so would be seen
        assert not has_bits(
            port_of(StandIn), Semantics(**{**PLAIN, name: getattr(CANONICAL, name)})
        )


@pytest.mark.clause("C17")
@pytest.mark.skipif("avx2" not in as_survey.processor(), reason="torch.lerp is fused with AVX2")
def test_torchs_lerp_starts_from_the_nearer_end() -> None:
    assert has_bits(port_of(Lerping), Semantics(**PLAIN, **LERPED))
    for part in ("sign", "momentum"):
        for other in ("lerp-from-momentum", "lerp-from-gradient"):
            wrong = {**PLAIN, **LERPED, f"{part}_interpolation": other}
            assert not has_bits(port_of(Lerping), Semantics(**wrong))


@pytest.mark.clause("C21")
@pytest.mark.skipif("avx2" not in as_survey.processor(), reason="torch.lerp is fused with AVX2")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("lion", "scalars"), [(Lerping, "compute"), (InLists, "storage")])
def test_torchs_lerp_is_one_operation_in_half_precision(
    dtype: str, lion: Any, scalars: Any
) -> None:
    found: Any = {**PLAIN, **LERPED, "precision": "storage-whole-lerp", "scalars": scalars}
    port = port_of(lion, dtype)
    assert has_bits(port, Semantics(**found), dtype)
    for name in ("precision", "momentum_precision"):
        assert not has_bits(port, Semantics(**found | {name: "storage"}), dtype)
    other = {"compute": "storage", "storage": "compute"}[scalars]
    assert not has_bits(port, Semantics(**found | {"scalars": other}), dtype)


def test_another_algorithm_is_named_and_rejected() -> None:
    report = verify(port_of(Unscaled), max_examples=1)
    assert report.verdict is Verdict.REJECTED
    assert report.sentence.endswith("another algorithm")
    assert report.cause is not None
    assert report.cause.line() == "the decay is not scaled by η: λ·θ, not η·λ·θ (SPEC C10)"
    assert [outcome(x) for x in report.results] == ["✗"]


def test_a_door_that_does_not_set_the_momentum_is_caught() -> None:
    report = verify(port_of(StandIn, key="momentum"), max_examples=1)
    assert report.verdict is Verdict.REJECTED
    assert report.semantics is None


def test_the_momentum_that_is_given_is_the_one_that_steps() -> None:
    one = np.ones(3, np.float32)
    port = port_of(StandIn)
    param, momentum = run_once(port, one, -one, one, lr=0.5, beta1=0.75, beta2=0.5, weight_decay=0)
    assert param.tolist() == [1.5] * 3
    assert momentum.tolist() == [0.0] * 3


STANDING_IN = """
lion_pytorch lion_pytorch.foreach pytorch_optimizer optimi bitsandbytes adv_optm dadaptation
timm timm.optim timm.optim.lion llmfoundry llmfoundry.optim llmfoundry.optim.lion flashoptim
zeta zeta.optim zeta.optim.decoupled_lion deepspeed deepspeed.ops deepspeed.ops.lion
deepspeed.ops.op_builder cpuinfo composer tf_keras
"""


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules in place of the libraries, whose Lions are the stand-in."""
    lions = {"DecoupledLionW": OverFirst, "DAdaptLion": Adapting, "DeepSpeedCPULion": Wide}
    lions |= dict.fromkeys(("Lion", "FlashLion"), StandIn)
    made = {name: ModuleType(name) for name in STANDING_IN.split()}
    for module in made.values():
        vars(module).update(lions)
    vars(made["cpuinfo"])["get_cpu_info"] = dict
    vars(made["deepspeed.ops.op_builder"])["CPULionBuilder"] = Builder
    vars(made["tf_keras"])["optimizers"] = SimpleNamespace(Lion=OfKeras2)
    vars(made["lion_pytorch"])["foreach"] = made["lion_pytorch.foreach"]
    vars(made["bitsandbytes"])["optim"] = SimpleNamespace(Lion32bit=InState1)
    vars(made["adv_optm"])["Lion_adv"] = StandIn
    made |= mlx_of_numpy()
    for name, module in made.items():
        module.__spec__ = importlib.util.spec_from_loader(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    for one in FAMILIES.values():
        monkeypatch.delitem(sys.modules, one.module, raising=False)
    yield
    for one in FAMILIES.values():  # those that hold a stand-in
        sys.modules.pop(one.module, None)


def mlx_of_numpy() -> dict[str, ModuleType]:
    """MLX's arrays as NumPy's, and its Lion with NumPy's operations."""
    core, optimizers, mlx = (ModuleType(x) for x in ("mlx.core", "mlx.optimizers", "mlx"))
    unsigned = {f"uint{bits}": np.dtype(f"uint{bits}") for bits in (16, 32, 64)}
    vars(core).update(lion_ref.STORAGE_DTYPES, **unsigned, array=np.array, cpu="cpu")
    vars(core).update(set_default_device=lambda _: None, eval=lambda *_: None)
    vars(optimizers)["Lion"] = OfTrees
    vars(mlx).update(core=core, optimizers=optimizers)
    return {module.__name__: module for module in (core, optimizers, mlx)}


class OfTrees:
    """Lion on a tree of arrays, its momenta in a tree of the same names."""

    def __init__(self, learning_rate: float, betas: Any) -> None:
        self.learning_rate, self.betas, self.weight_decay = learning_rate, betas, 0.0

    def init(self, params: Any) -> None:
        self.state = {name: {"m": np.zeros_like(x)} for name, x in params.items()}

    def apply_gradients(self, grads: Any, params: Any) -> Any:
        beta1, beta2 = self.betas
        scalars: Any = {"lr": self.learning_rate, "beta1": beta1, "beta2": beta2}
        moved = {}
        for name, grad in grads.items():
            momentum = self.state[name]["m"]
            moved[name], self.state[name]["m"] = lion_ref.step(
                params[name], momentum, grad, **scalars, weight_decay=self.weight_decay
            )
        return moved


class Wide(StandIn):
    """Its momentum is float32, whatever its parameters are, as DeepSpeed's is."""

    key = "exp_avg"

    def move(self, param: Any, group: Any) -> None:
        state, (beta1, beta2) = self.state[param], group["betas"]
        assert state["step"] == 0
        m, grad = state[self.key], param.grad.float()
        wide = param.float().mul_(1 - group["lr"] * group["weight_decay"])
        u = m.mul(beta1).add_(grad.mul(1 - beta1)).sign_()
        param.copy_(wide.sub_(u.mul_(group["lr"])))
        m.mul_(beta2).add_(grad.mul(1 - beta2))


class InState1(Wide):
    """The same, under bitsandbytes's name."""

    key = "state1"


class OverFirst(StandIn):
    """Its decay is λ·η/η₀, as LLM Foundry's."""

    def move(self, param: Any, group: Any) -> None:
        decay = group["weight_decay"] * group["lr"] / group["initial_lr"]
        super().move(param, {**group, "weight_decay": decay / group["lr"]})


class Adapting(StandIn):
    """Its step is η·d, and its d another after each."""

    def move(self, param: Any, group: Any) -> None:
        assert "s" in self.state[param]
        super().move(param, {**group, "lr": group["lr"] * group["d"]})
        group["d"] *= 2


class Builder:
    """Compiles DeepSpeed's kernel, unless there is no compiler."""

    fails = False

    def load(self, *, verbose: bool) -> None:
        if self.fails:
            raise RuntimeError("c++: command\nnot found")


class OfKeras2(keras.optimizers.Lion):
    """Keras 3's, with the public name that its momenta had in Keras 2."""

    @property
    def momentums(self) -> list[Any]:
        return [x.value for x in self.variables if "momentum" in x.name]


@pytest.mark.usefixtures("stand_ins")
@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - INSTALLED))
def test_each_family_opens_its_doors(name: str) -> None:
    ports = load(family(name))
    for port in ports:
        for triple in port.triples:
            arrays: Any = [np.ones(5).astype(lion_ref.STORAGE_DTYPES[dtype]) for dtype in triple]
            scalars: Any = {"lr": 0.5, "beta1": 0.5, "beta2": 0.5, "weight_decay": 0.25}
            expected = lion_ref.step(*arrays, **scalars)
            for got, wanted in zip(run_once(port, *arrays, **scalars), expected, strict=True):
                assert got.dtype == wanted.dtype
                assert got.tolist() == wanted.tolist()
    assert len({port.door for port in ports}) == len(ports)
    assert all(port.declared is None for port in ports)


@pytest.mark.usefixtures("stand_ins")
def test_a_kernel_that_does_not_compile_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Builder, "fails", True)
    with pytest.raises(NotRunnable, match="kernel was not compiled: c\\+\\+: command not found"):
        load(family("deepspeed"))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_library_that_is_missing_is_not_run_and_says_how_to_get_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = family(name)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda x: None if x == one.needs[-1] else find(x)
    )
    (report,) = judge_backend(one, Options(max_examples=1), queue.Queue())
    assert report.not_run == f"{one.needs[-1]} is not installed; pip install {one.install}"
    with pytest.raises(NotRunnable, match="pip install"):
        load(one)


# --- those that the environment has: optax and Keras -------------------------------------------

OPTAX: Any = {"decay_skipped_at_zero": True, "subnormals": "flush", "zero_sign": "kept"}
KERAS: Any = {
    "decay": "product",
    "decay_scalar": "left-to-right",
    "sign_complement": "compute",
    "momentum_complement": "compute",
    "subnormals": "flush",
}


def door(name: str, wanted: str) -> Port:
    return next(port for port in load(family(name)) if port.door == wanted)


@pytest.mark.parametrize(
    ("name", "wanted", "found"),
    [("optax", "tx.update", OPTAX), ("keras", "apply_gradients, eager", KERAS)],
)
def test_a_library_that_is_installed_has_the_bits_that_the_survey_found(
    name: str, wanted: str, found: dict[str, Any]
) -> None:
    port = door(name, wanted)
    assert has_bits(port, Semantics(**found))
    for choice in found.keys() - {"decay_scalar"}:
        kept = {k: v for k, v in found.items() if k != choice}
        if choice == "decay":
            del kept["decay_scalar"]
        assert not has_bits(port, Semantics(**kept)), choice


BEYOND = {
    ("lion-pytorch", "step(), foreach"),
    ("pytorch_optimizer", "step()"),
    ("pytorch_optimizer", "step(), foreach=False"),
    ("torch-optimi", "step()"),
    ("torch-optimi", "step(), foreach"),
    ("timm", "step()"),
    ("timm", "step(), foreach"),
    ("adv_optm", "step(), stochastic_rounding=False"),
    ("llm-foundry", "step(), given η·λ"),
    ("zetascale", "step(), given η·λ"),
    ("flashoptim", "step(), fused=False"),
    ("dadaptation", "step(), d held at 1"),
    ("deepspeed", "step()"),
    ("optax", "tx.update, jit"),
}
"""What docs/explanation/diagnosis.md says no semantics can explain, and why."""


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_float32_door_that_is_installed_is_explained_or_listed(name: str) -> None:
    try:
        ports = load(family(name))
    except NotRunnable as reason:
        pytest.skip(str(reason))
    for port in ports:
        if "float32" in port.params():
            report = verify(port, dtypes=["float32"], max_examples=10)
            explained = report.semantics is not None
            assert explained == ((port.name, port.door) not in BEYOND), report.sentence
