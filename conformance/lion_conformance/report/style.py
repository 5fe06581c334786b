"""The look of the page: in the light and in the dark, on a phone and in print.

Colours come as pairs that keep a contrast of 4.5 for words and 3 for what is drawn (WCAG 2.1).
"""

from __future__ import annotations

from typing import Final

from lion_conformance.verdict.verdict import Verdict

CLASSES: Final = {
    Verdict.BIT_EXACT: "exact",
    Verdict.BIT_EXACT_AS: "exact-as",
    Verdict.ACCEPTED: "accepted",
    Verdict.REJECTED: "rejected",
    Verdict.NOT_RUN: "not-run",
    Verdict.NOT_TAKEN: "not-run",
}
MARKS: Final = {
    Verdict.BIT_EXACT: "✓",
    Verdict.BIT_EXACT_AS: "✓",
    Verdict.ACCEPTED: "≈",
    Verdict.REJECTED: "✗",
    Verdict.NOT_RUN: "?",
    Verdict.NOT_TAKEN: "–",
}

LIGHT: Final = {
    "ink": "#1a1d21",
    "paper": "#ffffff",
    "soft": "#515962",
    "rule": "#d5d9de",
    "code": "#f5f6f8",
    "link": "#1a56a0",
    "exact": "#d7f0dd",
    "exact-as": "#dcebfa",
    "accepted": "#fdf1cf",
    "rejected": "#fbdcdc",
    "not-run": "#eceef0",
    "band": "#f7ecd0",
    "blue": "#2f6fb2",
    "orange": "#a85a14",
    "green": "#4d7a2a",
    "violet": "#6a4fa3",
    "teal": "#2b7573",
    "red": "#b3261e",
    "grey": "#5f6670",
}
DARK: Final = {
    "ink": "#e8eaed",
    "paper": "#15181c",
    "soft": "#b3bac3",
    "rule": "#3a4048",
    "code": "#1d2126",
    "link": "#8ab8f0",
    "exact": "#17402a",
    "exact-as": "#173a5c",
    "accepted": "#4a3c10",
    "rejected": "#5c1f1f",
    "not-run": "#2b3036",
    "band": "#39310f",
    "blue": "#7fb4ee",
    "orange": "#eda25c",
    "green": "#a3cf7c",
    "violet": "#bda6ef",
    "teal": "#7cccc9",
    "red": "#ff8a80",
    "grey": "#aab2bc",
}


