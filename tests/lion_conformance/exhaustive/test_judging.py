"""What is wrong in one pair of 2**32 is found, and what is right comes to one hash."""

from __future__ import annotations

from pathlib import Path

import pytest

from lion_conformance.exhaustive import files
from lion_conformance.exhaustive.certificate import Certificate
from lion_conformance.exhaustive.judging import Differing
from lion_conformance.verify import verify
from tests.lion_conformance.exhaustive.commands import PORTS, SLICE, run
from tests.lion_conformance.exhaustive.ports import tail_left_out

pytestmark = [pytest.mark.clause("C5", "C9", "C11")]

ONE_PAIR = Differing(pairs=1)


def certificate(port: str, folder: Path, *more: object, dtype: str = "bfloat16") -> Certificate:
    out = folder / f"{port}.json"
    name = f"{PORTS}:{port}" if ":" not in port else port
    words = ("--dtype", dtype, "--slice", SLICE, "--jobs", 1, "--out", out)
    status = run("exhaustive", name, *words, *more)
    found = files.load(out)
    assert status == found.differing.any()
    return found


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate("lion_ref:step", tmp_path_factory.mktemp("right"))


def test_the_reference_is_bit_exact(right: Certificate, tmp_path: Path) -> None:
    assert not right.differing.any()
    noisy = certificate("noisy_nans", tmp_path)
    assert (noisy.hash, noisy.digests) == (right.hash, right.digests)


@pytest.mark.parametrize(
    ("port", "at", "words"),
    [
        (
            "one_momentum",
            (0x8000, 0x3001, 0xB123),
            "m' = 0x2ff3 (4.42014e-10) instead of 0x2ff2 (4.40195e-10)",
        ),
        ("one_sign", (0x8000, 0x3001, 0xB123), "θ' = 0x3c24 (0.0100098) instead of 0xbc24"),
    ],
)
def test_one_pair_of_all_is_found(
    port: str,
    at: tuple[int, int, int],
    words: str,
    right: Certificate,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = certificate(port, tmp_path)
    assert found.differing == ONE_PAIR
    (example,) = found.examples
    assert example.given == at
    assert found.hash != right.hash
    said = capsys.readouterr().out
    assert said.startswith(f"rejected: {PORTS}.{port}, step(...), cpu, bfloat16\n")
    assert "    1 of 1048576 pairs (m, g) differ\n" in said
    assert "    at θ = 0x8000 (-0), m = 0x3001 (" in said
    assert words in said


def test_one_parameter_is_found_beside_every_sign(tmp_path: Path) -> None:
    found = certificate("one_parameter", tmp_path).differing
    assert (found.pairs, found.parameters) == (0, 3)  # NaN beside u = NaN either way


def test_a_tail_is_not_seen_as_the_page_says(tmp_path: Path) -> None:
    """docs/reference/exhaustive.md sends its reader to `verify` for other sizes."""
    assert not certificate("tail_left_out", tmp_path).differing.any()
    assert verify(tail_left_out, dtypes=["bfloat16"], max_examples=20).fell_short


@pytest.mark.parametrize("port", ["no_split", "coupled"])
def test_an_update_that_does_not_split_is_found_by_the_triples(port: str, tmp_path: Path) -> None:
    found = certificate(port, tmp_path).differing
    assert found.pairs == 0
    assert found.triples > 0


@pytest.mark.parametrize(
    "port", ["ties_away", "flushes", "nan_is_zero", "fused", "zero_keeps_its_sign"]
)
def test_what_is_otherwise_somewhere_is_rejected(port: str, tmp_path: Path) -> None:
    first = ("--slice", "1/4096") if port == "zero_keeps_its_sign" else ()  # where m = -0 is
    found = certificate(port, tmp_path, *first)
    assert found.differing.any()
    assert 1 <= len(found.examples) <= 8


def test_in_float16_nothing_is_small_enough_to_be_flushed(tmp_path: Path) -> None:
    found = [certificate(x, tmp_path, dtype="float16") for x in ("lion_ref:step", "flushes")]
    assert len({x.hash for x in found}) == 1
    assert not any(x.differing.any() for x in found)


def test_what_flushes_is_bit_exact_as_that_where_it_is_declared(
    right: Certificate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--dtype", "bfloat16", "--slice", SLICE, "--jobs", 1)
    assert run("exhaustive", f"{PORTS}:declared", *words, "--out", tmp_path / "x.json") == 0
    assert capsys.readouterr().out.startswith("bit-exact as subnormals flushed: ")
    assert files.load(tmp_path / "x.json").hash != right.hash
