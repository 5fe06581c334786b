"""The certificates in docs/ are whole and agree with each other; the page says what they say."""

from __future__ import annotations

from dataclasses import replace

from lion_conformance.exhaustive.question import BLOCKS
from lion_conformance.exhaustive.recheck import rechecked
from lion_conformance.verdict.verdict import Verdict
from lion_ref import SPEC_VERSION, Semantics
from tests.repo.certificates import PAGE, TABLE, certificates, table

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


def test_some_of_their_digests_are_the_references() -> None:
    of_each = {(x.question.dtype, x.question.semantics): x for x in COMMITTED.values()}
    for certificate in of_each.values():
        assert all(right for _, right in rechecked(certificate, 1))


def test_the_page_is_what_the_certificates_say() -> None:
    shown = TABLE.search(PAGE.read_text(encoding="utf-8"))
    assert shown is not None
    assert shown[0] == table(COMMITTED), "python -m tests.repo.certificates"
    path, certificate = next(iter(COMMITTED.items()))
    digests = certificate.digests | {(0, 15): bytes(32)}
    assert table(COMMITTED | {path: replace(certificate, digests=digests)}) != shown[0]
