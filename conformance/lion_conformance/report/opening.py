"""What a reader of the page sees first of a port: its verdicts, and one counterexample."""

from __future__ import annotations

from html import escape

from lion_conformance.report import shown
from lion_conformance.report.counterexample import Counterexample, Value
from lion_conformance.report.explanation import explanation
from lion_conformance.report.findings import Findings
from lion_conformance.report.style import CLASSES, MARKS
from lion_conformance.report.told import Said, said, shown_first
from lion_conformance.verdict.code import Code


def verdicts(report: Findings) -> str:
    """A block for each verdict and its reason."""
    return "".join(_verdict(one) for one in said(report))


def example(report: Findings) -> str:
    """The counterexample that is shown before any other, if there is one."""
    first = shown_first(report)
    if first is None:
        return ""
    dtype, found = first
    return f"<div><h3>One counterexample, in {escape(dtype)}</h3>{counterexample(found)}</div>"


def _verdict(one: Said) -> str:
    more = "".join(f"<li>{escape(text)}</li>" for text in one.more)
    return (
        f'<div class="said {CLASSES[one.verdict]}"><p class="label">{MARKS[one.verdict]} '
        f"{escape(one.label)}</p><p>{escape(with_capital(one.what))}</p>"
        + (f"<ul>{more}</ul>" if more else "")
        + (_explained(one.code) if one.code else "")
        + f'<p class="parts">{escape(", ".join(one.parts))}</p></div>'
    )


def _explained(code: Code) -> str:
    """The page of a cause, folded: it is read without the network, and without this package."""
    return (
        f"<details><summary>More of {escape(code)}</summary>"
        f'<pre class="page" tabindex="0">{escape(explanation(code))}</pre></details>'
    )


def with_capital(text: str) -> str:
    """Text with a full stop, and with a capital where it begins with a word, not a symbol."""
    word = text.split(" ", maxsplit=1)[0]
    begins = text[0].upper() if len(word) > 1 and word.isascii() and word.isalpha() else text[0]
    return begins + text[1:].rstrip(".") + ("" if text.endswith("…") else ".")


def counterexample(found: Counterexample) -> str:
    """What is wrong with it, the numbers operation by operation, and what they say."""
    run = f"<pre tabindex='0'>{escape(chr(10).join(found.run))}</pre>" if found.run else ""
    remarks = "".join(f"<p>{escape(with_capital(text))}</p>" for text in shown.remarks(found))
    table = _table(found) if shown.rows(found) else ""
    accepted = "".join(
        f'<p class="soft">Accepted for {name}: <span class="hex">{escape(words)}</span></p>'
        for name, words in shown.accepted(found)
    )
    return (
        f"<p>{escape(with_capital(found.why))}</p>{run}"
        f'<p class="soft">{escape(shown.settings(found))}</p>{table}{remarks}{accepted}'
    )


def _table(found: Counterexample) -> str:
    columns = ["reference"]
    columns += ["the port"] if found.got else []
    columns += ["called again"] if found.again else []
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("", "made of", "dtype", *columns))
    heads = heads.replace('<th scope="col"></th>', '<th scope="col">what</th>')
    rows = "".join(_row(one, len(columns)) for one in shown.rows(found))
    return (
        '<div class="scroll" role="region" aria-label="Counterexample" tabindex="0">'
        f'<table class="bits"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>'
        "</table></div>"
    )


def _row(one: shown.Row, columns: int) -> str:
    kind = "given" if not one.formula else "result" if one.name in ("θ'", "m'") else "step"
    values = [one.value, one.got, one.again][:columns]
    cells = "".join(_value(x, x is not None and shown.differs(one.value, x)) for x in values)
    return (
        f'<tr class="{kind}"><th scope="row">{escape(one.name)}</th>'
        f"<td>{escape(one.formula or 'given')}</td><td>{escape(one.dtype)}</td>{cells}</tr>"
    )


def _value(value: Value | None, differs: bool) -> str:
    if value is None:
        return "<td></td>"
    said = f'{escape(value.decimal)}<span class="hex">{escape(value.hex)}</span>'
    return f'<td class="got">≠ {said}</td>' if differs else f"<td>{said}</td>"