def _variables(colours: dict[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in colours.items())


COLOURS: Final = f"""
:root {{ color-scheme: light dark; {_variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
"""
_RULES: Final = """
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 76rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; overflow-wrap: anywhere; }
h4 { font-size: .95rem; margin: 1rem 0 .25rem; }
p { margin: .25rem 0; max-width: 46rem; } ul { padding-left: 1.2rem; max-width: 60rem; }
li { overflow-wrap: anywhere; } .soft { color: var(--soft); }
a { color: inherit; text-underline-offset: .15em; }
a:focus-visible, summary:focus-visible, .scroll:focus-visible, pre:focus-visible {
  outline: 3px solid var(--link); outline-offset: 2px; }
.verdict { font-size: 1.25rem; font-weight: 600; }
section { margin-top: 1rem; } section > h2 { margin-bottom: .75rem; }
.unseen { position: absolute; clip-path: inset(50%); }
.sides { display: grid; grid-template-columns: 1fr; column-gap: 2.5rem; }
.sides > div { min-width: 0; }
.said { padding: .6rem .9rem; margin: .5rem 0; border-left: .3rem solid var(--soft);
  border-radius: .3rem; overflow-wrap: anywhere; }
.said.rejected { border-color: var(--red); } .said p { margin: 0; }
.said ul { margin: .2rem 0 0; } .said .label { font-weight: 600; }
.said .parts { color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { text-align: left; padding: .45rem .65rem; border-bottom: 1px solid var(--rule);
  vertical-align: top; }
th { font-weight: 600; } thead th { white-space: nowrap; }
.matrix { width: 100%; } .matrix td.head { color: var(--soft); }
.exact { background: var(--exact); } .exact-as { background: var(--exact-as); }
.accepted { background: var(--accepted); } .rejected { background: var(--rejected); }
.not-run { background: var(--not-run); }
td.short { outline: 2px solid var(--red); outline-offset: -2px; }
.bits { width: auto; font-size: .9rem; } .bits td, .bits tbody th, .hex {
  font-family: ui-monospace, monospace; }
.bits th, .bits td { white-space: nowrap; padding: .2rem .9rem .2rem .5rem; }
.bits .hex { color: var(--soft); margin-left: .6rem; }
.bits tr.result { font-weight: 600; } .bits td.got { background: var(--rejected); }
.bits td.got .hex { color: inherit; } p .hex { font-size: .85rem; overflow-wrap: anywhere; }
details { border: 1px solid var(--rule); border-radius: .5rem; margin: .5rem 0; }
details > :not(summary) { margin-left: .9rem; margin-right: .9rem; }
details > :last-child:not(summary) { margin-bottom: .9rem; }
summary { cursor: pointer; padding: .55rem .9rem; font-weight: 600; border-radius: .45rem; }
details details summary { font-weight: 400; }
pre { overflow-x: auto; background: var(--code); border: 1px solid var(--rule);
  border-radius: .4rem; padding: .75rem; font-size: .82rem; line-height: 1.45; }
pre.page { white-space: pre-wrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: .9rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: .75rem 0; } figcaption { color: var(--soft); font-size: .9rem; max-width: 44rem; }
figure > svg { width: 100%; display: block; font: 13px system-ui, sans-serif; }
svg text { fill: var(--soft); } svg .tick { text-anchor: middle; } svg .left { text-anchor: end; }
svg .axis { stroke: var(--soft); fill: none; } svg .grid { stroke: var(--rule); }
svg .band { fill: var(--band); } svg .edge { stroke: var(--soft); stroke-dasharray: 4 3; }
svg .over { paint-order: stroke; stroke: var(--band); stroke-width: 5px; }
svg .mark { stroke: currentColor; stroke-width: 1.5; fill: none; }
svg .filled { fill: currentColor; fill-opacity: .45; }
.blue { color: var(--blue); } .orange { color: var(--orange); } .green { color: var(--green); }
.violet { color: var(--violet); } .teal { color: var(--teal); } .red { color: var(--red); }
.grey { color: var(--grey); }
.key { white-space: nowrap; margin-right: .75rem; } .key svg { vertical-align: -2px; }
.key span { color: var(--soft); }
@media (min-width: 60rem) { .sides { grid-template-columns: 3fr 2fr; }
  .sides > div:only-child { grid-column: 1 / -1; } }
@media (max-width: 45rem) {
  .matrix thead { position: absolute; clip-path: inset(50%); }
  .matrix, .matrix caption, .matrix tbody, .matrix tr, .matrix th, .matrix td { display: block; }
  .matrix tr { border: 1px solid var(--rule); border-radius: .5rem; margin-bottom: .9rem;
    overflow: hidden; }
  .matrix td.none { display: none; }
  .matrix tbody th { background: var(--not-run); overflow-wrap: anywhere; }
  .matrix td::before { content: attr(data-column) ": "; color: var(--soft); }
  figure > svg { font-size: 20px; }
  .bits th, .bits td { padding: .25rem .4rem; } .bits .hex { display: block; margin-left: 0; }
  .bits td:nth-child(3), .bits th:nth-child(3) { display: none; }
  dl { grid-template-columns: 1fr; } dt { margin-top: .3rem; }
}
@media print {
  * { print-color-adjust: exact; } .said, tr { break-inside: avoid; }
  details { break-inside: avoid; } .scroll { overflow: visible; } }
"""
SHEET: Final = COLOURS + _RULES
