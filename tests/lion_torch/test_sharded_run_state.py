"""A run state is one file, whatever the number of processes that write or read it (SPEC C34)."""

from __future__ import annotations

import pytest
import torch

from tests.lion_torch.worlds import found_by

pytestmark = [
    pytest.mark.skipif(
        not torch.distributed.is_available(), reason="this build of torch has no distribution"
    ),
    pytest.mark.clause("C34", "C12"),
]
KINDS = ("float32", "fused", "bfloat16")
# Which processes do something with which run: 1 → 2, 2 → 3, 2 → 4, 2 → 1, 4 → 1, with FSDP.
RUNS = [
    ("1", "writes"),
    ("2", "one"),
    ("2", "writes"),
    ("3", "two"),
    ("4", "two"),
    ("4", "writes"),
    ("1 again", "two"),
    ("1 again", "four"),
]
MESHES = [
    "columns, then rows",
    "rows twice",
    "replicas of rows",
    "rows of replicas",
    "replicas",
    "a mesh of some",
    "fsdp of tensor parallel",
]

Found = dict[str, list[dict[str, list[str]]]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What each process of each world found."""
    folder = tmp_path_factory.mktemp("sharded")
    files = {
        world: [f"results {world} {rank}.json" for rank in range(int(world[0]))]
        for world in ("1", "2", "3", "4", "1 again")
    }
    return found_by("tests.lion_torch.sharded_run_state", folder, files)


def all_find_nothing(found: Found, world: str, what: str) -> bool:
    return [results[what] for results in found[world]] == [[]] * int(world[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("world", "run"), RUNS)
def test_another_number_of_processes_goes_on_with_the_reference_bits(
    found: Found, world: str, run: str, kind: str
) -> None:
    assert all_find_nothing(found, world, f"{run} {kind}")


@pytest.mark.parametrize("how", MESHES)
def test_every_shard_of_other_meshes_is_its_part(found: Found, how: str) -> None:
    assert all_find_nothing(found, "4", how)


def test_shards_that_cannot_be_placed_are_refused(found: Found) -> None:
    assert all_find_nothing(found, "4", "refused placements")
    assert all_find_nothing(found, "2", "flat parameters")


@pytest.mark.parametrize("rank", range(2))
def test_an_error_in_one_process_is_an_error_in_all_and_changes_nothing(
    found: Found, rank: int
) -> None:
    assert all_find_nothing(found, "2", f"an error in {rank}")


def test_processes_that_write_different_runs_are_refused(found: Found) -> None:
    assert all_find_nothing(found, "2", "other calls")


def test_a_shard_that_is_put_elsewhere_is_found(found: Found) -> None:
    assert not any("a check that can fail" in results for results in found["3"])
