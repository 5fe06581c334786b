"""The commands as an installation has them: what a page or a workflow says, run by a shell."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

COMMANDS = {
    "python": "",
    "pytest": "-m pytest -p no:cacheprovider",
    "lion-conformance": "-c 'import lion_conformance.guard as x; raise SystemExit(x.main())'",
    "lion-ref": "-c 'import lion_adapters.command as x; raise SystemExit(x.main())'",
}
FENCE = re.compile(r"```console\n(.*?)```", re.DOTALL)


def environment(home: Path) -> dict[str, str]:
    """An environment whose PATH begins with the commands, of this interpreter and checkout."""
    home.mkdir(exist_ok=True)
    for name, words in COMMANDS.items():
        script = home / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {words} "$@"\n')
        script.chmod(0o755)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "PYTEST_"))}
    return inherited | {
        "PATH": os.pathsep.join([str(home), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(x for x in sys.path if x),
        "COLUMNS": "100",
        # A file that is edited within a second and keeps its size would be the old one to Python.
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def shell(command: str, folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command as GitHub's `shell: bash` does."""
    bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command]
    return subprocess.run(bash, cwd=folder, env=env, capture_output=True, text=True, check=False)


def commands(page: Path) -> list[str]:
    """The commands of a page, without what they print."""
    blocks = FENCE.findall(page.read_text(encoding="utf-8"))
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
