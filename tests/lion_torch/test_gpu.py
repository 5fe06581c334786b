"""The same bits on a GPU; what needs one to be seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lion_ref.run_state import load
from lion_torch import Lion, declared_semantics, export_state, import_state
from tests.lion_torch.support import FIXED_CASES, Case, compare_with_reference, large, to_numpy
from tests.lion_torch.tiny import TINY_CASES

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
PATHS: list[dict[str, Any]] = [{}, {"fused": True}, {"foreach": True}, {"foreach": False}]


@pytest.mark.clause("C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11")
@pytest.mark.parametrize("path", PATHS)
def test_every_path_has_the_reference_bits(path: dict[str, Any]) -> None:
    def make(params: Any, **options: Any) -> Lion:
        return Lion(params, **options, **path)

    for case in FIXED_CASES:
        assert compare_with_reference(make, case, device="cuda") == []


@pytest.mark.clause("C18", "C33")
@pytest.mark.parametrize("path", PATHS)
def test_every_path_flushes_as_the_reference_does(path: dict[str, Any]) -> None:
    def make(params: Any, **options: Any) -> Lion:
        return Lion(params, **options, **path, subnormals="flush")

    def capturable(params: Any, **options: Any) -> Lion:
        for name in ("lr", "weight_decay"):
            options[name] = torch.tensor(options[name], dtype=torch.float64, device="cuda")
        return make(params, **options, capturable=True)

    for case in TINY_CASES:
        for maker in (make, capturable):
            found = compare_with_reference(
                maker, case, device="cuda", semantics=declared_semantics("flush")
            )
            assert found == []


@pytest.mark.clause("C12")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_blocks_tails_and_many_small_tensors(dtype: str) -> None:
    case = large(Case((dtype, dtype, dtype), ()))
    assert compare_with_reference(Lion, case, device="cuda") == []


def test_a_thousand_tensors_are_one_launch() -> None:
    params = [torch.nn.Parameter(torch.randn(100 + i, device="cuda")) for i in range(1000)]
    for param in params:
        param.grad = torch.randn_like(param)
    optimizer = Lion(params, fused=True)
    optimizer.step()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        optimizer.step()
        torch.cuda.synchronize()
    kernels = [x for x in profile.events() if str(x.device_type).endswith("CUDA")]
    assert sum("lion_kernel" in x.name for x in kernels) == 1


@pytest.mark.parametrize("path", PATHS)
def test_a_gpu_may_be_the_default_device(path: dict[str, Any]) -> None:
    with torch.device("cuda"):
        params = [torch.nn.Parameter(torch.ones(n)) for n in (5, 5000)]
        for param in params:
            param.grad = torch.ones_like(param)
        Lion(params, lr=0.5, **path).step()
    assert all((param == 0.5).all() for param in params)


@pytest.mark.parametrize("path", [{"fused": True}, {"foreach": True}])
def test_a_graph_replays_the_step_with_new_rates(path: dict[str, Any]) -> None:
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(n, device="cuda")) for n in (5, 5000)]
    alone = [torch.nn.Parameter(p.detach().clone()) for p in params]
    lr = torch.tensor(0.1, device="cuda")
    optimizer = Lion(params, lr=lr, weight_decay=0.1, capturable=True, **path)
    plain = Lion(alone, weight_decay=0.1)
    for param, other in zip(params, alone, strict=True):
        param.grad = torch.randn_like(param)
        other.grad = param.grad.clone()

    def plain_step(rate: float) -> None:
        plain.param_groups[0]["lr"] = rate
        plain.step()

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        optimizer.step()
    torch.cuda.current_stream().wait_stream(stream)
    plain_step(lr.item())
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        optimizer.step()
    for rate in (0.05, 0.025):
        lr.fill_(rate)
        graph.replay()
        plain_step(lr.item())
        for param, other in zip(params, alone, strict=True):
            assert to_numpy(param).tobytes() == to_numpy(other).tobytes()


@pytest.mark.clause("C14")
def test_a_fused_step_with_infinite_gradients_is_skipped() -> None:
    param = torch.nn.Parameter(torch.ones(3, device="cuda"))
    optimizer = Lion([param], lr=0.5, fused=True)
    scaler = torch.amp.GradScaler("cuda", init_scale=1024.0)
    scaler.scale(torch.zeros((), device="cuda"))  # sets the scale up
    for bad, expected in ((torch.inf, 1.0), (1.0, 0.5)):
        param.grad = torch.full((3,), bad * 512.0, device="cuda")
        scaler.step(optimizer)
        scaler.update()
        assert param.tolist() == [expected] * 3


@pytest.mark.clause("C34")
def test_a_run_goes_to_a_file_and_on_from_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    params = {
        "whole": torch.nn.Parameter(torch.randn(5, 7, device="cuda", dtype=torch.bfloat16)),
        "strided": torch.nn.Parameter(torch.randn(6, 4, device="cuda").bfloat16()[:, ::2]),
        "scalar": torch.nn.Parameter(torch.randn((), device="cuda").bfloat16()),
    }
    lr = torch.tensor(0.25, device="cuda")
    optimizer = Lion(params.values(), lr=lr, momentum_dtype="float32", capturable=True)
    for param in params.values():
        param.grad = torch.randn_like(param)
    optimizer.step()
    export_state(optimizer, tmp_path / "run", model=params.items(), step=1)
    before = {
        name: [to_numpy(x).tobytes() for x in (param, optimizer.state[param]["exp_avg"])]
        for name, param in params.items()
    }
    state = load(tmp_path / "run")
    assert {name: [x.tobytes() for x in pair] for name, pair in state.tensors.items()} == before
    optimizer.step()
    lr.fill_(0.5)
    places = [param.data_ptr() for param in params.values()]
    import_state(optimizer, tmp_path / "run", model=params.items())
    assert [param.data_ptr() for param in params.values()] == places
    assert optimizer.param_groups[0]["lr"] is lr
    assert lr.item() == 0.25
    for name, param in params.items():
        both = (param, optimizer.state[param]["exp_avg"])
        assert [to_numpy(x).tobytes() for x in both] == before[name]
