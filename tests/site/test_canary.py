"""The canaries of the pages: what a reader may change changes the table, and what it says is so."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lion_conformance.cases.case import Case
from tests.site.engines import CANARY, LION_STEP, in_browser, replaced
from tests.site.steps import NAMES, expected, offered

PAGES = sorted((Path(__file__).parents[2] / "docs" / "explanation").glob("*.md"))

ELEMENT = re.compile(r'<div class="canary"[^>]*>(.*?)</div>', re.DOTALL)

DIFFERS = re.compile(r'data-differs="([^"]*)"')

SHOWN = (
    '<div class="canary" data-theta="1" data-m="1.0000001" data-g="-9.000001" data-lr="0.5" '
    'data-beta1="0.9" data-beta2="0.99" data-weight-decay="0" '
    'data-differs="sign_fused=momentum; zero_sign=kept; nan_sign=zero">a sentence</div>'
)

SYMBOLS = {"theta": "θ", "m": "m", "g": "g", "lr": "η", "beta1": "β1", "beta2": "β2"}
SYMBOLS |= {"weight-decay": "λ"}

# A reader's hand: fields are filled in one after another; what the page shows then is kept.
HAND = """
function seen(place) {
  const text = (node) => (node ? node.textContent : "");
  const rows = [...place.querySelectorAll("tbody tr")].map((row) => {
    const bits = [...row.querySelectorAll("code")].map(text);
    const name = row.querySelector("th").firstChild.data;
    return { name, bits, marked: row.querySelector(".canary-differs") !== null };
  });
  const errors = [...place.querySelectorAll(".canary-error")].map(text).filter((x) => x);
  const unlabelled = [...place.querySelectorAll("input, select")].filter((x) => !x.labels.length);
  const sentence = text(place.querySelector(".canary-sentence"));
  return { sentence, rows, errors, unlabelled: unlabelled.length };
}

function filled(place, name, value) {
  const field = place.querySelector(`[id$="-${name}"]`);
  field.value = value;
  field.dispatchEvent(new Event(field.tagName === "SELECT" ? "change" : "input"));
  return seen(place);
}

function used(markup, script, changes) {
  document.body.insertAdjacentHTML("beforeend", `<main>${markup}</main>`);
  const main = document.body.lastElementChild;
  (0, eval)(script);
  const place = main.querySelector(".canary");
  const states = [seen(place), ...changes.map(([name, value]) => filled(place, name, value))];
  main.remove();
  return states;
}
"""

CHANGES = [
    ("theta", "2"),
    ("theta", "0x40400000"),
    ("m", "one"),
    ("m", "1.0000001"),
    ("beta1", "1"),
    ("beta1", "0.5"),
    ("choice", "zero_sign=kept"),
    ("theta", "-0"),
    ("m", "-0"),
    ("g", "-0.0"),
    ("choice", "nan_sign=zero"),
    ("g", "nan"),
]
REFUSED = {
    ("m", "one"): "m = one is not legal; legal: a number such as 0.5, or bits such as 0x3f000000",
    ("beta1", "1"): (
        "β1 = 1 is not legal; legal: a number in [0, 1), or its bits such as 0x3f000000"
    ),
}

WRONG = {
    "what is typed is not taken": (
        'input.addEventListener("input", () => take() && show());',
        "",
    ),
    "the choice is not taken": ('select.addEventListener("change", show);', ""),
    "zeros of opposite sign are one": (
        "!Object.is(row.reference.value, row.port.value)",
        "!(row.reference.value === row.port.value || Number.isNaN(row.reference.value))",
    ),
    "nothing is marked": ("if (row.differs) {", "if (false) {"),
    "a bad value is not told": ("error.textContent = `", "error.title = `"),
    "a bad value empties the table": (
        "take() && show()",
        "take() ? show() : box.replaceChildren()",
    ),
    "an error stays when it is corrected": ('error.textContent = "";', ""),
    "bits are read as a decimal": ("if (/^0x/i.test(text)) {", "if (false) {"),
    "1 is a legal β": ("x >= 0 && x < 1", "x >= 0 && x <= 1"),
    "fields have no names": ('element("label", { for: input.id }', 'element("label", {}'),
}


def states(folder: Path, scripts: list[str]) -> list[Any]:
    """What each script's canary showed, at first and after each change, in one browser."""
    calls = [
        f"used({json.dumps(SHOWN)}, {json.dumps(script)}, {json.dumps(CHANGES)})"
        for script in scripts
    ]
    return asked(", ".join(calls), folder)


