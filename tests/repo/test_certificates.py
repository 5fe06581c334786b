"""The certificates in docs/ are whole and agree with each other; the page says what they say."""

from __future__ import annotations

from dataclasses import replace

from lion_conformance.exhaustive.question import BLOCKS, DTYPES
from lion_conformance.exhaustive.recheck import rechecked
from lion_conformance.ports.backends import BACKENDS
from lion_conformance.verdict.verdict import Verdict
from lion_ref import CANONICAL, SPEC_VERSION, Semantics
from tests.repo.certificates import PAGE, TABLE, certificates, table

FLUSH = Semantics(subnormals="flush")

COMMITTED = certificates()


def test_each_is_of_every_pair_and_of_this_specification() -> None:
    for path, certificate in COMMITTED.items():
        assert certificate.verdict in (Verdict.BIT_EXACT, Verdict.BIT_EXACT_AS), path
        assert len(certificate.blocks) == BLOCKS, path
        assert certificate.versions["SPEC.md"] == str(SPEC_VERSION), path


def test_doors_of_one_semantics_have_one_hash() -> None:
    found: dict[tuple[str, Semantics], set[str]] = {}
    for certificate in COMMITTED.values():
        question = certificate.question
        found.setdefault((question.dtype, question.semantics), set()).add(certificate.hash)
    assert {key: len(hashes) for key, hashes in found.items()} == dict.fromkeys(found, 1)
    assert found["float16", CANONICAL] == found["float16", FLUSH]
    assert found["bfloat16", CANONICAL] != found["bfloat16", FLUSH]


def test_every_adapter_has_some_in_both_dtypes() -> None:
    found = {(x.port.name, x.question.dtype) for x in COMMITTED.values()}
    assert len(BACKENDS) == 5
    ports = ("lion_torch", "lion_jax", "lion_tf", "lion_array_api", "lion_ref.oracle")
    assert found >= {(port, dtype) for port in ports for dtype in DTYPES}


def test_some_of_their_digests_are_the_references() -> None:
    for dtype in DTYPES:
        for semantics in (CANONICAL, FLUSH):
            certificate = next(
                x
                for x in COMMITTED.values()
                if (x.question.dtype, x.question.semantics) == (dtype, semantics)
            )
            assert all(right for _, right in rechecked(certificate, 1))


def test_the_page_is_what_the_certificates_say() -> None:
    shown = TABLE.search(PAGE.read_text(encoding="utf-8"))
    assert shown is not None
    assert shown[0] == table(COMMITTED), "python -m tests.repo.certificates"
    path, certificate = next(iter(COMMITTED.items()))
    digests = certificate.digests | {(0, 15): bytes(32)}
    assert table(COMMITTED | {path: replace(certificate, digests=digests)}) != shown[0]
