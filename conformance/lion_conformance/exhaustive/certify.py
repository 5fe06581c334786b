"""From a port to its certificate: what is left of a slice is judged, and kept as it is found."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lion_conformance.exhaustive import files
from lion_conformance.exhaustive.certificate import Certificate, Door
from lion_conformance.exhaustive.digests import blocks_of
from lion_conformance.exhaustive.judging import Differing, FaultyTablesError, Found
from lion_conformance.exhaustive.machine import machine
from lion_conformance.exhaustive.merging import check_same, remaining
from lion_conformance.exhaustive.question import PARAMETERS, Question
from lion_conformance.exhaustive.spread import Spread, tasks
from lion_conformance.ports.protocol import Port, Triple
from lion_ref import CANONICAL
from lion_ref.hyperparameters import Hyperparameters

Told = Callable[[Certificate], None]
"""Told of every task that is done: what there is so far."""

KEPT_EVERY: Final = 1.0
"""Seconds between two writings of what is unfinished: what a kill may cost."""


class NotTakenError(ValueError):
    """A door that cannot be asked, though others of its backend may."""


def question_of(port: Port, dtype: str, values: Hyperparameters) -> Question:
    """What a port is asked, in the semantics that it declares; canonical if it declares none.

    Raises:
        NotTakenError: the door is closed here, or does not take the dtype.
        ValueError: a dtype or an η that cannot be asked about.
    """
    door = f"{port.name}, {port.door},"
    if port.unavailable:
        raise NotTakenError(f"{door} cannot be judged here: {port.unavailable}")
    if (dtype, dtype, dtype) not in port.triples:
        legal = ", ".join(dict.fromkeys(_of_one(triple) for triple in port.triples))
        raise NotTakenError(f"{door} does not take {dtype} for θ, m and g; it takes {legal}")
    return Question(dtype, values, port.declared or CANONICAL)


def _of_one(triple: Triple) -> str:
    """
    >>> _of_one(("float16",) * 3), _of_one(("float16", "float32", "float16"))
    ('float16', 'float16/float32/float16')
    """
    return triple[0] if len(set(triple)) == 1 else "/".join(triple)


def certify(
    port: Port,
    question: Question,
    blocks: range,
    spread: Spread,
    *,
    unfinished: Path | None = None,
    told: Told | None = None,
) -> Certificate:
    """Judge blocks, and every θ, of a port.

    Args:
        port: the port; it is judged wherever `spread` opens it.
        question: the dtype, the scalars, the semantics.
        blocks: of pairs (m, g).
        spread: where tasks are judged.
        unfinished: a file that what is found is kept in until the end. What is there already, of a
            run that was ended, is not judged again.
        told: called with every task that is done.

    Raises:
        PortError: the port raised, or returned what is no result.
        FaultyTablesError: the reference is not `lion_ref.step`; nothing is kept then.
        ValueError: what is in the file is of another run, or blocks were judged elsewhere by other
            versions.
    """
    certificate = _begun(port, question)
    wanted = tasks(blocks)
    if unfinished is not None and unfinished.exists():
        certificate, left = _gone_on_with(certificate, blocks, unfinished)
        wanted = tasks(left)
    if not certificate.digests:
        wanted.insert(0, (PARAMETERS,))
    before, begin, kept = certificate.seconds, time.monotonic(), time.monotonic()
    try:
        for found in spread(question, wanted):
            _check_versions(certificate, found)
            certificate = replace(
                certificate.and_judged(found.blocks, found.machine),
                seconds=before + time.monotonic() - begin,
                date=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            if told is not None:
                told(certificate)
            if time.monotonic() - kept > KEPT_EVERY:
                _keep(certificate, unfinished)
                kept = time.monotonic()
    except FaultyTablesError:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)
        raise
    except BaseException:  # an interrupt, too: what was judged is kept
        _keep(certificate, unfinished)
        raise
    return certificate


def _begun(port: Port, question: Question) -> Certificate:
    """One that says nothing yet."""
    return Certificate(
        port=Door(port.name, port.door, port.device),
        question=question,
        versions=dict(machine().versions),
        machines=(),
        digests={},
        differing=Differing(),
        examples=(),
        seconds=0.0,
        date="",
    )


def _gone_on_with(
    asked: Certificate, blocks: range, unfinished: Path
) -> tuple[Certificate, list[int]]:
    """What was kept of a run that was ended, and the blocks that it has not judged."""
    kept = files.load(unfinished)
    try:
        check_same("what is asked for", asked, "it", kept)
        return kept, remaining(kept, blocks)
    except ValueError as error:
        raise ValueError(
            f"{unfinished} cannot be gone on with: {error}; legal: the same arguments, or another "
            "--out"
        ) from error


def _check_versions(certificate: Certificate, found: Found) -> None:
    """ValueError where a block was judged by other versions than the ones before it."""
    for name, version in found.machine.versions:
        known = certificate.versions.get(name, version)
        if version != known:
            raise ValueError(
                f"a worker has {name} {version}, but {known} judged before; legal: the same "
                "versions everywhere"
            )


def _keep(certificate: Certificate, unfinished: Path | None) -> None:
    if unfinished is not None and PARAMETERS in blocks_of(certificate.digests):
        files.save(certificate, unfinished)