def asked(calls: str, folder: Path) -> list[Any]:
    """What a reader sees after each of the calls of `used`, in one browser."""
    program = f"{LION_STEP}\n{HAND}\nconst SCRIPT = {json.dumps(CANARY)};\n"
    program += f"addEventListener('load', () => answer([{calls}]));"
    # An end tag in a string would end the script.
    found = in_browser(program.replace("</", "<\\/"), folder)
    assert isinstance(found, list), found
    return found


def faults(shown: list[Any]) -> list[str]:
    """What is wrong in what a canary showed, against lion_ref's bits."""
    given = {"theta": "1", "m": "1.0000001", "g": "-9.000001", "beta1": "0.9"}
    given["choice"] = "sign_fused=momentum"
    found = []
    for change, state in zip([None, *CHANGES], shown, strict=True):
        if change is not None and change not in REFUSED:
            given[change[0]] = change[1]
        told = [REFUSED[change]] if change in REFUSED else []
        wanted = _expected_rows(given)
        bits = {row["name"]: row["bits"] for row in state["rows"]}
        marked = {row["name"]: row["marked"] for row in state["rows"]}
        differ = {name: len(set(pair)) == 2 for name, pair in bits.items()}
        if state["errors"] != told:
            found.append(f"{change}: the errors are {state['errors']}")
        if state["unlabelled"]:
            found.append("a field has no label")
        if {name: bits.get(name, [])[0:1] for name in NAMES} != wanted["reference"]:
            found.append(f"{change}: the reference is {bits}")
        if {name: bits.get(name, [])[-1:] for name in wanted["port"]} != wanted["port"]:
            found.append(f"{change}: the port is {bits}")
        if marked != differ:
            found.append(f"{change}: {marked} is marked")
    return found


def _expected_rows(given: dict[str, str]) -> dict[str, dict[str, list[str]]]:
    """The bits of each row of the reference, and of those of the port that lion_ref has."""
    arrays = (_number(given["theta"]), _number(given["m"]), _number(given["g"]))
    beta1 = float(given["beta1"])
    case = Case(*arrays, lr=0.5, beta1=beta1, beta2=0.99, weight_decay=0.0)
    (reference,), (port,) = (expected(case, choice) for choice in ("", given["choice"]))
    *operations, _, _ = reference.split()
    return {
        "reference": {name: [x] for name, x in zip(NAMES, operations, strict=True)},
        "port": {name: [x] for name, x in zip(("c", "θ'", "m'"), port.split(), strict=True)},
    }


def _number(text: str) -> Any:
    if text.startswith("0x"):
        return np.array([int(text, 16)], np.uint32).view(np.float32)
    return np.array([float(text)], np.float32)


def test_what_a_reader_changes_changes_the_table_and_a_wrong_script_is_told(
    tmp_path: Path,
) -> None:
    wrong = [replaced(CANARY, old, new) for old, new in WRONG.values()]
    right, *others = states(tmp_path, [CANARY, *wrong])
    assert faults(right) == []
    assert right[0]["sentence"] == (
        "c is 0 in the reference and -1.1920932e-8 in the port (c = fma(β1, m, (1-β1)·g)): the "
        "port steps, the reference does not. θ' is 1 in the reference and 1.5 in the port."
    )
    unseen = [name for name, shown in zip(WRONG, others, strict=True) if not faults(shown)]
    assert unseen == []


