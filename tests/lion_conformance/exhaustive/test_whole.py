"""Every pair, all 2**32: the reference comes to the hash of the certificates that are committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lion_conformance.exhaustive import files
from lion_conformance.exhaustive.question import BLOCKS, DTYPES
from lion_ref import CANONICAL
from tests.lion_conformance.exhaustive.commands import run
from tests.repo.certificates import certificates


@pytest.mark.slow
@pytest.mark.clause("C5", "C6", "C9", "C11")
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_pairs_come_to_the_committed_hash(dtype: str, tmp_path: Path) -> None:
    out = tmp_path / "lion.json"
    assert run("exhaustive", "lion_ref:step", "--dtype", dtype, "--jobs", 2, "--out", out) == 0
    found = files.load(out)
    assert len(found.blocks) == BLOCKS
    committed = {
        x.hash
        for x in certificates().values()
        if (x.question.dtype, x.question.semantics) == (dtype, CANONICAL)
    }
    assert committed == {found.hash}
