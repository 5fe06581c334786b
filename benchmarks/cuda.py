"""What a step is on a GPU: its time, its replay from a CUDA graph, and the kernels it launches."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.results import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def seconds_on_gpu(task: Callable[[], Any]) -> float:
    """How long a call takes, the work that it leaves to the GPU included."""
    torch.cuda.synchronize()

    def finished() -> None:
        task()
        torch.cuda.synchronize()

    return seconds(finished)


def replay(step: Callable[[], Any], pool: Any) -> Callable[[], None]:
    """A step captured in a CUDA graph, as the call that replays it.

    Raises:
        Exception: whatever a step raises that cannot be captured: one that waits for a value, say.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):  # states are made in the first, kernels compiled
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # The outer context: a capture that fails leaves its own stream the current one.
    with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph, pool=pool):
        step()
    return graph.replay


def replays(
    steps: Mapping[str, Callable[[], Any]],
) -> tuple[dict[str, Callable[[], None]], dict[str, str]]:
    """The steps that can be captured, as replays, and why the others cannot.

    The graphs share one pool, as they run one at a time and free what they allocate: with pools of
    their own, the temporaries of all of them would be held at once.
    """
    pool = torch.cuda.graph_pool_handle()
    captured, refused = {}, {}
    for name, step in steps.items():
        try:
            captured[name] = replay(step, pool)
        except Exception as error:  # noqa: BLE001 - others' optimizers may raise anything
            refused[name] = (str(error) or type(error).__name__).splitlines()[0]
            pool = torch.cuda.graph_pool_handle()  # the other may still be recorded to
    return captured, refused


def kernels(step: Callable[[], Any]) -> list[str]:
    """The names of the kernels that a step launches."""
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        step()
        torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.json")
        profile.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    # Beside kernels there are copies, and the step itself as an annotation.
    return [event["name"] for event in events if event.get("cat") == "kernel"]
