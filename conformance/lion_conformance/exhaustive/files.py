"""Certificates as files: written whole, under a seal; refused when they were changed since."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from lion_conformance.exhaustive.certificate import (
    FORMAT,
    VERSION,
    Certificate,
    as_document,
    from_document,
    seal,
)
from lion_conformance.vectors.document import parsed
from lion_conformance.vectors.schema import fault
from lion_ref.run_state.replacing import replacing

SCHEMA: Final = Path(__file__).parents[1] / "data" / "lion-exhaustive.schema.json"


def save(certificate: Certificate, path: Path) -> None:
    """Write it under its seal; what was there stays until the whole of it is on the disk."""
    document = as_document(certificate)
    text = json.dumps(document | {"seal": seal(document)}, indent=1, ensure_ascii=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(text.encode())


def load(path: Path) -> Certificate:
    """ValueError, with the file's name, for what is no certificate or not as it was written."""
    try:
        document = parsed(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is cut short, or no certificate: {error}") from error
    try:
        return _checked(document)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{path} is not legal: {error}") from error


def _checked(document: Any) -> Certificate:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"it is no certificate; legal: 'format' is {FORMAT!r}")
    if document.get("version") != VERSION:
        raise ValueError(f"it has version {document.get('version')!r}; legal: {VERSION}")
    if document.get("seal") != seal(document):
        raise ValueError("its seal is that of another text: it was edited, or cut short")
    wrong = fault(document, json.loads(SCHEMA.read_text(encoding="utf-8")))
    if wrong:
        raise ValueError(wrong)
    return from_document(document)
