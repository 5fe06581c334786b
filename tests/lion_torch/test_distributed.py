"""Sharded, resharded and unsharded runs end in the same bits (SPEC C12)."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.lion_torch.worlds import found_by

pytestmark = [
    pytest.mark.skipif(
        not torch.distributed.is_available(), reason="this build of torch has no distribution"
    ),
    pytest.mark.clause("C12"),
]
WORLDS = (2, 4)
KINDS = ("float32", "fused", "bfloat16", "flush")
WAYS = ("ddp", "fsdp", "zero", "checkpoint")
HANDED = ("sharded", "offloaded", "full", "broadcast", "flat")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """What each process found; two save a checkpoint that four continue."""
    folder = tmp_path_factory.mktemp("distributed")
    files = {world: [f"results{world}-{rank}.json" for rank in range(world)] for world in WORLDS}
    return found_by("tests.lion_torch.distributed", folder, files)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("world", WORLDS)
def test_every_shard_has_the_reference_bits(
    found: dict[int, list[dict[str, Any]]], world: int, way: str, kind: str
) -> None:
    assert [results[f"{way} {kind}"] for results in found[world]] == [[]] * world


@pytest.mark.clause("C30")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", HANDED)
@pytest.mark.parametrize("world", WORLDS)
def test_a_state_that_torch_hands_on_continues(
    found: dict[int, list[dict[str, Any]]], world: int, way: str, kind: str
) -> None:
    assert [results[f"{way} {kind}"] for results in found[world]] == [[]] * world


def test_the_comparison_can_fail(found: dict[int, list[dict[str, Any]]]) -> None:
    assert not any("a check that can fail" in x for results in found.values() for x in results)
