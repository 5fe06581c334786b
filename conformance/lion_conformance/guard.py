"""The command `lion-conformance`: judged in a process of its own, which has to say how it ended.

A port, or the module that it is in, can end its process with status 0 (`os._exit(0)`), and no
verdict would look like the best one. So the process that judges ends with codes that nobody else
uses, and any other code is no verdict.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from typing import Final

NOT_RUN: Final = 2
INTERRUPTED: Final = 130

SAID: Final = 64
"""Added to the exit status by the process that judges."""

STATUSES: Final = 3
"""0, 1 and 2: `cli.main`."""


def main() -> int:
    """Run a command in a process of its own; its exit status, NOT_RUN where it said none."""
    # -P: what lies in the current folder shadows no module of the judge.
    command = [sys.executable, "-P", "-m", "lion_conformance.guard", *sys.argv[1:]]
    try:
        code = subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return INTERRUPTED
    if SAID <= code < SAID + STATUSES:
        return code - SAID
    print(
        f"lion-conformance: the process ended with status {code} and without a verdict; legal: a "
        "port that lets the process go on",
        file=sys.stderr,
    )
    return NOT_RUN


def _judge() -> int:
    """The command itself, with an exit status that says it came to its end."""
    gc.disable()
    from lion_conformance import cli

    gc.freeze()  # what is imported stays: looking through it again and again takes time
    gc.enable()
    try:
        status = cli.main()
        sys.stdout.flush()
    except SystemExit as ended:  # --help, or arguments that are none
        status = ended.code if isinstance(ended.code, int) else NOT_RUN
    except BrokenPipeError:  # who read it has read enough, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = NOT_RUN
    return SAID + status


if __name__ == "__main__":
    sys.exit(_judge())
