"""What goes wrong between steps: which event, and what the port does there instead."""

from __future__ import annotations

from lion_conformance.diagnosis.alternatives.alternative import Alternative
from lion_conformance.diagnosis.alternatives.hidden import stale
from lion_conformance.diagnosis.alternatives.schedules import warm_ups
from lion_conformance.diagnosis.cause_of_contract import cause_of_contract
from lion_conformance.diagnosis.run_ablation import without_which, wrong_steps
from lion_conformance.diagnosis.run_inquiry import Inquiry
from lion_conformance.diagnosis.single_step import semantics_of_a_step
from lion_conformance.ports.protocol import Port, PortError
from lion_conformance.runs.script import TENSORS, Script
from lion_conformance.runs.trajectory import Trajectory
from lion_conformance.verdict.cause import Cause, Kind
from lion_conformance.verdict.failure import Failure, RunFailure
from lion_conformance.verdict.sentences import shortened
from lion_ref import CANONICAL

FEW = 5
"""Steps that tell whether the first alone is wrong."""


def cause_of_run(port: Port, dtype: str, failure: RunFailure[Trajectory]) -> Cause | None:
    """The cause of a run that is rejected, confirmed on fresh runs; None if it has no name."""
    run, error = failure.run, failure.last.error
    if error is not None and "read() returned" not in str(error):
        return cause_of_contract(failure)
    param, momentum = run.start.tensors[0]
    triple = (param.dtype.name, momentum.dtype.name, param.dtype.name)
    if triple not in port.triples:
        triple = next(x for x in port.triples if x[0] == dtype)
    try:
        semantics = semantics_of_a_step(port, triple)
    except PortError:
        return cause_of_contract(failure)
    inquiry = Inquiry(port, semantics or CANONICAL, run)
    found = inquiry.answer()
    if found is not None:
        return _cause(found)
    if error is not None:
        return cause_of_contract(failure)
    return without_which(inquiry) if semantics is not None else None


def cause_of_first_step(port: Port, failure: Failure) -> Cause | None:
    """The cause of a step that is wrong as the first of a session alone, or as it is shown."""
    if failure.case.triple not in port.triples:
        return None
    script = Script(30, [failure.case.triple], TENSORS[:1])
    for _ in range(FEW):
        script.step()
    inquiry = Inquiry(port, port.declared or CANONICAL, script.written())
    try:
        if inquiry.failed.at != 0:
            return None
        if wrong_steps(inquiry.failed, inquiry.reference) == [1]:
            found = inquiry.answer()
        else:
            found = next(filter(inquiry.confirms, (*stale(), *warm_ups())), None)
    except PortError:
        return None
    return None if found is None else _cause(found)


def _cause(found: Alternative) -> Cause:
    seen = "the failing run and fresh ones have the bits of a reference of which this is said"
    return Cause(Kind.RUN, found.code, shortened(found.sentence), found.clause, evidence=(seen,))
