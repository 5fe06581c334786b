"""The Lions of other projects: the command that judges them, and its page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lion_conformance.cli import main
from lion_conformance.ports.published.known import MISTAKES, NOT_JUDGED, NOTES
from lion_conformance.report import as_survey
from lion_conformance.report.findings import DtypeResult
from lion_conformance.report.report import Report
from lion_conformance.verdict.cause import Cause, Kind
from lion_conformance.verdict.code import Code
from lion_conformance.verdict.sentences import sentence
from lion_conformance.verdict.verdict import Verdict
from lion_ref import Semantics

pytestmark = pytest.mark.clause("C16")


CANONICAL_LION = """
import torch

class Lion32bit(torch.optim.Optimizer):
    def __init__(self, params, lr, betas):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self):
        (group,) = self.param_groups
        beta1, beta2 = group["betas"]
        for param in group["params"]:
            m = self.state[param]["state1"]
            c = m.mul(beta1).add_(param.grad.mul(1 - beta1))
            u = torch.where(c.isnan(), c, c.sign())
            param.sub_(u.add_(param.mul(group["weight_decay"])).mul_(group["lr"]))
            m.mul_(beta2).add_(param.grad.mul(1 - beta2))
"""


def test_the_command_judges_what_it_is_told_and_exits_with_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    library = tmp_path / "bitsandbytes"
    library.mkdir()
    (library / "__init__.py").write_text("from bitsandbytes import optim", encoding="utf-8")
    (library / "optim.py").write_text(CANONICAL_LION, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)  # processes that are spawned take it over
    page, document = tmp_path / "ports.md", tmp_path / "ports.json"
    asked = ["ports", "--name", "bitsandbytes", "--dtype", "float32", "--max-examples", "1"]
    assert main([*asked, "--markdown", str(page), "--json", str(document)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "| bitsandbytes | step(), 32 bits | – | – | ✓ | – |" in text
    assert "- step(), 32 bits, float32: ✓ equals the reference.\n" in text
    assert "- It gives the reference's bits.\n" in text
    assert "torch " in text.partition("## Made with")[2]
    (judged,) = json.loads(document.read_text())["reports"]
    assert (judged["port"], judged["real_gradients"]["verdict"]) == ("bitsandbytes", "bit-exact")
    assert "bitsandbytes step(), 32 bits, float32: bit-exact" in capsys.readouterr().err


def test_a_family_that_there_is_none_of_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ports", "--name", "lion"]) == 2
    assert "name='lion' is not legal; legal: lion-pytorch, " in capsys.readouterr().err


def test_a_survey_of_nothing_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ports", "--name", "optax", "--device", "cuda", "--max-examples", "1"]) == 2
    assert "optax has no device 'cuda'; legal: cpu" in capsys.readouterr().out


def reported(
    name: str,
    verdict: Verdict,
    semantics: Semantics | None,
    text: str,
    ordinarily: Semantics | None = None,
) -> Report:
    result = DtypeResult(
        dtype="float32",
        verdict=verdict,
        as_promised=True,
        cases=1,
        elements=1,
        port_seconds=0.1,
        judge_seconds=0.1,
        semantics=semantics,
        ordinarily=ordinarily,
        sentence=text,
    )
    return Report(name, "step()", "cpu", None, (result,), 0, 25, {"python": "3.11"})


def test_the_page_says_what_became_of_each() -> None:
    explained, another = Semantics(nan_sign="zero"), Semantics(decay="unscaled")
    reports = [
        reported("a", Verdict.BIT_EXACT, None, ""),
        reported("b", Verdict.BIT_EXACT_AS, explained, sentence(explained)),
        reported("c", Verdict.REJECTED, another, sentence(another)),
        reported("d", Verdict.ACCEPTED, None, "no semantics; they part at c"),
        reported("e", Verdict.REJECTED, None, "no semantics; they part at m'"),
        reported("g", Verdict.ACCEPTED, None, "no semantics", ordinarily=explained),
        Report("f", "–", "cpu", None, (), 0, 25, {}, not_run="f is not installed; pip install f"),
    ]
    text = as_survey.render(reports)
    for port, mark in zip("abcdeg", ("✓", "≈", "✗", "≈?", "✗?", "≈\\*"), strict=True):
        assert f"| {port} | step() | – | – | {mark} | – |" in text
    assert "\n- step(), float32: ≈ equals the reference in which sign(NaN) = 0.\n" in text
    assert "\n- Another algorithm, by what is rounded or how θ decays: `step()` in float32." in text
    assert "- step(), float32: ≈? no semantics; they part at c." in text
    assert "| f | – | – | –: f is not installed; pip install f |" in text
    assert "- In float32 4 of 6 are Lion up to rounding; not c, e.\n" in text
    assert "- In bfloat16 0 of 0 are Lion up to rounding.\n" in text
    assert "25 random cases a dtype beside the fixed ones, seed 0" in text


def test_what_is_wrong_comes_first_with_the_page_that_shows_it() -> None:
    mistake, note = MISTAKES[0], NOTES["deepspeed"]
    assert "deepspeed" in mistake.families
    report = replace(
        reported("deepspeed", Verdict.REJECTED, None, "no semantics"), versions={"deepspeed": "1.2"}
    )
    text = as_survey.render([report])
    link = f"[{mistake.sentence}](reproductions/{mistake.page}.md)"
    assert f"| [deepspeed](#deepspeed) 1.2 | ✗? | – | – | – | **wrong:** {link}, [" in text
    assert f"; {note}." in text
    assert f"| deepspeed | {mistake.sentence} | [deepspeed](reproductions/deepspeed.md) |" in text
    others = {x.page for x in MISTAKES} - {mistake.page}
    assert not any(f"reproductions/{page}.md" in text for page in others)


def test_a_cause_is_told_where_no_mistake_is_known() -> None:
    report = reported("a", Verdict.REJECTED, None, "no semantics")
    cause = Cause(Kind.MISTAKE, Code.BETAS_SWAPPED, "β1 and β2 are swapped", "C5")
    report = replace(report, results=(replace(report.results[0], cause=cause),))
    text = as_survey.render([report])
    told = "[β1 and β2 are swapped (SPEC C5)](reference/causes/betas-swapped.md)"
    assert f"| ✗? | – | – | – | in float32 {told}. |" in text
    assert f"\n- `step()`: in float32 {told}.\n" in text


def test_what_is_not_judged_is_listed_with_the_reason() -> None:
    text = as_survey.render([reported("a", Verdict.BIT_EXACT, None, "")])
    listed = text.partition("## Not judged")[2].partition("## Doors")[0]
    assert listed.count("\n| ") == 1 + len(NOT_JUDGED)
    assert "| [a](#a) | ✓ | – | – | – | nothing. |" in text


def test_a_form_is_told_by_its_parts() -> None:
    text = as_survey.render([reported("b", Verdict.BIT_EXACT_AS, Semantics(), "")])
    plain = "| β1·m + (1-β1)·g | β2·m + (1-β2)·g | θ - η·(u + λ·θ) | NaN | kept | 0 | – | nothing |"
    assert f"| b | step() {plain}" in text
    other = Semantics(sign_fused="gradient", decay="unscaled", nan_sign="zero", zero_sign="kept")
    text = as_survey.render([reported("b", Verdict.REJECTED, other, "")])
    assert "| fma(1-β1, g, β1·m) | β2·m + (1-β2)·g | (θ - λ·θ) - η·u | 0 | kept | -0 |" in text


def test_a_move_is_the_same_bits_or_roundings_or_another_algorithm() -> None:
    rounding = Semantics(nan_sign="zero")
    reports = [
        reported("a", Verdict.BIT_EXACT, None, ""),
        reported("b", Verdict.BIT_EXACT_AS, rounding, ""),
        reported("c", Verdict.ACCEPTED, None, "", ordinarily=rounding),
        reported("d", Verdict.REJECTED, Semantics(decay="unscaled"), ""),
        reported("e", Verdict.REJECTED, Semantics(decay="coupled"), ""),
        reported("f", Verdict.REJECTED, None, ""),
    ]
    text = as_survey.render(reports).partition("### In float32")[2]
    assert "| a | · | ≈ | ≈\\* | ✗ | ✗ | ? |" in text
    assert "| b | ≈ | · | =\\* | ✗ | ✗ | ? |" in text
    assert "- d decays by λ alone: to go there, give it η·λ; from there, give λ/η.\n" in text
    assert "- e adds λ·θ to the gradient: no λ elsewhere gives its steps.\n" in text
    assert (
        "- In float32 all scale the decay by η but those: among a, b, c λ is carried over" in text
    )


def test_a_decay_over_the_first_learning_rate_is_no_decay_to_carry_over() -> None:
    reports = [reported(x, Verdict.BIT_EXACT, None, "") for x in ("a", "b", "llm-foundry")]
    text = as_survey.render(reports)
    assert "- llm-foundry decays by λ·η/η₀, η₀ the first η: there give η₀·λ, from" in text
    assert "- In float32 all others scale the decay by η: η, β1, β2 and λ are carried" in text


def test_the_processor_is_named_with_what_decides_fusing(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nflags\t\t: fpu fma sse avx2\n", encoding="utf-8")
    assert as_survey.processor(info).endswith(", avx2, fma")
