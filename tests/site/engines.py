"""JavaScript engines in which the site's scripts are run: node, and a browser without a window."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "docs" / "javascripts"
LION_STEP = (SCRIPTS / "lion_step.js").read_text(encoding="utf-8")
CANARY = (SCRIPTS / "canary.js").read_text(encoding="utf-8")

BROWSERS = ("chromium", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--dump-dom",
)

Engine = Callable[[str, Path], object]
"""Takes a program that calls `answer(value)` and an empty folder; gives the value."""


def found(*names: str) -> str:
    """The first program of these on PATH; where there is none the test is not run."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip(f"not run: no {' or '.join(names)} on PATH")


def in_node(program: str, folder: Path) -> object:
    file = folder / "program.cjs"
    answer = "const answer = (value) => process.stdout.write(JSON.stringify(value));\n"
    file.write_text(answer + program, encoding="utf-8")
    command = [found("node"), str(file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def in_browser(program: str, folder: Path) -> object:
    body = f'<pre id="answer"></pre>\n<script>{_ANSWER}{program}</script>'
    dom = rendered(body, folder)
    (answer,) = re.findall(r'<pre id="answer">(.*?)</pre>', dom, re.DOTALL)
    return json.loads(html.unescape(answer))


_ANSWER = """
const answer = (value) => {
  document.getElementById("answer").textContent = JSON.stringify(value);
};
window.onerror = (message) => answer(message);
"""


def rendered(body: str, folder: Path) -> str:
    """The page as it stands when its scripts are done, opened as a file."""
    page = folder / "page.html"
    page.write_text(f'<!doctype html><meta charset="utf-8">{body}', encoding="utf-8")
    command = [found(*BROWSERS), *FLAGS, f"--user-data-dir={folder / 'profile'}", page.as_uri()]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


ENGINES: dict[str, Engine] = {"node": in_node, "browser": in_browser}


def replaced(source: str, old: str, new: str) -> str:
    assert source.count(old) == 1, f"{source.count(old)} times in the script: {old}"
    return source.replace(old, new)
