"""Whether the digests of a certificate are the reference's: what a seal alone cannot say.

Whoever edits a certificate can seal it again. The bits of a whole group, which anybody can compute,
they cannot invent.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

from lion_conformance.exhaustive.certificate import Certificate
from lion_conformance.exhaustive.digests import Span, in_words
from lion_conformance.exhaustive.judging import digest, hold, reference_of
from lion_conformance.exhaustive.question import PARAMETERS
from lion_conformance.verdict.verdict import Verdict


def rechecked(certificate: Certificate, count: int) -> Iterator[tuple[Span, bool]]:
    """Some digests drawn at random, that of every θ among them, and whether they are lion_ref's.

    Raises:
        ValueError: the certificate is of a port that was rejected, whose bits nobody else has.
    """
    if certificate.verdict is Verdict.REJECTED:
        raise ValueError(
            "the certificate says rejected: its digests are of the port's own bits, and cannot be "
            "computed without it; legal: --recheck of a certificate that is bit-exact"
        )
    parameters = (PARAMETERS, PARAMETERS)
    others = [span for span in certificate.digests if span != parameters]
    for span in (parameters, *random.sample(others, min(count, len(others)))):
        yield span, _expected(certificate, span) == certificate.digests[span]


def _expected(certificate: Certificate, span: Span) -> bytes:
    reference = reference_of(certificate.question)
    first, last = span
    hold(reference, first)
    found = [digest(*reference.block(block)) for block in range(first, last + 1)]
    return found[0] if first == last else hashlib.sha256(b"".join(found)).digest()


def in_short(found: list[tuple[Span, bool]]) -> str:
    """What came of it, in one line.

    >>> in_short([((4096, 4096), True), ((0, 15), False)])
    'blocks 0-15: the digest is not that of lion_ref; the certificate is false'
    """
    wrong = [span for span, right in found if not right]
    if wrong:
        digests = "the digest is" if len(wrong) == 1 else "the digests are"
        return f"{in_words(wrong)}: {digests} not that of lion_ref; the certificate is false"
    return f"computed again, and the same: {in_words([span for span, _ in found])}"
