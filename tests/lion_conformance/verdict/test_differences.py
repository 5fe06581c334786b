"""The picture of the differences: its points are what they say, and it is drawn in words too."""

from __future__ import annotations

from functools import partial
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import lion_ref
from lion_conformance import from_callable, verify
from lion_conformance.cases.case import Case
from lion_conformance.report import as_html
from lion_conformance.report.plot import svg
from lion_conformance.verdict.differences import Difference, sample
from lion_ref import Semantics
from lion_ref.acceptance import judge

pytestmark = pytest.mark.clause("C28")


def one(param: float, momentum: float, grad: float, new_param: np.float32) -> list[Difference]:
    theta, m, g = (np.array([x], np.float32) for x in (param, momentum, grad))
    case = Case(theta, m, g, lr=0.5, beta1=0.9, beta2=0.99, weight_decay=0.0)
    new_momentum = lion_ref.step(theta, m, g, lr=0.5)[1]
    got = np.array([new_param])
    return sample(case, got, judge(theta, m, g, got, new_momentum, lr=0.5).param)


def test_an_element_that_is_the_same_is_no_point() -> None:
    assert one(1.0, 0.3, 0.2, np.float32(0.5)) == []


def test_ulps_are_counted_across_zero_and_binades() -> None:
    below = np.nextafter(np.float32(0.5), np.float32(0))
    assert one(1.0, 0.3, 0.2, below)[0].ulps == 1
    assert one(0.5, 0.3, 0.2, np.float32(-1e-45))[0].ulps == 1


def test_a_sign_is_ambiguous_inside_the_band_and_outside_the_set_beyond() -> None:
    inside = one(1.0, 1.0000001, -9.000001, np.float32(1.5))[0]
    assert (inside.reason, inside.relative_c <= 1) == ("sign-ambiguous", True)
    beyond = one(1.0, 1.0, 1.0, np.float32(1.5))[0]
    assert (beyond.reason, beyond.relative_c > 1e5) == ("outside", True)


def test_the_picture_is_well_formed_and_counts_in_words() -> None:
    drawn = svg([Difference(0.5, 10, "sign-ambiguous"), Difference(1e4, 1, "rounding")], "a <port>")
    figure = ET.fromstring(drawn)
    assert figure.find("svg").get("aria-label") == (  # type: ignore[union-attr]
        "a <port>: how far θ' differs, in ulps, against |c| over its bound: "
        "1 rounding, 1 sign-ambiguous"
    )
    assert svg([], "nothing") == ""


def test_the_page_shows_it_for_a_port_that_differs_alone() -> None:
    fused = partial(lion_ref.step, semantics=Semantics(sign_fused="momentum"))
    ports = [from_callable(step, name="port") for step in (lion_ref.step, fused)]
    pages = [
        as_html.render([verify(port, dtypes=["float32"], max_examples=1, explain=False)])
        for port in ports
    ]
    assert [">sign ambiguous</text>" in page for page in pages] == [False, True]