SENTENCES = {
    (("lr", "0"),): (
        "c is 0 in the reference and -1.1920932e-8 in the port (c = fma(β1, m, (1-β1)·g)): the "
        "port steps, the reference does not. θ' has the same bits all the same."
    ),
    (("g", "1"),): "No bit differs here in the port (c = fma(β1, m, (1-β1)·g)).",
    (("g", "-0.3"),): (
        "c is 0.8700001 in the reference and 0.87000006 in the port (c = fma(β1, m, (1-β1)·g)). "
        "θ' and m' have the same bits all the same."
    ),
    (("m", "inf"), ("g", "1"), ("choice", "sign_interpolation=lerp-from-momentum")): (
        "c is inf in the reference and NaN in the port (c = m + (1-β1)·(g-m)): NaN reaches θ' in "
        "the port alone. θ' is 0.5 in the reference and NaN in the port."
    ),
    (("m", "inf"), ("g", "1"), ("choice", "momentum_interpolation=lerp-from-momentum")): (
        "m' is inf in the reference and NaN in the port (m' = m + (1-β2)·(g-m))."
    ),
}
"""What is said after fields were filled in; the pages have the other kinds of sentences."""


def test_what_is_seen_is_said_in_a_sentence(tmp_path: Path) -> None:
    choices = "sign_fused=momentum; sign_interpolation=lerp-from-momentum; "
    choices += "momentum_interpolation=lerp-from-momentum"
    markup = re.sub('data-differs=".*?"', f'data-differs="{choices}"', SHOWN)
    calls = [f"used({json.dumps(markup)}, SCRIPT, {json.dumps(x)})" for x in SENTENCES]
    shown = asked(", ".join(calls), tmp_path)
    assert [seen[-1]["sentence"] for seen in shown] == list(SENTENCES.values())


REFUSALS = [
    ("lr", "-1", "η = -1 is not legal; legal: a finite number ≥ 0, finite also in float32, or"),
    ("lr", "1e300", "η = 1e300 is not legal; legal: a finite number ≥ 0, finite also in float"),
    ("weight_decay", "", "λ = nothing is not legal; legal: a finite number ≥ 0"),
    ("beta2", "nan", "β2 = nan is not legal; legal: a number in [0, 1)"),
    ("g", "0x3f80", "g = 0x3f80 is not legal; legal: a number such as 0.5, or bits such as 0x"),
]


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What is told of each value, in one browser."""
    calls = [f"used({json.dumps(SHOWN)}, SCRIPT, {json.dumps([x[:2]])})" for x in REFUSALS]
    shown = asked(", ".join(calls), tmp_path_factory.mktemp("refusals"))
    pairs = zip(REFUSALS, shown, strict=True)
    return {f"{field}={value}": seen[-1]["errors"] for (field, value, _), seen in pairs}


@pytest.mark.parametrize(("field", "value", "message"), REFUSALS)
def test_a_value_that_is_not_legal_is_told_beside_its_field(
    field: str, value: str, message: str, refusals: dict[str, list[str]]
) -> None:
    (told,) = refusals[f"{field}={value}"]
    assert told.startswith(message)


def canaries_of(page: Path) -> list[tuple[str, str]]:
    """Each canary's markup, and the text that stands in it for readers without JavaScript."""
    return [
        (found[0], unescape(found[1]))
        for found in ELEMENT.finditer(page.read_text(encoding="utf-8"))
    ]


def inputs_of(markup: str) -> str:
    """The inputs of a canary in words."""
    given = dict(re.findall(r'data-([\w-]+)="([^"]*)"', markup))
    dtype = f" in {given['dtype']}" if "dtype" in given else ""
    return ", ".join(f"{symbol} = {given[name]}" for name, symbol in SYMBOLS.items()) + dtype


def test_what_stands_in_a_canary_without_javascript_is_what_it_says_with_it(
    tmp_path: Path,
) -> None:
    found = [each for page in PAGES for each in canaries_of(page)]
    calls = [f"used({json.dumps(markup)}, SCRIPT, [])" for markup, _ in found]
    shown = asked(", ".join(calls), tmp_path)
    said = [
        f"With {inputs_of(x)}: {seen[0]['sentence']}"
        for (x, _), seen in zip(found, shown, strict=True)
    ]
    assert [text for _, text in found] == said
    assert not any(seen[0]["errors"] for seen in shown)


def test_the_pages_offer_every_choice_there_is_and_no_other() -> None:
    lists = [x for page in PAGES for x in DIFFERS.findall(page.read_text(encoding="utf-8"))]
    assert {choice.strip() for each in lists for choice in each.split(";")} == set(offered())
