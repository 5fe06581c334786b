"""The report on one port: what was found, and every format of it."""

from __future__ import annotations

from dataclasses import dataclass

from lion_conformance.report import as_html, as_json, as_markdown
from lion_conformance.report.findings import Findings
from lion_conformance.report.reproduction import reproduction


@dataclass(frozen=True, slots=True)
class Report(Findings):
    """What `verify` found of one port."""

    def to_json(self) -> str:
        """This report as JSON."""
        return as_json.dumps([self])

    def to_markdown(self) -> str:
        """This report as Markdown."""
        return as_markdown.render([self])

    def to_html(self) -> str:
        """This report as one self-contained page."""
        return as_html.render([self])

    def reproduction(self) -> str:
        """A Python file that exits with 1 while the port is wrong; empty if nothing falls short."""
        return reproduction(self)
